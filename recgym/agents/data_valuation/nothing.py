"""Learning from nothing: what a metric is worth that gains by it."""

from __future__ import annotations

import numpy as np

from recgym.agents.data_valuation.valuing import ValuingAgent


class NoneAgent(ValuingAgent):
    """Leaves the recommender as it is."""

    name = "none"

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return np.zeros(observation["loss"].shape)
