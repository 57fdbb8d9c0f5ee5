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
from scipy.sparse.csgraph import minimum_spanning_tree

from recgym.agents.base import Agent, AgentConfig, AgentError
from recgym.data.log import InteractionLog
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.models.cooccurrence import cooccurrence_counts

METHODS = ("dijkstra", "mst")


@dataclass(frozen=True)
class Pf2InfConfig(AgentConfig):
    """On which graph paths are looked for."""

    method: Literal["dijkstra", "mst"] = "dijkstra"
    """Shortest paths of unseen items, or the paths of a minimum spanning tree."""
    final_offer: bool = False
    """Propose the objective with the last recommendation."""


class Pf2Inf(Agent):
    """Offers the next item of the path from the user's last item to the objective.

    ``dijkstra``: a shortest path that runs through unseen items only; among equals the step that
    the log has most often. ``mst``: the one path that the spanning tree has. Where that path runs
    through seen items (or, for ``dijkstra``, where the unseen ones do not connect the two), these
    are passed over: the user has taken them already. Where the graph does not join the two items
    at all, and for an empty history, the most popular unseen item: it lies in the largest
    component, from which most objectives can be reached. After a refusal, which would meet the
    same plan again, the steps taken choose another first step that leads to the objective.
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
        self.graph = item_graph(log)
        self.tree = spanning_tree(self.graph) if self.config.method == "mst" else None
        self.popularity = log.popularity

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        legal = observation["action_mask"] > 0
        start, objective = observation["history"][:, -1], observation["objective"]
        plans: list[list[int]] = [[] for _ in objective]
        if self.tree is None:
            refused = observation["last_accepted"] == 0
            far = hops(self.graph, start, objective, legal, whole=refused)
            plans = [self._first_steps(*row) for row in zip(start, far, strict=True)]
        open_rows = np.array([row for row, plan in enumerate(plans) if not plan], dtype=np.int64)
        if len(open_rows):
            graph = self.graph if self.tree is None else self.tree
            far = hops(
                graph, start[open_rows], objective[open_rows], np.ones_like(legal[open_rows])
            )
            for row, distance in zip(open_rows, far, strict=True):
                path = descend(graph, int(start[row]), distance)
                plans[row] = [item for item in path if legal[row, item]]

        others = legal.copy()
        others[np.arange(len(objective)), objective] = False
        action = np.where(others, self.popularity, -1).argmax(axis=1)
        action = np.where(others.any(axis=1), action, objective)
        turn = self.problem.params.horizon - observation["steps_left"]
        turn = np.where(observation["last_accepted"] > 0, 0, turn)
        for row, plan in enumerate(plans):
            if plan:
                action[row] = plan[turn[row] % len(plan)]
        if self.config.final_offer:
            action = np.where(observation["steps_left"] == 1, objective, action)
        return action

    def _first_steps(self, start: int, distance: np.ndarray) -> list[int]:
        """Unseen neighbours of ``start`` that lead to the objective, the best first."""
        near, times = neighbours(self.graph, start)
        leads = distance[near] >= 0
        near, times = near[leads], times[leads]
        return near[np.lexsort((near, -times, distance[near]))].tolist()


def item_graph(log: InteractionLog) -> sp.csr_matrix:
    """(N, N) symmetric: how often two items stand next to each other in a history."""
    graph = cooccurrence_counts(log, 1)
    graph.setdiag(0)  # a repeated item leads nowhere
    graph.eliminate_zeros()
    return graph.tocsr()


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
    graph: sp.csr_matrix,
    start: np.ndarray,
    target: np.ndarray,
    allowed: np.ndarray,
    whole: np.ndarray | bool = False,
) -> np.ndarray:
    """(B, N) int64: edges from each node to ``target`` (B,) over ``allowed`` (B, N) nodes.

    All rows search breadth-first from the target, one level of all of them per sparse product. A
    row's search ends at the level of a neighbour of ``start`` (B,), or covers the ``whole`` (B,)
    component; what it did not reach is −1.
    """
    rows, n = np.arange(len(target)), n_nodes(graph)
    around = graph[np.where(start < n, start, 0)].astype(bool)  # (B, N) sparse
    distance = np.full((len(rows), n), -1)
    frontier = np.zeros((len(rows), n), dtype=bool)
    frontier[rows, target] = start < n
    level = 0
    while frontier.any():
        distance[frontier] = level
        arrived = np.asarray(around.multiply(frontier).sum(axis=1)).ravel() > 0
        frontier[arrived & ~np.asarray(whole)] = False
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
