"""Filters and splits of a log, and its sequences as padded arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.data.log import DataError, InteractionLog


def k_core(log: InteractionLog, k: int = 5) -> InteractionLog:
    """Drop users and items with fewer than ``k`` interactions until none is left.

    Repeated events of a (user, item) pair each count. Raises :class:`DataError` if nothing stays.
    """
    user, item = log.user, log.item
    keep = np.ones(len(log), dtype=bool)
    while True:
        users = np.bincount(user[keep], minlength=log.n_users) >= k
        items = np.bincount(item[keep], minlength=log.n_items) >= k
        smaller = keep & users[user] & items[item]
        if smaller.sum() == keep.sum():
            break
        keep = smaller
    if not keep.any():
        raise DataError(f'{log.name}: the {k}-core is empty. Choose a smaller k, or variant="raw".')
    return log.keep(keep).compact()


def drop_most_popular(log: InteractionLog) -> InteractionLog:
    """Drop the most popular item: the exclusive upper bound in the IRS authors' filter.

    Gives the paper's Table I from the 5-core of MovieLens 1M (3,416 → 3,415 movies).
    """
    return log.keep(log.item != int(np.argmax(log.popularity))).compact()


def leave_last_out(
    log: InteractionLog, n: int = 1, *, keep_short: bool = True
) -> tuple[InteractionLog, InteractionLog]:
    """(train, held out): each user's last ``n`` events are held out.

    Users with ``n`` events or fewer stay whole in the training part; without ``keep_short`` they
    are held out whole.
    """
    if n < 1:
        raise DataError(f"leave_last_out: n must be at least 1, got {n}.")
    counts = np.diff(log.offsets)
    from_end = log.offsets[log.user + 1] - np.arange(len(log))
    held = from_end <= n
    if keep_short:
        held &= counts[log.user] > n
    return log.keep(~held), log.keep(held)


def ratio(
    log: InteractionLog, shares: tuple[float, ...] = (0.8, 0.1, 0.1), *, seed: int | None = None
) -> tuple[InteractionLog, ...]:
    """Split each user's events by shares: in order of time, or shuffled with a seed."""
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise DataError(f"ratio: shares must be non-negative and sum to 1, got {shares}.")
    counts = np.diff(log.offsets)[log.user]
    rank = np.arange(len(log)) - log.offsets[log.user]
    if seed is not None:
        order = np.lexsort((np.random.default_rng(seed).random(len(log)), log.user))
        shuffled = np.empty_like(rank)
        shuffled[order] = rank
        rank = shuffled
    edges = np.cumsum(shares)[:-1]
    part = (rank[:, None] >= np.round(counts[:, None] * edges[None])).sum(axis=1)
    return tuple(log.keep(part == p) for p in range(len(shares)))


@dataclass(frozen=True)
class Segments:
    """Consecutive, non-overlapping pieces of users' histories (IRS paper, section IV-A)."""

    user: np.ndarray  # (S,) int32
    start: np.ndarray  # (S,) int64, first row in the log
    stop: np.ndarray  # (S,) int64, one past the last row; row stop − 1 is the objective

    def __len__(self) -> int:
        return len(self.user)


def segments(
    log: InteractionLog,
    shortest: int,
    longest: int,
    *,
    seed: int,
    shares: tuple[float, float] = (0.9, 0.1),
    keep_short: bool = False,
    least: int = 2,
) -> tuple[Segments, Segments]:
    """Cut each history into segments of random length and split them into (train, validation).

    Lengths are uniform in [shortest, longest]; a remainder shorter than ``shortest`` is dropped.
    So is a history as short, unless ``keep_short``: then it is one, if it has ``least`` items.
    """
    if not 2 <= shortest <= longest:
        raise DataError(f"segments: need 2 <= shortest <= longest, got {shortest}, {longest}.")
    rng = np.random.default_rng(seed)
    # Enough lengths for the longest history; each user reads a row of cumulated lengths.
    counts = np.diff(log.offsets)
    draws = int(counts.max()) // shortest + 1
    stops = rng.integers(shortest, longest + 1, size=(log.n_users, draws)).cumsum(axis=1)
    starts = np.concatenate([np.zeros((log.n_users, 1), stops.dtype), stops[:, :-1]], axis=1)
    stops = np.minimum(stops, counts[:, None])
    kept = stops - starts >= shortest
    if keep_short:
        kept[:, 0] |= (counts >= least) & (counts < shortest)
    users, columns = np.nonzero(kept)
    base = log.offsets[users]
    pieces = (
        users.astype(np.int32),
        base + starts[users, columns],
        base + stops[users, columns],
    )
    order = rng.permutation(len(users))
    cut = round(len(order) * shares[0])
    first, second = (tuple(column[part] for column in pieces) for part in np.split(order, [cut]))
    return Segments(*first), Segments(*second)


def windows(log: InteractionLog, stops: np.ndarray, users: np.ndarray, length: int) -> np.ndarray:
    """(B, length) int64 tokens: the events of ``users`` before row ``stops``, pre-padded with N."""
    index = stops[:, None] + np.arange(-length, 0)[None]
    valid = index >= log.offsets[users][:, None]
    return np.where(valid, log.item[np.maximum(index, 0)].astype(np.int64), log.n_items)


def sequences(log: InteractionLog, length: int) -> np.ndarray:
    """(U, length) int64: the last ``length`` items of every user, pre-padded with N."""
    return windows(log, log.offsets[1:], np.arange(log.n_users), length)
