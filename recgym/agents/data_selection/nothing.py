"""Nothing stays in: with the paper's λ = 1 it beats every published reward."""

from __future__ import annotations

import numpy as np

from recgym.agents.data_selection.selecting import SelectingAgent


class NoneAgent(SelectingAgent):
    """Keeps nothing.

    The recommender is then its start; with ``deselected="relabel"``, it is trained on everything as
    disliked.
    """

    name = "none"

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return -np.ones(observation["own"].shape)
