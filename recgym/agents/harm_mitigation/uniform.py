"""Recommends harmless items uniformly."""

from __future__ import annotations

import numpy as np

from recgym.agents.harm_mitigation.stationary_agent import SlateAgent


class UniformAgent(SlateAgent):
    """A slate of k, each as likely; as probabilities, q = k/|NH|. Also when deterministic."""

    name = "uniform"

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        rows, n = len(observation["action_mask"]), len(self.model.recommendable)
        if self.kind == "probabilities":
            return self.sampling(np.full((rows, n), self.k / n))
        drawn = np.argsort(self.rng.random((rows, n)), axis=1)[:, : self.k]
        return self.offering(self.model.recommendable[drawn])
