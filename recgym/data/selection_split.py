"""The data-selection game's split: what a user may give, what tunes him, what judges."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recgym.data.log import DataError, InteractionLog

FEWEST = 3  # events: one each to train, to validate and to test


def first_rows(log: InteractionLog) -> np.ndarray:
    """(F,) int64, ascending: the first row of each (user, item) pair of a log."""
    pair = log.user.astype(np.int64) * log.n_items + log.item
    return np.sort(np.unique(pair, return_index=True)[1]).astype(np.int64)


def first_events(log: InteractionLog) -> InteractionLog:
    """The log with each (user, item) pair once, at its first event."""
    return log.keep(first_rows(log))


def check_pairs(name: str, log: InteractionLog) -> None:
    """
    Raises:
        DataError: a (user, item) pair stands in the log more than once.
    """
    if len(first_rows(log)) < len(log):
        raise DataError(
            f"{name}: the log holds (user, item) pairs more than once. Keep the first of each, as "
            "recgym.data.selection_split.first_events does."
        )


def subsample(log: InteractionLog, n_users: int, seed: int) -> InteractionLog:
    """At most ``n_users`` users, drawn uniformly from those with events, codes made dense.

    Users stay in the order of the log; the same seed gives the same users.
    """
    if n_users < 1:
        raise DataError(f"subsample: n_users must be at least 1, got {n_users}.")
    users = np.unique(log.user)
    if n_users < len(users):
        users = np.random.default_rng(seed).choice(users, n_users, replace=False)
    return log.keep(np.isin(log.user, users)).compact()


def shuffled(log: InteractionLog, seed: int) -> InteractionLog:
    """The log with each user's events in a drawn order, for one whose order is not that of time.

    Times, if there are any, are dropped.
    """
    order = np.lexsort((np.random.default_rng(seed).random(len(log)), log.user))
    item, rating = log.item[order], None if log.rating is None else log.rating[order]
    for column in (item, rating):
        if column is not None:
            column.flags.writeable = False
    return replace(log, item=item, rating=rating, time=None)


@dataclass(frozen=True, eq=False)
class LeaveTwoOut:
    """Rows of a log to train, validate and test with, per user in order of time.

    The last item of a user is for the test, the one before it for validation, the rest is what he
    may give to training. Of repeated (user, item) events only the first is kept, so that no item
    stands in two parts; the others are in none. Users with fewer than three different items are
    left out whole. Build one with :meth:`of`.
    """

    train: np.ndarray  # (A,) int64, rows of the log, ascending; likewise the next two
    validation: np.ndarray  # (B,) int64
    test: np.ndarray  # (C,) int64
    users: np.ndarray  # (P,) int64, the users who take part
    excluded: int  # number of the other users
    repeated: int  # number of events dropped because their pair came before

    @classmethod
    def of(
        cls,
        log: InteractionLog,
        shares: tuple[float, float, float] | None = None,
        *,
        seed: int | None = None,
    ) -> LeaveTwoOut:
        """Split a log.

        Args:
            log: its order within a user is that of the split.
            shares: of training, validation and test, such as ``(0.7, 0.1, 0.2)``, in place of
                leaving two out; rounded, but at least one event of each user in each part.
            seed: shuffle each user's events before; for logs whose order means something other
                than time (``steam-200k`` stands in order of hours played).

        Raises:
            DataError: shares that are not three positive numbers of sum 1; nobody has three items.
        """
        if shares is not None and (
            len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9
        ):
            raise DataError(
                f"LeaveTwoOut: shares must be three positive numbers that sum to 1, got {shares}."
            )
        rows = first_rows(log)
        user = log.user[rows].astype(np.int64)
        counts = np.bincount(user, minlength=log.n_users)
        takes_part = counts >= FEWEST
        if not takes_part.any():
            raise DataError(
                f"{log.name}: no user has {FEWEST} different items, one each to train, validate "
                "and test. Give longer histories."
            )
        if seed is not None:
            # rows are grouped by user already, so only places within a user change
            rows = rows[np.lexsort((np.random.default_rng(seed).random(len(rows)), user))]
        rank = np.arange(len(rows)) - (np.cumsum(counts) - counts)[user]
        if shares is None:
            n_test = n_validation = np.ones_like(counts)
        else:
            n_test = np.clip(np.round(shares[2] * counts).astype(np.int64), 1, None)
            n_test = np.minimum(n_test, counts - 2)
            n_validation = np.clip(np.round(shares[1] * counts).astype(np.int64), 1, None)
            n_validation = np.minimum(n_validation, counts - 1 - n_test)
        test_from = (counts - n_test)[user]
        validation_from = test_from - n_validation[user]
        inside = takes_part[user]
        return cls(
            train=np.sort(rows[inside & (rank < validation_from)]),
            validation=np.sort(rows[inside & (rank >= validation_from) & (rank < test_from)]),
            test=np.sort(rows[inside & (rank >= test_from)]),
            users=np.flatnonzero(takes_part),
            excluded=int(np.sum(~takes_part)),
            repeated=len(log) - len(rows),
        )
