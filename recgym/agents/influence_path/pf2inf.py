"""Pf2Inf (IRS paper, section III-B): walk the graph of consecutive items to the objective.

Items are nodes; two are joined when some user took one right after the other; every edge costs 1.
The path runs from the last item of the history to the objective. It is planned anew at every step
from the observation alone, so a refused item or a cut horizon needs no bookkeeping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.objectives import aim, final_offer, members
from recgym.models.item_graph import (
    descend,
    genre_graph,
    hops,
    item_graph,
    n_nodes,
    neighbours,
    spanning_tree,
    tree_path,
)


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
    repeatable = True
    Config = Pf2InfConfig
    config: Pf2InfConfig
    problem: InfluencePath

    def __init__(self, env: Any, config: Pf2InfConfig | None = None):
        super().__init__(env, config)
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
