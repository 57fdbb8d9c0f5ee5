"""GRU4Rec (Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks", 2016).

A gated recurrent network over a user's items. Two changes: cross-entropy over the whole catalogue
in place of the ranking losses with sampled negatives, and one matrix for the items that go in and
those that come out, as in the authors' later "constrained embedding" (CIKM 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recgym.models.base import ModelConfig, NextItemModel, left_fit


@dataclass(frozen=True)
class GRU4RecConfig(ModelConfig):
    """Architecture; the hidden state is as wide as the embeddings."""

    layers: int = 1
    dropout: float = 0.2


class GRU4Rec(NextItemModel):
    """Tokens 0..N−1 are items, N padding; the state after item k predicts item k + 1.

    Padding never reaches the recurrence: rows are moved to the left before it, and states are read
    where the items end. An empty history has the zero state, and scores as the biases say.
    """

    name = "gru4rec"
    Config = GRU4RecConfig
    config: GRU4RecConfig

    def __init__(self, config: GRU4RecConfig):
        super().__init__()
        self.config = config
        self.pad = config.n_items
        self.item = nn.Embedding(config.n_items + 1, config.width)
        self.drop = nn.Dropout(config.dropout)
        between = config.dropout if config.layers > 1 else 0.0
        self.gru = nn.GRU(
            config.width, config.width, config.layers, batch_first=True, dropout=between
        )
        self.bias = nn.Parameter(torch.zeros(config.n_items))
        nn.init.normal_(self.item.weight, std=0.02)

    def initialise_items(self, vectors: np.ndarray) -> None:
        with torch.no_grad():
            self.item.weight[: self.config.n_items] = torch.as_tensor(vectors)

    def hidden(self, tokens: Tensor) -> Tensor:
        """States (B, L, d) after each item of rows (B, L) whose padding is on the right."""
        return self.gru(self.drop(self.item(tokens)))[0]

    def _logits(self, hidden: Tensor) -> Tensor:
        weight = self.item.weight[: self.config.n_items]
        return F.linear(self.drop(hidden), weight, self.bias)

    def loss(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross-entropy of every next item, tokens (B, L) int64."""
        tokens = to_left(left_fit(tokens, self.config.length + 1, self.pad), self.pad)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        real = targets != self.pad
        return F.cross_entropy(self._logits(self.hidden(inputs)[real]), targets[real])

    def scores(self, histories: Tensor) -> Tensor:
        """Logits (B, N) of the item after each history."""
        tokens = left_fit(histories, self.config.length, self.pad)
        count = (tokens != self.pad).sum(dim=1)
        longest = max(1, int(count.max())) if len(count) else 1
        hidden = self.hidden(to_left(tokens, self.pad)[:, :longest])
        last = hidden[torch.arange(len(count)), (count - 1).clamp(min=0)]
        return self._logits(last * (count > 0)[:, None])

    def scores_after(self, histories: Tensor, items: Tensor) -> Tensor:
        """Logits (B, K, N) after each history with each of the items (B, K) appended in turn.

        The states after the history are found once, and take one step with each of the K items.
        """
        (b, k), kept = items.shape, self.config.length - 1
        tokens = left_fit(histories, max(1, kept), self.pad)
        count = (tokens != self.pad).sum(dim=1).clamp(max=kept)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.drop(self.item(to_left(tokens, self.pad))),
            count.clamp(min=1),
            batch_first=True,
            enforce_sorted=False,
        )
        state = self.gru(packed)[1] * (count > 0)[:, None]  # (layers, B, d)
        state = state.repeat_interleave(k, dim=1)
        step = self.drop(self.item(items)).reshape(b * k, 1, -1)
        return self._logits(self.gru(step, state)[0]).view(b, k, -1)


def to_left(tokens: Tensor, pad: int) -> Tensor:
    """Pre-padded rows (B, L) with their padding moved to the right."""
    missing = (tokens == pad).sum(dim=1, keepdim=True)
    place = torch.arange(tokens.shape[1]) + missing
    moved = tokens.gather(1, place.clamp(max=tokens.shape[1] - 1))
    return moved.masked_fill(place >= tokens.shape[1], pad)
