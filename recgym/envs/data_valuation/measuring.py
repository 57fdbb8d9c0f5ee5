"""What a recommender is worth on held-out data, and how well weights tell planted noise."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from recgym.envs.data_valuation.state import DIRECTIONS
from recgym.envs.data_valuation.worlds import World
from recgym.evaluators import ranking

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
        matrices = self.world.matrices
        report = ranking.rank_all(
            self.world.learner.scorer(values),
            matrices["train"] + matrices["validation"] if test else matrices["train"],
            matrices["test" if test else "validation"],
            self.k,
            categories=self.categories,
        )
        how = {
            "Recall": lambda: report.recall().mean(),
            "NDCG": lambda: report.ndcg().mean(),
            "CC": lambda: report.category_coverage().mean(),
            "ILD": lambda: report.intra_list_distance().mean(),
            "Gini": report.gini,
        }
        return {name: float(how[name]()) for name in names}


def separation(kept: np.ndarray, planted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((B,) AUC of weights (B, n) against planted noise (B, n), (B,) whether it is defined).

    The chance that a true triplet weighs more than a planted one, ties counting half; 0 where a
    batch has none of either kind.
    """
    n = planted.shape[1]
    noisy = planted.sum(axis=1)
    defined = (noisy > 0) & (noisy < n)
    ranks = rankdata(kept, axis=1)
    true = n - noisy
    above = (ranks * ~planted).sum(axis=1) - true * (true + 1) / 2
    return np.where(defined, above / np.maximum(true * noisy, 1), 0.0), defined
