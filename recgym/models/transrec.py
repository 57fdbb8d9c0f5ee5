"""TransRec (He, Kang & McAuley, "Translation-based Recommendation", RecSys 2017).

A user is a translation from one item to the next in a space where likely successors are near. The
authors' code overwrites t_u with its gradient; here, as in the paper, it is incremented.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recgym.models.user_item import UserItemConfig, UserItemModel, squared


@dataclass(frozen=True)
class TransRecConfig(UserItemConfig):
    """Dimension K (``width``) and regularisation; a triple adds λ/2 of the squares it uses."""

    reg: float = 0.05
    """λ of the items' places and of the common translation."""
    reg_bias: float = 0.01
    reg_user: float = 0.1
    """λ of the users' own translations."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_penalties("reg", "reg_bias", "reg_user")


class TransRec(UserItemModel):
    """s(i | u, p) = −β_i − ‖γ_p + t + t_u − γ_i‖² (Eq. 3), γ in the unit ball.

    Without a last item the path starts at the origin.
    """

    name = "transrec"
    Config = TransRecConfig
    config: TransRecConfig

    def __init__(self, config: TransRecConfig):
        super().__init__()
        self.config = config
        n, k = config.n_items, config.width
        self.place = nn.Embedding(n + 1, k, padding_idx=n)  # γ
        self.translation = nn.Parameter(torch.zeros(k))  # t
        self.own = nn.Embedding(config.n_users, k)  # t_u
        self.beta = nn.Parameter(torch.zeros(n))
        nn.init.normal_(self.place.weight[:n], std=k**-0.5)
        nn.init.zeros_(self.own.weight)
        self.after_step()

    def _next(self, user: Tensor, previous: Tensor) -> Tensor:
        return self.place(previous) + self.translation + self.own(user)

    def pair_scores(self, user: Tensor, previous: Tensor, item: Tensor) -> Tensor:
        distance = (self._next(user, previous) - self.place(item)).square().sum(dim=1)
        return -self.beta[item] - distance

    def penalty(self, user: Tensor, previous: Tensor, items: tuple[Tensor, Tensor]) -> Tensor:
        c = self.config
        places = squared(self.place(previous), *(self.place(i) for i in items))
        places = places + self.translation.square().sum()
        bias = torch.stack([self.beta[i].square() for i in items]).sum(dim=0)
        own = squared(self.own(user))
        return (c.reg * places + c.reg_bias * bias + c.reg_user * own) / 2

    def after_step(self) -> None:
        """Bring the items back into the unit ball."""
        with torch.no_grad():
            weight = self.place.weight
            weight /= weight.norm(dim=1, keepdim=True).clamp(min=1)

    def user_scores(self, histories: Tensor, users: Tensor) -> Tensor:
        if histories.shape[1] == 0:
            histories = histories.new_full((len(histories), 1), self.config.n_items)
        point, place = self._next(users, histories[:, -1]), self.place.weight[:-1]
        squares = point.square().sum(dim=1, keepdim=True) + place.square().sum(dim=1)
        return -self.beta - (squares - 2 * point @ place.T)  # ‖a − b‖² = ‖a‖² + ‖b‖² − 2 a·b
