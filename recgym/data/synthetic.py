"""A made-up world whose next-item probabilities are known exactly.

Genres lie on a ring. From an item of genre g the next genre is drawn from row g of a transition
matrix T, the next item within it by a Zipf popularity, so

    P(j | i) = T[g(i), g(j)] · pop(j | g(j)),

a matrix of rank at most G that is never stored. Items may come back: a chain that avoided repeats
would no longer have this matrix.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recgym.data.log import DataError, InteractionLog

BLOCK = 1_024  # users drawn from one generator, so that data do not depend on the batch size
START, HOUR, DAY = 1_577_836_800, 3_600, 86_400  # 2020-01-01, seconds
# fmt: off
GENRES = (
    "Comedy", "Drama", "Mystery", "Thriller", "Fantasy", "Western", "Musical", "Romance",
    "Adventure", "Crime", "Documentary", "Animation", "War", "Horror", "Family", "History",
)
# fmt: on


@dataclass(frozen=True)
class Batch:
    """Complete histories of consecutive users, in order of user and time."""

    user: np.ndarray  # (E,) int64
    item: np.ndarray  # (E,) int64
    time: np.ndarray  # (E,) int64, seconds


@dataclass(frozen=True)
class MarkovGenreWorld:
    """A seeded world of users who follow one Markov chain over genres.

    Args:
        n_users, n_items, n_genres: sizes; every genre has at least one item.
        mean_length: expected events per user (1 + Poisson).
        seed: of everything that is drawn.
        stay, forward, backward: probabilities of the same, the next and the previous genre on the
            ring; what is left is spread evenly over all genres.
        zipf: exponent of popularity within a genre.

    Raises:
        DataError: sizes or probabilities out of range.
    """

    n_users: int = 1_000
    n_items: int = 500
    n_genres: int = 8
    mean_length: float = 50.0
    seed: int = 0
    stay: float = 0.55
    forward: float = 0.25
    backward: float = 0.10
    zipf: float = 0.8

    def __post_init__(self) -> None:
        moves = (self.stay, self.forward, self.backward)
        if min(moves) < 0 or sum(moves) >= 1:
            raise DataError(
                f"synthetic: stay, forward and backward must be >= 0 and sum to less than 1 (every "
                f"genre stays reachable), got {moves}."
            )
        if self.n_users < 1 or not 1 <= self.n_genres <= self.n_items or self.mean_length < 1:
            raise DataError(
                "synthetic: need n_users >= 1, 1 <= n_genres <= n_items and mean_length >= 1, got "
                f"{self.n_users}, {self.n_genres}, {self.n_items} and {self.mean_length}."
            )

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])

    @cached_property
    def genre_of(self) -> np.ndarray:
        """(N,) int64: the genre of each item."""
        return _frozen(self._rng(0).permutation(np.arange(self.n_items) % self.n_genres))

    @cached_property
    def rank_in_genre(self) -> np.ndarray:
        """(N,) int64: 1 for the most popular item of its genre."""
        rank = np.empty(self.n_items, dtype=np.int64)
        for genre in range(self.n_genres):
            members = np.flatnonzero(self.genre_of == genre)
            rank[members] = np.arange(1, len(members) + 1)
        return _frozen(rank)

    @cached_property
    def genre_transition(self) -> np.ndarray:
        """(G, G) float64: T[g, h], rows sum to 1 and are positive throughout."""
        n = self.n_genres
        eye = np.eye(n)
        rest = 1 - self.stay - self.forward - self.backward
        ring = self.forward * np.roll(eye, 1, axis=1) + self.backward * np.roll(eye, -1, axis=1)
        matrix = self.stay * eye + ring + rest / n
        return _frozen(matrix / matrix.sum(axis=1, keepdims=True))

    @cached_property
    def genre_start(self) -> np.ndarray:
        """(G,) float64: distribution of a user's first genre, uniform."""
        return _frozen(np.full(self.n_genres, 1 / self.n_genres))

    @cached_property
    def log_popularity(self) -> np.ndarray:
        """(N,) float64: log pop(j | g(j)), normalised within each genre."""
        weight = self.rank_in_genre.astype(np.float64) ** -self.zipf
        total = np.bincount(self.genre_of, weights=weight, minlength=self.n_genres)
        return _frozen(np.log(weight / total[self.genre_of]))

    def log_transition(self, last: np.ndarray) -> np.ndarray:
        """(B, N) float64: log P(next | last item), exactly what draws the log.

        Args:
            last: (B,) items 0..N−1; N stands for an empty history.
        """
        last = np.asarray(last)
        if last.ndim != 1 or (last.size and (last.min() < 0 or last.max() > self.n_items)):
            raise DataError(f"synthetic: last must be (B,) with values in 0..{self.n_items}.")
        rows = np.log(np.concatenate([self.genre_transition, self.genre_start[None]]))
        genre = np.append(self.genre_of, self.n_genres)[last]
        return rows[genre][:, self.genre_of] + self.log_popularity

    def batches(self, rows: int = 10_000) -> Iterator[Batch]:
        """All users in order, ``rows`` users at a time; memory depends on ``rows`` alone.

        The data do not depend on ``rows``: the same seed gives the same histories.
        """
        if rows < 1:
            raise DataError(f"synthetic: rows must be at least 1, got {rows}.")
        return self._batches(rows)

    def _batches(self, rows: int) -> Iterator[Batch]:
        drawn, whole = -1, None
        for first in range(0, self.n_users, rows):
            last = min(first + rows, self.n_users)
            parts = []
            for block in range(first // BLOCK, (last - 1) // BLOCK + 1):
                if block != drawn or whole is None:
                    drawn, whole = block, self._block(block)
                part = (whole.user >= first) & (whole.user < last)
                parts.append((whole.user[part], whole.item[part], whole.time[part]))
            yield Batch(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _block(self, block: int) -> Batch:
        rng = self._rng(1, block)
        lengths = 1 + rng.poisson(self.mean_length - 1, size=BLOCK)
        longest = int(lengths.max())
        first_hour = rng.integers(0, 365 * 24, size=BLOCK)
        cumulated = np.concatenate([self.genre_transition, self.genre_start[None]]).cumsum(axis=1)
        genre = np.full(BLOCK, self.n_genres)
        genres = np.empty((BLOCK, longest), dtype=np.int64)
        for step in range(longest):
            draw = rng.random((BLOCK, 1))
            genre = (draw >= cumulated[genre, :-1]).sum(axis=1)
            genres[:, step] = genre
        valid = np.arange(longest) < lengths[:, None]
        user, step = np.nonzero(valid)
        item = self._draw_items(genres[valid], rng)
        user += block * BLOCK
        mine = user < self.n_users
        time = START + HOUR * (first_hour[user - block * BLOCK] + step)
        return Batch(user[mine], item[mine], time[mine])

    def _draw_items(self, genre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(E,) items of the given genres by popularity: one search in [g, g + 1) per event."""
        order, edges, bounds = self._search
        index = np.searchsorted(edges, genre + rng.random(len(genre)), side="right")
        return order[np.clip(index, bounds[genre], bounds[genre + 1] - 1)]

    @cached_property
    def _search(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Items sorted by genre, their cumulated popularity (genre g fills [g, g + 1)), bounds."""
        order = np.lexsort((self.rank_in_genre, self.genre_of))
        bounds = np.searchsorted(self.genre_of[order], np.arange(self.n_genres + 1))
        return order, np.exp(self.log_popularity[order]).cumsum(), bounds

    @cached_property
    def genre_names(self) -> tuple[str, ...]:
        """(G,) names in the order of the ring."""
        return tuple(
            GENRES[g] if g < len(GENRES) else f"Genre {g + 1}" for g in range(self.n_genres)
        )

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """(N,) such as ``Comedy 017``, the seventeenth most popular comedy."""
        pairs = zip(self.genre_of, self.rank_in_genre, strict=True)
        return tuple(f"{self.genre_names[g]} {r:03d}" for g, r in pairs)

    def log(self) -> InteractionLog:
        """The whole world as a log; repeats of an item by a user are kept."""
        parts = [(b.user, b.item, b.time) for b in self.batches()]
        user, item, time = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return InteractionLog.from_columns(
            "synthetic",
            user,
            item,
            time=time,
            user_ids=np.arange(self.n_users),
            item_ids=np.arange(self.n_items),
            titles=self.titles,
            genres=np.eye(self.n_genres, dtype=bool)[self.genre_of],
            genre_names=self.genre_names,
        )


@functools.cache
def default_world() -> MarkovGenreWorld:
    """The world behind ``recgym.data.load("synthetic")``."""
    return MarkovGenreWorld()


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
