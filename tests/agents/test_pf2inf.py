"""Pf2Inf: shortest paths against brute force, legality, and what happens where no path is."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest

import recgym
from recgym import agents
from recgym.agents.base import AgentError
from recgym.data import InteractionLog
from recgym.models.item_graph import (
    descend,
    genre_graph,
    hops,
    item_graph,
    spanning_tree,
    tree_path,
)

ID = "recgym/InfluencePath-v0"


def log_of(*histories: list[int], n_items: int | None = None) -> InteractionLog:
    user = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
    item = np.concatenate([np.array(h) for h in histories])
    ids = None if n_items is None else np.arange(n_items)
    return InteractionLog.from_columns("hand", user, item, item_ids=ids)


def brute_force(graph, start, target, allowed):
    """Edges of a shortest path from start to target whose later nodes are allowed, or None."""
    dense, queue, seen = graph.toarray() > 0, deque([(start, 0)]), {start}
    while queue:
        node, length = queue.popleft()
        if node == target:
            return length
        for other in np.flatnonzero(dense[node]):
            if other not in seen and allowed[other]:
                seen.add(other)
                queue.append((other, length + 1))
    return None


def play(venv, agent, seed):
    """(paths (B, M) padded with N, lengths (B,), success (B,), first observation)."""
    first, _ = venv.reset(seed=seed)
    obs, over = first, np.zeros(venv.num_envs, dtype=bool)
    while not over.all():
        action, _ = agent.predict(obs, deterministic=True)
        legal = venv.action_masks()[np.arange(venv.num_envs), action]
        assert (legal | over).all()
        obs, _, terminated, _, _ = venv.step(action)
        over |= terminated
    state = venv.unwrapped.state
    return state.path, state.steps, state.totals, first


@pytest.fixture(scope="module")
def world():
    return gym.make_vec(ID, num_envs=24, dataset="synthetic", autoreset_mode="Disabled")


def test_graph_by_hand():
    graph = item_graph(log_of([0, 1, 2, 2, 1], [1, 0, 3]))
    assert graph.toarray().tolist() == [
        [0, 2, 0, 1],
        [2, 0, 2, 0],
        [0, 2, 0, 0],
        [1, 0, 0, 0],
    ]


def test_the_tree_takes_the_frequent_edges():
    tree = spanning_tree(item_graph(log_of([0, 1, 0, 1, 2, 0], [1, 2, 1, 2], [3, 4]))).toarray()
    assert np.array_equal(tree, tree.T)
    edges = {tuple(map(int, edge)) for edge in np.argwhere(np.triu(tree))}
    assert edges == {(0, 1), (1, 2), (3, 4)}


def test_hops_equal_brute_force():
    rng = np.random.default_rng(0)
    graph = item_graph(log_of(*[rng.integers(0, 40, 4).tolist() for _ in range(18)], n_items=40))
    start, target = rng.integers(0, 40, 200), rng.integers(0, 40, 200)
    start = np.where(start == target, (target + 1) % 40, start)
    allowed = rng.random((200, 40)) < 0.7
    allowed[np.arange(200), target] = True
    allowed[np.arange(200), start] = False
    distance = hops(graph, start, np.eye(40, dtype=bool)[target], allowed)
    lengths = []
    for row in range(200):
        path = descend(graph, start[row], distance[row])
        expected = brute_force(graph, start[row], target[row], allowed[row])
        assert len(path) == (expected or 0)
        assert all(allowed[row, item] for item in path)
        nodes = [start[row], *path]
        assert all(graph[a, b] > 0 for a, b in pairwise(nodes))
        lengths.append(expected)
    assert lengths.count(None) > 10  # both cases occur
    assert max(length or 0 for length in lengths) > 3


def test_paths_of_a_tree():
    rng = np.random.default_rng(1)
    graph = item_graph(log_of(*[rng.integers(0, 60, 4).tolist() for _ in range(24)], n_items=60))
    tree, everything = spanning_tree(graph), np.ones(60, dtype=bool)
    lengths = []
    for _ in range(200):
        start, *targets = rng.choice(60, 4, replace=False).tolist()
        wanted = np.isin(np.arange(60), targets)
        path = tree_path(tree, start, wanted)
        far = [brute_force(tree, start, target, everything) for target in targets]
        nearest = min((length for length in far if length is not None), default=0)
        assert len(path) == nearest
        assert all(tree[a, b] > 0 for a, b in pairwise([start, *path]))
        assert not path or wanted[path[-1]]
        lengths.append(nearest)
    assert 0 in lengths  # not joined
    assert max(lengths) > 3
    assert tree_path(tree, 60, wanted) == []  # padding


def test_dijkstra_reaches_the_objective_on_a_shortest_path(world):
    agent = agents.make("pf2inf", world)
    _, steps, totals, first = play(world, agent, seed=0)
    legal = first["action_mask"] > 0
    for row in range(world.num_envs):
        expected = brute_force(
            agent.graph, first["history"][row, -1], first["objective"][row], legal[row]
        )
        assert expected is not None
        assert steps[row] == expected
    assert (totals[:, -1] == 1).all()  # success


def test_mst_follows_its_tree(world):
    agent = agents.make("pf2inf", world, method="mst")
    path, steps, _, first = play(world, agent, seed=0)
    n_items = agent.tree.shape[0]
    everything = np.ones(n_items, dtype=bool)
    horizon = world.unwrapped.problem.params.horizon
    for row in range(world.num_envs):
        start, objective = first["history"][row, -1], first["objective"][row]
        target = np.arange(n_items) == objective
        far = hops(agent.tree, start[None], target[None], everything[None])[0]
        on_tree = descend(agent.tree, start, far)
        assert len(on_tree) == brute_force(agent.tree, start, objective, everything)
        expected = [item for item in on_tree if first["action_mask"][row, item]][:horizon]
        assert path[row, : steps[row]].tolist() == expected


@pytest.mark.parametrize("method", ["dijkstra", "mst"])
def test_walks_straight_through_seen_items_where_repeats_are_allowed(method):
    venv = gym.make_vec(
        ID, num_envs=24, dataset="synthetic", repeats="allowed", autoreset_mode="Disabled"
    )
    agent = agents.make("pf2inf", venv, method=method)
    graph = agent.graph if method == "dijkstra" else agent.tree
    path, steps, totals, first = play(venv, agent, seed=0)
    log, through = venv.unwrapped.problem.log, 0
    everything = np.ones(log.n_items, dtype=bool)
    for row in range(24):
        start, objective = first["history"][row, -1], first["objective"][row]
        nodes = [start, *path[row, : steps[row]]]
        assert all(graph[a, b] > 0 for a, b in pairwise(nodes))
        assert steps[row] == min(20, brute_force(graph, start, objective, everything))
        through += np.isin(nodes[1:], first["history"][row]).sum()
    assert totals[:, -1].mean() > 0.8
    assert through > 0 or method == "dijkstra"


def test_without_a_path_no_item_is_repeated():
    agent = made(GRAPH, 7)
    anything = seen([0, 2], 6, 7)
    anything["action_mask"][:] = 1
    assert agent.predict(anything)[0] == [3]  # 2 and 0 are more popular


def made(histories, n_items, **kwargs):
    """A one-row observation over a hand-made log, and an agent for it."""
    log = log_of(*histories, n_items=n_items)
    table = np.full((n_items + 1, n_items), -np.log(n_items))
    user = recgym.evaluators.MarkovEvaluator(table, tau=-1.0)
    from recgym.envs.influence_path.dynamics import InfluencePath
    from recgym.envs.influence_path.instances import Instances
    from recgym.envs.influence_path.state import Params

    problem = InfluencePath(
        log,
        user,
        Instances(log, "test", dict.fromkeys(("train", "validation", "test"), (n_items - 1,))),
        Params(horizon=6, history_length=4),
    )

    class Env:
        unwrapped = None

    env = Env()
    env.unwrapped = env
    env.problem = problem
    agent = agents.agent_class("pf2inf", ID)
    return agent(env, agent.Config(**kwargs))


def seen(history, objective, n_items, *, steps_left=6, last_accepted=1):
    mask = np.ones(n_items, dtype=np.int8)
    mask[history] = 0
    padded = np.full(4, n_items)
    if history:
        padded[-len(history) :] = history
    return {
        "user": np.array([0]),
        "history": padded[None],
        "objective": np.array([objective]),
        "steps_left": np.array([steps_left]),
        "last_accepted": np.array([last_accepted]),
        "action_mask": mask[None],
    }


# 0–1–5 is short, 0–2–3–5 long; 4 is alone with 6; 2 is the most popular item
GRAPH = ([0, 1, 5], [0, 2, 3, 5], [2, 0], [2, 3, 2], [4, 6])


class TestByHand:
    def test_the_short_way_and_around_what_is_seen(self):
        agent = made(GRAPH, 7)
        assert agent.predict(seen([0], 5, 7))[0] == [1]
        assert agent.predict(seen([1, 0], 5, 7))[0] == [2]

    @pytest.mark.parametrize("method", ["dijkstra", "mst"])
    def test_seen_items_are_passed_over_where_nothing_else_leads_on(self, method):
        line = made(([0, 1, 2, 3],), 4, method=method)
        assert line.predict(seen([1, 2, 0], 3, 4))[0] == [3]
        assert line.predict(seen([1, 0], 3, 4))[0] == [2]

    def test_no_path_gives_the_most_popular(self):
        agent = made(GRAPH, 7)
        assert agent.predict(seen([0], 6, 7))[0] == [2]
        assert agent.predict(seen([], 5, 7))[0] == [2]  # an empty history
        assert agent.predict(seen([0, 1, 2, 3, 5][-4:], 6, 7))[0] != [6]

    def test_the_objective_is_offered_where_nothing_else_is_left(self):
        agent = made(([0, 1], [2, 2]), 3)
        assert agent.predict(seen([0, 1], 2, 3))[0] == [2]

    def test_another_way_around_what_was_refused(self):
        agent = made(([0, 1, 5], [0, 2, 5], [0, 1]), 6)
        obs = seen([0], 5, 6)
        assert agent.predict(obs)[0] == [1]
        obs["action_mask"][0, 1] = 0
        assert agent.predict(obs)[0] == [2]

    def test_near_the_objective_while_it_is_refused(self):
        agent = made(([0, 5], [0, 1, 5], [2, 2, 2, 2]), 6)
        obs = seen([0], 5, 6)
        assert agent.predict(obs)[0] == [5]
        obs["action_mask"][0, 5] = 0
        assert agent.predict(obs)[0] == [1]

    def test_final_offer(self):
        agent = made(GRAPH, 7, final_offer=True)
        assert agent.predict(seen([0], 6, 7, steps_left=1))[0] == [6]

    def test_unknown_method(self):
        with pytest.raises(AgentError, match="method"):
            made(GRAPH, 7, method="astar")


class TestGenres:
    """Items and genres as nodes: from one genre to another over items that have both."""

    def world(self, **genres):
        """Items 0 to 5; genres A: 0, 1, 2; B: 1, 2, 3; C: 3, 4. Item 2 is the most popular."""
        from recgym.envs.influence_path.dynamics import InfluencePath
        from recgym.envs.influence_path.instances import Instances
        from recgym.envs.influence_path.state import Params
        from recgym.envs.vector import RecVectorEnv
        from recgym.evaluators import MarkovEvaluator

        user, item = np.array([0, 1, 1, 2, 3, 3]), np.array([0, 2, 3, 1, 2, 5])
        log = InteractionLog.from_columns("chain", user, item, item_ids=np.arange(6), **genres)
        judge = MarkovEvaluator(np.full((7, 6), -np.log(6)), tau=-2.0)
        splits = dict.fromkeys(("train", "validation", "test"), (4, 5))
        rules = InfluencePath(log, judge, Instances(log, "test", splits), Params(horizon=5))
        return log, RecVectorEnv(rules, 2)

    def genres(self):
        table = np.zeros((6, 3), dtype=bool)
        table[[0, 1, 2], 0] = table[[1, 2, 3], 1] = table[[3, 4], 2] = True
        return {"genres": table, "genre_names": ("A", "B", "C")}

    def test_graph_by_hand(self):
        log, _ = self.world(**self.genres())
        graph = genre_graph(log).toarray()
        assert np.array_equal(graph, graph.T)
        assert np.array_equal(graph[:6, 6:], log.genres)
        assert not graph[:6, :6].any()
        assert not graph[6:, 6:].any()

    def test_walks_from_genre_to_genre_and_prefers_the_popular(self):
        """From A to C over an item of A and B, the popular one, and one of B and C.

        The second row has no history and an objective without a genre: nothing leads there.
        """
        _, venv = self.world(**self.genres())
        agent = agents.make("pf2inf", venv, method="genres")
        options = {"user": np.array([0, 0]), "objective": np.array([4, 5]), "cut": np.array([1, 0])}
        observation, _ = venv.reset(seed=0, options=options)
        taken = []
        for _ in range(3):
            action, _ = agent.predict(observation)
            taken.append(action.tolist())
            observation, *_ = venv.step(action)
        assert [first for first, _ in taken] == [2, 3, 4]
        assert taken[0][1] == 2  # the most popular

    def test_data_without_genres(self):
        _, venv = self.world()
        with pytest.raises(AgentError, match="has no genres"):
            agents.make("pf2inf", venv, method="genres")
