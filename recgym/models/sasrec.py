"""A causal transformer over items (SASRec, Kang & McAuley, ICDM 2018), with full softmax loss.

Cross-entropy over the whole catalogue takes the place of SASRec's one sampled negative: on small
catalogues it is affordable and ranks better.
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
class SASRecConfig(ModelConfig):
    """Architecture of the causal transformer."""

    layers: int = 2
    heads: int = 2
    dropout: float = 0.2


class SASRec(NextItemModel):
    """Tokens 0..N−1 are items, N padding; position k predicts item k + 1."""

    name = "sasrec"
    Config = SASRecConfig

    def __init__(self, config: SASRecConfig):
        super().__init__()
        self.config = config
        self.pad = config.n_items
        self.item = nn.Embedding(config.n_items + 1, config.width)
        self.position = nn.Embedding(config.length, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.bias = nn.Parameter(torch.zeros(config.n_items))
        nn.init.normal_(self.item.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)

    def initialise_items(self, vectors: np.ndarray) -> None:
        with torch.no_grad():
            self.item.weight[: self.config.n_items] = torch.as_tensor(vectors)

    def _embed(self, tokens: Tensor) -> Tensor:
        return self.drop(self.item(tokens) + self.position.weight[-tokens.shape[1] :])

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(self.norm(hidden), self.item.weight[: self.config.n_items], self.bias)

    def loss(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross-entropy of every next item, tokens (B, L) int64."""
        tokens = left_fit(tokens, self.config.length + 1, self.pad)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        x = self._embed(inputs)
        visible = visible_keys(inputs == self.pad, causal=True)
        for block in self.blocks:
            x = block(x, visible)
        real = targets != self.pad
        return F.cross_entropy(self._logits(x[real]), targets[real])

    def scores(self, histories: Tensor) -> Tensor:
        """Logits (B, N) of the item after each history; the last block runs for one position."""
        tokens = left_fit(histories, self.config.length, self.pad)
        x = self._embed(tokens)
        visible = visible_keys(tokens == self.pad, causal=True)
        for block in self.blocks[:-1]:
            x = block(x, visible)
        last: Block = self.blocks[-1]  # pyright: ignore[reportAssignmentType]
        return self._logits(last.last(x, visible[:, :, -1]))

    def scores_after(self, histories: Tensor, items: Tensor) -> Tensor:
        """Logits (B, K, N) after each history with each of the items (B, K) appended in turn.

        What comes before the appended item does not depend on it, so it is run once for all K.
        """
        tokens = left_fit(histories, self.config.length - 1, self.pad)
        x = self.drop(self.item(tokens) + self.position.weight[:-1])
        y = self.item(items) + self.position.weight[-1]
        visible = visible_keys(tokens == self.pad, causal=True)
        for block in self.blocks:
            after: Block = block  # pyright: ignore[reportAssignmentType]
            y = after.appended(y, x, tokens != self.pad)
            x = after(x, visible)
        return self._logits(y)
