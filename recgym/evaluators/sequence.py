"""P(i | s): how likely a simulated user is to consume item i after the history s."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from recgym.models.base import NextItemModel


CHUNK = 64
"""Rows per forward pass: activations that fit a core's cache run 1.4 times as fast as 256."""


class SequenceEvaluator(ABC):
    """A frozen model of a user's next item.

    Contract, checked by :func:`recgym.testing.check_sequence_evaluator`: :meth:`log_prob` is
    normalised over all N items (seen ones included), finite, independent of the other rows of
    the batch (to 1e-5 for networks, exactly for tables), defined for an empty history, the same
    through :meth:`log_prob_after`, and it refuses unknown items.
    """

    name: str
    n_items: int
    length: int
    """Longest history that is looked at; earlier events make no difference."""
    tau: float
    """Mean log P(held-out next item | history): how likely users' real choices are (nats)."""
    fingerprint: str
    card: Mapping[str, Any]

    @abstractmethod
    def _log_prob(self, histories: np.ndarray) -> np.ndarray:
        """(B, L) int64, checked → (B, N) float32."""

    def log_prob(self, histories: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, N) float32 of the next item.

        Args:
            histories: (B, L) integers, items 0..N−1 in order of time, padded with N on the left.

        Raises:
            ValueError: a wrong shape or an item outside 0..N.
            FloatingPointError: the model returned NaN or infinity (NaN would rank first).
        """
        return self._finite(self._log_prob(self._known(histories, "histories", self.n_items)))

    def log_prob_after(self, histories: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, K, N) float32 of what follows each of K items, tried in turn.

        Equal to :meth:`log_prob` of the histories with the item appended, and faster where the
        model is causal.

        Args:
            histories: (B, L) integers, as for :meth:`log_prob`.
            items: (B, K) integers 0..N−1, what is appended.

        Raises:
            ValueError: a wrong shape or an unknown item.
            FloatingPointError: the model returned NaN or infinity.
        """
        histories = self._known(histories, "histories", self.n_items)
        items = self._known(items, "items", self.n_items - 1)
        if len(items) != len(histories):
            raise ValueError(
                f"{self.name}: {len(items)} rows of items, {len(histories)} histories."
            )
        return self._finite(self._log_prob_after(histories, items))

    def _log_prob_after(self, histories: np.ndarray, items: np.ndarray) -> np.ndarray:
        """(B, L), (B, K) int64, checked → (B, K, N) float32."""
        (b, k), length = items.shape, histories.shape[1]
        after = np.empty((b, k, length + 1), dtype=np.int64)
        after[:, :, :-1], after[:, :, -1] = histories[:, None], items
        return self._log_prob(after.reshape(b * k, -1)).reshape(b, k, -1)

    def _known(self, items: np.ndarray, what: str, largest: int) -> np.ndarray:
        items = np.asarray(items)
        if items.ndim != 2 or items.dtype.kind not in "iu":
            raise ValueError(
                f"{self.name}: {what} must be integers with two axes, rows first, got "
                f"{items.dtype} of shape {items.shape}."
            )
        if items.size and (items.min() < 0 or items.max() > largest):
            bad = items[(items < 0) | (items > largest)][0]
            raise ValueError(
                f"{self.name}: unknown item {bad} in {what}. Items are 0..{self.n_items - 1}, "
                f"padding is {self.n_items}."
            )
        return items

    def _finite(self, result: np.ndarray) -> np.ndarray:
        if not np.isfinite(result).all():
            rows = np.flatnonzero(~np.isfinite(result.reshape(len(result), -1)).all(axis=1))
            raise FloatingPointError(
                f"{self.name}: scores of row {rows[0]} (and {len(rows) - 1} more) are not finite."
            )
        return result

    def __deepcopy__(self, memo: dict) -> SequenceEvaluator:
        return self  # frozen, and large

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.n_items:,} items, τ={self.tau:.2f})"


class NetworkEvaluator(SequenceEvaluator):
    """A trained :class:`recgym.models.base.NextItemModel`, one forward pass per call."""

    def __init__(self, model: NextItemModel, card: Mapping[str, Any], *, name: str | None = None):
        self.model = model.eval().requires_grad_(False)
        self.name = name or model.name
        self.card = card
        self.n_items = model.config.n_items
        self.length = model.config.length - (model.name == "bert4rec")  # [MASK] takes a place
        self.tau = float(card["tau"])
        self.fingerprint = str(card["weights_sha256"])

    @classmethod
    def read(cls, folder: Path, *, name: str | None = None) -> NetworkEvaluator:
        """The one stored in ``folder``; ``StoreError`` if what is there cannot be one."""
        from recgym.models import store
        from recgym.models.base import NextItemModel

        model, card = store.load_model(folder)
        if not isinstance(model, NextItemModel):
            raise store.StoreError(
                f"{folder} holds a {model.name}, which is no model of histories alone."
            )
        return cls(model, card, name=name)

    def _log_prob(self, histories: np.ndarray) -> np.ndarray:
        import torch

        tokens = torch.from_numpy(np.ascontiguousarray(histories[:, -self.length :], np.int64))
        with torch.inference_mode():
            parts = [
                torch.log_softmax(self.model.scores(part), dim=1) for part in tokens.split(CHUNK)
            ]
            return parts[0].numpy() if len(parts) == 1 else torch.cat(parts).numpy()

    def _log_prob_after(self, histories: np.ndarray, items: np.ndarray) -> np.ndarray:
        import torch

        # the item that is appended takes a place
        kept = np.ascontiguousarray(histories[:, histories.shape[1] - self._before(histories) :])
        tokens = torch.from_numpy(kept.astype(np.int64))
        tried = torch.from_numpy(np.ascontiguousarray(items, np.int64))
        rows = max(1, CHUNK // max(1, items.shape[1] // 8))
        with torch.inference_mode():
            parts = [
                torch.log_softmax(self.model.scores_after(*part), dim=2)
                for part in zip(tokens.split(rows), tried.split(rows), strict=True)
            ]
            return torch.cat(parts).numpy()

    def _before(self, histories: np.ndarray) -> int:
        return min(histories.shape[1], self.length - 1)


class MarkovEvaluator(SequenceEvaluator):
    """A first-order Markov user: the next item depends on the last one alone. Exact.

    Args:
        log_transition: (N + 1, N) float; row i is log P(· | last item i), row N the start.
    """

    length = 1

    def __init__(self, log_transition: np.ndarray, *, tau: float, name: str = "markov"):
        table = np.asarray(log_transition, dtype=np.float64)
        if table.ndim != 2 or table.shape[0] != table.shape[1] + 1:
            raise ValueError(f"log_transition must have shape (N + 1, N), got {table.shape}.")
        if not np.allclose(np.exp(table).sum(axis=1), 1, atol=1e-6):
            raise ValueError("Each row of log_transition must be a distribution that sums to 1.")
        self.table = table.astype(np.float32)
        self.table.flags.writeable = False
        self.name, self.tau, self.n_items = name, tau, table.shape[1]
        self.fingerprint = hashlib.sha256(self.table.tobytes()).hexdigest()
        self.card = {"model": "markov", "tau": tau}

    def _log_prob(self, histories: np.ndarray) -> np.ndarray:
        if histories.shape[1] == 0:
            histories = np.full((len(histories), 1), self.n_items)
        return self.table[histories[:, -1]]
