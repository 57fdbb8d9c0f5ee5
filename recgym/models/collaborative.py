"""Models that score (user, item) pairs, for valuing and selecting interactions.

Their loss belongs to whoever trains them (a sum over pairs or triplets with weights), so they are
plain differentiable functions of their parameters: ``torch.func.functional_call(model, parameters,
(users, items))`` can be differentiated twice, and no forward pass changes any state.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recgym.models import collaborative_class, collaborative_names
from recgym.models.base import Settings

Init = Literal["normal", "xavier"]


@dataclass(frozen=True)
class CollaborativeConfig(Settings):
    """Fields shared by all collaborative models."""

    n_users: int
    n_items: int
    width: int = 64
    """d, the dimension of the embeddings."""
    init: Init = "normal"
    """Embeddings start as N(0, 1/d), a variance, or as Xavier's uniform."""

    def __post_init__(self) -> None:
        for name in ("n_users", "n_items", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.init not in get_args(Init):
            raise ValueError(f"init must be one of {get_args(Init)}, got {self.init!r}.")


class Collaborative(nn.Module, ABC):
    """A network that scores items for known users; higher is better, not squashed.

    Users are 0..U−1 and items 0..N−1. Subclasses define ``name``, ``Config`` and their parameters,
    and call :meth:`initialise` at the end of their constructor. All methods work in float32 and
    float64 (``model.double()``).
    """

    name: ClassVar[str]
    Config: ClassVar[type[CollaborativeConfig]]
    config: Any  # an instance of Config

    @abstractmethod
    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Scores (B,) of items (B,) for users (B,), both int64."""

    @abstractmethod
    def all_scores(self, users: Tensor) -> Tensor:
        """Scores (B, N) of every item for users (B,) int64."""

    @abstractmethod
    def embeddings(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """The final vectors (B, d) of users (B,) and (B', d) of items (B',)."""

    def scorer(self) -> Callable[[Tensor], Tensor]:
        """:meth:`all_scores` without gradients, for ranking; ask again after a training step.

        What does not depend on the users, such as a graph's convolution, is computed once.
        """
        return torch.no_grad()(self.all_scores)

    def with_graph(self, users: Tensor, items: Tensor) -> Self:
        """Set the training interactions, users (E,) and items (E,), as the graph; returns self.

        May be called again, with fewer edges or none: the graph is built from these edges alone.
        Models without a graph ignore it. The graph is not among the saved weights.

        Raises:
            ValueError: columns of unequal length, or codes out of range.
        """
        return self

    def initialise(self, generator: torch.Generator | None = None) -> Self:
        """Draw all parameters anew (from the global generator by default); returns self.

        Embeddings start as ``config.init`` says, matrices as Xavier's uniform, biases at zero.
        Drawn in float64 and then rounded, so both precisions start from the same point.
        """
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                _fill(module.weight, self.config.init, generator)
            elif isinstance(module, nn.Linear):
                _fill(module.weight, "xavier", generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        return self

    @property
    def n_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())


class InnerProduct(Collaborative):
    """Scores that are inner products of a vector for each user and each item."""

    @abstractmethod
    def vectors(self) -> tuple[Tensor, Tensor]:
        """The final vectors of all users (U, d) and all items (N, d)."""

    def embeddings(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        user, item = self.vectors()
        return F.embedding(users, user), F.embedding(items, item)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        user, item = self.embeddings(users, items)
        return (user * item).sum(dim=1)

    def all_scores(self, users: Tensor) -> Tensor:
        user, item = self.vectors()
        return F.embedding(users, user) @ item.T

    def scorer(self) -> Callable[[Tensor], Tensor]:
        with torch.no_grad():
            user, item = (vectors.detach() for vectors in self.vectors())
        return lambda users: F.embedding(users, user) @ item.T


def missing_graph(model: Collaborative) -> ValueError:
    """What to raise where a graph model is asked for scores before it has a graph."""
    return ValueError(
        f"{model.name} has no graph yet. Call with_graph(users, items) with the training "
        "interactions first; the graph is not stored with the weights."
    )


def _fill(weight: Tensor, init: Init, generator: torch.Generator | None) -> None:
    """Embeddings are (n, d), matrices (out, in)."""
    draws = torch.empty(weight.shape, dtype=torch.float64)
    if init == "normal":
        draws.normal_(0.0, 1 / math.sqrt(weight.shape[1]), generator=generator)
    else:
        bound = math.sqrt(6 / sum(weight.shape))
        draws.uniform_(-bound, bound, generator=generator)
    with torch.no_grad():
        weight.copy_(draws)


__all__ = [
    "Collaborative",
    "CollaborativeConfig",
    "InnerProduct",
    "collaborative_class",
    "collaborative_names",
    "missing_graph",
]
