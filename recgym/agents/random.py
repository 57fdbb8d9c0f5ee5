"""The floor of every table: a legal action, uniformly."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from recgym.agents.base import Agent, choose_uniformly


class RandomAgent(Agent):
    """Draws uniformly among the legal actions, also when asked to be deterministic.

    In a slate each place is drawn by itself, so that an item may come twice; in a box, every
    number; of bits, every one that means something.
    """

    name = "random"

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        space, mask = self.problem.action_space, observation["action_mask"] > 0
        if isinstance(space, spaces.Box):
            drawn = self.rng.uniform(space.low, space.high, (len(mask), *space.shape))
            return drawn.astype(space.dtype)
        if isinstance(space, spaces.MultiDiscrete):
            places = np.split(mask, np.cumsum(space.nvec)[:-1], axis=1)
            return np.stack([choose_uniformly(place, self.rng) for place in places], axis=1)
        if isinstance(space, spaces.MultiBinary):
            return (mask & (self.rng.random(mask.shape) < 0.5)).astype(space.dtype)
        return choose_uniformly(mask, self.rng)
