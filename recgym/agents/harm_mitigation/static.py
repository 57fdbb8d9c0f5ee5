"""Recommends what the user likes best at u_0, or now: optimal where tastes do not move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recgym.agents.base import AgentConfig
from recgym.agents.harm_mitigation.stationary_agent import SlateAgent, top


@dataclass(frozen=True)
class StaticConfig(AgentConfig):
    """Whose taste."""

    profile: Literal["inherent", "current"] = "inherent"
    """``current`` is the greedy recommender, which follows the user."""


class StaticAgent(SlateAgent):
    """Top-k of the harmless items under one of the two observed profiles (the paper's U0)."""

    name = "static"
    Config = StaticConfig
    config: StaticConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: StaticConfig | None = None):
        super().__init__(env, config)
        self.needs_profile()

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        key = "inherent" if self.config.profile == "inherent" else "profile"
        return self.offering(top(self.model, self.k, observation[key].astype(np.float64)))
