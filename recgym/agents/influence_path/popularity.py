"""The most popular item that the user has not seen, whatever the objective."""

from __future__ import annotations

import numpy as np

from recgym.agents.base import Agent, AgentConfig


class PopularityAgent(Agent):
    """Ranks by the number of interactions in the log."""

    name = "popularity"

    def __init__(self, env, config: AgentConfig | None = None):
        super().__init__(env, config)
        self.counts = self.problem.log.popularity  # pyright: ignore[reportAttributeAccessIssue]

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        return np.where(observation["action_mask"] > 0, self.counts, -1).argmax(axis=1)
