"""Pf2Inf (IRS paper, section III-B): walk the graph of consecutive items to the objective.

Items are nodes; two are joined when some user took one right after the other; every edge costs 1.
The path runs from the last item of the history to the objective. It is planned anew at every step
from the observation alone, so a refused item or a cut horizon needs no bookkeeping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from recgym.agents.base import Agent, AgentConfig, AgentError
from recgym.data.log import InteractionLog
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.objectives import aim, final_offer, members
from recgym.models.cooccurrence import cooccurrence_counts

METHODS = ("dijkstra", "mst", "genres")


@dataclass(frozen=True)
class Pf2InfConfig(AgentConfig):
    """On which graph paths are looked for."""

    method: Literal["dijkstra", "mst", "genres"] = "dijkstra"
    """Shortest paths of unseen items, the paths of a minimum spanning tree, or shortest paths that
    alternate between items and their genres (the paper's first future work)."""
    final_offer: bool = False
    """Propose the objective with the last recommendation."""


class Pf2Inf(Agent):
    """Offers the next item of the path from the user's last item to the objective.

    ``dijkstra``: a shortest path that runs through unseen items only; among equals the step that
    the log has most often. ``mst``: the one path that the spanning tree has. ``genres``: a shortest
    path item – genre – item – …, of which the items are recommended, among equals the most
    popular: from one genre to another over items that have both. Where the path runs through seen
    items (or, for shortest paths, where the unseen ones do not connect the two), these are passed
    over: the user has taken them already. Where the graph does not join the two items
    at all, and for an empty history, the most popular unseen item: it lies in the largest
    component, from which most objectives can be reached. Refused items are avoided as seen ones
    are. Of a set the nearest member is the end of the path. In an environment with
    ``repeats="allowed"`` paths walk straight through seen items, as the paper's may.
    """

    name = "pf2inf"
    Config = Pf2InfConfig
    config: Pf2InfConfig
    problem: InfluencePath

    def __init__(self, env: Any, config: Pf2InfConfig | None = None):
        super().__init__(env, config)
        if self.config.method not in METHODS:
            raise AgentError(f"method must be one of {METHODS}, got {self.config.method!r}.")
        log = self.problem.log
        if self.config.method == "genres":
            if not log.genre_names:
                raise AgentError(f'{log.name} has no genres. Use method="dijkstra".')
            self.graph = genre_graph(log)
        else:
            self.graph = item_graph(log)
        self.tree = spanning_tree(self.graph) if self.config.method == "mst" else None
        self.popularity = log.popularity

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        legal, objective = observation["action_mask"] > 0, members(observation)
        last, goal = observation["history"][:, -1], objective & legal
        start = np.where(last < legal.shape[1], last, n_nodes(self.graph))  # padding is no node
        goal = np.where(goal.any(axis=1, keepdims=True), goal, objective)  # all refused: go near
        action = self._popular(observation)
        planned = np.zeros(len(start), dtype=bool)
        if self.tree is None:
            far = hops(self.graph, start, self._nodes(goal, False), self._nodes(legal, True))
            for row, distance in enumerate(far):
                near, times = self._ahead(int(start[row]), distance)
                leads = legal[row, near] & (distance[near] >= 0)
                near, times = near[leads], times[leads]
                if len(near):
                    action[row] = near[np.lexsort((near, -times, distance[near]))[0]]
                    planned[row] = True
        rest = np.flatnonzero(~planned)
        if len(rest):
            paths = self._paths(start[rest], self._nodes(goal[rest], False))
            for row, path in zip(rest, paths, strict=True):
                items = (i for i in path if i < legal.shape[1] and legal[row, i])
                action[row] = next(items, action[row])
        if self.config.final_offer:
            action = final_offer(observation, action, self.popularity)
        return action

    def _paths(self, start: np.ndarray, targets: np.ndarray) -> list[list[int]]:
        """Paths from ``start`` (B,) to the nearest of ``targets`` (B, V), seen items included."""
        if self.tree is not None:
            return [tree_path(self.tree, *row) for row in zip(start.tolist(), targets, strict=True)]
        far = hops(self.graph, start, targets, np.ones_like(targets))
        rows = zip(start.tolist(), far, strict=True)
        return [descend(self.graph, first, distance) for first, distance in rows]

    def _nodes(self, items: np.ndarray, genres: bool) -> np.ndarray:
        """(B, V) bool: items (B, N), and all genres or none where the graph has them as nodes."""
        return np.pad(
            items, ((0, 0), (0, n_nodes(self.graph) - items.shape[1])), constant_values=genres
        )

    def _ahead(self, start: int, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(items (n,) that can come next, how good each is among equals (n,))."""
        if self.config.method != "genres" or start >= len(self.popularity):
            return neighbours(self.graph, start)
        genres, _ = neighbours(self.graph, start)
        genres = genres[distance[genres] >= 0]
        genres = genres[distance[genres] == distance[genres].min(initial=n_nodes(self.graph))]
        near = np.unique(self.graph[genres].indices)
        return near, self.popularity[near]

    def _popular(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B,): the most popular legal item that the observation does not show as taken.

        The objective only where nothing else is left.
        """
        legal, history = observation["action_mask"] > 0, observation["history"]
        taken = np.zeros((len(legal), legal.shape[1] + 1), dtype=bool)
        taken[np.arange(len(legal))[:, None], history] = True
        others = legal & ~taken[:, :-1] & ~members(observation)
        action = np.where(others, self.popularity, -1).argmax(axis=1)
        return np.where(others.any(axis=1), action, aim(observation, self.popularity))


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
