"""Small worlds as tables: exact transition and reward matrices, and the exact optimum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import scipy.sparse as sp

from recgym.envs.core import BatchState, Problem

MOST_STATES = 500_000


@dataclass(frozen=True)
class Tabular:
    """A finite MDP. S states, A actions; illegal actions are actions like any other."""

    P: sp.csr_matrix  # (S · A, S): row s·A + a is P(· | s, a); a row of zeros ends the episode
    R: np.ndarray  # (S, A) float64
    legal: np.ndarray  # (S, A) bool
    start: np.ndarray  # (S,) float64, probabilities of the first state, tasks equally likely
    problem: Problem = field(repr=False)
    _index: dict[bytes, int] = field(repr=False)

    @property
    def n_states(self) -> int:
        return self.R.shape[0]

    @property
    def n_actions(self) -> int:
        return self.R.shape[1]

    def index(self, observation: Mapping[str, Any]) -> int:
        """The state of an observation of the single environment.

        Raises:
            KeyError: it cannot be reached in this world.
        """
        batch = {key: np.asarray(value)[None] for key, value in observation.items()}
        return self._index[_bytes(self.problem.keys(batch))[0]]

    def backup(self, values: np.ndarray) -> np.ndarray:
        """(S, A): reward plus expected value of what follows, undiscounted."""
        return self.R + (self.P @ values).reshape(self.R.shape)

    def evaluate(self, policy: np.ndarray) -> np.ndarray:
        """(S,): the exact value of a policy, (S,) actions or (S, A) probabilities."""
        if policy.ndim == 1:
            policy = np.eye(self.n_actions)[policy]
        return self._fixed_point(lambda q: (policy * q).sum(axis=1))

    def _fixed_point(self, choose) -> np.ndarray:
        values = np.zeros(self.n_states)
        for _ in range(10_000):
            new = choose(self.backup(values))
            if np.abs(new - values).max() < 1e-12:
                return new
            values = new
        raise ArithmeticError("Values do not converge: the world has no horizon.")


@dataclass(frozen=True)
class Optimum:
    """Exact answers about a small world."""

    value: float  # of the best policy, averaged over tasks
    random_value: float  # of a uniform choice among legal actions
    worst_value: float  # of the worst policy, illegal actions included
    values: np.ndarray  # (S,) of the best policy
    policy: np.ndarray  # (S,) best actions
    tabular: Tabular = field(repr=False)

    def regret(self, score: float) -> float:
        """Normalised regret of a mean return: 0 is the optimum, 1 a random policy."""
        return (self.value - score) / (self.value - self.random_value)

    def act(self, observation: Mapping[str, Any]) -> int:
        """A best action."""
        return int(self.policy[self.tabular.index(observation)])


def tabular(env: gym.Env) -> Tabular:
    """Enumerate every state that can be reached from the tasks of the environment's split.

    Raises:
        ValueError: the world is not finite, not deterministic, or has over 500,000 states.
    """
    problem: Problem = env.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
    if not isinstance(problem.action_space, gym.spaces.Discrete):
        raise ValueError(f"Only Discrete actions can be enumerated, not {problem.action_space}.")
    actions = int(problem.action_space.n)
    rng = np.random.default_rng(0)
    one = problem.start([problem.draw_task(rng, {})], [rng])
    problem.keys(problem.observe(one))  # refuses what is not finite before anything is listed
    tasks = problem.tasks()
    rngs = [np.random.default_rng(0)] * len(tasks)
    frontier = problem.start(tasks, rngs)
    index: dict[bytes, int] = {}
    first, fresh = _number(problem, frontier, index)
    start_counts = np.bincount(first)
    frontier = frontier.rows(fresh)
    followers, rewards, legal = [], [], []
    while len(frontier):
        if len(index) > MOST_STATES:
            raise ValueError(f"This world has more than {MOST_STATES:,} states.")
        legal.append(problem.action_masks(frontier))
        following, found, gains = [], [], []
        for action in range(actions):
            chosen = np.full(len(frontier), action)
            moved = problem.step(frontier, chosen, [np.random.default_rng(0)] * len(frontier))
            gains.append(problem.reward(moved.terms))
            number = np.full(len(frontier), -1)
            alive = np.flatnonzero(~moved.terminated)
            if len(alive):
                living = moved.state.rows(alive)
                number[alive], fresh = _number(problem, living, index)
                found.append(living.rows(fresh))
            following.append(number)
        followers.append(np.stack(following, axis=1))
        rewards.append(np.stack(gains, axis=1))
        frontier = _join(found) if found else frontier.rows(np.zeros(0, dtype=int))
    follower = np.concatenate(followers).ravel()
    rows = np.flatnonzero(follower >= 0)
    n = len(index)
    matrix = sp.csr_matrix((np.ones(len(rows)), (rows, follower[rows])), shape=(n * actions, n))
    start = np.zeros(n)
    start[: len(start_counts)] = start_counts / start_counts.sum()
    return Tabular(matrix, np.concatenate(rewards), np.concatenate(legal), start, problem, index)


def optimum(env: gym.Env) -> Any:
    """The optimum of a small world by dynamic programming, or by listing a game.

    Returns:
        An :class:`Optimum`, exact; of a world whose states are numbers on a line, a
        :class:`recgym.testing.DriftOptimum` with a bound on its error; of a game among users, a
        :class:`recgym.testing.SelectionOptimum` with its equilibria; of batches to select from, a
        :class:`recgym.testing.ValuationOptimum`.
    """
    from recgym.envs.data_selection.dynamics import DataSelection
    from recgym.envs.data_valuation.dynamics import DataValuation
    from recgym.envs.harm_mitigation.dynamics import HarmMitigation
    from recgym.testing.drift import drift_optimum
    from recgym.testing.selection import selection_optimum
    from recgym.testing.valuation import valuation_optimum

    problem: Any = env.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(problem, HarmMitigation):
        return drift_optimum(env)
    if isinstance(problem, DataSelection):
        return selection_optimum(env)
    if isinstance(problem, DataValuation):
        return valuation_optimum(env)
    table = tabular(env)
    values = table._fixed_point(lambda q: q.max(axis=1))
    worst = table._fixed_point(lambda q: q.min(axis=1))
    uniform = table.legal / np.maximum(table.legal.sum(axis=1, keepdims=True), 1)
    return Optimum(
        value=float(table.start @ values),
        random_value=float(table.start @ table.evaluate(uniform)),
        worst_value=float(table.start @ worst),
        values=values,
        policy=table.backup(values).argmax(axis=1),
        tabular=table,
    )


def _bytes(keys: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(keys, dtype=np.int64)]


def _number(problem: Problem, state: BatchState, index: dict[bytes, int]):
    """(numbers of the states, rows that were new)."""
    numbers, fresh = np.empty(len(state), dtype=np.int64), []
    for row, key in enumerate(_bytes(problem.keys(problem.observe(state)))):
        known = index.get(key)
        if known is None:
            known = index[key] = len(index)
            fresh.append(row)
        numbers[row] = known
    return numbers, np.array(fresh, dtype=int)


def _join(parts: list[BatchState]) -> BatchState:
    from dataclasses import fields

    kind = type(parts[0])
    columns = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(kind)}
    return kind(**columns)
