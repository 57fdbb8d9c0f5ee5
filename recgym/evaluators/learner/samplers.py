"""Where a triplet's negative comes from: uniform, by popularity, by rank, by importance.

Every sampler draws items that the user has not taken. What it needs to know of the recommender it
learns at the start of an epoch (and AOBPR between), so an epoch can be repeated from its start.
"""

from __future__ import annotations

import functools
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from recgym.evaluators.influence import draw_negatives

REDRAWS = 50  # of an item that the user has taken; then a uniform one is drawn
Vectors = Callable[[], tuple[np.ndarray, np.ndarray]]
"""The recommender's vectors of all users (U, d) and all items (N, d) as they are now."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """What is learnt from, (R,) int64 each: user, item."""

    user: np.ndarray
    item: np.ndarray
    n_items: int

    @functools.cached_property
    def taken(self) -> np.ndarray:
        """(R,) sorted codes user · N + item: no negatives."""
        return np.sort(self.user * self.n_items + self.item)

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """(N,) int64: interactions of each item."""
        return np.bincount(self.item, minlength=self.n_items)

    def untaken(
        self,
        user: np.ndarray,
        propose: Callable[[np.ndarray], np.ndarray],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """(n,) items for users (n,) that these have not taken.

        ``propose`` gives items for the places (k,) that want one; it is asked again for those that
        were taken, and after :data:`REDRAWS` times a uniform draw fills what is left.
        """
        places = np.arange(len(user))
        drawn = propose(places)
        for _ in range(REDRAWS):
            codes = user[places] * self.n_items + drawn[places]
            found = np.minimum(np.searchsorted(self.taken, codes), len(self.taken) - 1)
            places = places[self.taken[found] == codes]
            if len(places) == 0:
                return drawn
            drawn[places] = propose(places)
        drawn[places] = draw_negatives(user[places], self.taken, self.n_items, rng)
        return drawn


class Sampler(ABC):
    """Draws m negatives for each positive, and says how much each of the m counts."""

    m: int = 1

    def __init__(self, interactions: Interactions):
        self.of = interactions

    def start_epoch(  # noqa: B027 - most samplers know nothing that they could forget
        self, vectors: Vectors, rng: np.random.Generator
    ) -> None:
        """Forget what was known of the recommender, and learn it anew."""

    @abstractmethod
    def draw(self, user: np.ndarray, vectors: Vectors, rng: np.random.Generator) -> np.ndarray:
        """(n, m) int64 items that users (n,) have not taken."""

    def importance(self, negative_scores: np.ndarray, user: np.ndarray, negatives: np.ndarray):
        """(n, m) weights of negatives (n, m) with scores x_uj (n, m); rows add up to 1."""
        return np.full(negatives.shape, 1 / negatives.shape[1])


class Uniform(Sampler):
    """BPR (Rendle et al., UAI 2009): every item alike."""

    def draw(self, user: np.ndarray, vectors: Vectors, rng: np.random.Generator) -> np.ndarray:
        return draw_negatives(user, self.of.taken, self.of.n_items, rng)[:, None]


class Popularity(Sampler):
    """WBPR (Gantner et al., KDD Cup 2011): the item of another observed pair, drawn uniformly."""

    def draw(self, user: np.ndarray, vectors: Vectors, rng: np.random.Generator) -> np.ndarray:
        item = self.of.item

        def propose(places: np.ndarray) -> np.ndarray:
            return item[rng.integers(0, len(item), len(places))]

        return self.of.untaken(user, propose, rng)[:, None]


class Adaptive(Sampler):
    """AOBPR (Rendle and Freudenthaler, WSDM 2014): items that rank high on a factor of the user.

    A rank r ∝ exp(−(r + 1)/λ) and a factor f ∝ |p_uf|·std(q_·f); the item is at place r of factor
    f, from the end where p_uf < 0. Vectors are those of the last ordering, every N·log N draws.

    Args:
        share: λ / N.
    """

    def __init__(self, interactions: Interactions, share: float = 0.1):
        super().__init__(interactions)
        if not 0 < share < math.inf:
            raise ValueError(f"share must be positive, got {share}.")
        n = interactions.n_items
        chance = np.exp(-np.arange(1, n + 1) / (share * n))
        self._ranks = _cumulated(chance)
        self._every = max(1, round(n * math.log(n)))
        self._left = 0

    def start_epoch(self, vectors: Vectors, rng: np.random.Generator) -> None:
        self._left = 0

    def _order(self, vectors: Vectors) -> None:
        users, items = vectors()
        self._order_of = np.argsort(-items, axis=0, kind="stable")  # (N, d)
        self._users, self._spread = users, items.std(axis=0)
        self._left = self._every

    def draw(self, user: np.ndarray, vectors: Vectors, rng: np.random.Generator) -> np.ndarray:
        if self._left <= 0:
            self._order(vectors)
        self._left -= len(user)
        p = self._users[user]
        factors = np.cumsum(np.abs(p) * self._spread + 1e-12, axis=1)  # (n, d)
        n = self.of.n_items

        def propose(places: np.ndarray) -> np.ndarray:
            rank = np.searchsorted(self._ranks, rng.random(len(places)), side="right")
            mine = factors[places]
            factor = (mine < rng.random((len(places), 1)) * mine[:, -1:]).sum(axis=1)
            rank = np.where(p[places, factor] < 0, n - 1 - rank, rank)
            return self._order_of[rank, factor]

        return self.of.untaken(user, propose, rng)[:, None]


class ImportanceSampling(Sampler):
    """PRIS (Lian et al., WWW 2020): several negatives from q, weighed towards p ∝ exp(x_uj).

    weights softmax_j(x_uj − log q_j) = softmax_j(−(x_ui − x_uj) − log q_j). q is the ``base``
    distribution; with ``clusters``, q_j ∝ base_j·exp(p_u·centre of j's cluster), k-means of the
    items' vectors at the start of each epoch.

    Args:
        m: negatives of each positive.
        base: ``"uniform"`` or ``"popularity"``.
        clusters: how many, 0 for none.
    """

    def __init__(
        self, interactions: Interactions, base: str = "uniform", clusters: int = 0, m: int = 5
    ):
        super().__init__(interactions)
        if base not in ("uniform", "popularity"):
            raise ValueError(f'base must be "uniform" or "popularity", got {base!r}.')
        if m < 1 or clusters < 0:
            raise ValueError(f"m must be at least 1 and clusters at least 0, got {m}, {clusters}.")
        self.m, self.n_clusters = m, min(clusters, interactions.n_items)
        n = interactions.n_items
        self._base = np.ones(n) if base == "uniform" else interactions.counts.astype(float)
        self._cluster, self._order = np.zeros(n, dtype=np.int64), np.arange(n)
        self._arrange()

    def start_epoch(self, vectors: Vectors, rng: np.random.Generator) -> None:
        if self.n_clusters:
            self._users, items = vectors()
            self._centres, self._cluster = clusters(items, self.n_clusters, rng)
            self._order = np.argsort(self._cluster, kind="stable")
            self._arrange()

    def _arrange(self) -> None:
        """Running sums of the base over items that stand cluster by cluster."""
        running = np.cumsum(self._base[self._order])
        sizes = np.bincount(self._cluster, minlength=max(1, self.n_clusters))
        self._running = np.concatenate([[0.0], running])
        self._starts = self._running[np.concatenate([[0], np.cumsum(sizes)])]
        self._mass = np.diff(self._starts)

    def _clusters_of(self, user: np.ndarray) -> np.ndarray:
        """(n, K): chances of the clusters, up to a factor."""
        if not self.n_clusters:
            return np.ones((len(user), 1))
        affinity = self._users[user] @ self._centres.T
        return np.exp(affinity - affinity.max(axis=1, keepdims=True)) * self._mass

    def draw(self, user: np.ndarray, vectors: Vectors, rng: np.random.Generator) -> np.ndarray:
        of_each = np.repeat(np.arange(len(user)), self.m)
        chances = np.cumsum(self._clusters_of(user), axis=1)

        def propose(places: np.ndarray) -> np.ndarray:
            mine = chances[of_each[places]]
            u = rng.random((len(places), 1)) * mine[:, -1:]
            cluster = np.minimum((mine <= u).sum(axis=1), mine.shape[1] - 1)
            at = self._starts[cluster] + rng.random(len(places)) * self._mass[cluster]
            place = np.searchsorted(self._running, at, side="right") - 1
            return self._order[np.minimum(place, len(self._order) - 1)]

        return self.of.untaken(user[of_each], propose, rng).reshape(len(user), self.m)

    def importance(self, negative_scores: np.ndarray, user: np.ndarray, negatives: np.ndarray):
        # an item without interactions comes by the uniform redraw only; it counts as one
        log_q = np.log(np.maximum(self._base[negatives], 1.0))
        if self.n_clusters:
            centres = self._centres[self._cluster[negatives]]  # (n, m, d)
            log_q = log_q + np.einsum("nd,nmd->nm", self._users[user], centres)
        logits = negative_scores - log_q
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


SAMPLERS: Mapping[str, Callable[[Interactions], Sampler]] = {
    "uniform": Uniform,
    "wbpr": Popularity,
    "aobpr": Adaptive,
    "pris_uniform": ImportanceSampling,
    "pris_popularity": functools.partial(ImportanceSampling, base="popularity"),
    "pris_cluster": functools.partial(ImportanceSampling, clusters=100),
    "pris_cluster_popularity": functools.partial(
        ImportanceSampling, base="popularity", clusters=100
    ),
}
"""By name, with the settings of the papers."""


def clusters(
    vectors: np.ndarray, k: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(centres (K, d), cluster (N,) int64) of k-means, with at most N clusters."""
    from scipy.cluster.vq import kmeans2

    k = min(k, len(vectors))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # it has no mass then
        centres, cluster = kmeans2(vectors.astype(np.float64), k, minit="points", rng=rng)
    return centres, cluster.astype(np.int64)


def _cumulated(chances: np.ndarray) -> np.ndarray:
    """(N,) running sums that end above any number below 1."""
    running = np.cumsum(chances)
    running /= running[-1]
    running[-1] = 1.0
    return running
