"""Stationary policies over slates: what is clicked under them, and the derivatives of that.

Every family maps weights (B, P) of B users to click probabilities Σ_E π_E 1[v ∈ E] s_v/(s_E + c).
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod

import numpy as np
import scipy.sparse as sp

from recgym.evaluators.choice.model import ChoiceModel

MOST_SLATES = 200_000
MOST_ENUMERATED = 16
NODES = 48
CHUNK = 2_000_000  # numbers of one temporary array


class PolicyFamily(ABC):
    """Policies of one kind. ``weights`` are (B, size) float64, ``scores`` (B, N)."""

    size: int
    """P, numbers that make a policy."""
    total: float
    """What the weights of a policy sum to, or sum to at most."""

    def __init__(self, model: ChoiceModel):
        self.model = model

    @abstractmethod
    def clicks(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(B, N): the probability of clicking each item."""

    @abstractmethod
    def by_profile(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        """(B, m, d): Σ_v left_v ⊗ ∂ clicks_v / ∂u, for ``left`` (B, N, m)."""

    @abstractmethod
    def by_weights(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        """(B, P): Σ_v left_v ∂ clicks_v / ∂ weights, for ``left`` (B, N)."""

    @abstractmethod
    def exposure(self) -> np.ndarray:
        """(P,): the severity that is shown per unit of each weight, a mean over the slate."""

    def check(self, weights: np.ndarray, rows: int) -> np.ndarray:
        """Weights as (B, P) float64.

        Raises:
            ValueError: a wrong shape, or weights that are negative or not finite.
        """
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape != (rows, self.size):
            raise ValueError(f"weights must have shape {(rows, self.size)}, got {weights.shape}.")
        if not ((weights >= -1e-9) & (weights < np.inf)).all():
            raise ValueError("weights must be finite and at least 0.")
        return weights

    @property
    def _vectors(self) -> np.ndarray:
        return self.model.items / self.model.temperature


class Slates(PolicyFamily):
    """Distributions over given slates: the paper's bounded cardinality.

    Args:
        slates: (M, k) int64 items; N where a place is empty.

    Raises:
        ValueError: a harmful, unknown or repeated item.
    """

    total = 1.0

    def __init__(self, model: ChoiceModel, slates: np.ndarray):
        super().__init__(model)
        slates = np.asarray(slates)
        if slates.ndim != 2 or slates.dtype.kind not in "iu" or 0 in slates.shape:
            raise ValueError(f"slates must be whole numbers of shape (M, k), got {slates.shape}.")
        n = model.n_items
        if slates.min() < 0 or slates.max() > n:
            raise ValueError(f"Items of slates must lie in 0..{n - 1}, or be {n} for none.")
        self.slates, self.size = slates.astype(np.int64), len(slates)
        rows, places = np.nonzero(slates < n)
        items = slates[rows, places]
        if model.harmful[items].any():
            item = items[model.harmful[items]][0]
            raise ValueError(f"Item {item} is harmful and cannot be in a slate.")
        member = sp.csr_matrix((np.ones(len(rows)), (rows, items)), shape=(len(slates), n))
        member.sum_duplicates()
        if member.data.size and member.data.max() > 1:
            raise ValueError("A slate holds an item twice.")
        self._member, self._of_item = member, member.T.tocsr()

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """Sums over the items of each slate: (B, N, ...) → (B, M, ...)."""
        first = np.moveaxis(values, 1, 0)
        summed = self._member @ first.reshape(len(first), -1)
        return np.moveaxis(summed.reshape(self.size, *first.shape[1:]), 0, 1)

    def clicks(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        rate = weights / (self._sum(scores) + self.model.c)
        return scores * (self._of_item @ rate.T).T

    def by_profile(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        held = self._sum(scores) + self.model.c
        rate = weights / held
        clicks = scores * (self._of_item @ rate.T).T
        direct = np.matmul((left * clicks[..., None]).transpose(0, 2, 1), self._vectors)
        shared = self._sum(left * scores[..., None]) * (rate / held)[..., None]  # (B, M, m)
        pulls = self._sum(scores[..., None] * self._vectors)  # (B, M, d)
        return direct - np.matmul(shared.transpose(0, 2, 1), pulls)

    def by_weights(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        return self._sum(left * scores) / (self._sum(scores) + self.model.c)

    def exposure(self) -> np.ndarray:
        return (self._member @ self.model.harm) / self.slates.shape[1]


class SingleItems(Slates):
    """Slates of one item each, in order: the formulas without sums over a slate."""

    def __init__(self, model: ChoiceModel):
        super().__init__(model, model.recommendable[:, None])

    def _whole(self, values: np.ndarray) -> np.ndarray:
        whole = np.zeros((len(values), self.model.n_items))
        whole[:, self.model.recommendable] = values
        return whole

    def clicks(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        s = scores[:, self.model.recommendable]
        return self._whole(weights * s / (s + self.model.c))

    def by_profile(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        s, c = scores[:, self.model.recommendable], self.model.c
        slope = self._whole(weights * s * c / (s + c) ** 2)
        return np.matmul((left * slope[..., None]).transpose(0, 2, 1), self._vectors)

    def by_weights(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        s = scores[:, self.model.recommendable]
        return left[:, self.model.recommendable] * s / (s + self.model.c)


def single_items(model: ChoiceModel) -> SingleItems:
    """Slates of one item each: k = 1."""
    return SingleItems(model)


def all_slates(model: ChoiceModel, k: int) -> Slates:
    """All C(|NH|, k) slates.

    Raises:
        ValueError: k below 1 or above |NH|, or more slates than can be listed.
    """
    n = len(model.recommendable)
    if not 1 <= k <= n:
        raise ValueError(f"k must lie in 1..{n} (the harmless items), got {k}.")
    if k == 1:
        return SingleItems(model)
    if (count := math.comb(n, k)) > MOST_SLATES:
        raise ValueError(
            f"There are {count:,} slates of {k} among {n} items, too many to list "
            f"(at most {MOST_SLATES:,}). Sample items independently instead."
        )
    chosen = np.fromiter(
        itertools.chain.from_iterable(itertools.combinations(model.recommendable, k)), np.int64
    )
    return Slates(model, chosen.reshape(-1, k))


class _Independent(PolicyFamily):
    """Every harmless item v is in the slate with probability q_v, independently.

    Args:
        k: the budget that Σ q is to keep to.
    """

    def __init__(self, model: ChoiceModel, k: float):
        super().__init__(model)
        n = len(model.recommendable)
        if not 0 < k <= n:
            raise ValueError(f"k must be positive and at most {n} (the harmless items), got {k}.")
        self.size, self.total = n, float(k)

    def check(self, weights: np.ndarray, rows: int) -> np.ndarray:
        weights = super().check(weights, rows)
        if not (weights <= 1 + 1e-5).all():  # room for differences about 1
            raise ValueError("Probabilities must be at most 1.")
        return weights

    def _all_items(self, values: np.ndarray) -> np.ndarray:
        """(B, |NH|) → (B, N), zero where harmful."""
        whole = np.zeros((len(values), self.model.n_items))
        whole[:, self.model.recommendable] = values
        return whole

    def exposure(self) -> np.ndarray:
        return self.model.harm[self.model.recommendable] / self.total


class Sampling(_Independent):
    """Independent sampling, by a one-dimensional integral instead of a sum over 2^|NH| slates.

    Since 1/(s_E + c) = ∫ exp(−t (s_E + c)) dt, the expectation over E factorises under the
    integral: with h_w = 1 − q_w + q_w e^{−t s_w},

        E[1[v ∈ E]/(s_E + c)] = ∫ e^{−tc} q_v e^{−t s_v} Π_{w ≠ v} h_w dt.

    It is taken by double-exponential quadrature (Takahasi and Mori 1974). Relative errors: below
    1e-13 while scores are below 25 c, 1e-7 below 250 c. The derivatives are those of the sum.
    """

    def __init__(self, model: ChoiceModel, k: float, nodes: int = NODES):
        super().__init__(model, k)
        x, step = np.linspace(-3.4, 3.8, nodes, retstep=True)
        self._t = np.exp(x - np.exp(-x))
        self._rate = step * self._t * (1 + np.exp(-x)) * np.exp(-self._t)

    def _parts(self, scores: np.ndarray, weights: np.ndarray):
        """Row blocks: their items with q > 0 (m,), s/c and q (b, m), E and h (b, Q, m), ωP (b, Q).

        E = e^{−ts} and h = 1 − q + qE. Items with q = 0 do not matter to what is clicked, and good
        policies have few others.
        """
        rows = max(1, CHUNK // (len(self._t) * self.size))
        for start in range(0, len(scores), rows):
            block = slice(start, start + rows)
            active = np.flatnonzero((weights[block] > 0).any(axis=0))
            s = scores[block][:, self.model.recommendable[active]] / self.model.c
            q = weights[block][:, active]
            fall = self._fall(s)
            held = (1 - q[:, None]) + q[:, None] * fall
            yield block, active, s, q, fall, held, self._rate * held.prod(axis=2)

    def _fall(self, s: np.ndarray) -> np.ndarray:
        fall = np.exp(-self._t[:, None] * s[:, None])
        return np.maximum(fall, 1e-150, out=fall)

    def clicks(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        if ((weights == 0) | (weights == 1)).all():  # slates that are certain
            worth = scores[:, self.model.recommendable] * weights
            return self._all_items(worth / (worth.sum(axis=1, keepdims=True) + self.model.c))
        found = np.zeros_like(weights)
        for block, active, s, q, fall, held, mass in self._parts(scores, weights):
            found[block, active] = q * s * np.matmul(mass[:, None], fall / held)[:, 0]
        return self._all_items(found)

    def by_profile(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        found = np.empty((len(scores), left.shape[2], self.model.width))
        t = self._t[:, None]
        for block, active, s, q, fall, held, mass in self._parts(scores, weights):
            items = self.model.recommendable[active]
            vectors, weighed = self._vectors[items], left[block][:, items]
            rate = (q * s)[:, None] * fall / held  # (b, Q, m)
            own = np.matmul(mass[:, None], rate * (1 + t * (rate - s[:, None])))[:, 0]
            direct = np.matmul((weighed * own[..., None]).transpose(0, 2, 1), vectors)
            shared = np.matmul(rate, weighed) * (mass * self._t)[..., None]
            found[block] = direct - np.matmul(shared.transpose(0, 2, 1), rate @ vectors)
        return found

    def by_weights(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        found, left = np.empty_like(weights), left[:, self.model.recommendable]
        for block, active, s, q, fall, held, mass in self._parts(scores, weights):
            per_held, worth = fall / held, left[block]
            lost = mass * np.matmul(per_held, (worth[:, active] * q * s)[..., None])[..., 0]
            scaled = scores[block][:, self.model.recommendable] / self.model.c
            if len(active) < self.size:  # h = 1 where q = 0
                every = self._fall(scaled)
                gain = np.matmul(mass[:, None], every)[:, 0] * worth * scaled
                found[block] = gain - lost.sum(axis=1)[:, None]
                found[block] += np.matmul(lost[:, None], every)[:, 0]
            gain = np.matmul(mass[:, None], per_held / held)[:, 0] * worth[:, active] * s
            found[block, active] = gain - np.matmul(lost[:, None], (1 - fall) / held)[:, 0]
        return found


class Draws(_Independent):
    """Independent sampling by Monte Carlo with common random numbers, as in the paper.

    Args:
        k: the budget of Σ q.
        uniforms: (K, |NH|) draws; item v is in slate j where ``uniforms[j, v] < q_v``.

    ``by_weights`` is the paper's multilinear derivative E[· | v in] − E[· | v out]; the estimate
    itself is a step function of q.
    """

    def __init__(self, model: ChoiceModel, k: float, uniforms: np.ndarray):
        super().__init__(model, k)
        self.uniforms = np.asarray(uniforms, dtype=np.float64)
        if self.uniforms.ndim != 2 or self.uniforms.shape[1] != self.size:
            raise ValueError(f"uniforms must have shape (K, {self.size}).")

    def _parts(self, scores: np.ndarray, weights: np.ndarray):
        scores = scores[:, self.model.recommendable]
        rows = max(1, CHUNK // self.uniforms.size)
        for start in range(0, len(scores), rows):
            block = slice(start, start + rows)
            inside = (self.uniforms < weights[block][:, None]).astype(np.float64)  # (b, K, n)
            held = np.matmul(inside, scores[block][..., None])[..., 0] + self.model.c
            yield block, scores[block], inside, held

    def clicks(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        found = np.empty_like(weights)
        for block, s, inside, held in self._parts(scores, weights):
            found[block] = s * np.matmul(1 / held[:, None], inside)[:, 0] / held.shape[1]
        return self._all_items(found)

    def by_profile(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        found = np.empty((len(scores), left.shape[2], self.model.width))
        vectors = self._vectors[self.model.recommendable]
        left = left[:, self.model.recommendable]
        for block, s, inside, held in self._parts(scores, weights):
            offered = inside * s[:, None]
            clicks = np.matmul(1 / held[:, None], offered)[:, 0]
            direct = np.matmul((left[block] * clicks[..., None]).transpose(0, 2, 1), vectors)
            shared = np.matmul(offered, left[block]) / held[..., None] ** 2
            indirect = np.matmul(shared.transpose(0, 2, 1), offered @ vectors)
            found[block] = (direct - indirect) / held.shape[1]
        return found

    def by_weights(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        found, left = np.empty_like(weights), left[:, self.model.recommendable]
        for block, s, inside, held in self._parts(scores, weights):
            own = (left[block] * s)[:, None]
            value = np.matmul(inside, own[:, 0][..., None])  # (b, K, 1)
            absent, rest = value - inside * own, held[..., None] - inside * s[:, None]
            found[block] = ((absent + own) / (rest + s[:, None]) - absent / rest).mean(axis=1)
        return found


class Subsets(_Independent):
    """Independent sampling by listing all 2^|NH| slates: the oracle of the two others."""

    def __init__(self, model: ChoiceModel, k: float):
        super().__init__(model, k)
        if self.size > MOST_ENUMERATED:
            raise ValueError(f"{self.size} harmless items are too many: at most {MOST_ENUMERATED}.")
        inside = (np.arange(2**self.size)[:, None] >> np.arange(self.size)) & 1
        self._inside = inside.astype(bool)
        self._slates = Slates(model, np.where(self._inside, model.recommendable, model.n_items))

    def _distribution(self, weights: np.ndarray) -> np.ndarray:
        """(B, 2^n): the probability of each slate."""
        chances = np.ones((len(weights), len(self._inside)))
        for item, inside in enumerate(self._inside.T):
            q = weights[:, item : item + 1]
            chances *= np.where(inside, q, 1 - q)
        return chances

    def clicks(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return self._slates.clicks(scores, self._distribution(weights))

    def by_profile(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        return self._slates.by_profile(scores, self._distribution(weights), left)

    def by_weights(self, scores: np.ndarray, weights: np.ndarray, left: np.ndarray) -> np.ndarray:
        values = self._slates.by_weights(scores, weights, left)  # (B, 2^n)
        found = np.empty_like(weights)
        for item in range(self.size):
            ends = [weights.copy(), weights.copy()]
            ends[0][:, item], ends[1][:, item] = 1, 0
            with_it, without = (self._distribution(end) for end in ends)
            found[:, item] = ((with_it - without) * values).sum(axis=1)
        return found
