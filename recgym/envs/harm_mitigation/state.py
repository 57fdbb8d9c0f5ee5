"""The state of HarmMitigation: arrays over a batch of B rows, and the frozen parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recgym.envs.arguments import flag, number, plain, whole
from recgym.envs.core import BatchState

RESPONSES = ("stochastic", "mean_field")
ACTIONS = ("item", "slate", "probabilities")
HARMS = ("label", "graded", "exposure")
OBSERVATIONS = ("profile", "history")


@dataclass(frozen=True)
class Params:
    """What makes one HarmMitigation differ from another, apart from its world."""

    response: str = "stochastic"
    """``mean_field``: the user is moved by what she would consume on average."""
    action: str = "item"
    k: int = 1
    """Places of a slate, or the budget of Σ q."""
    harm_weight: float = 10.0
    """λ."""
    harm: str = "label"
    """``graded``: by severity. ``exposure``: what is recommended counts too."""
    constrained: bool = False
    budget: float = 0.1
    """Cost per step that is allowed, where ``constrained``."""
    observation: str = "profile"
    history_length: int = 50
    time_aware: bool = False
    horizon: int = 100
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of named reward terms that take the place of the defaults."""

    def __post_init__(self) -> None:
        for name in ("k", "history_length", "horizon"):
            whole(name, getattr(self, name))
        choices = (("response", RESPONSES), ("action", ACTIONS), ("harm", HARMS))
        for name, known in (*choices, ("observation", OBSERVATIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, got {getattr(self, name)!r}.")
        for name in ("constrained", "time_aware"):
            flag(name, getattr(self, name))
        for name in ("harm_weight", "budget"):
            number(name, getattr(self, name))
        if self.harm_weight < 0:
            raise ValueError(f"harm_weight must be at least 0, got {self.harm_weight}.")
        if not 0 <= self.budget <= 1:
            raise ValueError(f"budget must lie in [0, 1], got {self.budget}.")
        if self.action == "item" and self.k != 1:
            raise ValueError(f'action="item" recommends one item, got k={self.k}. Try "slate".')
        if self.response == "mean_field" and self.observation == "history":
            raise ValueError(
                'response="mean_field" consumes no single items: there is no history to observe. '
                'Choose response="stochastic" or observation="profile".'
            )
        plain(self)

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "weights": dict(self.weights)}


@dataclass(frozen=True)
class State(BatchState):
    """B episodes. N is the number of items and the padding, d the width, T the horizon."""

    user: np.ndarray  # (B,) int64
    inherent: np.ndarray  # (B, d) float64: u_0
    profile: np.ndarray  # (B, d) float64: u
    steps: np.ndarray  # (B,) int64
    draws: np.ndarray  # (B, C, m) float64: uniform numbers of C steps; (B, 0, m) in mean_field
    consumed: np.ndarray  # (B, T) int32: items in order, N where none; (B, 0) in mean_field
    clicked: np.ndarray  # (B, T) bool: whether each was clicked; (B, 0) in mean_field
    path: np.ndarray  # (B, T + 1, d) float32: profiles so far in mean_field, else (B, 0, d)
    rates: np.ndarray  # (B, T, 2) float32: click, harm of each step in mean_field, else (B, 0, 2)
    totals: np.ndarray  # (B, 6) float64: each of `rewards.TERMS`, then p_CLK and p_H, summed
    rewards: np.ndarray  # (B,) float64: the return so far
