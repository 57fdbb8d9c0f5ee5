"""LightGCN (He et al., "LightGCN: Simplifying and Powering Graph Convolution", SIGIR 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recgym.models.collaborative import CollaborativeConfig, InnerProduct, missing_graph
from recgym.models.graph import Graph, incidence, symmetric_normalised


@dataclass(frozen=True)
class LightGCNConfig(CollaborativeConfig):
    """Depth of the convolution."""

    layers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, got {self.layers}. 0 layers are mf.")


class LightGCN(InnerProduct):
    """Inner products of the means over e⁰, Ae⁰, …, Aᴸe⁰, A = D^-½[0 R; Rᵀ 0]D^-½ (Eq. 3, 4, 8).

    A user or item without an edge, of whom the paper does not speak, keeps her own embedding in
    every layer; by the formula it would shrink to e⁰/(L + 1).
    """

    name = "lightgcn"
    Config = LightGCNConfig
    config: LightGCNConfig

    def __init__(self, config: LightGCNConfig):
        super().__init__()
        self.config = config
        self.user = nn.Embedding(config.n_users, config.width)
        self.item = nn.Embedding(config.n_items, config.width)
        self.graph: Graph | None = None
        self.initialise()

    def with_graph(self, users: Tensor, items: Tensor) -> LightGCN:
        edges = incidence(users, items, self.config.n_users, self.config.n_items)
        a = symmetric_normalised(edges)
        self.graph = Graph(a)
        return self

    def vectors(self) -> tuple[Tensor, Tensor]:
        if self.graph is None:
            raise missing_graph(self)
        e = torch.cat([self.user.weight, self.item.weight])
        layers = [e]
        for _ in range(self.config.layers):
            layers.append(self.graph(layers[-1]))
        mean = torch.stack(layers).mean(dim=0)
        return mean[: self.config.n_users], mean[self.config.n_users :]
