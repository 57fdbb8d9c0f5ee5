"""The nearest policy to any point: Euclidean projections onto the two sets of weights."""

from __future__ import annotations

import numpy as np

HALVINGS = 60


def onto_simplex(points: np.ndarray, total: float = 1.0) -> np.ndarray:
    """(B, P): the nearest x ≥ 0 with Σ x = total to each of the ``points`` (B, P)."""
    falling = -np.sort(-points, axis=1)
    excess = (np.cumsum(falling, axis=1) - total) / np.arange(1, points.shape[1] + 1)
    last = np.count_nonzero(falling > excess, axis=1) - 1
    return np.maximum(points - excess[np.arange(len(points)), last][:, None], 0)


def onto_budget(points: np.ndarray, total: float) -> np.ndarray:
    """(B, P): the nearest x in [0, 1] with Σ x ≤ total to each of the ``points`` (B, P)."""
    found = np.clip(points, 0, 1)
    over = np.flatnonzero(found.sum(axis=1) > total)
    if len(over) == 0:
        return found
    high = points[over]
    low, top = np.zeros((len(over), 1)), high.max(axis=1, keepdims=True)
    for _ in range(HALVINGS):
        middle = (low + top) / 2
        too_much = np.clip(high - middle, 0, 1).sum(axis=1, keepdims=True) > total
        low, top = np.where(too_much, middle, low), np.where(too_much, top, middle)
    found[over] = np.clip(high - top, 0, 1)
    return found
