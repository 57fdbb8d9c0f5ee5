"""Recommends nothing."""

from __future__ import annotations

import numpy as np

from recgym.agents.harm_mitigation.stationary_agent import SlateAgent


class NoneAgent(SlateAgent):
    """The user finds everything by herself."""

    name = "none"

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        rows, n = len(observation["action_mask"]), self.model.n_items
        if self.kind == "probabilities":
            return self.sampling(np.zeros((rows, len(self.model.recommendable))))
        return np.full(rows if self.kind == "item" else (rows, self.k), n)
