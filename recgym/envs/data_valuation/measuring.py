"""What a recommender is worth on held-out data, and how well weights tell planted noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from scipy.stats import rankdata

from recgym.envs.data_valuation.state import DIRECTIONS
from recgym.envs.data_valuation.worlds import World
from recgym.evaluators import ranking

if TYPE_CHECKING:
    from torch import Tensor

NEED_CATEGORIES = ("CC", "ILD")
TRIPLETS = 1 << 15  # of which vectors are gathered at a time


class Measure:
    """One metric of DIRECTIONS on the validation part, and all of them on either part.

    Raises:
        ValueError: a metric that needs categories on data without them, or k beyond the catalogue.
    """

    def __init__(self, world: World, metric: str, k: int):
        self.world, self.metric, self.k = world, metric, k
        genres = world.log.genres
        self.categories = genres if genres.any() else None
        if metric in NEED_CATEGORIES and self.categories is None:
            raise ValueError(
                f"metric={metric!r} needs the items' categories, and {world.name} has none. "
                "Choose another metric or data set."
            )
        if not 1 <= k <= world.log.n_items:
            raise ValueError(f"k must be in 1..{world.log.n_items}, the catalogue, got {k}.")

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(B,) float64: the metric of recommenders (B, P) on the validation part."""
        if self.metric == "Loss":
            return self._losses(values, test=False)
        rows = [self._of_lists(row, test=False, names=(self.metric,)) for row in values]
        return np.array([row[self.metric] for row in rows])

    def everything(self, values: np.ndarray, *, test: bool = False) -> dict[str, np.ndarray]:
        """Name → (B,) of recommenders (B, P); CC and ILD where there are categories."""
        names = [m for m in DIRECTIONS if m != "Loss"]
        if self.categories is None:
            names = [m for m in names if m not in NEED_CATEGORIES]
        rows = [self._of_lists(row, test, tuple(names)) for row in values]
        lists = {name: np.array([row[name] for row in rows]) for name in names}
        return {"Loss": self._losses(values, test), **lists}

    def _losses(self, values: np.ndarray, test: bool) -> np.ndarray:
        world = self.world
        triplets = world.test_triplets if test else world.validation_triplets
        at_a_time = max(1, TRIPLETS // triplets.user.shape[1])
        parts = [
            world.learner.losses(part, triplets.for_rows(len(part))).mean(axis=1, dtype=np.float64)
            for part in np.split(values, range(at_a_time, len(values), at_a_time))
        ]
        return np.concatenate(parts)

    def _of_lists(self, values: np.ndarray, test: bool, names: tuple[str, ...]) -> dict[str, float]:
        report = ranked(self.world, self.world.learner.scorer(values), self.k, test=test)
        return {name: float(np.mean(of_users(report, name))) for name in names}


def ranked(
    world: World,
    scorer: Callable[[Tensor], Tensor],
    k: int,
    *,
    test: bool,
    users: np.ndarray | None = None,
) -> ranking.RankingReport:
    """The lists of a recommender, which may be another than the world's, on either part.

    Training interactions, planted ones too, are in no list; nor are those of the validation part in
    lists for the test. ``users`` (V,) are those that count, None for all.
    """
    matrices, genres = world.matrices, world.log.genres
    wanted = matrices["test" if test else "measured"]
    if users is not None:
        all_of = sp.coo_matrix(wanted)
        counts = np.isin(all_of.row, users)
        entries = all_of.data[counts], (all_of.row[counts], all_of.col[counts])
        wanted = sp.csr_matrix(entries, all_of.shape)
    return ranking.rank_all(
        scorer,
        matrices["train"] + matrices["validation"] if test else matrices["train"],
        wanted,
        k,
        categories=genres if genres.any() else None,
    )


def of_users(report: ranking.RankingReport, name: str) -> np.ndarray:
    """(V,) a metric of DIRECTIONS by user; (1,) Gini, which is one number for all lists."""
    how = {
        "Recall": report.recall,
        "NDCG": report.ndcg,
        "CC": report.category_coverage,
        "ILD": report.intra_list_distance,
        "Gini": lambda: np.array([report.gini()]),
    }
    return how[name]()


def separation(kept: np.ndarray, planted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((B,) AUC of weights (B, n) against planted noise (B, n), (B,) whether it is defined).

    The chance that a true triplet weighs more than a planted one, ties counting half; 0 where a
    batch has none of either kind.
    """
    n = planted.shape[1]
    noisy = planted.sum(axis=1)
    defined = (noisy > 0) & (noisy < n)
    true = n - noisy
    if ((kept == 0) | (kept == 1)).all():  # no need to sort
        of_noisy = (kept * planted).sum(axis=1) / np.maximum(noisy, 1)
        of_true = (kept * ~planted).sum(axis=1) / np.maximum(true, 1)
        return np.where(defined, (1 + of_true - of_noisy) / 2, 0.0), defined
    ranks = rankdata(kept, axis=1)
    above = (ranks * ~planted).sum(axis=1) - true * (true + 1) / 2
    return np.where(defined, above / np.maximum(true * noisy, 1), 0.0), defined
