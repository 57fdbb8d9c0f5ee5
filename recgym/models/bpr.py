"""BPR-MF (Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recgym.models.user_item import UserItemConfig, UserItemModel, squared


@dataclass(frozen=True)
class BPRConfig(UserItemConfig):
    """Size and regularisation of the factors."""

    l2: float = 0.025
    """λ: each triple adds λ/2 of the squares of its parameters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_penalties("l2")


class BPR(UserItemModel):
    """s(i | u) = b_i + u·v_i: the history makes no difference."""

    name = "bpr"
    Config = BPRConfig
    config: BPRConfig

    def __init__(self, config: BPRConfig):
        super().__init__()
        self.config = config
        self.user = nn.Embedding(config.n_users, config.width)
        self.item = nn.Embedding(config.n_items, config.width)
        self.bias = nn.Parameter(torch.zeros(config.n_items))
        nn.init.normal_(self.user.weight, std=0.1)
        nn.init.normal_(self.item.weight, std=0.1)

    def pair_scores(self, user: Tensor, previous: Tensor, item: Tensor) -> Tensor:
        return (self.user(user) * self.item(item)).sum(dim=1) + self.bias[item]

    def penalty(self, user: Tensor, previous: Tensor, items: tuple[Tensor, Tensor]) -> Tensor:
        squares = squared(self.user(user), *(self.item(i) for i in items))
        squares = squares + sum(self.bias[i].square() for i in items)
        return self.config.l2 / 2 * squares

    def user_scores(self, histories: Tensor, users: Tensor) -> Tensor:
        return F.linear(self.user(users), self.item.weight, self.bias)
