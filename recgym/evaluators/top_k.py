"""The best columns of each row, the same on every machine."""

from __future__ import annotations

import numpy as np


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """(B, k) int64: the k highest columns of each row, in order of column.

    Of equal scores the first columns are taken. ``np.argpartition`` leaves that to the processor's
    instruction set, so that a rank by popularity differed between machines.

    Args:
        scores: (B, N) without NaN.
        k: all columns if larger than N.
    """
    k = min(k, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    found = np.take_along_axis(scores, top, axis=1)
    edge = found.min(axis=1, keepdims=True)
    tied = np.count_nonzero(scores == edge, axis=1) > np.count_nonzero(found == edge, axis=1)
    if tied.any():
        rows = scores[tied]
        top[tied] = np.argsort(-rows, axis=1, kind="stable")[:, :k]
    return np.sort(top, axis=1)


def best_first(scores: np.ndarray, k: int) -> np.ndarray:
    """(B, k) int64: the k highest columns of each row, best first, of equal scores the first."""
    top = best(scores, k)
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)


def moved_up(scores: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(B, N) finite: ``scores`` with the items of ``order`` (B, k) above all others, in order."""
    legal = np.isfinite(scores)
    least = scores.min(axis=1, keepdims=True, where=legal, initial=0.0) - 1.0
    found = np.where(legal, scores, least)
    above = found.max(axis=1, keepdims=True) + order.shape[1] - np.arange(order.shape[1])
    np.put_along_axis(found, order, above, axis=1)
    return np.where(legal, found, least)
