"""IRN, the Influential Recommender Network (Zhu et al., ICDE 2023, section III-D).

A causal transformer over [padding | items | objective] whose every position also sees the last
one, the objective, with an extra weight that is the user's own: the Personalized Impressionability
Mask. Equation numbers are the paper's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recgym.data.log import InteractionLog
from recgym.models.base import ModelConfig, left_fit
from recgym.models.cooccurrence import starting_bias, starting_items


@dataclass(frozen=True)
class IRNConfig(ModelConfig):
    """Architecture; ``length`` counts the objective."""

    n_users: int = 1
    length: int = 60
    layers: int = 2
    heads: int = 2
    feed_forward: int = 256
    dropout: float = 0.05
    mask_type: int = 3
    """1: no extra weights; 2: w_t for every user; 3: w_t·r_u (Table V)."""
    w_t: float = 1.0
    """Weight of the objective's column."""
    w_h: float = 0.05
    """Weight of the history's columns."""
    user_width: int = 10
    """d' of the user embeddings."""
    objective_reads: bool = False
    """Whether the objective's own position attends to the items, as in the published mask.

    All positions attend to the objective, so from the second layer on each would read the items
    that it is to predict. By default the objective's position sees itself alone.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 2:
            raise ValueError(f"length must be at least 2 (an item, the objective): {self.length}.")
        if self.mask_type not in (1, 2, 3):
            raise ValueError(f"mask_type must be 1, 2 or 3, got {self.mask_type}.")
        for name in ("w_t", "w_h"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, got {getattr(self, name)}.")
        for name in ("n_users", "feed_forward", "user_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


class Layer(nn.Module):
    """A post-norm transformer layer (Eq. 4) with an additive mask on the attention logits."""

    def __init__(self, config: IRNConfig):
        super().__init__()
        d = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.feed_forward = nn.Sequential(
            nn.Linear(d, config.feed_forward), nn.ReLU(), nn.Linear(config.feed_forward, d)
        )
        self.norm_1, self.norm_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor, at: slice = slice(None)) -> Tensor:
        """x (B, L, d), mask (B, 1, L, L) float, added to the logits of all heads.

        Only the positions ``at`` are computed and returned.
        """
        (b, length, d), h = x.shape, self.heads
        query, key, value = self.qkv(x).view(b, length, 3, h, d // h).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            query[:, :, at],
            key,
            value,
            attn_mask=mask[:, :, at],
            dropout_p=self.dropout if self.training else 0.0,
        )
        x = x[:, at]
        x = self.norm_1(x + self.drop(self.out(mixed.transpose(1, 2).reshape(x.shape))))
        return self.norm_2(x + self.drop(self.feed_forward(x)))


class IRN(nn.Module):
    """Tokens 0..N−1 are items, N padding; the last column is the objective."""

    def __init__(self, config: IRNConfig):
        super().__init__()
        self.config, self.pad = config, config.n_items
        self.item = nn.Embedding(config.n_items + 1, config.width)
        self.user = nn.Embedding(config.n_users, config.user_width)
        self.impressionability = nn.Linear(config.user_width, 1)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.drop = nn.Dropout(config.dropout)
        self.project = nn.Linear(config.width, config.n_items)
        self.position: Tensor
        self.register_buffer("position", sinusoids(config.length, config.width), persistent=False)
        nn.init.normal_(self.item.weight, std=0.1)
        nn.init.normal_(self.user.weight, std=0.1)
        nn.init.zeros_(self.impressionability.weight)  # r_u = 1: training starts at type 2
        nn.init.ones_(self.impressionability.bias)

    def initialise_items(self, vectors: np.ndarray) -> None:
        """Start the items from ``vectors`` (N, d), learned from the training log.

        The projection starts from them too: on small data each item is an objective once or never,
        and from random weights copying it would have to be learned item by item.
        """
        with torch.no_grad():
            self.item.weight[: self.config.n_items] = torch.as_tensor(vectors)
            self.project.weight.copy_(torch.as_tensor(vectors))

    def r(self, user: Tensor) -> Tensor:
        """(B,): the users' impressionability r_u = W e(u) + b (Eq. 5)."""
        return self.impressionability(self.user(user)).squeeze(1)

    def mask(self, tokens: Tensor, user: Tensor, w_t: float | None = None) -> Tensor:
        """(B, 1, L, L) float: what position j (rows) sees of k (columns), and how much more.

        w_h for k ≤ j, −∞ for k > j and for padding; the objective's column has its own weight in
        every row, so that no row is without a visible key, which would make it NaN. ``w_t`` takes
        the place of the configuration's; with mask type 1 there is none.
        """
        c, (b, length) = self.config, tokens.shape
        w_h, weight = c.w_h, torch.full((b,), float(c.w_t if w_t is None else w_t))
        if c.mask_type == 1:
            w_h, weight = 0.0, torch.zeros(b)
        elif c.mask_type == 3:
            weight = weight * self.r(user)
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        causal[-1] &= c.objective_reads
        visible = causal & (tokens != self.pad)[:, None, :]
        weights = torch.where(visible, w_h, -torch.inf)[:, :, :-1]
        objective = weight[:, None, None].expand(b, length, 1)
        return torch.cat([weights, objective], dim=2)[:, None]

    def forward(self, tokens: Tensor, user: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden states (B, L, d) of tokens (B, L); ``mask`` takes the place of the model's own."""
        if mask is None:
            mask = self.mask(tokens, user)
        x = self.item(tokens) * math.sqrt(self.config.width) + self.position[-tokens.shape[1] :]
        x = self.drop(x)
        for layer in self.layers:
            x = layer(x, mask)
        return x

    def loss(self, tokens: Tensor, user: Tensor, *, objective_in_loss: bool = True) -> Tensor:
        """Mean cross-entropy of every next item (Eq. 9) of pieces (B, L) that end in i_t.

        The last prediction's target is i_t itself, which the model sees: it learns to copy it at
        that place. Without ``objective_in_loss`` that term is left out.
        """
        last = tokens.shape[1] - (1 if objective_in_loss else 2)
        hidden = self(tokens, user)[:, :last]
        targets = tokens[:, 1 : last + 1]
        real = targets != self.pad  # also an item after padding, predicted from i_t alone
        return F.cross_entropy(self.project(hidden[real]), targets[real])

    def scores(
        self,
        histories: Tensor,
        objective: Tensor,
        user: Tensor,
        gap: Tensor,
        w_t: float | None = None,
    ) -> Tensor:
        """Logits (B, N) of the next item, with ``gap`` (B,) places of padding before i_t.

        Histories (B, H) are pre-padded. What does not fit before the gap is cut off; an empty
        history has one place of padding to predict from. The gap is never computed: no position
        sees padding, so the objective follows the last item with the encoding of its own place.
        """
        length = self.config.length
        gap = gap.clamp(max=length - 2)
        longest = max(1, int((histories != self.pad).sum(dim=1).max()))
        room = min(longest, length - 1 - int(gap.min()))
        items = left_fit(histories, room, self.pad)
        place = (length - 2 - gap)[:, None] - torch.arange(room - 1, -1, -1)  # (B, room)
        tokens = torch.cat([items.where(place >= 0, self.pad), objective[:, None]], dim=1)
        place = torch.cat([place.clamp(min=0), torch.full_like(objective, length - 1)[:, None]], 1)
        mask = self.mask(tokens, user, w_t)
        x = self.drop(self.item(tokens) * math.sqrt(self.config.width) + self.position[place])
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        return self.project(self.layers[-1](x, mask, slice(room - 1, room))[:, 0])


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width) float32 positional encoding (Vaswani et al., 2017)."""
    angle = torch.arange(length)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :width].float()


def new_irn(log: InteractionLog, config: IRNConfig, init_std: float) -> IRN:
    """A network with starting weights: PPMI item vectors and biases from popularity."""
    network = IRN(config)
    if (vectors := starting_items(log, config.width, init_std)) is not None:
        network.initialise_items(vectors)
    with torch.no_grad():
        network.project.bias.copy_(torch.as_tensor(starting_bias(log)))
    return network.eval()
