"""The floor of every table: a legal action, uniformly."""

from __future__ import annotations

import numpy as np

from recgym.agents.base import Agent, choose_uniformly


class RandomAgent(Agent):
    """Draws uniformly among the legal actions, also when asked to be deterministic."""

    name = "random"

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        return choose_uniformly(observation["action_mask"] > 0, self.rng)
