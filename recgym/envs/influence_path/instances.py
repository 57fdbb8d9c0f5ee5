"""Tasks of InfluencePath drawn from a log: whose history, up to where, toward which item."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from recgym.data.log import InteractionLog
from recgym.envs.core import Task

SPLITS = ("train", "validation", "test")
SHARES = (0.7, 0.1, 0.2)
SPLIT_SEED = 20_210  # fixed: the same objectives are held out in every run on the same data
LEAST_INTERACTIONS = 5
SHORTEST_CUT = 5


class Instances:
    """Tasks of one split. Objectives of the three splits are disjoint.

    Training tasks start from a random earlier cut of a user's history, evaluation tasks (and
    validation) from all of it.

    Args:
        log: the users' histories.
        split: ``train``, ``validation`` or ``test``.
        objectives: use these items for every split's objectives instead of drawing 70/10/20 %:
            a mapping from split to items.
    """

    def __init__(
        self,
        log: InteractionLog,
        split: str,
        objectives: Mapping[str, tuple[int, ...]] | None = None,
    ):
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
        self.log, self.split, self._given = log, split, objectives
        if objectives is None:
            eligible = np.flatnonzero(log.popularity >= LEAST_INTERACTIONS)
            if len(eligible) < 10:
                raise ValueError(
                    f"{log.name} has {len(eligible)} items with at least {LEAST_INTERACTIONS} "
                    "interactions; ten are needed to hold some out as objectives."
                )
            shuffled = np.random.default_rng(SPLIT_SEED).permutation(eligible)
            edges = np.round(np.cumsum(SHARES)[:-1] * len(shuffled)).astype(int)
            parts = dict(zip(SPLITS, np.split(shuffled, edges), strict=True))
            self.objectives = np.sort(parts[split])
        else:
            self.objectives = np.asarray(objectives[split])

    @cached_property
    def lengths(self) -> np.ndarray:
        """(U,) int64: events of each user."""
        return np.diff(self.log.offsets)

    @cached_property
    def eligible(self) -> np.ndarray:
        """(E,) int64: users who have an objective of this split that they have not seen."""
        mine = np.isin(self.log.item, self.objectives)
        pairs = np.unique(np.stack([self.log.user[mine], self.log.item[mine]]), axis=1)
        seen = np.bincount(pairs[0], minlength=self.log.n_users)
        return np.flatnonzero(seen < len(self.objectives))

    def for_split(self, split: str) -> Instances:
        """The tasks of another split of the same data."""
        return self if split == self.split else Instances(self.log, split, self._given)

    def seen(self, user: int, cut: int | None = None) -> np.ndarray:
        """(N,) bool: items among the first ``cut`` events of a user."""
        seen = np.zeros(self.log.n_items, dtype=bool)
        seen[self.log.items_of(user)[:cut]] = True
        return seen

    def draw(self, rng: np.random.Generator, given: Mapping[str, int]) -> Task:
        """A task, keeping what is given; the objective is never in the user's history."""
        self._check(given)
        user = given.get("user")
        if user is None:
            users = self._long_enough(self._users(given.get("objective")), given)
            user = int(users[rng.integers(len(users))])
        objective = given.get("objective")
        cut = self._cut(rng, given, user, training=self.split == "train" and objective is None)
        if objective is None:
            open_objectives = self.objectives[~self.seen(user)[self.objectives]]
            if len(open_objectives) == 0:
                raise ValueError(
                    f"User {user} has seen every objective of the {self.split} split. "
                    "Name a user or an objective in the reset options."
                )
            objective = int(rng.choice(open_objectives))
        elif self.seen(user, cut)[objective]:
            raise ValueError(
                f"Objective {objective} ({self.log.item_label(objective)}) is already in the "
                f"history of user {user}. Choose an item that this user has not seen."
            )
        return {"user": user, "objective": objective, "cut": cut}

    def tasks(self) -> list[Task]:
        """Every task of this split: users, cuts where it trains, and unseen objectives."""
        found = []
        for user in range(self.log.n_users):
            unseen = self.objectives[~self.seen(user)[self.objectives]]
            found += [
                {"user": user, "objective": int(objective), "cut": cut}
                for cut in self._cuts(user)
                for objective in unseen
            ]
        return found

    def evaluation_tasks(self, seed: int) -> list[Task]:
        """Every user once, in order, with her whole history and a held-out objective.

        Users who have seen every held-out objective are left out. Objectives are those of the test
        split, or of the validation split if this is it.
        """
        judge = self if self.split == "validation" else self.for_split("test")
        rng = np.random.default_rng([SPLIT_SEED, seed])
        return [judge.draw(rng, {"user": int(user)}) for user in judge.eligible]

    def _cuts(self, user: int) -> range:
        """The cuts of a user's history that this split starts from."""
        length = int(self.lengths[user])
        shortest = min(SHORTEST_CUT, length) if self.split == "train" else length
        return range(shortest, length + 1)

    def _cut(
        self, rng: np.random.Generator, given: Mapping[str, int], user: int, *, training: bool
    ) -> int:
        """The cut that is given, one of those to train from, or the whole history."""
        length = int(self.lengths[user])
        cut = given.get("cut")
        if cut is None:
            cuts = self._cuts(user)
            cut = cuts[int(rng.integers(len(cuts)))] if training else length
        if not 0 <= cut <= length:
            raise ValueError(f"cut must be in 0..{length} (the events of user {user}), got {cut}.")
        return cut

    def _long_enough(self, users: np.ndarray, given: Mapping[str, int]) -> np.ndarray:
        """Those of the users whose histories can be cut where it is asked for."""
        if (cut := given.get("cut")) is None:
            return users
        kept = users[self.lengths[users] >= cut]
        if len(kept) == 0:
            longest = int(self.lengths[users].max())
            raise ValueError(f"cut must be in 0..{longest} (the longest history), got {cut}.")
        return kept

    def _users(self, objective: int | None) -> np.ndarray:
        """(E,) int64: the users to draw from, those who have not seen what is to be drawn."""
        if objective is None:
            users = self.eligible
        else:
            users = np.setdiff1d(
                np.arange(self.log.n_users), self.log.user[self.log.item == objective]
            )
        if len(users) == 0:
            what = (
                f"every objective of the {self.split} split"
                if objective is None
                else (f"objective {objective} ({self.log.item_label(objective)})")
            )
            raise ValueError(
                f"{self.log.name}: every user has seen {what}. Take data with more items, or name "
                "a user, an objective and an earlier cut."
            )
        return users

    def _check(self, given: Mapping[str, int]) -> None:
        for key, n in (("user", self.log.n_users), ("objective", self.log.n_items)):
            if key in given and not 0 <= given[key] < n:
                raise ValueError(f"{key} must be in 0..{n - 1}, got {given[key]}.")
