"""Item vectors in place of item numbers: InfluencePath for networks without embeddings.

The vectors come from the log alone (:func:`recgym.evaluators.backbones.item_vectors`), unit length,
so that every number lies in [−1, 1]. Each wrapper takes ``vectors`` (N, d) of your own instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from recgym.data.log import InteractionLog
from recgym.wrappers.base import SingleFace, VectorFace, View

RECENT = 5


def item_features(log: InteractionLog, width: int = 64) -> np.ndarray:
    """(N, d) float32 unit vectors of items, d at most ``width``; zero for items without neighbours.

    In a log so small that no two items meet (the tiny world's), and no larger than ``width``,
    every item has an axis of its own.
    """
    from recgym.evaluators import backbones

    vectors = backbones.item_vectors(log, width)
    if not vectors.any() and log.n_items <= width:
        return np.eye(log.n_items, dtype=np.float32)
    return vectors


def _vectors(env: Any, vectors: np.ndarray | None, width: int) -> np.ndarray:
    """(N + 1, d) float32: unit vectors of the items, and zeros for padding."""
    log: InteractionLog = env.unwrapped.problem.log
    if vectors is None:
        vectors = item_features(log, width)
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != log.n_items or not np.isfinite(vectors).all():
        raise ValueError(
            f"vectors must be finite, of shape ({log.n_items}, d), got shape {vectors.shape}."
        )
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.vstack([unit, np.zeros((1, unit.shape[1]), np.float32)])


class FlatView(View):
    """One flat vector for each row; see :class:`FlatEmbeddings`."""

    def __init__(self, env: Any, vectors: np.ndarray | None, width: int):
        self.vectors = _vectors(env, vectors, width)
        self.horizon = env.unwrapped.problem.params.horizon
        size = 3 * self.vectors.shape[1] + 2
        self.observation_space = spaces.Box(-1, 1, (size,), np.float32)

    def observe(self, observation: Any) -> tuple[np.ndarray, None]:
        history = observation["history"]
        parts = [
            self._mean(history[:, -RECENT:]),
            self._mean(history),
            self.vectors[observation["objective"]],
            (observation["steps_left"] / self.horizon)[:, None],
            observation["last_accepted"][:, None],
        ]
        flat = np.concatenate(parts, axis=1).astype(np.float32)
        return np.clip(flat, -1, 1), None  # rounding may leave the bounds by one ulp

    def _mean(self, items: np.ndarray) -> np.ndarray:
        """(B, d): the mean vector of items (B, L), padding left out; zero where there are none."""
        count = (items < len(self.vectors) - 1).sum(axis=1, keepdims=True)
        return self.vectors[items].sum(axis=1) / np.maximum(count, 1)


class HistoryView(View):
    """Items as vectors, the rest as it was; see :class:`EmbeddedHistory`."""

    def __init__(self, env: Any, vectors: np.ndarray | None, width: int):
        self.vectors = _vectors(env, vectors, width)
        before = env.unwrapped.problem.observation_space
        d = self.vectors.shape[1]
        length = before["history"].shape[0]
        self.observation_space = spaces.Dict(
            {
                **before.spaces,
                "history": spaces.Box(-1, 1, (length, d), np.float32),
                "objective": spaces.Box(-1, 1, (d,), np.float32),
            }
        )

    def observe(self, observation: Any) -> tuple[dict[str, np.ndarray], None]:
        embedded = {key: self.vectors[observation[key]] for key in ("history", "objective")}
        return {**observation, **embedded}, None


class NearestView(View):
    """Points to items; see :class:`NearestItem`."""

    def __init__(self, env: Any, vectors: np.ndarray | None, width: int):
        self.vectors = _vectors(env, vectors, width)[:-1]
        self.known = self.vectors.any(axis=1)
        self.action_space = spaces.Box(-1, 1, (self.vectors.shape[1],), np.float32)

    def actions(
        self, action: np.ndarray, memory: Any, legal: Callable[[], np.ndarray]
    ) -> np.ndarray:
        d = self.vectors.shape[1]
        if action.ndim != 2 or action.shape[1] != d:
            raise ValueError(f"Actions must have shape ({d},) each, got {action.shape[1:]}.")
        if not (np.abs(action) <= 1).all():  # NaN too
            bad = action[~(np.abs(action) <= 1)][0]
            raise ValueError(f"Action {bad} lies outside the box from -1 to 1.")
        # of one row the cosine orders items as the inner product does: they are unit vectors
        nearness = action.astype(np.float32) @ self.vectors.T
        nearness[:, ~self.known] = -np.finfo(np.float32).max
        return np.where(legal(), nearness, -np.inf).argmax(axis=1)


class FlatEmbeddings(SingleFace):
    """Observations as one flat Box within [−1, 1] of 3 d + 2 numbers, for MLP policies.

    The mean vector of the latest five items, that of the whole observed history, the objective's
    vector, the share of steps left, and whether the last recommendation was accepted.

    Args:
        vectors: (N, d) of your own.
        width: d of the log's.
    """

    def __init__(self, env: gym.Env, vectors: np.ndarray | None = None, width: int = 64):
        super().__init__(env, FlatView(env, vectors, width), vectors=vectors, width=width)


class VectorFlatEmbeddings(VectorFace):
    """:class:`FlatEmbeddings` over a native vector environment."""

    def __init__(
        self, env: gym.vector.VectorEnv, vectors: np.ndarray | None = None, width: int = 64
    ):
        super().__init__(env, FlatView(env, vectors, width))


class EmbeddedHistory(SingleFace):
    """The 2-D view: ``history`` as (L, d) vectors, padding zero, and ``objective`` as (d,).

    The other entries of the observation stay as they are. Arguments as of
    :class:`FlatEmbeddings`.
    """

    def __init__(self, env: gym.Env, vectors: np.ndarray | None = None, width: int = 64):
        super().__init__(env, HistoryView(env, vectors, width), vectors=vectors, width=width)


class VectorEmbeddedHistory(VectorFace):
    """:class:`EmbeddedHistory` over a native vector environment."""

    def __init__(
        self, env: gym.vector.VectorEnv, vectors: np.ndarray | None = None, width: int = 64
    ):
        super().__init__(env, HistoryView(env, vectors, width))


class NearestItem(SingleFace):
    """Actions as points of a Box [−1, 1]^d: the legal item of largest cosine is recommended.

    For PPO or SAC over the raw catalogue (Wolpertinger's first half, Dulac-Arnold et al. 2015).
    Ties go to the lowest number, items without a vector come last, and ``info["item"]`` is the
    item that was recommended. ``action_masks()`` stays that of the items. Arguments as of
    :class:`FlatEmbeddings`; the two can be stacked in either order.
    """

    def __init__(self, env: gym.Env, vectors: np.ndarray | None = None, width: int = 64):
        super().__init__(env, NearestView(env, vectors, width), vectors=vectors, width=width)


class VectorNearestItem(VectorFace):
    """:class:`NearestItem` over a native vector environment."""

    def __init__(
        self, env: gym.vector.VectorEnv, vectors: np.ndarray | None = None, width: int = 64
    ):
        super().__init__(env, NearestView(env, vectors, width))
