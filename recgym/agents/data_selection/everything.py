"""Everything stays in: the base of the paper's tables."""

from __future__ import annotations

import numpy as np

from recgym.agents.data_selection.selecting import SelectingAgent


class AllAgent(SelectingAgent):
    """Keeps all."""

    name = "all"

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return np.ones(observation["own"].shape)
