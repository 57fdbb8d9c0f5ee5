"""The state of InfluencePath: arrays over a batch of B rows, and the frozen parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recgym.envs.arguments import number, plain, whole
from recgym.envs.core import BatchState

ACCEPTANCE = ("passive", "sampled")
PPL = ("path", "with_objective")
OBJECTIVES = ("item", "genre")
REPEATS = ("forbidden", "allowed")


@dataclass(frozen=True)
class Params:
    """What makes one InfluencePath differ from another, apart from data and evaluator."""

    horizon: int = 20
    """M: recommendations in an episode."""
    acceptance: str = "passive"
    """``passive``: the user takes what is offered. ``sampled``: she may refuse."""
    bonus: float = 5.0
    """B of the reward, in nats."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of named reward terms that take the place of the defaults."""
    history_length: int = 50
    """Items of the history in an observation."""
    ppl: str = "path"
    """``with_objective``: log PPL as the authors' code takes it, the objective appended."""
    objective: str | Sequence[Sequence[int]] = "item"
    """``item``, ``genre``, or sets of items."""
    repeats: str = "forbidden"
    """``allowed``: items that the user has taken may be recommended again."""

    def __post_init__(self) -> None:
        for name in ("horizon", "history_length"):
            whole(name, getattr(self, name))
        if self.acceptance not in ACCEPTANCE:
            raise ValueError(f"acceptance must be one of {ACCEPTANCE}, got {self.acceptance!r}.")
        if self.ppl not in PPL:
            raise ValueError(f"ppl must be one of {PPL}, got {self.ppl!r}.")
        if self.repeats not in REPEATS:
            raise ValueError(f"repeats must be one of {REPEATS}, got {self.repeats!r}.")
        number("bonus", self.bonus)
        if isinstance(self.objective, str):
            if self.objective not in OBJECTIVES:
                raise ValueError(
                    f"objective must be one of {OBJECTIVES}, or a list of sets of items, "
                    f"got {self.objective!r}."
                )
        else:
            object.__setattr__(self, "objective", _item_sets(self.objective))
        plain(self)

    def to_dict(self) -> dict[str, Any]:
        values = {**self.__dict__, "weights": dict(self.weights)}
        for name, usual in (("objective", "item"), ("repeats", "forbidden")):
            if values[name] == usual:  # as before there was a choice: fingerprints stay
                del values[name]
        return values


def _item_sets(sets: Any) -> tuple[tuple[int, ...], ...]:
    """Sets of items as sorted tuples.

    Raises:
        ValueError: not a list of non-empty lists of whole numbers.
    """
    try:
        arrays = [np.asarray(list(items)) for items in sets]
    except TypeError:
        raise ValueError(f"objective must be a list of lists of items, got {sets!r}.") from None
    if not arrays:
        raise ValueError("objective: there are no sets. Give at least one list of items.")
    for index, array in enumerate(arrays):
        if array.size == 0:
            raise ValueError(f"objective: set {index} is empty. Give it at least one item.")
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError(
                f"objective: set {index} must be a list of whole numbers, got {sets[index]!r}."
            )
    return tuple(tuple(np.unique(array).tolist()) for array in arrays)


@dataclass(frozen=True)
class State(BatchState):
    """B episodes. N is the number of items and the padding, M the horizon, L the window."""

    user: np.ndarray  # (B,) int64
    target: np.ndarray  # (B,) int64: the objective as tasks name it, an item, genre or set
    objective: np.ndarray  # (B,) int64: the item, or the one that stands for the set
    members: np.ndarray  # (B, N) bool: unseen items of the set at the start; (B, 0) for an item
    cut: np.ndarray  # (B,) int64: events of the user's log that the episode starts from
    tokens: np.ndarray  # (B, L) int64: the latest items taken, log and path, pre-padded with N
    seen: np.ndarray  # (B, N) bool: items taken, in the log up to the cut or on the path
    steps: np.ndarray  # (B,) int64: recommendations so far, refused and illegal ones included
    path: np.ndarray  # (B, M) int64: recommendations in order, N where none yet
    accepted: np.ndarray  # (B, M) bool: whether each was taken
    last_accepted: np.ndarray  # (B,) bool: whether the latest was taken; true at the start
    log_prob: np.ndarray  # (B, N) float32: log P(· | s), of the path without the objective
    threshold: np.ndarray  # (B, N) float32 latent thresholds U_x; (B, 0) when passive
    objective_curve: np.ndarray  # (B, M + 1) float32: log P(objective | s) after each step
    follow_curve: np.ndarray  # (B, M) float32: log a of each recommendation
    first_rank: np.ndarray  # (B,) int64: the objective's rank at the start
    totals: np.ndarray  # (B, T) float64: each reward term summed over the episode
    rewards: np.ndarray  # (B,) float64: the return so far
