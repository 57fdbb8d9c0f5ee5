"""NeuMF (He et al., "Neural Collaborative Filtering", WWW 2017, Eq. 12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recgym.models.collaborative import Collaborative, CollaborativeConfig

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "silu": F.silu}
ELEMENTS = 1 << 19  # hidden values of the tower that all_scores holds at a time: 2 MB, in cache


@dataclass(frozen=True)
class NeuMFConfig(CollaborativeConfig):
    """Sizes of the two halves; both embed in ``width`` dimensions."""

    hidden: tuple[int, ...] = (128, 64)
    """Sizes of the tower's hidden layers, without its input of 2·width."""
    dropout: float = 0.0
    """Of the tower's inputs, in training mode; the paper has none."""

    activation: str = "relu"
    """``relu`` as in the paper, or ``silu``, smooth: then training ends where the gradient is 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "hidden", tuple(self.hidden))  # JSON has lists
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must be sizes of at least 1, got {self.hidden}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}.")
        if self.activation not in ACTIVATIONS:
            known = sorted(ACTIVATIONS)
            raise ValueError(f"activation must be one of {known}, got {self.activation!r}.")


class NeuMF(Collaborative):
    """s(u, i) = hᵀ[p_u ⊙ q_i ; MLP([p'_u ; q'_i])]: a weighted product and a tower.

    Without the final sigmoid, which belongs to the loss, and without pre-training of the halves.
    :meth:`embeddings` are those of the product (GMF).
    """

    name = "neumf"
    Config = NeuMFConfig
    config: NeuMFConfig

    def __init__(self, config: NeuMFConfig):
        super().__init__()
        self.config = config
        self.user = nn.Embedding(config.n_users, config.width)
        self.item = nn.Embedding(config.n_items, config.width)
        self.tower_user = nn.Embedding(config.n_users, config.width)
        self.tower_item = nn.Embedding(config.n_items, config.width)
        sizes = (2 * config.width, *config.hidden)
        self.tower = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.width + sizes[-1], 1)
        self.initialise()

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        x = torch.cat([self.tower_user(users), self.tower_item(items)], dim=1)
        for layer in self.tower:
            x = self.activation(layer(self.dropout(x)))
        product = self.user(users) * self.item(items)
        return self.out(torch.cat([product, x], dim=1)).squeeze(1)

    def embeddings(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        return self.user(users), self.item(items)

    def all_scores(self, users: Tensor) -> Tensor:
        """Scores (B, N), in pieces of items; always without dropout.

        The tower's first layer is applied to users and items apart: W[p; q] = W_p p + W_q q.
        """
        d, (weight, bias) = self.config.width, self.tower[0].parameters()
        of_product, of_tower = self.out.weight[0, :d], self.out.weight[0, d:]
        above = self.tower_user(users) @ weight[:, :d].T + bias  # (B, H)
        below = self.tower_item.weight @ weight[:, d:].T  # (N, H)
        step = max(1, ELEMENTS // (max(1, len(users)) * max(self.config.hidden)))
        parts = []
        for items in below.split(step):
            x = self.activation(above[:, None] + items)  # (B, step, H)
            for layer in self.tower[1:]:
                x = self.activation(layer(x))
            parts.append(x @ of_tower)
        product = (self.user(users) * of_product) @ self.item.weight.T
        return product + torch.cat(parts, dim=1) + self.out.bias
