"""Matrix factorisation for B rows at once, with gradients by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from recgym.evaluators.learner.learner import Learner, Optimiser, Signals, Triplets, Weights

if TYPE_CHECKING:
    from recgym.models.collaborative import Collaborative


class _Forward(NamedTuple):
    """What the gradient needs of triplets under some parameters, which nobody writes to."""

    nodes: Tensor  # (B, 3, n) int64
    vectors: Tensor  # (B, 3, n, d)
    dots: Tensor  # (B, 2, n), x_ui and x_uj

    @property
    def margin(self) -> Tensor:
        """(B, n), x_ui − x_uj: rounded alike, whether the signals were asked for before or not."""
        return self.dots[:, 0] - self.dots[:, 1]


class StackedMF(Learner):
    """BPRMF (Rendle et al., UAI 2009): all rows in one table of vectors, one gather for all."""

    def __init__(self, model: Collaborative, optimiser: Optimiser):
        super().__init__(model, optimiser)
        if list(self.shapes) != ["user.weight", "item.weight"]:
            raise ValueError(f"StackedMF learns mf without biases, not {model.name}.")
        self.n_users, self.width = self.shapes["user.weight"]
        self.n_nodes = self.n_users + self.shapes["item.weight"][0]
        self._latest: tuple[np.ndarray, Triplets, _Forward] | None = None

    def signals(self, values: np.ndarray, triplets: Triplets) -> Signals:
        """As :meth:`Learner.signals`; a step on the same triplets goes on from here."""
        forward = self._run(values, triplets)
        norms = torch.linalg.vector_norm(forward.vectors, dim=3).numpy()
        self._latest = values, triplets, forward
        scores, loss = forward.dots.numpy(), logsigmoid(forward.margin).neg_().numpy()
        return Signals(scores[:, 0], scores[:, 1], loss, norms[:, 0], norms[:, 1], norms[:, 2])

    def losses(self, values: np.ndarray, triplets: Triplets) -> np.ndarray:
        p, q, r = self._vectors(values, triplets)
        return -logsigmoid((p * q.sub_(r)).sum(dim=2)).numpy()

    def embeddings(self, values: np.ndarray, triplets: Triplets) -> np.ndarray:
        return torch.stack(self._vectors(values, triplets), dim=2).numpy()

    def gradient(self, values: np.ndarray, triplets: Triplets, weights: np.ndarray) -> Tensor:
        forward = self._forward(values, triplets)
        p, q, r = forward.vectors.unbind(dim=1)
        w = torch.as_tensor(weights, dtype=torch.float32)
        w = w / w.sum(dim=1, keepdim=True).clamp(min=1.0)
        apart = q - r
        slope = (-w * torch.sigmoid(-forward.margin))[:, :, None]  # dℓ / d(x_ui − x_uj)
        of_item = slope * p
        parts = torch.stack([slope * apart, of_item, -of_item], dim=1)  # (B, 3, n, d)
        found = torch.zeros(len(values) * self.n_nodes, self.width)
        found.index_add_(0, forward.nodes.flatten(), parts.flatten(0, 2))
        return found.view(len(values), -1)

    def step(
        self, weights: Weights, triplets: Triplets, kept: np.ndarray, *, reuse: bool = False
    ) -> Weights:
        moved = super().step(weights, triplets, kept, reuse=reuse)
        if reuse:
            self._latest = None  # its values are other values now
        return moved

    def alignment(
        self, values: np.ndarray, triplets: Triplets, direction: np.ndarray | Tensor
    ) -> np.ndarray:
        p, q, r = self._vectors(values, triplets)
        along = torch.as_tensor(direction).numpy()
        dp, dq, dr = self._vectors(np.ascontiguousarray(along), triplets)
        slope = -torch.sigmoid(-(p * (q - r)).sum(dim=2))
        return (slope * (dp * (q - r) + p * (dq - dr)).sum(dim=2)).double().numpy()

    def _forward(self, values: np.ndarray, triplets: Triplets) -> _Forward:
        if self._latest is not None:
            seen, of, found = self._latest
            if seen is values and of is triplets:
                return found
        return self._run(values, triplets)

    def _run(self, values: np.ndarray, triplets: Triplets) -> _Forward:
        nodes = self._nodes(triplets)
        vectors = self._gathered(values, nodes)
        return _Forward(nodes, vectors, (vectors[:, 1:] * vectors[:, :1]).sum(dim=3))

    def _nodes(self, triplets: Triplets) -> Tensor:
        """(B, 3, n) int64: rows of the stacked table."""
        of_row = np.arange(len(triplets.user))[:, None] * self.n_nodes
        items = of_row + self.n_users
        nodes = (of_row + triplets.user, items + triplets.item, items + triplets.negative)
        return torch.from_numpy(np.stack(nodes, axis=1))

    def _gathered(self, values: np.ndarray, nodes: Tensor) -> Tensor:
        """(B, 3, n, d)."""
        table = torch.from_numpy(values).view(-1, self.width)
        return table.index_select(0, nodes.flatten()).view(*nodes.shape, self.width)

    def _vectors(self, values: np.ndarray, triplets: Triplets) -> tuple[Tensor, ...]:
        """Three times (B, n, d)."""
        return self._gathered(values, self._nodes(triplets)).unbind(dim=1)
