"""The paper's alternating heuristic: settle the profile, recommend what it likes best, repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.base import AgentConfig
from recgym.agents.harm_mitigation.stationary_agent import SlateAgent
from recgym.evaluators import choice


@dataclass(frozen=True)
class AlternatingConfig(AgentConfig):
    """How often to alternate."""

    rounds: int = 10


class AlternatingAgent(SlateAgent):
    """Knows nothing of λ: it maximises clicks at each profile, and harm is left as it falls.

    β pulls to u_0 in every round (the published code anchors one path at the previous profile).
    """

    name = "alternating"
    sees = "privileged"
    Config = AlternatingConfig
    config: AlternatingConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: AlternatingConfig | None = None):
        super().__init__(env, config)
        self.needs_profile()
        self._family = choice.Sampling(self.model, self.k)
        self._solved: dict[bytes, np.ndarray] = {}

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        inherent = np.ascontiguousarray(observation["inherent"])
        keys = [row.tobytes() for row in inherent]
        new = {key: row for row, key in enumerate(keys) if key not in self._solved}
        if new:
            items = self.solve(inherent[list(new.values())].astype(np.float64))
            self._solved.update(zip(new, items, strict=True))
        return self.offering(np.stack([self._solved[key] for key in keys]))

    def solve(self, inherent: np.ndarray) -> np.ndarray:
        """(B, k): the slates of users with inherent profiles (B, d)."""
        items = self.top(inherent)
        for _ in range(self.config.rounds):
            settled = choice.stationary_profile(
                self.model, self._family, inherent, self.certain(items)
            )
            items = self.top(settled.profile)
        return items
