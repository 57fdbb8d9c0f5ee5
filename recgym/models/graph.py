"""A fixed sparse matrix as a differentiable linear map, and the matrices of graph models."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

BLOCK = 1024  # rows of a similarity matrix that exist at a time
LEVELS = 63 - BLOCK.bit_length()  # bits for a distance and a column in a sort key


class Graph:
    """x (M, d) → matrix·x (N, d), for a matrix (N, M) that is not learned.

    Differentiable any number of times, in reverse and forward mode, and under ``torch.vmap``; the
    product runs in scipy, on the CPU, in the precision of x. Immutable.
    """

    def __init__(self, matrix: Any, transposed: Graph | None = None):
        self._matrix: Any = sp.csr_matrix(matrix, dtype=np.float64)
        self._cast: dict[np.dtype, Any] = {}
        self.T = Graph(self._matrix.T, self) if transposed is None else transposed

    def __call__(self, x: Tensor) -> Tensor:
        return _Product.apply(x, self)  # pyright: ignore[reportReturnType]

    def __deepcopy__(self, memo: dict) -> Graph:
        return self

    @property
    def shape(self) -> tuple[int, int]:
        return self._matrix.shape

    @property
    def n_edges(self) -> int:
        return self._matrix.nnz

    def to_dense(self) -> np.ndarray:
        """(N, M) float64, for small ones."""
        return self._matrix.toarray()

    def product(self, x: Tensor) -> Tensor:
        """The plain product, which autograd does not see."""
        values = x.detach().cpu().numpy()
        if values.dtype not in self._cast:
            self._cast[values.dtype] = self._matrix.astype(values.dtype)
        return torch.as_tensor(self._cast[values.dtype] @ values, device=x.device)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, graph: Graph) -> Tensor:
        return graph.product(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.graph = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple:
        return ctx.graph.T(gradients[0]), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return ctx.graph(tangents[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *args: Any) -> tuple[Tensor, int]:
        x, graph = args
        columns = x.movedim(in_dims[0], 1)  # (M, B, d)
        found = graph(columns.flatten(1))
        return found.unflatten(1, columns.shape[1:]), 1


def incidence(users: Tensor, items: Tensor, n_users: int, n_items: int) -> sp.csr_matrix:
    """(U, N) float64 of zeros and ones from edges (E,), (E,); a repeated edge counts once.

    Raises:
        ValueError: columns of unequal length, or codes out of range.
    """
    u, i = (np.asarray(torch.as_tensor(column).cpu(), np.int64) for column in (users, items))
    if u.ndim != 1 or u.shape != i.shape:
        raise ValueError(
            f"The users and items of a graph's edges must be 1-D and equally long, "
            f"got {u.shape}, {i.shape}."
        )
    for what, codes, n in (("user", u, n_users), ("item", i, n_items)):
        if len(codes) and not 0 <= codes.min() <= codes.max() < n:
            raise ValueError(f"A graph's edge names a {what} outside of 0..{n - 1}.")
    matrix = sp.csr_matrix((np.ones(len(u)), (u, i)), (n_users, n_items))
    matrix.data[:] = 1.0  # duplicates were summed
    return matrix


def symmetric_normalised(incidence: sp.csr_matrix) -> sp.csr_matrix:
    """(U + N, U + N): D^-½ A D^-½ of the bipartite graph (LightGCN, Eq. 8).

    A node without an edge gets 1 on the diagonal: it keeps its own embedding through every layer.
    Edges may have weights; the degree of a node is their sum.
    """
    a = sp.bmat([[None, incidence], [incidence.T, None]], format="csr")
    degree = np.asarray(a.sum(axis=1)).ravel()
    scale = sp.diags(1 / np.sqrt(np.where(degree > 0, degree, 1)))
    return sp.csr_matrix(scale @ a @ scale + sp.diags((degree == 0).astype(np.float64)))


def row_means(incidence: sp.csr_matrix) -> sp.csr_matrix:
    """Rows divided by their sums; rows of zeros stay so."""
    degree = np.asarray(incidence.sum(axis=1)).ravel()
    return sp.csr_matrix(sp.diags(1 / np.maximum(degree, 1)) @ incidence)


def nearest_rows(incidence: sp.csr_matrix, neighbours: int) -> sp.csr_matrix:
    """(U, U) of zeros and ones: each row's most similar other rows by cosine, at most so many.

    Only rows that share a column are neighbours; ties go to the smaller index. Not symmetric: a
    popular row can be the neighbour of more rows than it has neighbours.
    """
    norms = np.sqrt(np.asarray(incidence.multiply(incidence).sum(axis=1)).ravel())
    unit = sp.csr_matrix(sp.diags(1 / np.where(norms > 0, norms, 1)) @ incidence)
    columns, n = sp.csr_matrix(unit.T), len(norms)
    bits = n.bit_length()
    levels = 1 << (LEVELS - bits)
    rows, cols = [], []
    for start in range(0, n, BLOCK):
        similar: Any = sp.coo_matrix(unit[start : start + BLOCK] @ columns)
        other = similar.row + start != similar.col
        row, col, cosine = (x[other] for x in (similar.row, similar.col, similar.data))
        # One sort of whole numbers, row | distance | column, is many times faster than of three
        # keys; and rounded distances keep the order of a sum's terms from deciding between equals.
        distance = np.rint((1 - np.minimum(cosine, 1)) * (levels - 1)).astype(np.int64)
        key = np.sort((row.astype(np.int64) * levels + distance) << bits | col)
        row, col = (key >> bits) // levels, key & ((1 << bits) - 1)
        rank = np.arange(len(key)) - np.searchsorted(row, np.arange(BLOCK))[row]
        rows.append(row[rank < neighbours] + start)
        cols.append(col[rank < neighbours])
    row, col = np.concatenate(rows), np.concatenate(cols)
    return sp.csr_matrix((np.ones(len(row)), (row, col)), (n, n))
