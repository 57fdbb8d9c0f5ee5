"""The game of one split's players: their pairs, their recommender and its anchors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from recgym.data import DataError, LeaveTwoOut, willingness
from recgym.envs.data_selection import retrained
from recgym.envs.data_selection.recommenders import recommender
from recgym.evaluators.influence import (
    Anchor,
    Influence,
    Pairs,
    SelectionGame,
    Solver,
    anchor,
    draw_negatives,
    effects,
    fit,
    user_losses,
)
from recgym.models.arrays import kept

if TYPE_CHECKING:
    from recgym.envs.data_selection.worlds import World
    from recgym.evaluators.ranking import Candidates

SPLITS = ("train", "validation", "test")
SPLIT_SEED = 20_241  # fixed: the same users are held out in every run
KEPT_SHARE = 0.9  # of anchors other than the first
BLOCKS_BEYOND = 3_000  # players; own effects grow with their square otherwise
KEPT_ON_DISK = 25_000_000  # numbers of a matrix, 100 MB
# shares of training, validation and test among a user's items; None leaves the last two out
HOLDOUTS: Mapping[str, tuple[float, float, float] | None] = {"two": None, "ratio": (0.7, 0.1, 0.2)}


class Game:
    """The players of one split, their recommender, and what is known of its anchors."""

    def __init__(self, world: World, split: str):
        self.world, self.split = world, split
        users = world.parts[split]
        if len(users) == 0:
            raise ValueError(f"{world.name} has no players for {split}.")
        self.users = users  # (N,) of the log
        self.rows, self.data = _game(world, users, split)
        self.model = recommender(world, self.data)
        self._anchors: dict[int, Influence] = {}
        self._crossed: dict[int, Influence] = {}

    @functools.cached_property
    def places(self) -> np.ndarray:
        """(N, K) int64: the pairs of each user in order of time, padded with Z."""
        lengths, offsets = self.data.lengths, self.data.offsets
        columns = np.arange(self.world.most_items)
        inside = columns < lengths[:, None]
        return np.where(inside, offsets[:-1, None] + columns, self.data.size)

    @functools.cached_property
    def popularity(self) -> np.ndarray:
        """(Z,) float32 in [0, 1]: log(1 + public interactions of the item), over the largest."""
        counts = np.log1p(np.bincount(self.world.public.item, minlength=self.data.n_items))
        return (counts / max(counts.max(), 1e-12))[self.data.training.item].astype(np.float32)

    @functools.cached_property
    def genres(self) -> np.ndarray:
        """(Z, C) bool."""
        return self.world.log.genres[self.data.training.item]

    @functools.cached_property
    def known(self) -> sp.csr_matrix:
        """(N, I): everything that the players have taken."""
        return retrained.known(self)

    @functools.cached_property
    def candidates(self) -> Candidates:
        """What each test item is ranked against in sampled metrics."""
        return retrained.candidates(self)

    def willingness(self, draw: int) -> np.ndarray:
        """(Z,) float64: the ``draw``-th draw of the world's model, or of the simulator's users."""
        if self.world.simulated is not None:
            return self.world.simulated.drawn(0 if self.world.one_draw else draw)[self.rows]
        part = self.world.log.keep(self.rows)
        return willingness.draw(self.world.willingness_name, part, draw)

    def anchor(self, number: int = 0, *, cross: bool = False) -> Influence:
        """Anchor 0 is everything; the others keep each pair with probability .9.

        With ``cross`` effects, users' losses follow the selections of others too.
        """
        if number not in self._anchors:
            self._anchors[number] = Influence(self.data, self._anchor(number))
        found = self._anchors[number]
        if not cross:
            return found
        if number not in self._crossed:  # another object: games are shared by environments
            crossed = self._cross(number, found.anchor)
            self._crossed[number] = Influence(self.data, found.anchor, crossed)
        return self._crossed[number]

    def _cross(self, number: int, at: Anchor) -> np.ndarray:
        """(N, Z) float32: what each pair does to each user; large ones are not kept on disk."""

        def make() -> dict[str, np.ndarray]:
            everyone = np.arange(self.data.n_users)
            found = effects(self.model, at.theta, at.selected, everyone)
            return {"cross": found.astype(np.float32)}

        if self.data.n_users * self.data.size > KEPT_ON_DISK:
            return make()["cross"]
        return kept("influence", b"cross " + self._key(number), make)["cross"]

    def _key(self, number: int) -> bytes:
        key = f"anchor {number} {self.data.fingerprint} {self.world.training_key}".encode()
        if self.world.recommender_name != "mf":
            key += self.model.start.tobytes() + self.model.pull.tobytes()
        return key

    def selection_of_anchor(self, number: int) -> np.ndarray:
        """(Z,) float64, õ."""
        if number == 0:
            return np.ones(self.data.size)
        rng = np.random.default_rng([SPLIT_SEED, 2, number])
        return (rng.random(self.data.size) < KEPT_SHARE).astype(np.float64)

    def _anchor(self, number: int) -> Anchor:
        selected = self.selection_of_anchor(number)

        def make() -> dict[str, np.ndarray]:
            theta = fit(self.model, selected)
            own = Solver("blocks") if self.data.n_users > BLOCKS_BEYOND else None
            at = anchor(self.model, selected, theta=theta, own_solver=own)
            return {"theta": theta, "own": at.own, "total": at.total}

        found = kept("influence", self._key(number), make)
        losses = user_losses(self.model, found["theta"], self.data.validation, selected)
        return Anchor(selected, found["theta"], losses, found["own"], found["total"])


def _game(world: World, users: np.ndarray, split: str) -> tuple[np.ndarray, SelectionGame]:
    """(rows of the log that are S, the game) of some users."""
    log = world.log
    mine = log.keep(np.isin(log.user, users))
    at = np.flatnonzero(np.isin(log.user, users))
    parts = LeaveTwoOut.of(mine, HOLDOUTS[world.holdout])
    if parts.excluded - (log.n_users - len(users)) > 0:
        raise DataError(f"{world.name}: players need at least three items each.")
    rng = np.random.default_rng([SPLIT_SEED, SPLITS.index(split) + 10])
    # only the latest items of a user can be selected
    train = parts.train
    from_end = np.searchsorted(mine.user[train], mine.user[train], side="right") - np.arange(
        len(train)
    )
    train = train[from_end <= world.per_user]
    n_items = log.n_items
    code = np.searchsorted(users, mine.user).astype(np.int64)
    taken = np.sort(code * n_items + mine.item)

    def pairs(rows: np.ndarray) -> Pairs:
        negative = draw_negatives(code[rows], taken, n_items, rng)
        return Pairs(code[rows], mine.item[rows].astype(np.int64), negative)

    game = SelectionGame(
        n_users=len(users),
        n_items=n_items,
        training=pairs(train),
        validation=pairs(parts.validation),
        test=pairs(parts.test),
        name=f"{world.name}, {split}",
        deselected=world.deselected,
    )
    return at[train], game
