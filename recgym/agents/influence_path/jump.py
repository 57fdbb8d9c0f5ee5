"""Proposes the objective at once: what a good reward must not reward."""

from __future__ import annotations

import numpy as np

from recgym.agents.influence_path.popularity import PopularityAgent
from recgym.envs.influence_path.objectives import aim
from recgym.evaluators.top_k import moved_up


class JumpAgent(PopularityAgent):
    """SR is 1 by construction; SR_acc shows what that is worth.

    Of a set its most popular member. While the objective is refused, the most popular item.
    """

    name = "jump"

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        objective = aim(observation, self.counts)
        legal = observation["action_mask"][np.arange(len(objective)), objective] > 0
        return np.where(legal, objective, super().act(observation, deterministic=deterministic))

    def preferences(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, N) finite: the objective, then what is most popular (Table IV)."""
        scores = np.where(observation["action_mask"] > 0, self.counts, -np.inf)
        return moved_up(scores, aim(observation, self.counts)[:, None])
