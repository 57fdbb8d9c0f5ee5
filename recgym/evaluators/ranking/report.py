"""Metrics of top-k lists: accuracy, diversity, fairness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PAIRS = 1 << 24  # values of list × list × category that exist at a time


@dataclass(frozen=True, eq=False)
class RankingReport:
    """The top-k lists of all users who have test items, and what they are worth.

    Metrics of single users are (V,) float64, so that means, intervals and slices of users can be
    taken; :meth:`summary` has the means.
    """

    users: np.ndarray  # (V,) int64
    lists: np.ndarray  # (V, k) int64, best first; N where a user has fewer than k unseen items
    hit: np.ndarray  # (V, k) bool, whether a place holds a test item
    relevant: np.ndarray  # (V,) int64, |T_u|, test items that are not training items
    n_items: int
    n_excluded: int
    """Users without test items, who count nowhere."""
    categories: np.ndarray | None = None  # (N, G) bool

    @property
    def k(self) -> int:
        return self.lists.shape[1]

    def recall(self, *, capped: bool = False) -> np.ndarray:
        """Hits / |T_u|; ``capped`` divides by min(k, |T_u|), so that 1 can always be reached."""
        return self.hit.sum(axis=1) / (
            np.minimum(self.k, self.relevant) if capped else self.relevant
        )

    def precision(self) -> np.ndarray:
        """Hits / k."""
        return np.asarray(self.hit.sum(axis=1) / self.k)

    def f1(self) -> np.ndarray:
        """The harmonic mean of a user's precision and (uncapped) recall; 0 without a hit."""
        return 2 * np.asarray(self.hit.sum(axis=1)) / (self.k + self.relevant)

    def hit_rate(self) -> np.ndarray:
        """1 if the list holds a test item."""
        return np.asarray(self.hit.any(axis=1), np.float64)

    def ndcg(self) -> np.ndarray:
        """Σ 1/log2(1 + place of a hit), divided by its value for min(k, |T_u|) hits in front."""
        discount = 1 / np.log2(np.arange(2, self.k + 2))
        ideal = np.cumsum(discount)[np.minimum(self.k, self.relevant) - 1]
        return (self.hit * discount).sum(axis=1) / ideal

    def mrr(self) -> np.ndarray:
        """1 / place of the first hit, 0 where there is none within k."""
        return self.hit_rate() / (self.hit.argmax(axis=1) + 1)

    def category_coverage(self, *, of_list: bool = False) -> np.ndarray:
        """CC: distinct categories in the list / all G categories.

        ``of_list`` divides by the most that the list could hold if each item had one category,
        min(k, G). The data-valuation paper's 69.75 % at k = 20 on Beauty (G = 41, one category per
        item) exceeds 20/41, so it cannot be the plain form.
        """
        member = self._members()
        found = np.zeros((len(self.lists), member.shape[1]), dtype=bool)
        for place in self.lists.T:
            found |= member[place]
        n = member.shape[1]
        return np.asarray(found.sum(axis=1) / (min(self.k, n) if of_list else n))

    def intra_list_distance(self) -> np.ndarray:
        """ILD: the share of pairs of items in the list whose categories differ.

        Items of several categories differ if they share none; an item without any differs from all.
        0 for a list of fewer than two items.
        """
        member = self._members()
        step = max(1, PAIRS // (self.k * max(self.k, member.shape[1])))
        parts = [self._distances(member, self.lists[start : start + step])
                 for start in range(0, len(self.lists), step)]  # fmt: skip
        return np.concatenate(parts) if parts else np.zeros(0)

    def _distances(self, member: np.ndarray, lists: np.ndarray) -> np.ndarray:
        rows = member[lists].astype(np.float32)  # (v, k, G)
        real = lists < self.n_items
        shared = (rows @ rows.transpose(0, 2, 1)) > 0
        both = real[:, :, None] & real[:, None, :]
        above = np.triu(np.ones((self.k, self.k), dtype=bool), 1)
        pairs = (both & above).sum(axis=(1, 2))
        return (both & above & ~shared).sum(axis=(1, 2)) / np.maximum(pairs, 1)

    def counts(self) -> np.ndarray:
        """(N,) int64: in how many lists each item is."""
        return np.bincount(self.lists.ravel(), minlength=self.n_items + 1)[: self.n_items]

    def gini(self) -> float:
        """Σ_i (2i − n − 1)·x_i / (n·Σx) of the counts x of all n items, ascending; 0 is even."""
        x, n = np.sort(self.counts()), self.n_items
        return float(((2 * np.arange(1, n + 1) - n - 1) * x).sum() / (n * max(x.sum(), 1)))

    def summary(self) -> dict[str, float]:
        """Means over users by name, such as ``NDCG@20``; CC and ILD where there are categories."""
        means = {
            "Recall": self.recall(),
            "NDCG": self.ndcg(),
            "Precision": self.precision(),
            "F1": self.f1(),
            "HR": self.hit_rate(),
            "MRR": self.mrr(),
        }
        if self.categories is not None:
            means |= {"CC": self.category_coverage(), "ILD": self.intra_list_distance()}
        found = {f"{name}@{self.k}": float(values.mean()) for name, values in means.items()}
        return found | {f"Gini@{self.k}": self.gini()}

    def _members(self) -> np.ndarray:
        """(N + 1, G) bool: the categories of items, and none for padding."""
        if self.categories is None:
            raise ValueError(
                "Category coverage and intra-list distance need the items' categories, and this "
                "ranking has none. Give rank_all(..., categories=log.genres), on data that have "
                "genres."
            )
        return np.concatenate([self.categories, np.zeros((1, self.categories.shape[1]), bool)])
