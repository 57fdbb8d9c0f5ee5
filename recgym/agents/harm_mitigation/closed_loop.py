"""Plans anew from the profile as it is observed: what a slate is worth from here on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.harm_mitigation.stationary_agent import SlateAgent
from recgym.evaluators import choice


@dataclass(frozen=True)
class ClosedLoopConfig(AgentConfig):
    """How far to look ahead."""

    horizon: int = 6
    """Steps of the mean update that are followed."""
    tail: float = 10.0
    """Weight of the last of them, which stands for all that come after."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.horizon < 1 or self.tail < 0:
            raise AgentError("horizon must be at least 1 and tail at least 0.")


class ClosedLoopAgent(SlateAgent):
    """Stationary methods solve once for u_0; this one reacts to where the profile has drifted.

    At every step, each item in turn is followed along the mean update from the observed profile,
    as if it were recommended from now on; slates are filled greedily.
    """

    name = "closed_loop"
    sees = "privileged"
    Config = ClosedLoopConfig
    config: ClosedLoopConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: ClosedLoopConfig | None = None):
        super().__init__(env, config)
        self.needs_profile()

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        profile, inherent = (observation[k].astype(np.float64) for k in ("profile", "inherent"))
        rows, n = len(profile), len(self.model.recommendable)
        chosen = np.empty((rows, 0), dtype=np.int64)
        for _ in range(self.k):
            candidates = np.tile(self.model.recommendable, (rows, 1))
            slates = np.concatenate([np.repeat(chosen[:, None], n, 1), candidates[..., None]], 2)
            worth = self._worth(profile, inherent, slates)
            taken = (chosen[:, :, None] == candidates[:, None]).any(axis=1)
            best = np.where(taken, -np.inf, worth).argmax(axis=1)
            chosen = np.concatenate([chosen, self.model.recommendable[best][:, None]], axis=1)
        return self.offering(chosen)

    def _worth(self, profile: np.ndarray, inherent: np.ndarray, slates: np.ndarray) -> np.ndarray:
        """(B, M): the weighed objective along the mean update of each slate (B, M, k)."""
        rows, count, k = slates.shape
        flat = slates.reshape(-1, k)
        at, home = np.repeat(profile, count, axis=0), np.repeat(inherent, count, axis=0)
        weight, exposed = self.prices
        shown = exposed * np.append(self.model.harm, 0.0)[flat].sum(axis=1) / self.k
        total = np.zeros(len(flat))
        for step in range(self.config.horizon):
            scores = self.model.scores(at)
            clicks = choice.clicks_of(self.model, scores, flat)
            probability = self.model.consumption(scores, clicks)
            value = (1 - self.model.explore) * clicks.sum(axis=1)
            value -= weight * (probability @ self.model.harm) + shown
            total += value * (1.0 if step < self.config.horizon - 1 else self.config.tail)
            at = self.model.expected_move(at, home, probability)
        return total.reshape(rows, count)
