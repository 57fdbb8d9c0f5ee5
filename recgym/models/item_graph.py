"""Graphs of items, of which one follows another, and paths in them (IRS paper, section III-B)."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from recgym.data.log import InteractionLog
from recgym.models.cooccurrence import cooccurrence_counts


def item_graph(log: InteractionLog) -> sp.csr_matrix:
    """(N, N) symmetric: how often two items stand next to each other in a history."""
    graph = cooccurrence_counts(log, 1)
    graph.setdiag(0)  # a repeated item leads nowhere
    graph.eliminate_zeros()
    return graph.tocsr()


def genre_graph(log: InteractionLog) -> sp.csr_matrix:
    """(N + G, N + G) symmetric 0/1: items, then genres; an item is joined to each of its genres."""
    genres = sp.csr_matrix(log.genres.astype(np.float64))
    return sp.csr_matrix(sp.bmat([[None, genres], [genres.T, None]]))


def spanning_tree(graph: sp.csr_matrix) -> sp.csr_matrix:
    """(N, N) symmetric 0/1: a minimum spanning tree of each component, every edge costing 1.

    With equal costs every spanning tree is minimal; this is the one of the most frequent pairs.
    """
    tree = minimum_spanning_tree(graph.power(-1.0)).astype(bool)
    return sp.csr_matrix(tree + tree.T, dtype=np.float64)


def n_nodes(graph: sp.csr_matrix) -> int:
    return len(np.asarray(graph.indptr)) - 1


def neighbours(graph: sp.csr_matrix, item: int) -> tuple[np.ndarray, np.ndarray]:
    """(neighbours (n,), weights of their edges (n,)); none for padding."""
    indices, weights = np.asarray(graph.indices), np.asarray(graph.data)
    row = slice(*np.asarray(graph.indptr)[item : item + 2]) if item < n_nodes(graph) else slice(0)
    return indices[row], weights[row]


def hops(
    graph: sp.csr_matrix, start: np.ndarray, targets: np.ndarray, allowed: np.ndarray
) -> np.ndarray:
    """(B, N) int64: edges from each node to the nearest target over ``allowed`` (B, N) nodes.

    All rows search breadth-first from their ``targets`` (B, N) bool, one level of all of them per
    sparse product. A row's search ends at the level of an allowed neighbour of ``start`` (B,);
    what it did not reach is −1.
    """
    n = n_nodes(graph)
    around = graph[np.where(start < n, start, 0)].astype(bool)  # (B, N) sparse
    distance = np.full(targets.shape, -1)
    frontier = targets & (start < n)[:, None]
    level = 0
    while frontier.any():
        distance[frontier] = level
        arrived = np.asarray(around.multiply(frontier & allowed).sum(axis=1)).ravel() > 0
        frontier[arrived] = False
        reached = sp.csr_matrix(frontier, dtype=np.float32) @ graph
        frontier = np.zeros_like(frontier)
        frontier[reached.nonzero()] = True
        frontier &= allowed & (distance < 0)
        level += 1
    return distance


def descend(graph: sp.csr_matrix, start: int, distance: np.ndarray) -> list[int]:
    """The nodes after ``start`` on a shortest path, by ``distance`` (N,) to its end; [] if none."""
    path: list[int] = []
    node = int(start)
    while not path or distance[path[-1]] > 0:
        near, _ = neighbours(graph, node)
        near = near[distance[near] >= 0]
        if len(near) == 0:
            return []
        node = int(near[distance[near].argmin()])
        path.append(node)
    return path


def tree_path(tree: sp.csr_matrix, start: int, targets: np.ndarray) -> list[int]:
    """The nodes after ``start`` on the tree's path to the nearest of ``targets`` (N,) bool.

    [] if there is none. Paths of a tree are long: level by level for all rows, as :func:`hops`
    searches, is slower.
    """
    if start >= n_nodes(tree):
        return []
    order, before = breadth_first_order(tree, start)
    reached = order[1:][targets[order[1:]]]
    if len(reached) == 0:
        return []
    path = [int(reached[0])]
    while before[path[-1]] != start:
        path.append(int(before[path[-1]]))
    return path[::-1]
