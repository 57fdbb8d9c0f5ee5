"""Metrics of next-item predictions, by rank of the one held-out item."""

from __future__ import annotations

import numpy as np


def ranks(scores: np.ndarray, target: np.ndarray, exclude: np.ndarray | None = None) -> np.ndarray:
    """(B,) int64, 1 is best: the rank of ``target`` (B,) in ``scores`` (B, N).

    Items where ``exclude`` (B, N) is true do not count, the target always does. Ties rank the
    target behind its equals, so a constant score is worth nothing.

    Raises:
        ValueError: scores that are not finite; NaN would rank first without a word.
    """
    if not np.isfinite(scores).all():
        raise ValueError(
            f"Scores of {int((~np.isfinite(scores)).any(axis=1).sum())} of {len(scores)} rows are "
            "not finite. A model that returns NaN or infinity cannot be ranked."
        )
    rows = np.arange(len(target))
    better = scores >= scores[rows, target][:, None]
    if exclude is not None:
        better &= ~exclude
    better[rows, target] = False
    return better.sum(axis=1) + 1


def hits(rank: np.ndarray, k: int) -> np.ndarray:
    """(B,) 0 or 1: whether the held-out item is among the first k."""
    return (rank <= k).astype(np.float64)


def gains(rank: np.ndarray, k: int) -> np.ndarray:
    """(B,): 1/log2(1 + rank) within the first k, else 0; the NDCG@k of one held-out item."""
    return np.where(rank <= k, 1 / np.log2(1 + rank), 0.0)


def hit_rate(rank: np.ndarray, k: int) -> float:
    """HR@k: share of rows whose held-out item is among the first k (Recall@k for one item)."""
    return float(hits(rank, k).mean())


def ndcg(rank: np.ndarray, k: int) -> float:
    """NDCG@k for one held-out item, averaged."""
    return float(gains(rank, k).mean())


def mrr(rank: np.ndarray) -> float:
    """Mean reciprocal rank over the whole ranking."""
    return float(np.mean(1 / rank))
