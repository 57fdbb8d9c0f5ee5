"""Every agent where the objective is a set: legal, as before for a set of one, using the set."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import agents
from recgym.benchmark.evaluation import evaluate
from recgym.envs.influence_path.objectives import aim, final_offer, members, squared_distance
from recgym.models.item_graph import hops, neighbours

ID, TINY = "recgym/InfluencePath-v0", "recgym/InfluencePathTiny-v0"
QUICK = {
    "maskable_ppo": {"num_envs": 4, "n_steps": 20, "batch": 40},
    "ppo": {"num_envs": 4, "n_steps": 20, "batch": 40},
    "dqn": {"num_envs": 4, "learning_starts": 40, "buffer": 1_000},
    "irn": {"width": 8, "layers": 1, "length": 30, "nearest": True, "final_offer": True},
    "rec2inf": {"backbone": "cooccurrence", "final_offer": True},
    "pf2inf": {"final_offer": True},
}
CHANCE = ("random", "random_candidates")
TRAINED = ("planner", "model_ppo")  # they need a model trained on the data; see lookahead, PPO
NAMES = [n for n in agents.names(ID) if n not in TRAINED]


def made(rows, **kwargs):
    return gym.make_vec(ID, num_envs=rows, dataset="synthetic", autoreset_mode="Disabled", **kwargs)


@pytest.fixture(scope="module")
def genres():
    return made(8, objective="genre", split="test")


@pytest.mark.parametrize("acceptance", ["passive", "sampled"])
@pytest.mark.parametrize("name", NAMES)
def test_plays_a_genre(name, acceptance):
    venv = made(8, objective="genre", acceptance=acceptance, split="test", horizon=6)
    agent = agents.make(name, venv, **QUICK.get(name, {}))
    if name in ("maskable_ppo", "dqn"):
        agent.learn(200)
    found = evaluate(agent, venv, venv.unwrapped.evaluation_tasks(0)[:16], 0)
    assert {"user", "genre", "cut"} <= set(found)
    assert (found["invalid"] == 0).all() or name == "ppo"  # it sees no mask
    offers = {"jump", "rec2inf", "pf2inf", "irn", "ipg", "lookahead"}
    if acceptance == "passive" and name in offers:
        assert (found["SR"] == 1).all()


@pytest.mark.parametrize("name", [n for n in NAMES if n not in CHANCE])
def test_a_set_of_one_is_the_item(name):
    item, one = made(6), made(6, objective=[[77], [301]])
    made_for = [agents.make(name, venv, **QUICK.get(name, {})) for venv in (item, one)]
    log = item.unwrapped.problem.log
    users = [u for u in range(log.n_users) if 77 not in log.items_of(u)][:6]
    obs, _ = item.reset(seed=0, options={"user": np.array(users), "objective": 77})
    sets, _ = one.reset(seed=0, options={"user": np.array(users), "set": 0})
    for steps in (20, 1):
        left = {"steps_left": np.full(6, steps)}
        pairs = zip(made_for, (obs, sets), strict=True)
        both = [agent.predict({**o, **left}, deterministic=True)[0] for agent, o in pairs]
        assert np.array_equal(*both)


class TestReading:
    observation = {  # noqa: RUF012
        "objective": np.array([1, 0]),
        "objective_set": np.array([[0, 1, 1, 0], [1, 0, 0, 1]]),
        "action_mask": np.array([[1, 1, 0, 1], [0, 1, 1, 0]]),
        "steps_left": np.array([1, 1]),
    }

    def test_members(self):
        item = {k: v for k, v in self.observation.items() if k != "objective_set"}
        assert np.argwhere(members(item)).tolist() == [[0, 1], [1, 0]]
        assert members(self.observation).tolist() == [[0, 1, 1, 0], [1, 0, 0, 1]]

    def test_aim_is_the_best_legal_member(self):
        scores = np.array([9.0, 1.0, 2.0, 3.0])
        assert aim(self.observation, scores).tolist() == [1, 0]
        assert aim(self.observation, np.full(4, -np.inf)).tolist() == [1, 0]
        free = {**self.observation, "action_mask": np.ones((2, 4), dtype=int)}
        assert aim(free, scores).tolist() == [2, 0]
        assert aim(free, np.array([scores, -scores])).tolist() == [2, 3]

    def test_the_final_offer_is_legal_or_not_made(self):
        action, scores = np.array([3, 2]), np.zeros(4)
        assert final_offer(self.observation, action, scores).tolist() == [1, 2]
        early = {**self.observation, "steps_left": np.array([2, 2])}
        assert final_offer(early, action, scores).tolist() == [3, 2]

    def test_distance_is_to_the_nearest_member(self):
        features = np.array([[0.0], [1.0], [5.0], [7.0]])
        items = np.array([[0, 3], [1, 2]])
        assert squared_distance(features, items, self.observation).tolist() == [[1, 4], [1, 4]]


def test_jump_offers_the_most_popular_member(genres):
    obs, _ = genres.reset(seed=0)
    log = genres.unwrapped.problem.log
    chosen = agents.make("jump", genres).predict(obs)[0]
    expected = np.where(obs["objective_set"] > 0, log.popularity, -1).argmax(axis=1)
    assert np.array_equal(chosen, expected)


def test_jump_offers_another_member_after_a_refusal():
    venv = made(8, objective="genre", acceptance="sampled", split="test")
    agent, rows = agents.make("jump", venv), np.arange(8)
    obs, _ = venv.reset(seed=0)
    first, state = agent.predict(obs)
    refused = {**obs, "last_accepted": np.zeros(8, dtype=np.int64)}
    second, _ = agent.predict(refused, state)
    assert (first != second).all()
    assert (obs["objective_set"][rows, second] == 1).all()


def test_pf2inf_goes_to_the_nearest_member(genres):
    obs, _ = genres.reset(seed=1)
    agent = agents.make("pf2inf", genres)
    single = {key: value for key, value in obs.items() if key != "objective_set"}
    for row in range(8):
        inside = np.flatnonzero(obs["objective_set"][row])
        one = {
            key: np.repeat(value[row : row + 1], len(inside), axis=0)
            for key, value in single.items()
        }
        one["objective"] = inside
        targets = np.eye(500, dtype=bool)[inside]
        start, legal = one["history"][:, -1], one["action_mask"] > 0
        near, _ = neighbours(agent.graph, int(start[0]))
        near = near[legal[0, near]]
        each = hops(agent.graph, start, targets, legal)[:, near]
        nearest = each[each >= 0].min()
        together = hops(agent.graph, start[:1], targets.any(axis=0)[None], legal[:1])[0, near]
        assert together[together >= 0].min() == nearest


def test_the_look_ahead_raises_the_whole_set(genres):
    """One step: the item after which P of the set is largest, less its unnaturalness."""
    obs, _ = genres.reset(seed=0)
    problem = genres.unwrapped.problem
    chosen = agents.make("lookahead", genres, k=500).predict(obs)[0]
    state = genres.unwrapped.state
    for row in range(2):
        inside = obs["objective_set"][row] > 0
        others = np.flatnonzero((obs["action_mask"][row] > 0) & ~inside)
        copies = state.rows(np.full(len(others), row))
        rngs = [np.random.default_rng(0)] * len(others)
        reward = problem.reward(problem.step(copies, others, rngs).terms)
        best = reward.max()
        assert reward[others == chosen[row]][0] == pytest.approx(best, abs=1e-5)


def test_order_on_the_tiny_world():
    """Of its genres too, looking ahead beats offering at once, which beats chance."""
    venv = gym.make_vec(TINY, num_envs=6, objective="genre", autoreset_mode="Disabled")
    tasks = venv.unwrapped.problem.tasks()
    order = [agents.make(name, venv) for name in ("random", "jump")]
    order.append(agents.make("lookahead", venv, k=12))
    returns = [evaluate(agent, venv, tasks, 0)["return"].mean() for agent in order]
    assert returns == sorted(returns), returns
