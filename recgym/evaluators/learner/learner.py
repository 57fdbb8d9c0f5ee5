"""BPR of weighted triplets, for many recommenders of one architecture at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import logsigmoid
from torch.optim.adam import adam as fused

if TYPE_CHECKING:
    from recgym.models.collaborative import Collaborative


@dataclass(frozen=True)
class Optimiser:
    """Adam (Kingma and Ba, ICLR 2015), with L2 in the gradient as torch.optim.Adam has it."""

    learning_rate: float = 2e-3
    weight_decay: float = 5e-5
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epsilon"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas!r}.")
        if not 0 <= self.weight_decay < np.inf:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay}.")
        for name in ("learning_rate", "weight_decay", "epsilon"):  # 0 and np.float64 are as good
            object.__setattr__(self, name, float(getattr(self, name)))


@dataclass(frozen=True)
class Triplets:
    """B batches of n triplets each: user, an item of hers, an item that is not."""

    user: np.ndarray  # (B, n) int64
    item: np.ndarray  # (B, n) int64
    negative: np.ndarray  # (B, n) int64

    @staticmethod
    def with_many(user: np.ndarray, item: np.ndarray, negatives: np.ndarray) -> Triplets:
        """One batch (1, n·m) of pairs (n,) with m negatives (n, m) each, pair by pair.

        With weights w that add up to 1 for each pair, :meth:`Learner.step` is on the mean over
        pairs of Σ_j w_j (−log σ(x_ui − x_uj)).
        """
        m = negatives.shape[1]
        columns = (np.repeat(user, m), np.repeat(item, m), negatives.ravel())
        return Triplets(*(c[None] for c in columns))

    def for_rows(self, rows: int) -> Triplets:
        """One batch (1, n) for so many rows, without a copy."""
        columns = (self.user, self.item, self.negative)
        return Triplets(*(np.broadcast_to(c, (rows, c.shape[1])) for c in columns))


@dataclass(frozen=True)
class Weights:
    """B recommenders and the state of their optimisers."""

    values: np.ndarray  # (B, P) float32
    first: np.ndarray  # (B, P) float32, running mean of gradients
    second: np.ndarray  # (B, P) float32, of their squares
    steps: np.ndarray  # (B,) int64, of the optimiser


@dataclass(frozen=True)
class Signals:
    """What a recommender says of each triplet."""

    positive: np.ndarray  # (B, n) float32, x_ui
    negative: np.ndarray  # (B, n) float32, x_uj
    loss: np.ndarray  # (B, n) float32, −log σ(x_ui − x_uj)
    user_norm: np.ndarray  # (B, n) float32, ‖p_u‖
    item_norm: np.ndarray  # (B, n) float32, ‖q_i‖
    other_norm: np.ndarray  # (B, n) float32, ‖q_j‖


class Learner:
    """Rows of parameters of one architecture; works for any, one row after another.

    :meth:`of` takes a faster class where there is one.
    """

    def __init__(self, model: Collaborative, optimiser: Optimiser):
        self.model, self.optimiser = model.float(), optimiser
        self.shapes = {name: p.shape for name, p in model.named_parameters()}
        self.sizes = [shape.numel() for shape in self.shapes.values()]
        self.n_parameters = sum(self.sizes)
        marks = torch.tensor(["item" in name for name in self.shapes])
        # (P,) bool: what stands for items
        self.of_items = marks.repeat_interleave(torch.tensor(self.sizes))

    @staticmethod
    def of(model: Collaborative, optimiser: Optimiser) -> Learner:
        """The fastest learner for a model."""
        from recgym.evaluators.learner.stacked import StackedMF

        if model.name == "mf" and not model.config.biases:
            return StackedMF(model, optimiser)
        return Learner(model, optimiser)

    def start(self, rows: int = 1) -> Weights:
        """The model's own parameters, so many times, before the first step."""
        flat = torch.cat([p.detach().flatten() for p in self.model.parameters()]).numpy()
        values = np.tile(flat.astype(np.float32), (rows, 1))
        nothing = np.zeros_like(values)
        return Weights(values, nothing, nothing.copy(), np.zeros(rows, dtype=np.int64))

    def signals(self, values: np.ndarray, triplets: Triplets) -> Signals:
        """Of the triplets (B, n) under parameters (B, P)."""
        rows = [self._signals(*row) for row in self._rows(values, triplets)]
        return Signals(*(np.stack(column) for column in zip(*rows, strict=True)))

    def losses(self, values: np.ndarray, triplets: Triplets) -> np.ndarray:
        """(B, n) float32: −log σ(x_ui − x_uj)."""
        return self.signals(values, triplets).loss

    def embeddings(self, values: np.ndarray, triplets: Triplets) -> np.ndarray:
        """(B, n, 3, d) float32: of user, item and negative."""
        found = []
        for parameters, user, item, negative in self._rows(values, triplets):
            with torch.no_grad():
                of_user, of_item = self._loaded(parameters).embeddings(
                    user, torch.cat([item, negative])
                )
            parts = (of_user, *of_item.split(len(user)))
            found.append(torch.stack(parts, dim=1).numpy())
        return np.stack(found)

    def gradient(self, values: np.ndarray, triplets: Triplets, weights: np.ndarray) -> Tensor:
        """(B, P): of Σ w ℓ / max(1, Σ w), weights (B, n), without the L2 term."""
        found = []
        rows = self._rows(values, triplets)
        for (parameters, user, item, negative), w in zip(rows, weights, strict=True):
            leaves = {name: p.requires_grad_() for name, p in parameters.items()}
            score = functional_call(
                self.model, leaves, (user.repeat(2), torch.cat([item, negative]))
            )
            positive, other = score.split(len(user))
            w = torch.as_tensor(w)
            loss = -(w * logsigmoid(positive - other)).sum() / max(1.0, float(w.sum()))
            parts = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
            flat = [
                torch.zeros(size) if part is None else part.flatten()
                for part, size in zip(parts, self.sizes, strict=True)
            ]
            found.append(torch.cat(flat))
        return torch.stack(found)

    def alignment(
        self, values: np.ndarray, triplets: Triplets, direction: np.ndarray | Tensor
    ) -> np.ndarray:
        """(B, n) float64: ⟨∇ℓ_m, v⟩ of each triplet with a direction v (B, P).

        By differentiation along v: one forward pass carries all triplets of a row.
        """
        found = []
        for (parameters, user, item, negative), along in zip(
            self._rows(values, triplets), torch.as_tensor(direction), strict=True
        ):
            tangents = self._named(along)

            def losses(p: dict[str, Tensor], u=user, i=item, j=negative) -> Tensor:
                score = functional_call(self.model, p, (u.repeat(2), torch.cat([i, j])))
                positive, other = score.split(len(u))
                return -logsigmoid(positive - other)

            out = torch.func.jvp(losses, (parameters,), (tangents,))[1]
            found.append(out.detach().double().numpy())
        return np.stack(found)

    def step(
        self, weights: Weights, triplets: Triplets, kept: np.ndarray, *, reuse: bool = False
    ) -> Weights:
        """One step of Adam on Σ s ℓ / max(1, Σ s), s = ``kept`` (B, n) of at least 0.

        A row that keeps nothing learns nothing: its weights stay as they are, decay included.
        With ``reuse`` the result stands in the memory of ``weights``, which are gone.

        Raises:
            ValueError: weights of triplets that are NaN, infinite or negative.
        """
        kept = np.asarray(kept, dtype=np.float32)
        if not (np.isfinite(kept) & (kept >= 0)).all():
            wrong = kept[~(np.isfinite(kept) & (kept >= 0))]
            raise ValueError(
                f"Weights of triplets must be finite and at least 0; {len(wrong)} of {kept.size} "
                f"are not, such as {wrong[0]}. Correct what gives them."
            )
        idle = ~(kept > 0).any(axis=1)
        gradient = self.gradient(weights.values, triplets, kept)
        # copies, and mostly none
        before = {name: array[idle] for name, array in vars(weights).items() if idle.any()}
        moved = adam(weights, gradient, self.optimiser, reuse=reuse)
        for name, array in before.items():
            getattr(moved, name)[idle] = array
        return moved

    def scorer(self, values: np.ndarray) -> Callable[[Tensor], Tensor]:
        """Users (V,) → scores (V, N) under one row of parameters (P,), for ranking.

        It reads :meth:`recommender`, and scores with other parameters once those were loaded: use
        it before the next call.
        """
        return self.recommender(values).scorer()

    def recommender(self, values: np.ndarray) -> Collaborative:
        """The model with one row of parameters (P,): the same object each time."""
        return self._loaded(self._named(torch.from_numpy(values)))

    def _loaded(self, parameters: dict[str, Tensor]) -> Collaborative:
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(parameters[name])
        return self.model

    def _named(self, flat: Tensor) -> dict[str, Tensor]:
        parts = flat.split(self.sizes)
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def _rows(self, values: np.ndarray, triplets: Triplets):
        for row, flat in enumerate(torch.from_numpy(values)):
            yield (
                self._named(flat),
                *(
                    torch.as_tensor(np.array(a[row]))
                    for a in (triplets.user, triplets.item, triplets.negative)
                ),
            )

    def _signals(
        self, parameters: dict[str, Tensor], user: Tensor, item: Tensor, negative: Tensor
    ) -> tuple[np.ndarray, ...]:
        model, both = self._loaded(parameters), torch.cat([item, negative])
        with torch.no_grad():
            positive, other = model(user.repeat(2), both).split(len(user))
            of_user, of_item = model.embeddings(user, both)
            norms = (of_user.norm(dim=1), *of_item.norm(dim=1).split(len(user)))
        loss = -logsigmoid(positive - other)
        return tuple(t.numpy() for t in (positive, other, loss, *norms))


def adam(
    weights: Weights, gradient: Tensor, optimiser: Optimiser, *, reuse: bool = False
) -> Weights:
    """One step against a gradient (B, P); in the memory of ``weights`` with ``reuse``."""
    arrays = weights.values, weights.first, weights.second
    arrays = arrays if reuse else tuple(array.copy() for array in arrays)
    values, first, second = (torch.from_numpy(array) for array in arrays)
    fused(
        list(values),
        list(gradient),
        list(first),
        list(second),
        [],
        [torch.tensor(float(steps)) for steps in weights.steps],  # before this one
        fused=True,
        amsgrad=False,
        beta1=optimiser.betas[0],
        beta2=optimiser.betas[1],
        lr=optimiser.learning_rate,
        weight_decay=optimiser.weight_decay,
        eps=optimiser.epsilon,
        maximize=False,
    )
    return Weights(arrays[0], arrays[1], arrays[2], weights.steps + 1)
