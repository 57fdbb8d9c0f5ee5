"""The data of the game: whose interactions can be selected, and what the users are judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recgym.data.log import DataError

DESELECTED: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "drop": ((0.0, 0.0), (1.0, 0.0)),
    "relabel": ((1.0, 1.0), (0.0, -1.0)),
}
"""Name → (a, b) of a deselected pair, and what selecting it adds to them.

In training a pair counts a·l + b·s, l its loss and s the score of its item. l + s is its loss with
the item labelled 0, as disliked: −log σ(−s) − log σ(−s_negative).
"""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Observed pairs, each with a negative item of its own that is trained on with it."""

    user: np.ndarray  # (E,) int64
    item: np.ndarray  # (E,) int64
    negative: np.ndarray  # (E,) int64

    def __len__(self) -> int:
        return len(self.user)

    def at(self, index: np.ndarray) -> Pairs:
        """Some of them, by index or mask."""
        return Pairs(self.user[index], self.item[index], self.negative[index])


@dataclass(frozen=True, eq=False)
class SelectionGame:
    """N users who select among their training pairs. Immutable.

    Args:
        training: Z pairs, sorted by user: S^u are those of user u.
        validation: T^u, what a user's loss is measured on while she plays; at least one each.
        test: D^u, for reports only.
        deselected: a pair that is not selected leaves (``"drop"``), or stays as a disliked item
            (``"relabel"``): its label turns from 1 to 0, as in the IFRQE paper's reference code. If
            nothing is selected, nothing is trained on, or everything as disliked.

    Raises:
        DataError: a user without training or validation pairs, a wrong order, users or items out of
            range, columns of unequal length.
        ValueError: an unknown ``deselected``.
    """

    n_users: int
    n_items: int
    training: Pairs
    validation: Pairs
    test: Pairs
    name: str = "game"
    deselected: str = "drop"

    def __post_init__(self) -> None:
        if self.deselected not in DESELECTED:
            raise ValueError(
                f"deselected must be one of {tuple(DESELECTED)}, got {self.deselected!r}."
            )
        for pairs in (self.training, self.validation, self.test):
            lengths = len(pairs.user), len(pairs.item), len(pairs.negative)
            if len(set(lengths)) > 1:
                raise DataError(
                    f"{self.name}: users, items and negatives must be equally many, got {lengths}."
                )
            if len(pairs) and not 0 <= pairs.user.min() <= pairs.user.max() < self.n_users:
                raise DataError(f"{self.name}: users must lie in 0..{self.n_users - 1}.")
        for part, pairs in (("training", self.training), ("validation", self.validation)):
            count = np.bincount(pairs.user, minlength=self.n_users)
            if count.min(initial=1) < 1:
                alone = np.flatnonzero(count < 1)[:5].tolist()
                raise DataError(
                    f"{self.name}: users {alone} have no {part} item. Leave them out of the game, "
                    "e.g. with a filter of at least three interactions for each user."
                )
        if (np.diff(self.training.user) < 0).any():
            raise DataError(f"{self.name}: training pairs must be sorted by user.")
        for pairs in (self.training, self.validation, self.test):
            for items in (pairs.item, pairs.negative):
                if len(items) and not 0 <= items.min() <= items.max() < self.n_items:
                    raise DataError(f"{self.name}: items must lie in 0..{self.n_items - 1}.")

    @property
    def size(self) -> int:
        """Z, the number of pairs that can be selected."""
        return len(self.training)

    @cached_property
    def offsets(self) -> np.ndarray:
        """(N + 1,) int64: S^u are the training pairs offsets[u]..offsets[u + 1]."""
        return np.searchsorted(self.training.user, np.arange(self.n_users + 1))

    @cached_property
    def lengths(self) -> np.ndarray:
        """(N,) int64: |S^u|."""
        return np.diff(self.offsets)

    def pairs_of(self, users: np.ndarray) -> np.ndarray:
        """(K,) int64: the training pairs of consecutive ``users``."""
        return np.arange(int(self.offsets[users[0]]), int(self.offsets[users[-1] + 1]))

    def selection(self, selected: np.ndarray | None) -> np.ndarray:
        """(Z,) float64 from a selection (Z,) of weights in [0, 1]; None is everything.

        Raises:
            ValueError: another shape, or numbers outside [0, 1].
        """
        if selected is None:
            return np.ones(self.size)
        array = np.asarray(selected, dtype=np.float64)
        if array.shape != (self.size,):
            raise ValueError(
                f"A selection of {self.name} has shape ({self.size},), a number for each pair, got "
                f"{array.shape}."
            )
        return self._in_range(array)

    def selections(self, selected: np.ndarray) -> np.ndarray:
        """(B, Z) float64 from selections (B, Z) of weights in [0, 1].

        Raises:
            ValueError: another shape, or numbers outside [0, 1].
        """
        array = np.asarray(selected, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.size:
            raise ValueError(
                f"Selections of {self.name} have shape (B, {self.size}), a row for each, got "
                f"{array.shape}. Of one selection give [None]."
            )
        return self._in_range(array)

    def terms(self, selected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """a, b (..., Z): the training loss of selections (..., Z) is Σ_k a_k l_k + b_k s_k.

        See :data:`DESELECTED`. a_k is the weight of the pair in training, and of its edge in a
        graph: o_k, or 1 where deselected pairs are relabelled.
        """
        (a, b), (of_a, of_b) = DESELECTED[self.deselected][0], self.slopes
        return a + of_a * selected, b + of_b * selected

    @property
    def slopes(self) -> tuple[float, float]:
        """∂a_k/∂o_k and ∂b_k/∂o_k of :meth:`terms`."""
        return DESELECTED[self.deselected][1]

    def _in_range(self, array: np.ndarray) -> np.ndarray:
        wrong = ~((array >= 0) & (array <= 1))
        if wrong.any():
            raise ValueError(
                "A selection holds 0 for out and 1 for in, or weights between them; "
                f"{self.name}: got {array[wrong][0]} for pair {np.argwhere(wrong)[0][-1]}."
            )
        return array

    def by_user(self, values: np.ndarray) -> np.ndarray:
        """(..., N): sums over each user's training pairs of values (..., Z)."""
        return np.add.reduceat(values, self.offsets[:-1], axis=-1)

    def __deepcopy__(self, memo: dict) -> SelectionGame:
        return self

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.name} {self.n_users} {self.n_items}".encode())
        for pairs in (self.training, self.validation, self.test):
            for array in (pairs.user, pairs.item, pairs.negative):
                digest.update(np.ascontiguousarray(array, dtype=np.int64).tobytes())
        if self.deselected != "drop":  # keys of dropping are older than the choice
            digest.update(self.deselected.encode())
        return digest.hexdigest()


def draw_negatives(
    user: np.ndarray, taken: np.ndarray, n_items: int, rng: np.random.Generator
) -> np.ndarray:
    """(E,) int64: for each entry of ``user`` (E,) an item that she has not taken, uniformly.

    Args:
        taken: (M,) sorted codes user · n_items + item of everything that users have taken.

    Raises:
        DataError: a user who has taken every item.
    """
    drawn = rng.integers(0, n_items, len(user))
    if len(taken) == 0:
        return drawn
    again = np.argsort(user, kind="stable")  # neighbours in ``taken`` are looked up one by one
    checked = False
    while True:
        codes = user[again] * n_items + drawn[again]
        place = np.minimum(np.searchsorted(taken, codes), len(taken) - 1)
        again = np.sort(again[taken[place] == codes])
        if len(again) == 0:
            return drawn
        if not checked:  # a user without a negative is among these
            _check_negatives(user[again], taken, n_items)
            checked = True
        drawn[again] = rng.integers(0, n_items, len(again))


def _check_negatives(user: np.ndarray, taken: np.ndarray, n_items: int) -> None:
    first, last = np.searchsorted(taken, [user * n_items, (user + 1) * n_items])
    full = user[last - first >= n_items]
    if len(full):
        raise DataError(f"User {full[0]} has taken all {n_items} items: there is no negative.")
