"""Optima of DataValuation's tiny world: every selection of every batch is tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import gymnasium as gym
import numpy as np

from recgym.envs.data_valuation.dynamics import DataValuation
from recgym.envs.data_valuation.state import State

MOST_BITS = 18  # batch · steps: selections are 2 to the power of it


@dataclass(frozen=True)
class ValuationOptimum:
    """Answers about some streams; returns are sums over the episode."""

    value: float  # of the best selections, averaged over the streams
    random_value: float  # of selections by coin
    worst_value: float
    selections: Mapping[int, np.ndarray] = field(repr=False)  # stream → (T, n) int8, the best

    def regret(self, score: float) -> float:
        """Normalised regret of a mean return: 0 is the optimum, 1 selections by coin."""
        return (self.value - score) / (self.value - self.random_value)


def valuation_optimum(env: gym.Env, streams: Sequence[int] | None = None) -> ValuationOptimum:
    """The best of all 2^(batch · steps) sequences of selections, for each stream.

    Args:
        env: a DataValuation with ``action="select"``.
        streams: None for those of ``evaluation_tasks(0)``.

    Raises:
        ValueError: another environment, weights instead of selections, or too many sequences.
    """
    problem = _problem(env)
    p = problem.params
    if p.batch * p.steps > MOST_BITS:
        raise ValueError(
            f"2^{p.batch * p.steps} sequences of selections are too many to try; "
            f"batch · steps must be at most {MOST_BITS}."
        )
    if streams is None:
        streams = [task["stream"] for task in problem.evaluation_tasks(0)]
    found = [_tried(problem, stream) for stream in streams]
    best = [int(np.argmax(returns)) for returns, _ in found]
    return ValuationOptimum(
        value=float(np.mean([returns.max() for returns, _ in found])),
        random_value=float(np.mean([returns.mean() for returns, _ in found])),
        worst_value=float(np.mean([returns.min() for returns, _ in found])),
        selections={
            stream: actions[at]
            for stream, (_, actions), at in zip(streams, found, best, strict=True)
        },
    )


def shapley_values(env: gym.Env, stream: int = 0) -> np.ndarray:
    """(n,) Shapley values of the first batch's triplets, by their definition.

    The worth of a set is the reward of a step on it; the values add up to that of the whole batch.

    Raises:
        ValueError: another environment, or a batch of more than eighteen.
    """
    problem = _problem(env)
    n = problem.params.batch
    if n > MOST_BITS:
        raise ValueError(f"2^{n} sets are too many to try; batch must be at most {MOST_BITS}.")
    sets = _selections(n)
    state = _started(problem, stream)
    worth = _stepped(problem, state, sets)[1]
    size = sets.sum(axis=1)
    share = np.array([math.factorial(s) * math.factorial(n - s - 1) for s in range(n)])
    share = np.append(share / math.factorial(n), 0.0)  # of joining s others
    codes = np.arange(2**n)
    values = np.empty(n)
    for member in range(n):
        bit = 1 << (n - 1 - member)
        without = codes[(codes & bit) == 0]
        values[member] = (share[size[without]] * (worth[without | bit] - worth[without])).sum()
    return values


def _problem(env: gym.Env) -> DataValuation:
    problem: Any = env.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
    if not isinstance(problem, DataValuation) or problem.params.action != "select":
        raise ValueError('Give a DataValuation environment with action="select".')
    return problem


def _selections(n: int) -> np.ndarray:
    """(2^n, n) int8, in the order of their binary numbers."""
    return np.array(list(itertools.product((0, 1), repeat=n)), dtype=np.int8)


def _started(problem: DataValuation, stream: int) -> State:
    return problem.start([{"stream": stream, "report_test": 0}], [])


def _stepped(problem: DataValuation, state: State, sets: np.ndarray) -> tuple[State, np.ndarray]:
    """(states, rewards) after each of the sets from each row, rows first."""
    rows = np.repeat(np.arange(len(state)), len(sets))
    moved = problem.step(cast("State", state.rows(rows)), np.tile(sets, (len(state), 1)), [])
    return moved.state, problem.reward(moved.terms)


def _tried(problem: DataValuation, stream: int) -> tuple[np.ndarray, np.ndarray]:
    """(returns (S,), actions (S, T, n)) of all sequences."""
    sets, state = _selections(problem.params.batch), _started(problem, stream)
    returns = np.zeros(1)
    for _ in range(problem.params.steps):
        state, rewards = _stepped(problem, state, sets)
        returns = np.repeat(returns, len(sets)) + rewards
    numbers = np.arange(len(returns))
    digits = [numbers // len(sets) ** t % len(sets) for t in reversed(range(problem.params.steps))]
    return returns, np.stack([sets[d] for d in digits], axis=1)
