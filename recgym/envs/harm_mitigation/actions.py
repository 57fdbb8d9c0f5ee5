"""What an action offers: an item, a slate, or items drawn with given probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces

from recgym.envs.harm_mitigation.state import Params
from recgym.evaluators import choice
from recgym.evaluators.choice import ChoiceModel


@dataclass(frozen=True)
class Offer:
    """What B users are offered, illegal items dropped."""

    offered: np.ndarray  # (B, k) int64 items, N where a place is empty; or (B, N) bool
    dropped: np.ndarray  # (B,) float64: the share of places whose item was dropped
    shown: np.ndarray  # (B,) float64: severity of the slate per place, a sum over items / k


class Actions(ABC):
    """One kind of action."""

    space: spaces.Space
    uniforms: int = 0
    """Random numbers that an action needs before anybody chooses."""

    def __init__(self, model: ChoiceModel, params: Params):
        self.model, self.k = model, params.k
        self.allowed = np.append(~model.harmful, True)  # (N + 1,): items, and none

    @abstractmethod
    def mask(self, rows: int) -> np.ndarray:
        """(B, A) bool: what is legal."""

    @abstractmethod
    def offer(self, action: np.ndarray, draws: np.ndarray) -> Offer:
        """The slates of B actions; ``draws`` (B, uniforms)."""

    def clicks(self, action: np.ndarray, scores: np.ndarray, offer: Offer) -> np.ndarray:
        """(B, N): the probability of clicking each item, over slates and choices."""
        return choice.clicks_of(self.model, scores, offer.offered)

    def _shown(self, items: np.ndarray) -> np.ndarray:
        return np.append(self.model.harm, 0.0)[items].sum(axis=1) / self.k


class ItemAction(Actions):
    """``Discrete(N + 1)``: an item, or N for none."""

    def __init__(self, model: ChoiceModel, params: Params):
        super().__init__(model, params)
        self.space = spaces.Discrete(model.n_items + 1)

    def mask(self, rows: int) -> np.ndarray:
        return np.tile(self.allowed, (rows, 1))

    def offer(self, action: np.ndarray, draws: np.ndarray) -> Offer:
        legal = self.allowed[action]
        items = np.where(legal, action, self.model.n_items)[:, None]
        return Offer(items, (~legal).astype(np.float64), self._shown(items))


class SlateAction(Actions):
    """``MultiDiscrete([N + 1] * k)``: k items, N for an empty place."""

    def __init__(self, model: ChoiceModel, params: Params):
        super().__init__(model, params)
        self.space = spaces.MultiDiscrete(np.full(params.k, model.n_items + 1))

    def mask(self, rows: int) -> np.ndarray:
        return np.tile(self.allowed, (rows, self.k))

    def offer(self, action: np.ndarray, draws: np.ndarray) -> Offer:
        n = self.model.n_items
        order = np.argsort(action, axis=1, kind="stable")
        ranked = np.take_along_axis(action, order, axis=1)
        repeated = np.zeros(action.shape, dtype=bool)
        again = (ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] < n)
        np.put_along_axis(repeated, order[:, 1:], again, axis=1)
        legal = self.allowed[action] & ~repeated
        items = np.where(legal, action, n)
        return Offer(items, (~legal).mean(axis=1), self._shown(items))


class ProbabilityAction(Actions):
    """``Box(−1, 1, (N,))``: q = (a + 1)/2, harmful items left out, projected onto Σ q ≤ k."""

    def __init__(self, model: ChoiceModel, params: Params):
        super().__init__(model, params)
        self.space = spaces.Box(-1.0, 1.0, (model.n_items,), np.float32)
        self.uniforms = len(model.recommendable)
        self._sampling = choice.Sampling(model, params.k)

    def mask(self, rows: int) -> np.ndarray:
        return np.tile(self.allowed[:-1], (rows, 1))

    def probabilities(self, action: np.ndarray) -> np.ndarray:
        """(B, |NH|) float64: q."""
        wanted = (action[:, self.model.recommendable].astype(np.float64) + 1) / 2
        return choice.onto_budget(wanted, self.k)

    def offer(self, action: np.ndarray, draws: np.ndarray) -> Offer:
        q = self.probabilities(action)
        offered = np.zeros((len(action), self.model.n_items), dtype=bool)
        if draws.shape[1]:
            offered[:, self.model.recommendable] = draws < q
        return Offer(offered, np.zeros(len(action)), q @ self._sampling.exposure())

    def clicks(self, action: np.ndarray, scores: np.ndarray, offer: Offer) -> np.ndarray:
        return self._sampling.clicks(scores, self.probabilities(action))


def actions_of(model: ChoiceModel, params: Params) -> Actions:
    """The kind that ``params.action`` names.

    Raises:
        ValueError: k above the number of harmless items.
    """
    n = len(model.recommendable)
    if params.k > n:
        raise ValueError(f"k must be at most {n} (the harmless items), got {params.k}.")
    kinds = {"item": ItemAction, "slate": SlateAction, "probabilities": ProbabilityAction}
    return kinds[params.action](model, params)


def encode(probability: np.ndarray, model: ChoiceModel) -> np.ndarray:
    """(B, N) float32: the action of :class:`ProbabilityAction` for q (B, |NH|)."""
    action = np.full((len(probability), model.n_items), -1.0, dtype=np.float32)
    action[:, model.recommendable] = 2 * probability - 1
    return np.clip(action, -1, 1)
