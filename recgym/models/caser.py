"""Caser (Tang & Wang, "Personalized Top-N Sequential Recommendation via Convolutional Sequence
Embedding", WSDM 2018), without its user embedding.

The last L items are an image of L rows: horizontal filters find patterns of one to L neighbours,
vertical ones weigh the rows. The paper concatenates an embedding of the user before the output; a
simulated user is P(i | history) and has none. Cross-entropy over the whole catalogue takes the
place of five sampled negatives. The items that come out share the vectors of those that go in, so
the dense layer before them is not rectified: their signs are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recgym.models.base import ModelConfig, NextItemModel, left_fit


@dataclass(frozen=True)
class CaserConfig(ModelConfig):
    """Architecture; ``length`` is the paper's L."""

    length: int = 10
    horizontal: int = 16
    """Horizontal filters of each height 1..L (n_h)."""
    vertical: int = 4
    """Vertical filters (n_v)."""
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("horizontal", "vertical"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


class Caser(NextItemModel):
    """Tokens 0..N−1 are items, N padding, which is a row of zeros."""

    name = "caser"
    Config = CaserConfig
    config: CaserConfig

    def __init__(self, config: CaserConfig):
        super().__init__()
        self.config = config
        self.pad, n, d = config.n_items, config.n_items, config.width
        self.item = nn.Embedding(n + 1, d, padding_idx=n)
        self.horizontal = nn.ModuleList(
            nn.Conv1d(d, config.horizontal, height) for height in range(1, config.length + 1)
        )
        self.vertical = nn.Linear(config.length, config.vertical, bias=False)
        self.dense = nn.Linear(config.length * config.horizontal + config.vertical * d, d)
        self.drop = nn.Dropout(config.dropout)
        self.bias = nn.Parameter(torch.zeros(n))
        nn.init.normal_(self.item.weight[:n], std=0.02)

    def initialise_items(self, vectors: np.ndarray) -> None:
        with torch.no_grad():
            self.item.weight[: self.config.n_items] = torch.as_tensor(vectors)

    def loss(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross-entropy of the last item of each window, tokens (B, L) int64."""
        real = tokens[:, -1] != self.pad
        tokens = tokens[real]
        return F.cross_entropy(self.scores(tokens[:, :-1]), tokens[:, -1])

    def scores(self, histories: Tensor) -> Tensor:
        """Logits (B, N) of the item after each history."""
        tokens = left_fit(histories, self.config.length, self.pad)
        known = (tokens != self.pad).unsqueeze(1)
        image = self.item(tokens).transpose(1, 2) * known  # (B, d, L)
        found = [F.relu(conv(image)).amax(dim=2) for conv in self.horizontal]  # L of (B, n_h)
        weighed = self.vertical(image).flatten(1)  # (B, d·n_v)
        hidden = self.dense(self.drop(torch.cat([*found, weighed], dim=1)))
        return F.linear(hidden, self.item.weight[: self.config.n_items], self.bias)
