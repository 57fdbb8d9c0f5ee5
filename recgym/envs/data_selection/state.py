"""The state of DataSelection: arrays over a batch of B games, and the frozen parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from recgym.envs.arguments import flag, number, plain, whole
from recgym.envs.core import BatchState
from recgym.evaluators.influence import COSTS

ACTIONS = ("items", "category", "recent")
BACKENDS = ("influence", "anchors", "retrain")
OBJECTIVES = ("selfish", "social")


@dataclass(frozen=True)
class Params:
    """What makes one DataSelection differ from another, apart from its world."""

    harm_of_disclosure: float = 0.05
    """λ."""
    cost: str = "linear"
    """Of what is given away; see :data:`recgym.evaluators.influence.COSTS`."""
    objective: str = "selfish"
    """``social``: a move is paid by what it does to the mean of all users."""
    backend: str = "influence"
    anchors: int = 4
    """T, with ``backend="anchors"``."""
    action: str = "items"
    rounds: int = 2
    """R."""
    drift: float = 0.0
    """Standard deviation of what is added to each willingness between rounds."""
    show_influence: bool = False
    """Whether users are told what each of their items does to their loss."""
    final_retrain: bool = False
    """Train on the last selection for the metrics."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of named reward terms that take the place of the defaults."""

    def __post_init__(self) -> None:
        for name, known in (
            ("action", ACTIONS),
            ("backend", BACKENDS),
            ("objective", OBJECTIVES),
            ("cost", tuple(COSTS)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, got {getattr(self, name)!r}.")
        for name in ("rounds", "anchors"):
            whole(name, getattr(self, name))
        for name in ("harm_of_disclosure", "drift"):
            number(name, getattr(self, name))
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)!r}.")
        for name in ("show_influence", "final_retrain"):
            flag(name, getattr(self, name))
        plain(self)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "weights": dict(self.weights)}


@dataclass(frozen=True)
class State(BatchState):
    """N users, Z pairs that can be selected; users move in the order of their numbers."""

    draw: np.ndarray  # (B,) int64, the willingness that was drawn
    selected: np.ndarray  # (B, Z) bool
    willingness: np.ndarray  # (B, Z) float64 in [0, 1]
    moves: np.ndarray  # (B,) int64, made so far
    changed: np.ndarray  # (B,) bool, whether anybody changed anything in this round
    over: np.ndarray  # (B,) bool
    rewards: np.ndarray  # (B,) float64, their sum
