"""Matrix factorisation (Koren, Bell and Volinsky, IEEE Computer 2009): an inner product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recgym.models.collaborative import CollaborativeConfig, InnerProduct


@dataclass(frozen=True)
class MFConfig(CollaborativeConfig):
    """Size of the factors."""

    biases: bool = False
    """Whether the score has b_u + b_i too; they start at zero."""


class MF(InnerProduct):
    """s(u, i) = p_u·q_i (+ b_u + b_i): BPRMF under the BPR loss, σ(s) under cross-entropy."""

    name = "mf"
    Config = MFConfig
    config: MFConfig

    def __init__(self, config: MFConfig):
        super().__init__()
        self.config = config
        self.user = nn.Embedding(config.n_users, config.width)
        self.item = nn.Embedding(config.n_items, config.width)
        if config.biases:
            self.user_bias = nn.Parameter(torch.zeros(config.n_users))
            self.item_bias = nn.Parameter(torch.zeros(config.n_items))
        self.initialise()

    def initialise(self, generator: torch.Generator | None = None) -> MF:
        if self.config.biases:
            nn.init.zeros_(self.user_bias)
            nn.init.zeros_(self.item_bias)
        return super().initialise(generator)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """The factors (U, d) and (N, d), without the biases."""
        return self.user.weight, self.item.weight

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        product = super().forward(users, items)
        if not self.config.biases:
            return product
        return product + self.user_bias[users] + self.item_bias[items]

    def all_scores(self, users: Tensor) -> Tensor:
        product = super().all_scores(users)
        if not self.config.biases:
            return product
        return product + self.user_bias[users][:, None] + self.item_bias

    def scorer(self) -> Callable[[Tensor], Tensor]:
        return torch.no_grad()(self.all_scores)  # nothing to compute ahead, and biases count
