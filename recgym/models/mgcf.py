"""MGCF (Sun et al., "Multi-graph Convolution Collaborative Filtering", ICDM 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recgym.models.collaborative import CollaborativeConfig, InnerProduct, missing_graph
from recgym.models.graph import Graph, incidence, nearest_rows, row_means


@dataclass(frozen=True)
class MGCFConfig(CollaborativeConfig):
    """Depth of the bipartite convolution and density of the other two graphs."""

    layers: int = 2
    neighbours: int = 10
    """Most neighbours of a user among users, and of an item among items."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("layers", "neighbours"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")


class _Graphs(NamedTuple):
    items_of: Graph  # (U, N), rows sum to 1
    users_of: Graph  # (N, U), rows sum to 1
    users: Graph  # (U, U), zeros and ones
    items: Graph  # (N, N), zeros and ones


class _Side(nn.Module):
    """The matrices of users, or of items: the two kinds of node share none."""

    def __init__(self, n: int, width: int, layers: int):
        super().__init__()
        self.embedding = nn.Embedding(n, width)
        self.gather = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        self.combine = nn.ModuleList(nn.Linear(2 * width, width, bias=False) for _ in range(layers))
        self.alike = nn.Linear(width, width, bias=False)
        self.skip = nn.Linear(width, width, bias=False)


class MGCF(InnerProduct):
    """Inner products of sums of three views of a user (and, likewise, of an item).

    - Bipartite, with matrices of her side's own: h ← tanh(W_k[h ; tanh(Q_k · mean of the h of
      her items)]), from h⁰ = e, L times.
    - Alike: tanh(M · sum of the e of her neighbours), the users whose items are most similar.
    - Skip: tanh(S e).

    No public code is known; built from the description in the data-valuation paper's survey of
    backbones and in the original. Resolved here: all neighbours are used where the original
    samples them; the similar are the ``neighbours`` with the largest cosine of their columns of
    the interaction matrix, where the original tunes a threshold to about 10 of them on average;
    every layer is as wide as the embeddings; the views are added (the original's best fusion); the
    matrices have no bias, as in the original's formulas, and start as Xavier's uniform. Left open
    by the data-valuation paper: depth, widths and graph density. A node without an edge gathers
    zeros, and its two other terms remain.
    """

    name = "mgcf"
    Config = MGCFConfig
    config: MGCFConfig

    def __init__(self, config: MGCFConfig):
        super().__init__()
        self.config = config
        self.user = _Side(config.n_users, config.width, config.layers)
        self.item = _Side(config.n_items, config.width, config.layers)
        self.graphs: _Graphs | None = None
        self.initialise()

    def with_graph(self, users: Tensor, items: Tensor) -> MGCF:
        edges = incidence(users, items, self.config.n_users, self.config.n_items)
        back = edges.T.tocsr()
        self.graphs = _Graphs(
            Graph(row_means(edges)),
            Graph(row_means(back)),
            Graph(nearest_rows(edges, self.config.neighbours)),
            Graph(nearest_rows(back, self.config.neighbours)),
        )
        return self

    def vectors(self) -> tuple[Tensor, Tensor]:
        if self.graphs is None:
            raise missing_graph(self)
        user, item = self.user.embedding.weight, self.item.embedding.weight
        for k in range(self.config.layers):
            user, item = (
                self._layer(self.user, k, user, self.graphs.items_of(item)),
                self._layer(self.item, k, item, self.graphs.users_of(user)),
            )
        return (
            user + self._own(self.user, self.graphs.users),
            item + self._own(self.item, self.graphs.items),
        )

    def _layer(self, side: _Side, k: int, own: Tensor, mean: Tensor) -> Tensor:
        gathered = torch.tanh(side.gather[k](mean))
        return torch.tanh(side.combine[k](torch.cat([own, gathered], dim=1)))

    def _own(self, side: _Side, alike: Graph) -> Tensor:
        e = side.embedding.weight
        return torch.tanh(side.alike(alike(e))) + torch.tanh(side.skip(e))
