"""Candidate-set actions: a big catalogue as 51 choices with features, for small policies.

On the raw catalogue policy-gradient methods hardly move (3,496 actions, one-hot inputs). Here the
actions are the k items nearest to the objective among the most likely next items of a model that
was trained on the log, and the objective itself; each comes with a handful of features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from recgym.data.log import InteractionLog
from recgym.envs.influence_path.objectives import aim, members
from recgym.evaluators import backbones
from recgym.evaluators.top_k import best
from recgym.wrappers.base import SingleFace, VectorFace, View, check_choice

FEATURES = (
    "log_score",
    "cosine_to_objective",
    "cosine_to_recent",
    "log_popularity",
    "genre_distance",
    "is_objective",
)
LOG_SCORE_RANGE = 10.0  # nats below the best candidate that still make a difference
RECENT = 5


@dataclass(frozen=True)
class CandidateSet:
    """The candidates of B observations."""

    items: np.ndarray  # (B, k + 1) int64, the objective last
    features: np.ndarray  # (B, k + 1, F) float32, each in [−1, 1]
    legal: np.ndarray  # (B, k + 1) bool


class CandidateFeatures:
    """Candidates and features from observations and the log alone.

    Args:
        log: what the agent side knows.
        k: candidates besides the objective.
        pool: how many of the backbone's most likely unseen items they are chosen from; all, if
            there are not so many.
        backbone: a name that :func:`recgym.evaluators.backbones.scorer` takes.
    """

    def __init__(
        self, log: InteractionLog, k: int = 50, pool: int = 200, backbone: str = "cooccurrence"
    ):
        if not 1 <= k < log.n_items:
            raise ValueError(f"k must be in 1..{log.n_items - 1} (items but one), got {k}.")
        if pool < k:
            raise ValueError(f"pool must be at least k = {k}, got {pool}.")
        self.k, self.pool = k, min(pool, log.n_items - 1)
        self.score = backbones.scorer(backbone, log)
        self.vectors = backbones.item_vectors(log)
        self.padded = np.vstack([self.vectors, np.zeros((1, self.vectors.shape[1]), np.float32)])
        count = np.log1p(log.popularity).astype(np.float32)
        self.popularity = count / count.max()
        self.genres = log.genres.astype(np.float32)
        self.n_genres = max(1, log.genres.shape[1])

    def __call__(self, observation: dict[str, np.ndarray]) -> CandidateSet:
        """Candidates of a batch of observations of InfluencePath."""
        history, legal = observation["history"], observation["action_mask"] > 0
        rows = np.arange(len(history))
        scores = self.score(history, observation["user"])
        objective = aim(observation, scores)  # of a set the likeliest member, the rest left out
        ranked = np.where(legal, scores, -np.inf)
        ranked[members(observation)] = -np.inf
        pool = best(ranked, self.pool)
        target = self.vectors[objective]  # (B, d)
        nearness = np.einsum("bpd,bd->bp", self.vectors[pool], target)
        nearness[~np.isfinite(np.take_along_axis(ranked, pool, axis=1))] = -np.inf
        order = np.argsort(-nearness, axis=1, kind="stable")[:, : self.k]
        items = np.concatenate(
            [np.take_along_axis(pool, order, axis=1), objective[:, None]], axis=1
        )
        chosen = np.take_along_axis(scores, items, axis=1)
        log_score = chosen - chosen.max(axis=1, keepdims=True)
        recent = self.padded[history[:, -RECENT:]].mean(axis=1)
        vectors = self.vectors[items]
        different = np.abs(self.genres[items] - self.genres[objective][:, None]).sum(axis=2)
        features = np.stack(
            [
                1 + np.clip(log_score / LOG_SCORE_RANGE, -2, 0),
                np.einsum("bkd,bd->bk", vectors, target),
                np.einsum("bkd,bd->bk", vectors, recent),
                self.popularity[items],
                different / self.n_genres,
                np.arange(self.k + 1)[None] == np.full((len(rows), 1), self.k),
            ],
            axis=2,
        )
        features = np.clip(features, -1, 1).astype(np.float32)
        return CandidateSet(items, features, np.take_along_axis(legal, items, axis=1))

    def observation(
        self, found: CandidateSet, observation: dict[str, np.ndarray], horizon: int
    ) -> np.ndarray:
        """(B, (k + 1)·F + 2) float32: features of all candidates, time left, last accepted."""
        time = (observation["steps_left"] / horizon)[:, None]
        accepted = observation["last_accepted"][:, None]
        flat = found.features.reshape(len(time), -1)
        return np.concatenate([flat, time, accepted], axis=1).astype(np.float32)

    def space(self) -> spaces.Box:
        """The space of one row of :meth:`observation`."""
        return spaces.Box(-1, 1, ((self.k + 1) * len(FEATURES) + 2,), np.float32)


class CandidateView(View):
    """Candidates in place of the catalogue; the memory is the current :class:`CandidateSet`.

    In a world of an agent's own making the user may be its backbone: the wrappers refuse it,
    and not this.
    """

    def __init__(self, env: Any, k: int, pool: int, backbone: str):
        problem = env.unwrapped.problem
        self.build = CandidateFeatures(problem.log, k, pool, backbone)
        self.horizon = problem.params.horizon
        self.observation_space = self.build.space()
        self.action_space = spaces.Discrete(k + 1)

    def observe(self, observation: Any) -> tuple[np.ndarray, CandidateSet]:
        found = self.build(observation)
        return self.build.observation(found, observation, self.horizon), found

    def actions(self, action: np.ndarray, memory: Any, legal: Any) -> np.ndarray:
        action = check_choice(action, self.build.k + 1)
        return _current(memory).items[np.arange(len(action)), action]

    def masks(self, memory: Any, legal: Any) -> np.ndarray:
        return _current(memory).legal.copy()


def _refuse_the_user(env: Any, backbone: str) -> None:
    problem = env.unwrapped.problem
    backbones.refuse_the_user(backbone, problem.log, problem.evaluator)


def _current(memory: CandidateSet | None) -> CandidateSet:
    if memory is None:
        raise gym.error.ResetNeeded("Call reset() first: there are no candidates yet.")
    return memory


class CandidateActions(SingleFace):
    """InfluencePath with ``Discrete(k + 1)`` actions and a flat vector of candidate features.

    ``candidates`` holds the current :class:`CandidateSet`; action j recommends
    ``candidates.items[0, j]``, the last action the objective. ``info["item"]`` is the item that
    was recommended.
    """

    def __init__(self, env: gym.Env, k: int = 50, pool: int = 200, backbone: str = "cooccurrence"):
        _refuse_the_user(env, backbone)
        view = CandidateView(env, k, pool, backbone)
        super().__init__(env, view, k=k, pool=pool, backbone=backbone)

    @property
    def candidates(self) -> CandidateSet:
        """The candidates of the current observation, a batch of one."""
        return _current(self.memory)


class VectorCandidateActions(VectorFace):
    """:class:`CandidateActions` over a native vector environment, one batch for all rows."""

    def __init__(
        self,
        env: gym.vector.VectorEnv,
        k: int = 50,
        pool: int = 200,
        backbone: str = "cooccurrence",
    ):
        _refuse_the_user(env, backbone)
        super().__init__(env, CandidateView(env, k, pool, backbone))

    @property
    def candidates(self) -> CandidateSet:
        """The candidates of the current observations, one row for each environment."""
        return _current(self.memory)
