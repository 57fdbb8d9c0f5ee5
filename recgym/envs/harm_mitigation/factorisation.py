"""User and item vectors from ratings: regularised matrix factorisation with biases."""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse as sp

from recgym.data.log import DataError, InteractionLog
from recgym.models.arrays import kept

FACTORS = 10
PENALTY = 0.1
SWEEPS = 15
KEPT_ON_DISK = 300_000  # events of a log whose factorisation takes more than a few seconds


@functools.lru_cache(maxsize=8)
def vectors(log: InteractionLog, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(users (U, 12), items (N, 12)) with u·v the predicted rating less the user's mean.

    u = [P; b_u; 1], v = [Q; 1; b_i] for factors P, Q and biases b, by alternating least squares
    with a penalty in proportion to the number of ratings (Zhou et al., AAIM 2008). ``seed`` is of
    the start of the factors. That of a large log is kept in the cache.

    Raises:
        DataError: a log without ratings.
    """
    if log.rating is None:
        raise DataError(
            f"{log.name} has no ratings to factorise. Take MovieLens, or dataset='synthetic'."
        )
    if len(log) < KEPT_ON_DISK:
        return _factorise(log, seed)
    settings = f"{log.fingerprint} {FACTORS} {PENALTY} {SWEEPS} {seed}"

    def make() -> dict[str, np.ndarray]:
        users, items = _factorise(log, seed)
        return {"users": users, "items": items}

    found = kept("factorisation", settings.encode(), make)
    return found["users"], found["items"]


def _factorise(log: InteractionLog, seed: int) -> tuple[np.ndarray, np.ndarray]:
    assert log.rating is not None
    rating = log.rating.astype(np.float64)
    count = np.maximum(np.bincount(log.user, minlength=log.n_users), 1)
    mean = np.bincount(log.user, weights=rating, minlength=log.n_users) / count
    shape = (log.n_users, log.n_items)
    matrix = sp.csr_matrix((rating - mean[log.user], (log.user, log.item)), shape=shape)
    seen = sp.csr_matrix((np.ones(len(log)), (log.user, log.item)), shape=shape)
    rng = np.random.default_rng(seed)
    ends = 0.1 * rng.standard_normal((log.n_users + log.n_items, FACTORS + 1))
    user, item = ends[: log.n_users], ends[log.n_users :]
    for _ in range(SWEEPS):
        item = _solve(sp.csr_matrix(matrix.T), sp.csr_matrix(seen.T), user)
        user = _solve(matrix, seen, item)
    one = np.ones
    users = np.concatenate([user[:, :-1], user[:, -1:], one((log.n_users, 1))], axis=1)
    items = np.concatenate([item[:, :-1], one((log.n_items, 1)), item[:, -1:]], axis=1)
    return users, items


def _solve(rating: sp.csr_matrix, seen: sp.csr_matrix, other: np.ndarray) -> np.ndarray:
    """(R, K + 1): factors and bias of each row, given those of the columns (C, K + 1)."""
    known = np.concatenate([other[:, :-1], np.ones((len(other), 1))], axis=1)
    width = known.shape[1]
    outer = (known[:, :, None] * known[:, None]).reshape(len(known), -1)
    square = (seen @ outer).reshape(-1, width, width)
    rest = rating - seen.multiply(other[:, -1])  # less the bias of the other side
    count = np.maximum(seen.getnnz(axis=1), 1)
    square += PENALTY * count[:, None, None] * np.eye(width)
    return np.linalg.solve(square, (rest @ known)[..., None])[..., 0]
