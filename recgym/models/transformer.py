"""Transformer blocks for padded item sequences, shared by BERT4Rec and the causal transformer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention through ``scaled_dot_product_attention``."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}.")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """x (B, L, d), visible (B, 1, L, L) bool."""
        (b, q, d), h = x.shape, self.heads
        query = self.query(x).view(b, q, h, d // h).transpose(1, 2)  # (B, h, L, d/h)
        key, value = self.key_value(x).view(b, -1, 2, h, d // h).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=visible, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out(mixed.transpose(1, 2).reshape(b, q, d))

    def last(self, x: Tensor, visible: Tensor) -> Tensor:
        """Attention of the last position alone, without dropout: (B, d); visible is (B, 1, L).

        One query needs no keys and values of all positions: q·(W x_j) = (Wᵀq)·x_j and
        Σ w_j (W x_j) = W Σ w_j x_j. The keys' bias adds a constant that the softmax ignores.
        """
        (b, _, d), h = x.shape, self.heads
        to_key, to_value = self.key_value.weight.view(2, h, d // h, d)
        query = self.query(x[:, -1]).view(b, h, d // h)
        seen_from = torch.einsum("bhe,hed->bhd", query, to_key) / math.sqrt(d // h)
        logits = (seen_from @ x.transpose(1, 2)).masked_fill(~visible, -torch.inf)  # (B, h, L)
        mixed = torch.softmax(logits, dim=2) @ x  # (B, h, d)
        value = torch.einsum("bhd,hed->bhe", mixed, to_value).reshape(b, d)
        return self.out(value + self.key_value.bias[d:])

    def appended(self, y: Tensor, x: Tensor, visible: Tensor) -> Tensor:
        """Attention of K alternatives for the position after x, each of itself and of x.

        y (B, K, d), x (B, L, d), visible (B, L) bool → (B, K, d), without dropout.
        """
        (b, k, d), h = y.shape, self.heads
        query = self.query(y).view(b, k, h, d // h).transpose(1, 2)  # (B, h, K, d/h)
        key, value = self.key_value(x).view(b, -1, 2, h, d // h).permute(2, 0, 3, 1, 4)
        own_key, own_value = self.key_value(y).view(b, k, 2, h, d // h).permute(2, 0, 3, 1, 4)
        logits = (query @ key.transpose(2, 3)).masked_fill(~visible[:, None, None], -torch.inf)
        own = (query * own_key).sum(dim=3, keepdim=True)
        weight = torch.softmax(torch.cat([logits, own], dim=3) / math.sqrt(d // h), dim=3)
        mixed = weight[..., :-1] @ value + weight[..., -1:] * own_value
        return self.out(mixed.transpose(1, 2).reshape(b, k, d))


class Block(nn.Module):
    """A pre-norm transformer block: attention, then a two-layer GELU network."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.norm_1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.norm_2 = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        x = x + self.drop(self.attention(self.norm_1(x), visible))
        return x + self.drop(self.feed_forward(self.norm_2(x)))

    def last(self, x: Tensor, visible: Tensor) -> Tensor:
        """(B, d): the block's output at the last position, without dropout; visible (B, 1, L)."""
        y = x[:, -1] + self.attention.last(self.norm_1(x), visible)
        return y + self.feed_forward(self.norm_2(y))

    def appended(self, y: Tensor, x: Tensor, visible: Tensor) -> Tensor:
        """(B, K, d): the block's output for K alternatives after x, see :class:`Attention`."""
        y = y + self.attention.appended(self.norm_1(y), self.norm_1(x), visible)
        return y + self.feed_forward(self.norm_2(y))


def visible_keys(pad: Tensor, *, causal: bool) -> Tensor:
    """(B, 1, L, L) bool: which keys a query sees; no query is left with none.

    A query of padding sees at least itself: a row that sees nothing is NaN after the softmax.
    """
    length = pad.shape[1]
    eye = torch.eye(length, dtype=torch.bool, device=pad.device)
    visible = ~pad[:, None, :] | eye
    if causal:
        visible = visible & eye.new_ones(length, length).tril()
    return visible[:, None]
