"""Transformer blocks for padded item sequences, shared by BERT4Rec and the causal transformer."""

from __future__ import annotations

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

    def forward(self, x: Tensor, visible: Tensor, queries: Tensor | None = None) -> Tensor:
        """x (B, L, d), visible (B or 1, 1, Q, L) bool, queries (B, Q, d) or None for all of x."""
        queries = x if queries is None else queries
        (b, q, d), h = queries.shape, self.heads
        query = self.query(queries).view(b, q, h, d // h).transpose(1, 2)  # (B, h, Q, d/h)
        key, value = self.key_value(x).view(b, -1, 2, h, d // h).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=visible, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out(mixed.transpose(1, 2).reshape(b, q, d))


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
        """The block's output at the last position only, (B, 1, d); visible is (B, 1, 1, L)."""
        normed = self.norm_1(x)
        y = x[:, -1:] + self.drop(self.attention(normed, visible, normed[:, -1:]))
        return y + self.drop(self.feed_forward(self.norm_2(y)))


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
