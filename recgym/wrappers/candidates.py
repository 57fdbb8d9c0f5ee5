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
from gymnasium.vector.utils import batch_space

from recgym.data.log import InteractionLog
from recgym.evaluators import backbones

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
        pool: how many of the backbone's most likely unseen items they are chosen from.
        backbone: a name of :func:`recgym.evaluators.backbones.names`.
    """

    def __init__(self, log: InteractionLog, k: int = 50, pool: int = 200, backbone: str = "sasrec"):
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
        objective, history = observation["objective"], observation["history"]
        legal = observation["action_mask"] > 0
        rows = np.arange(len(objective))
        scores = self.score(history)
        ranked = np.where(legal, scores, -np.inf)
        ranked[rows, objective] = -np.inf
        pool = np.argpartition(-ranked, self.pool - 1, axis=1)[:, : self.pool]
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


class CandidateActions(gym.Wrapper):
    """InfluencePath with ``Discrete(k + 1)`` actions and a flat vector of candidate features.

    ``candidates`` holds the current :class:`CandidateSet`; action j recommends
    ``candidates.items[0, j]``, the last action the objective.
    """

    def __init__(self, env: gym.Env, k: int = 50, pool: int = 200, backbone: str = "sasrec"):
        super().__init__(env)
        self.problem: Any = env.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
        self.build = CandidateFeatures(self.problem.log, k, pool, backbone)
        self.observation_space = self.build.space()
        self.action_space = spaces.Discrete(k + 1)
        self.candidates: CandidateSet | None = None

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        return self._see(observation), info

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        assert self.candidates is not None, "call reset() first"
        if not self.action_space.contains(action := int(action)):
            raise ValueError(f"Action {action} lies outside {self.action_space}.")
        item = int(self.candidates.items[0, action])
        observation, reward, terminated, truncated, info = self.env.step(item)
        return self._see(observation), reward, terminated, truncated, {**info, "item": item}

    def action_masks(self) -> np.ndarray:
        """(k + 1,) bool: candidates that are legal."""
        assert self.candidates is not None, "call reset() first"
        return self.candidates.legal[0].copy()

    def _see(self, observation: dict[str, Any]) -> np.ndarray:
        batch = {key: np.asarray(value)[None] for key, value in observation.items()}
        self.candidates = self.build(batch)
        return self.build.observation(self.candidates, batch, self.problem.params.horizon)[0]


class VectorCandidateActions(gym.vector.VectorWrapper):
    """:class:`CandidateActions` over a native vector environment, one batch for all rows."""

    def __init__(
        self, env: gym.vector.VectorEnv, k: int = 50, pool: int = 200, backbone: str = "sasrec"
    ):
        super().__init__(env)
        self.problem: Any = env.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
        self.build = CandidateFeatures(self.problem.log, k, pool, backbone)
        self.single_observation_space = self.build.space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.single_action_space = spaces.Discrete(k + 1)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.candidates: CandidateSet | None = None

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        observation, infos = self.env.reset(seed=seed, options=options)
        return self._see(observation), infos

    def step(self, actions: Any) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        assert self.candidates is not None, "call reset() first"
        actions = np.asarray(actions)
        if not self.action_space.contains(actions.astype(np.int64)):
            raise ValueError(f"Actions {actions} lie outside {self.action_space}.")
        items = self.candidates.items[np.arange(self.num_envs), actions]
        observation, rewards, terminated, truncated, infos = self.env.step(items)
        if "final_obs" in infos:
            rows = np.flatnonzero(infos["_final_obs"])
            final = [infos["final_obs"][row] for row in rows]
            batch = {key: np.stack([obs[key] for obs in final]) for key in final[0]}
            infos = {**infos, "final_obs": infos["final_obs"].copy()}
            flat = self.build.observation(self.build(batch), batch, self.problem.params.horizon)
            for row, value in zip(rows, flat, strict=True):
                infos["final_obs"][row] = value
        return self._see(observation), rewards, terminated, truncated, infos

    def action_masks(self) -> np.ndarray:
        """(n, k + 1) bool: candidates that are legal."""
        assert self.candidates is not None, "call reset() first"
        return self.candidates.legal.copy()

    def _see(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        self.candidates = self.build(observation)
        horizon = self.problem.params.horizon
        return self.build.observation(self.candidates, observation, horizon)
