"""Ranking of one positive among sampled negatives, with the line that chance draws.

Sampled metrics do not order models as full ranking does (Krichene and Rendle, KDD 2020); they are
here for comparison with papers that report them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.evaluators.ranking.full import pattern
from recgym.evaluators.ranking.one_item import hits, ranks

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows of one positive (in column 0) and C − 1 negatives of the same user."""

    users: np.ndarray  # (P,) int64
    items: np.ndarray  # (P, C) int64


@dataclass(frozen=True, eq=False)
class SampledReport:
    """Ranks of the positives, and HR and F1 at k beside what random scores would get."""

    rank: np.ndarray  # (P,) int64, 1 is best; ties count against the positive
    n_candidates: int
    k: int

    @property
    def hr(self) -> float:
        """Share of positives among the first k."""
        return float(hits(self.rank, self.k).mean())

    @property
    def f1(self) -> float:
        """Mean of 2PR/(P + R), P = hit/k and R = hit: HR·2/(k + 1)."""
        return self.hr * 2 / (self.k + 1)

    @property
    def chance_hr(self) -> float:
        """k / C."""
        return self.k / self.n_candidates

    @property
    def chance_f1(self) -> float:
        """Of 1 + 99 candidates at k = 5: 1.67 %."""
        return self.chance_hr * 2 / (self.k + 1)

    def summary(self) -> dict[str, float]:
        """HR and F1, and ``chance`` of both, by name such as ``HR@5 (of 100)``."""
        where = f"@{self.k} (of {self.n_candidates})"
        return {
            f"HR{where}": self.hr,
            f"F1{where}": self.f1,
            f"chance HR{where}": self.chance_hr,
            f"chance F1{where}": self.chance_f1,
        }


def sampled_candidates(
    users: np.ndarray, items: np.ndarray, known: Any, *, negatives: int = 99, seed: int = 0
) -> Candidates:
    """Each positive (users (P,), items (P,)) with distinct negatives, uniform over the rest.

    Args:
        users, items: the pairs to rank, usually the test interactions.
        known: (U, N) sparse matrix of all interactions of any split: none of them, and not the
            positive itself, is drawn as a negative.
        negatives: how many, C − 1.
        seed: the same arguments give the same candidates.

    Raises:
        ValueError: columns of unequal length or out of range; a user with too few items left.
    """
    users, items = np.asarray(users, np.int64), np.asarray(items, np.int64)
    known = pattern(known)
    n_users, n_items = known.shape
    if users.ndim != 1 or users.shape != items.shape:
        raise ValueError(f"users {users.shape} and items {items.shape} must be equally long.")
    for what, codes, n in (("users", users, n_users), ("items", items, n_items)):
        if len(codes) and not 0 <= codes.min() <= codes.max() < n:
            raise ValueError(f"{what} must be in 0..{n - 1}, as known is {known.shape}.")
    row = np.repeat(np.arange(n_users), np.diff(known.indptr)).astype(np.int64)
    mine = users * n_items + items
    taken = np.unique(np.concatenate([row * n_items + known.indices, mine]))
    free = n_items - np.bincount(taken // n_items, minlength=n_users)[users]
    if len(free) and free.min() < negatives:
        user = users[int(np.argmin(free))]
        raise ValueError(
            f"User {user} has {free.min()} items that are not her own, fewer than the {negatives} "
            "negatives asked for. Lower negatives, or leave her out."
        )
    rng = np.random.default_rng(seed)
    found = np.empty((len(users), 1 + negatives), dtype=np.int64)
    found[:, 0] = items
    scarce = free < 2 * negatives  # rejection would go round and round
    for place in np.flatnonzero(scarce):
        own = taken[slice(*np.searchsorted(taken, (users[place] + np.arange(2)) * n_items))]
        others = np.setdiff1d(np.arange(n_items), own - users[place] * n_items)
        found[place, 1:] = rng.permutation(others)[:negatives]
    rows = np.flatnonzero(~scarce)
    found[rows, 1:] = _rejection(users[rows], taken, n_items, negatives, rng)
    return Candidates(users, found)


def _rejection(
    users: np.ndarray, taken: np.ndarray, n_items: int, negatives: int, rng: np.random.Generator
) -> np.ndarray:
    """(P, negatives): distinct within a row and not taken; what offends is drawn again."""
    drawn = rng.integers(0, n_items, (len(users), negatives))
    pending = np.arange(len(users))
    while len(pending):
        part = drawn[pending]
        keys = users[pending, None] * n_items + part
        place = np.minimum(np.searchsorted(taken, keys), len(taken) - 1)
        order = np.argsort(part, axis=1, kind="stable")
        ascending = np.take_along_axis(part, order, axis=1)
        repeats = np.zeros_like(part, dtype=bool)
        np.put_along_axis(
            repeats, order[:, 1:], ascending[:, 1:] == ascending[:, :-1], axis=1
        )  # all but the first of equals
        wrong = repeats | (taken[place] == keys)
        part[wrong] = rng.integers(0, n_items, int(wrong.sum()))
        drawn[pending] = part
        pending = pending[wrong.any(axis=1)]
    return drawn


def rank_sampled(
    score_pairs: Callable[[Tensor, Tensor], Any],
    candidates: Candidates,
    k: int = 5,
    *,
    chunk: int = 4096,
) -> SampledReport:
    """Rank each positive among its candidates.

    Args:
        score_pairs: users (B,) and items (B,), int64 tensors → scores (B,); of a collaborative
            model, the model itself.
        candidates: of :func:`sampled_candidates`.
        k: length of the list.
        chunk: rows of candidates per call of ``score_pairs``.

    Raises:
        ValueError: k outside of 1..C; scores that are not finite.
    """
    import torch

    n, width = candidates.items.shape
    if not 1 <= k <= width:
        raise ValueError(f"k must be in 1..{width}, the number of candidates, got {k}.")
    if n == 0:
        raise ValueError("There are no candidates to rank. Give at least one test interaction.")
    found = []
    for start in range(0, n, chunk):
        items = torch.as_tensor(candidates.items[start : start + chunk])
        users = torch.as_tensor(candidates.users[start : start + chunk])
        with torch.no_grad():
            scores = score_pairs(users.repeat_interleave(width), items.flatten())
        scores = np.asarray(torch.as_tensor(scores).detach()).reshape(-1, width)
        found.append(ranks(scores, np.zeros(len(items), np.int64)))
    return SampledReport(np.concatenate(found), width, k)
