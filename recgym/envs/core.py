"""A problem's rules over a batch axis. `Env` is the batch of one, `VectorEnv` the batch of n.

Rules are pure functions of a typed state: a frozen dataclass of arrays whose first axis is the
batch. Nothing here keeps a state or a generator; the two faces in ``single.py`` and ``vector.py``
do, and they contain no rule of any problem.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
from gymnasium import spaces

Task = dict[str, int]
"""What one episode is about, e.g. ``{"user": 3, "objective": 77}``; valid as reset options."""


@dataclass(frozen=True)
class BatchState:
    """Base of all states: every field is an array with the batch as its first axis."""

    def rows(self, index: np.ndarray) -> BatchState:
        """A copy of some rows (indices or mask)."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def with_rows(self, index: np.ndarray, other: BatchState) -> BatchState:
        """A copy in which the rows at ``index`` are those of ``other``."""
        values = {}
        for f in fields(self):
            array = getattr(self, f.name).copy()
            array[index] = getattr(other, f.name)
            values[f.name] = array
        return type(self)(**values)

    def copy(self) -> BatchState:
        return type(self)(**{f.name: getattr(self, f.name).copy() for f in fields(self)})

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.__dataclass_fields__))))


S = TypeVar("S", bound=BatchState)


@dataclass(frozen=True)
class Transition(Generic[S]):
    """What one step of a batch of B rows brought about."""

    state: S
    terms: Mapping[str, np.ndarray]  # name → (B,) float64, unweighted
    terminated: np.ndarray  # (B,) bool
    invalid: np.ndarray  # (B,) bool, illegal actions
    cost: np.ndarray  # (B,) float64, for constrained problems
    truncated: np.ndarray | None = None  # (B,) bool: a continuing task that is cut off here
    info: Mapping[str, np.ndarray] | None = None  # name → (B, ...), for analysis only


class Problem(ABC, Generic[S]):
    """The rules of one environment. Subclasses live in ``recgym/envs/<problem>/dynamics.py``."""

    observation_space: spaces.Dict
    action_space: spaces.Space
    weights: Mapping[str, float]
    """The reward is the sum of these times the terms, exactly."""
    fingerprint: str
    """Identifies data, evaluator and every parameter that makes a difference."""
    task_keys: tuple[str, ...]
    split: str
    may_refuse: bool = False
    """Whether a legal action can be refused; observations then have ``last_accepted``."""

    @abstractmethod
    def draw_task(self, rng: np.random.Generator, given: Mapping[str, int]) -> Task:
        """A task of this split, drawn from one row's generator, keeping what is ``given``.

        Raises:
            ValueError: a given value that is not possible.
        """

    @abstractmethod
    def start(self, tasks: Sequence[Task], rngs: Sequence[np.random.Generator]) -> S:
        """The first states of B tasks; one evaluator call for all."""

    @abstractmethod
    def step(
        self, state: S, action: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> Transition[S]:
        """One step of every row; one evaluator call for all."""

    def step_over(
        self, state: S, action: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> Transition[S]:
        """:meth:`step` for who looks at ``state`` no more: its memory may be written to."""
        return self.step(state, action, rngs)

    @abstractmethod
    def observe(self, state: S) -> dict[str, np.ndarray]:
        """Observations (B, ...), in fresh memory."""

    @abstractmethod
    def action_masks(self, state: S) -> np.ndarray:
        """(B, A) bool: the legal actions; never all false before the end."""

    def targets(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """(B, A) bool: actions that each observed episode is meant to end in; none by default."""
        return np.zeros(observation["action_mask"].shape, dtype=bool)

    @abstractmethod
    def metrics(self, state: S) -> dict[str, np.ndarray]:
        """The papers' metrics of the episode so far, name → (B,) float64."""

    @abstractmethod
    def tasks_of(self, state: S) -> dict[str, np.ndarray]:
        """The tasks of the rows, name → (B,) int64."""

    @abstractmethod
    def for_split(self, split: str) -> Problem[S]:
        """The same rules with the tasks of another split."""

    @abstractmethod
    def evaluation_tasks(self, seed: int) -> list[Task]:
        """The tasks that agents are judged on, disjoint from every training task."""

    @abstractmethod
    def render(self, state: S, row: int, mode: str) -> Any:
        """A frame (H, W, 3) uint8 for ``rgb_array``, a text for ``ansi``."""

    def keys(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """(B, K) int64: observations with equal rows are the same state of a finite MDP.

        Raises:
            ValueError: this problem, with these parameters, is not one.
        """
        raise ValueError(f"{type(self).__name__} is not a finite MDP that can be enumerated.")

    def tasks(self) -> list[Task]:
        """Every task of this split, where they can be listed."""
        raise ValueError(f"The tasks of {type(self).__name__} cannot be listed.")

    def __deepcopy__(self, memo: dict) -> Problem[S]:
        return self  # rules keep no state, and hold large data

    def reward(self, terms: Mapping[str, np.ndarray]) -> np.ndarray:
        """(B,) float64: the weighted sum of the named terms."""
        total = np.zeros(len(next(iter(terms.values()))))
        for name, value in terms.items():
            total += self.weights[name] * value
        return total

    def check_actions(self, action: Any, rows: int) -> np.ndarray:
        """Actions of a batch as an array (rows, ...) in the space's dtype.

        Raises:
            ValueError: a wrong shape, or a value outside the space, with its bound.
        """
        space = self.action_space
        array = np.asarray(action)
        if array.shape != (rows, *(space.shape or ())):
            raise ValueError(
                f"Actions must have shape {(rows, *(space.shape or ()))}, got {array.shape}."
            )
        if isinstance(space, spaces.Discrete):
            low, high, whole = space.start, space.start + space.n - 1, True
        elif isinstance(space, spaces.MultiDiscrete):
            low, high, whole = space.start, space.start + space.nvec - 1, True
        elif isinstance(space, spaces.MultiBinary):
            low, high, whole = 0, 1, True
            if array.dtype.kind == "f" and np.isin(array, (0.0, 1.0)).all():
                array = array.astype(space.dtype)  # what Stable-Baselines3's policies put out
        elif isinstance(space, spaces.Box):
            low, high, whole = space.low, space.high, False
        else:
            raise TypeError(f"Action spaces of type {type(space).__name__} are not supported.")
        kinds = "iub" if whole else "iuf"
        if array.dtype.kind not in kinds:
            raise ValueError(f"Actions of {space} must be numbers of that kind, got {array.dtype}.")
        bad = ~((array >= low) & (array <= high))  # also catches NaN
        if bad.any():
            raise ValueError(f"Action {array[bad][0]} lies outside {space} (from {low} to {high}).")
        return array.astype(space.dtype)

    def given_tasks(self, options: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
        """Reset options as (rows,) int64 each, from one number for all rows or one for each.

        Raises:
            ValueError: an option that no task has, a wrong shape, or not whole numbers.
        """
        if unknown := sorted(map(str, set(options) - set(self.task_keys))):
            raise ValueError(
                f"Unknown reset options {unknown}. This environment takes {list(self.task_keys)}."
            )
        given = {}
        for key, value in options.items():
            array = np.asarray(value)
            if array.dtype.kind not in "iu" or array.shape not in ((), (rows,)):
                many = f" or an array of {rows}" if rows > 1 else ""
                raise ValueError(
                    f"Reset option {key!r} must be a whole number{many}, got {value!r}."
                )
            given[key] = np.broadcast_to(array, rows).astype(np.int64)
        return given
