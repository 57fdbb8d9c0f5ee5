"""BERT4Rec (Sun et al., CIKM 2019): a bidirectional transformer trained to fill masked items.

Two changes that small logs need: item embeddings start from co-occurrence
(:mod:`recgym.models.cooccurrence`), and blocks are pre-norm. At inference a [MASK] follows the
history and its distribution is the prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recgym.models.base import ModelConfig, NextItemModel, left_fit
from recgym.models.transformer import Block, visible_keys


@dataclass(frozen=True)
class BERT4RecConfig(ModelConfig):
    """Architecture and cloze task of BERT4Rec."""

    layers: int = 2
    heads: int = 2
    dropout: float = 0.2
    mask_share: float = 0.2
    """Share of the items of a window that is masked in training."""
    last_share: float = 0.5
    """Share of training windows in which only the last item is masked, as at inference."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("mask_share", "last_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}.")


class BERT4Rec(NextItemModel):
    """Tokens 0..N−1 are items, N padding, N + 1 the mask."""

    name = "bert4rec"
    Config = BERT4RecConfig
    config: BERT4RecConfig

    def __init__(self, config: BERT4RecConfig):
        super().__init__()
        self.config = config
        self.pad, self.mask = config.n_items, config.n_items + 1
        self.item = nn.Embedding(config.n_items + 2, config.width)
        self.position = nn.Embedding(config.length, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.head = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, config.width),
            nn.GELU(),
            nn.LayerNorm(config.width),
        )
        self.bias = nn.Parameter(torch.zeros(config.n_items))
        nn.init.normal_(self.item.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)

    def initialise_items(self, vectors: np.ndarray) -> None:
        with torch.no_grad():
            self.item.weight[: self.config.n_items] = torch.as_tensor(vectors)

    def _embed(self, tokens: Tensor) -> Tensor:
        return self.drop(self.item(tokens) + self.position.weight[-tokens.shape[1] :])

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(self.head(hidden), self.item.weight[: self.config.n_items], self.bias)

    def loss(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Cross-entropy of the masked items, tokens (B, L) int64."""
        tokens = left_fit(tokens, self.config.length, self.pad)
        real = tokens != self.pad
        draws = torch.rand(tokens.shape, generator=generator)
        masked = (draws < self.config.mask_share) & real
        only_last = torch.rand(len(tokens), generator=generator) < self.config.last_share
        masked[only_last] = False
        # a window whose draw left nothing to predict predicts its last item
        masked[:, -1] |= (only_last | ~masked.any(dim=1)) & real[:, -1]
        x = self._embed(tokens.masked_fill(masked, self.mask))
        visible = visible_keys(~real, causal=False)
        for block in self.blocks:
            x = block(x, visible)
        return F.cross_entropy(self._logits(x[masked]), tokens[masked])

    def scores(self, histories: Tensor) -> Tensor:
        """Logits (B, N) of the item after each history; the last block runs for [MASK] alone."""
        tokens = left_fit(histories, self.config.length - 1, self.pad)
        tokens = F.pad(tokens, (0, 1), value=self.mask)
        x = self._embed(tokens)
        visible = visible_keys(tokens == self.pad, causal=False)
        for block in self.blocks[:-1]:
            x = block(x, visible)
        last: Block = self.blocks[-1]  # pyright: ignore[reportAssignmentType]
        return self._logits(last.last(x, visible[:, :, -1]))

    def scores_full(self, histories: Tensor) -> Tensor:
        """The same logits by the plain forward pass over all positions; for tests and timing."""
        tokens = left_fit(histories, self.config.length - 1, self.pad)
        tokens = F.pad(tokens, (0, 1), value=self.mask)
        x = self._embed(tokens)
        visible = visible_keys(tokens == self.pad, causal=False)
        for block in self.blocks:
            x = block(x, visible)
        return self._logits(x[:, -1])
