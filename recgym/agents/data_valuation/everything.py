"""Plain BPR: every sample counts alike."""

from __future__ import annotations

import numpy as np

from recgym.agents.data_valuation.valuing import ValuingAgent


class BPRAgent(ValuingAgent):
    """Learns from everything, as the recommender does without an agent."""

    name = "bpr"

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return np.ones(observation["loss"].shape)
