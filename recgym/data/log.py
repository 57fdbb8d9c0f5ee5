"""The interaction log: who consumed what, when, in columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class DataError(ValueError):
    """Input data that cannot be used; the message names the file, the place and the cure."""


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class InteractionLog:
    """An immutable, columnar log of interactions, sorted by user and, within a user, by time.

    Users are 0..n_users−1, items 0..n_items−1; the source's own identifiers are kept in
    ``user_ids`` and ``item_ids``. Events of one user at the same time keep the order of the
    source (time ties are a quarter of MovieLens' adjacent events).

    Build one with :meth:`from_columns`, :func:`recgym.data.from_frame`, :func:`recgym.data.read`
    or :func:`recgym.data.load`.
    """

    name: str
    user: np.ndarray  # (E,) int32
    item: np.ndarray  # (E,) int32
    time: np.ndarray | None  # (E,) int64, seconds since 1970, UTC
    rating: np.ndarray | None  # (E,) float32
    user_ids: np.ndarray  # (U,) the source's identifiers
    item_ids: np.ndarray  # (N,)
    titles: np.ndarray  # (N,) str, '' where unknown
    genres: np.ndarray  # (N, G) bool
    genre_names: tuple[str, ...]  # (G,)

    @classmethod
    def from_columns(
        cls,
        name: str,
        user: np.ndarray,
        item: np.ndarray,
        *,
        time: np.ndarray | None = None,
        rating: np.ndarray | None = None,
        order: np.ndarray | None = None,
        user_ids: np.ndarray | None = None,
        item_ids: np.ndarray | None = None,
        titles: Sequence[str] | np.ndarray | None = None,
        genres: np.ndarray | None = None,
        genre_names: Sequence[str] = (),
    ) -> InteractionLog:
        """Sort, check and freeze columns.

        Args:
            name: what messages and files call this log.
            user, item: (E,) codes 0..U−1 and 0..N−1.
            time: (E,) seconds; ``None`` where the source has none (the order of rows counts).
            rating: (E,) or ``None``.
            order: (E,) sort key within a user that takes the place of ``time``.
            user_ids, item_ids: (U,) and (N,) identifiers of the source; default the codes.
            titles: (N,) titles.
            genres: (N, G) membership, with ``genre_names``.

        Raises:
            DataError: columns of unequal length, codes out of range, nothing to keep.
        """
        user, item = np.asarray(user), np.asarray(item)
        if user.ndim != 1 or user.shape != item.shape:
            raise DataError(
                f"{name}: user and item must be 1-D and equally long, "
                f"got {user.shape}, {item.shape}."
            )
        if user.size == 0:
            raise DataError(f"{name}: there are no interactions. Give a log with at least one row.")
        for what, column in (("user", user), ("item", item)):
            if column.dtype.kind not in "iub":
                raise DataError(f"{name}: {what} codes must be whole numbers, got {column.dtype}.")
        for what, column in (("time", time), ("rating", rating), ("order", order)):
            if column is None:
                continue
            if np.shape(column) != user.shape:
                raise DataError(
                    f"{name}: {what} has shape {np.shape(column)}, expected {user.shape}."
                )
            values = np.asarray(column)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise DataError(
                    f"{name}: {what} has values that are missing or infinite. Leave those rows "
                    f"out, or give {what}=None."
                )
        n_users = int(user.max()) + 1 if user_ids is None else len(user_ids)
        n_items = int(item.max()) + 1 if item_ids is None else len(item_ids)
        for what, column, n in (("user", user, n_users), ("item", item, n_items)):
            if column.min() < 0 or column.max() >= n:
                raise DataError(f"{name}: {what} codes must lie in 0..{n - 1}.")
        key = time if order is None else order
        index = np.lexsort((user,) if key is None else (np.asarray(key), user))
        if titles is None:
            titles = np.full(n_items, "", dtype="U1")
        if genres is None:
            genres = np.zeros((n_items, 0), dtype=bool)
        if len(titles) != n_items or genres.shape != (n_items, len(genre_names)):
            raise DataError(
                f"{name}: titles and genres must cover {n_items} items and "
                f"{len(genre_names)} genres, got {len(titles)} and {genres.shape}."
            )
        return cls(
            name=name,
            user=_frozen(user[index].astype(np.int32)),
            item=_frozen(item[index].astype(np.int32)),
            time=None if time is None else _frozen(np.asarray(time)[index].astype(np.int64)),
            rating=None if rating is None else _frozen(np.asarray(rating)[index].astype("f4")),
            user_ids=_frozen(np.arange(n_users) if user_ids is None else np.asarray(user_ids)),
            item_ids=_frozen(np.arange(n_items) if item_ids is None else np.asarray(item_ids)),
            titles=_frozen(np.asarray(titles, dtype=str)),
            genres=_frozen(genres.astype(bool)),
            genre_names=tuple(genre_names),
        )

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return (
            f"InteractionLog({self.name!r}: {self.n_users:,} users, {self.n_items:,} items, "
            f"{len(self):,} interactions)"
        )

    def __deepcopy__(self, memo: dict) -> InteractionLog:
        return self  # immutable, and large

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    @cached_property
    def offsets(self) -> np.ndarray:
        """(U + 1,) int64: user u's events are rows ``offsets[u]:offsets[u + 1]``."""
        return _frozen(np.searchsorted(self.user, np.arange(self.n_users + 1)))

    @cached_property
    def popularity(self) -> np.ndarray:
        """(N,) int64: number of interactions of each item."""
        return _frozen(np.bincount(self.item, minlength=self.n_items))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that a model or an environment can see of this log."""
        digest = hashlib.sha256()
        for column in (self.user, self.item, self.time, self.rating, self.genres):
            digest.update(b"none" if column is None else str(column.dtype).encode())
            digest.update(b"" if column is None else column.tobytes())
        for text in (self.user_ids, self.item_ids, self.titles, self.genre_names):
            digest.update("\x1f".join(map(str, text)).encode())
        return digest.hexdigest()

    def items_of(self, user: int) -> np.ndarray:
        """(n,) int32: the items of one user in order of time; a view, not a copy."""
        if not 0 <= user < self.n_users:
            raise DataError(f"{self.name}: user {user} is not in 0..{self.n_users - 1}.")
        return self.item[self.offsets[user] : self.offsets[user + 1]]

    def item_label(self, item: int) -> str:
        """The title of an item, or its identifier where the source has no titles."""
        return str(self.titles[item]) or f"item {self.item_ids[item]}"

    def genre_label(self, item: int) -> str:
        """The genres of an item, separated by ``|``."""
        return "|".join(self.genre_names[g] for g in np.flatnonzero(self.genres[item]))

    def keep(self, rows: np.ndarray, *, name: str | None = None) -> InteractionLog:
        """The same users and items with only the chosen rows (a mask or indices, kept in order)."""
        rows = np.asarray(rows)
        index = np.flatnonzero(rows) if rows.dtype == bool else np.sort(rows)
        return InteractionLog(
            name=name or self.name,
            user=_frozen(self.user[index]),
            item=_frozen(self.item[index]),
            time=None if self.time is None else _frozen(self.time[index]),
            rating=None if self.rating is None else _frozen(self.rating[index]),
            user_ids=self.user_ids,
            item_ids=self.item_ids,
            titles=self.titles,
            genres=self.genres,
            genre_names=self.genre_names,
        )

    def compact(self, *, name: str | None = None) -> InteractionLog:
        """The same rows, with users and items that have none removed and codes made dense."""
        users, user = np.unique(self.user, return_inverse=True)
        items, item = np.unique(self.item, return_inverse=True)
        genres = self.genres[items]
        used = genres.any(axis=0)
        return InteractionLog(
            name=name or self.name,
            user=_frozen(user.astype(np.int32)),
            item=_frozen(item.astype(np.int32)),
            time=self.time,
            rating=self.rating,
            user_ids=_frozen(self.user_ids[users]),
            item_ids=_frozen(self.item_ids[items]),
            titles=_frozen(self.titles[items]),
            genres=_frozen(genres[:, used]),
            genre_names=tuple(self.genre_names[g] for g in np.flatnonzero(used)),
        )

    def to_frame(self) -> pd.DataFrame:
        """The log as a frame of ``user_id, item_id[, rating][, timestamp]`` in its own order."""
        import pandas as pd

        columns = {"user_id": self.user_ids[self.user], "item_id": self.item_ids[self.item]}
        if self.rating is not None:
            columns["rating"] = self.rating
        if self.time is not None:
            columns["timestamp"] = self.time
        return pd.DataFrame(columns)
