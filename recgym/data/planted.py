"""Noise that is planted into a log, so that it is known which interactions are worth nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recgym.data.log import DataError, InteractionLog

SPAMMED_ITEMS = 60
_ROUNDS = 100


def uniform(log: InteractionLog, rng: np.random.Generator) -> np.ndarray:
    """(N,) weights: every item alike, as where users click by mistake."""
    return np.ones(log.n_items)


def popularity(log: InteractionLog, rng: np.random.Generator) -> np.ndarray:
    """(N,) weights: items as often as in the log, so that popularity does not tell noise."""
    return log.popularity.astype(np.float64)


def spam(log: InteractionLog, rng: np.random.Generator) -> np.ndarray:
    """(N,) weights: clicks that were bought for 60 random items, or for as many as there are."""
    weights = np.zeros(log.n_items)
    weights[rng.permutation(log.n_items)[:SPAMMED_ITEMS]] = 1
    return weights


NOISES: Mapping[str, Callable[[InteractionLog, np.random.Generator], np.ndarray]] = {
    "uniform": uniform,
    "popularity": popularity,
    "spam": spam,
}


def plant(
    log: InteractionLog, kind: str, share: float, *, seed: int, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(users, items), (P,) int64 each: interactions that never were, each pair once.

    Args:
        log: what it is planted into.
        kind: a key of :data:`NOISES`, for the items; users are drawn uniformly.
        share: P / interactions of the log.
        seed: the same arguments give the same noise.
        known: codes user · n_items + item of what is true, and therefore not planted; the log's
            own pairs never are.

    Raises:
        DataError: an unknown kind, a negative share, or too few pairs that are free.
    """
    if kind not in NOISES:
        raise DataError(f"noise must be one of {tuple(NOISES)} or None, got {kind!r}.")
    if not 0 <= share < np.inf:
        raise DataError(f"noise_share must be at least 0 and finite, got {share}.")
    wanted, n = round(share * len(log)), log.n_items
    rng = np.random.default_rng([seed, len(kind)])
    weights = NOISES[kind](log, rng)
    taken = np.union1d(known, log.user.astype(np.int64) * n + log.item)
    found = np.zeros(0, dtype=np.int64)
    for _ in range(_ROUNDS):
        missing = wanted - len(found)
        if missing == 0:
            return found // n, found % n
        items = rng.choice(n, 2 * missing + 8, p=weights / weights.sum())
        codes = np.unique(rng.integers(0, log.n_users, len(items)) * n + items)
        fresh = rng.permutation(np.setdiff1d(codes, taken))[:missing]
        found, taken = np.concatenate([found, fresh]), np.union1d(taken, fresh)
    raise DataError(
        f"{log.name}: only {len(found)} of {wanted} noisy interactions found room. Lower "
        "noise_share."
    )
