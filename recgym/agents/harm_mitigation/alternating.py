"""The paper's alternating heuristic: settle the profile, recommend what it likes best, repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.harm_mitigation.stationary_agent import SlateAgent, certain, top
from recgym.evaluators import choice
from recgym.evaluators.choice import ChoiceModel


@dataclass(frozen=True)
class AlternatingConfig(AgentConfig):
    """How often to alternate."""

    rounds: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds < 0:
            raise AgentError(f"rounds must be at least 0, got {self.rounds}.")


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
        self._solved: dict[bytes, np.ndarray] = {}

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        inherent = np.ascontiguousarray(observation["inherent"])
        keys = [row.tobytes() for row in inherent]
        new = {key: row for row, key in enumerate(keys) if key not in self._solved}
        if new:
            fresh = inherent[list(new.values())].astype(np.float64)
            items = alternate(self.model, self.k, fresh, self.config.rounds)
            self._solved.update(zip(new, items, strict=True))
        return self.offering(np.stack([self._solved[key] for key in keys]))


def alternate(
    model: ChoiceModel, k: int, inherent: np.ndarray, rounds: int = AlternatingConfig.rounds
) -> np.ndarray:
    """(B, k): the slates of users with inherent profiles (B, d)."""
    family = choice.Sampling(model, k)
    items = top(model, k, inherent)
    for _ in range(rounds):
        settled = choice.stationary_profile(model, family, inherent, certain(model, items))
        items = top(model, k, settled.profile)
    return items
