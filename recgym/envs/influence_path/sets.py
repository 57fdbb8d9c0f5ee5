"""Objectives that are sets of items: genres, or sets of your own; and the tasks drawn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recgym.data.log import InteractionLog
from recgym.envs.core import Task
from recgym.envs.influence_path.instances import SHARES, SPLIT_SEED, SPLITS, Instances


@dataclass(frozen=True, eq=False)
class ItemSets:
    """T sets of items that objectives are chosen from."""

    key: str
    """What tasks and reset options call them: ``genre`` or ``set``."""
    names: tuple[str, ...]  # (T,)
    members: np.ndarray  # (T, N) bool
    most_taken: np.ndarray  # (T,) members that a user may have taken and still be led there

    def __len__(self) -> int:
        return len(self.names)


def genre_sets(log: InteractionLog) -> ItemSets:
    """Each genre of a log, for users who have taken nothing of it.

    To a genre that she knows a user need not be led: its most likely film is accepted at once.
    Common genres have few such users, so that mostly rare ones serve.

    Raises:
        ValueError: the log has no genres.
    """
    if not log.genre_names:
        raise ValueError(
            f'{log.name} has no genres. Use objective="item", or name sets of items yourself.'
        )
    nothing = np.zeros(len(log.genre_names), dtype=np.int64)
    return ItemSets("genre", log.genre_names, log.genres.T, nothing)


def own_sets(log: InteractionLog, sets: Sequence[Sequence[int]]) -> ItemSets:
    """Sets of items 0..N−1, for users who have not taken all of one.

    Raises:
        ValueError: an item that the log does not have.
    """
    members = np.zeros((len(sets), log.n_items), dtype=bool)
    for index, items in enumerate(sets):
        if bad := [i for i in items if not 0 <= i < log.n_items]:
            raise ValueError(
                f"objective: item {bad[0]} of set {index} is not in 0..{log.n_items - 1}. Sets "
                "hold items as actions number them; log.item_ids has the source's identifiers."
            )
        members[index, list(items)] = True
    names = tuple(f"set {index}" for index in range(len(sets)))
    return ItemSets("set", names, members, members.sum(axis=1) - 1)


class SetInstances(Instances):
    """Tasks of one split whose objectives are sets. (User, set) pairs of the splits are disjoint.

    There may be too few sets to hold some out, so pairs are split, 70/10/20 %, each part with at
    least one. Users, cuts and options are as in :class:`Instances`.
    """

    def __init__(self, log: InteractionLog, split: str, sets: ItemSets):
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
        self.log, self.split, self.sets = log, split, sets
        self.open = _taken(log, sets.members) <= sets.most_taken  # (U, T) bool
        self.open &= sets.members.any(axis=1)  # to nothing nobody can be led
        pairs = np.argwhere(self.open)
        if len(pairs) < len(SPLITS):
            raise ValueError(
                f"{log.name} has {len(pairs)} pairs of a user and a {sets.key} that she can be "
                f"led to; {len(SPLITS)} are needed, one for each split. A user can be led to a "
                "genre of which she has taken nothing, and to a set that she has not taken whole."
            )
        pairs = np.random.default_rng(SPLIT_SEED).permutation(pairs)
        _, validation, test = np.ceil(np.array(SHARES) * len(pairs)).astype(int)
        edges = [len(pairs) - test - validation, len(pairs) - test]
        part = np.split(pairs, edges)[SPLITS.index(split)]
        self.objectives = part[np.lexsort((part[:, 1], part[:, 0]))]  # (P, 2): user, set
        self.eligible = np.unique(self.objectives[:, 0])

    def for_split(self, split: str) -> SetInstances:
        return self if split == self.split else SetInstances(self.log, split, self.sets)

    def draw(self, rng: np.random.Generator, given: Mapping[str, int]) -> Task:
        """A task, keeping what is given; its set has members that the user has not taken."""
        key = self.sets.key
        self._check(given)
        user, chosen = given.get("user"), given.get(key)
        if user is None:
            users = self._long_enough(self._users(chosen), given)
            user = int(users[rng.integers(len(users))])
        cut = self._cut(rng, given, user, training=self.split == "train" and chosen is None)
        if chosen is None:
            hers = self.objectives[self.objectives[:, 0] == user, 1]
            if len(hers) == 0:
                raise ValueError(
                    f"User {user} has no {key} in the {self.split} split. "
                    f"Name another user, or a {key} as well."
                )
            chosen = int(rng.choice(hers))
        elif self.seen(user, cut)[self.sets.members[chosen]].all():
            raise ValueError(
                f"Every item of {self._name(chosen)} is already in the history of user {user}. "
                f"Choose a {key} with an item that this user has not seen."
            )
        return {"user": user, key: chosen, "cut": cut}

    def tasks(self) -> list[Task]:
        """Every task of this split: its pairs of user and set, and cuts where it trains."""
        return [
            {"user": int(user), self.sets.key: int(chosen), "cut": cut}
            for user, chosen in self.objectives
            for cut in self._cuts(int(user))
        ]

    def _users(self, objective: int | None) -> np.ndarray:
        """(E,) int64: the users to draw from, those who can be led to the set that is given."""
        if objective is None:
            return self.eligible
        users = np.flatnonzero(self.open[:, objective])
        if len(users) == 0:
            key = self.sets.key
            what = "something" if key == "genre" else "everything"
            raise ValueError(
                f"{self.log.name}: every user has taken {what} of {self._name(objective)}. "
                f"Name another {key}, or a user as well."
            )
        return users

    def _name(self, objective: int) -> str:
        name = self.sets.names[objective]
        return f"genre {objective} ({name})" if self.sets.key == "genre" else name

    def _check(self, given: Mapping[str, int]) -> None:
        super()._check(given)
        key, names = self.sets.key, self.sets.names
        if key in given and not 0 <= given[key] < len(names):
            shown = f" ({', '.join(f'{i} {n}' for i, n in enumerate(names))})"
            raise ValueError(
                f"{key} must be in 0..{len(names) - 1}{shown if key == 'genre' else ''}, "
                f"got {given[key]}."
            )


def _taken(log: InteractionLog, members: np.ndarray) -> np.ndarray:
    """(U, T) int64: how many different members of each set a user has taken."""
    pairs = np.unique(log.user.astype(np.int64) * log.n_items + log.item)
    user, item = np.divmod(pairs, log.n_items)
    counts = [np.bincount(user[chosen[item]], minlength=log.n_users) for chosen in members]
    return np.stack(counts, axis=1)
