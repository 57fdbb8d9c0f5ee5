"""After a refusal agents offer something else, if they get their state back."""

from __future__ import annotations

from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy

import recgym  # noqa: F401
from recgym import agents
from recgym.agents.base import AgentError
from recgym.agents.replanning import Refusals
from recgym.benchmark.evaluation import evaluate

ID, TINY = "recgym/InfluencePath-v0", "recgym/InfluencePathTiny-v0"
QUICK = {
    "maskable_ppo": {"num_envs": 4, "n_steps": 20, "batch": 40},
    "ppo": {"num_envs": 4, "n_steps": 20, "batch": 40},
    "irn": {"width": 8, "layers": 1, "length": 30},
    "rec2inf": {"backbone": "cooccurrence", "final_offer": True},
    "pf2inf": {"method": "mst"},
}
# planner and model_ppo need a model trained on the data, and act as lookahead and maskable_ppo do;
# plain PPO sees no mask, that of refusals neither
HEEDFUL = [n for n in agents.names(ID) if n not in ("planner", "model_ppo", "ppo")]
ROWS = 8


@pytest.fixture(scope="module")
def sampled():
    return gym.make_vec(
        ID, num_envs=ROWS, dataset="synthetic", acceptance="sampled", autoreset_mode="Disabled"
    )


def play(venv, agent, seed=0):
    """(offers (T, B), whether each was accepted, whether the row was over, objective)."""
    obs, _ = venv.reset(seed=seed)
    objective = obs["objective"].copy()
    over, state, start = np.zeros(ROWS, dtype=bool), None, np.ones(ROWS, dtype=bool)
    offers, accepted, ended = [], [], []
    while not over.all():
        action, state = agent.predict(obs, state, start, deterministic=True)
        assert (venv.action_masks()[np.arange(ROWS), action] | over).all()
        offers.append(action)
        ended.append(over.copy())
        obs, _, terminated, _, _ = venv.step(action)
        accepted.append(obs["last_accepted"] > 0)
        over, start = over | terminated, np.zeros(ROWS, dtype=bool)
    return np.array(offers), np.array(accepted), np.array(ended), objective


@pytest.mark.parametrize("name", HEEDFUL)
def test_no_refused_item_comes_again_before_it_may(sampled, name):
    """Nothing twice; the objective again only after something else has been accepted."""
    agent = agents.make(name, sampled, **QUICK.get(name, {}))
    offers, accepted, ended, objective = play(sampled, agent)
    refusals = 0
    for row in range(ROWS):
        refused: set[int] = set()
        for item, taken, over in zip(offers[:, row], accepted[:, row], ended[:, row], strict=True):
            if over:
                break
            assert item not in refused
            if taken:
                refused.discard(int(objective[row]))
            else:
                refused.add(int(item))
                refusals += 1
    assert refusals > 2


def test_without_replanning_the_same_is_offered_again(sampled):
    agent = agents.make("popularity", sampled, replan=False)
    offers, accepted, ended, _ = play(sampled, agent)
    again = (offers[1:] == offers[:-1])[~accepted[:-1] & ~ended[1:]]
    assert again.all()
    assert len(again) > 5


@pytest.mark.parametrize("name", ["jump", "rec2inf", "pf2inf"])
def test_passive_users_make_no_difference(name):
    venv = gym.make_vec(ID, num_envs=4, dataset="synthetic", autoreset_mode="Disabled")
    obs, _ = venv.reset(seed=0)
    made = [agents.make(name, venv, **QUICK.get(name, {}), replan=on) for on in (True, False)]
    (first, state), (second, _) = (agent.predict(obs) for agent in made)
    assert state is None
    assert np.array_equal(first, second)
    assert made[0].predict(obs, state="mine")[1] == "mine"  # handed back as it came


def test_one_observation_at_a_time_is_the_same_as_many(sampled):
    agent = agents.make("rec2inf", sampled, backbone="cooccurrence")
    obs, _ = sampled.reset(seed=2)
    start = np.ones(ROWS, dtype=bool)
    many, ones = None, [None] * ROWS
    for _ in range(8):
        actions, many = agent.predict(obs, many, start)
        for row in range(ROWS):
            one = {key: value[row] for key, value in obs.items()}
            action, ones[row] = agent.predict(one, ones[row], start[row : row + 1])
            assert np.ndim(action) == 0
            assert action == actions[row]
        obs, *_ = sampled.step(actions)
        start = np.zeros(ROWS, dtype=bool)


def test_episode_start_forgets_its_rows_only(sampled):
    agent = agents.make("jump", sampled)
    obs, _ = sampled.reset(seed=0)
    _, state = agent.predict(obs)
    refused = {**obs, "last_accepted": np.zeros(ROWS, dtype=np.int64)}
    start = np.arange(ROWS) % 2 == 0
    action, after = agent.predict(refused, state, start)
    assert np.array_equal(action == obs["objective"], start)
    assert np.array_equal(after.refused.any(axis=1), ~start)
    assert not state.refused.any()  # the state given is not changed
    again, _ = agent.predict(refused, state, None)  # as in SB3: nobody starts
    assert not (again == obs["objective"]).any()


def test_sb3_evaluates_with_memory(sampled):
    env = gym.make(ID, dataset="synthetic", acceptance="sampled", horizon=4)
    offered = []

    class Spy(gym.Wrapper):
        def step(self, action):
            offered.append(int(action))
            return super().step(action)

        def reset(self, **kwargs):
            offered.append(-1)
            return super().reset(**kwargs)

    agent = agents.make("jump", env)
    mean, _ = evaluate_policy(agent, Spy(env), n_eval_episodes=6, warn=False)
    assert np.isfinite(mean)
    assert not any(a == b >= 0 for a, b in pairwise(offered))


@pytest.mark.parametrize(
    ("state", "start", "words"),
    [
        ("memory", None, "got a str. Pass None"),
        (Refusals(np.zeros((2, 500), bool), np.zeros(2, int)), None, r"got \(2, 500\)"),
        (Refusals(np.zeros((8, 500), bool), np.zeros(8, int)), np.ones(3, bool), "episode_start"),
    ],
)
def test_a_foreign_state_is_refused(sampled, state, start, words):
    obs, _ = sampled.reset(seed=0)
    with pytest.raises(AgentError, match=words):
        agents.make("jump", sampled).predict(obs, state, start)


class TestMask:
    def after(self, legal, answers, targets=()):
        """The mask after offers and their answers."""
        memory = Refusals.recall(None, None, 1, len(legal))
        target = np.isin(np.arange(len(legal)), targets)[None]
        for item, taken in answers:
            memory = memory.offering(np.array([item])).told(np.array([taken]), target)
        return memory.mask(np.array([legal], dtype=bool))[0].astype(int).tolist()

    def test_refused_items_leave(self):
        assert self.after([1, 1, 1, 0], [(0, False), (2, False)]) == [0, 1, 0, 0]
        assert self.after([1, 1, 1, 0], [(0, False), (2, True)]) == [0, 1, 1, 0]

    def test_targets_come_back_when_something_is_accepted(self):
        answers = [(0, False), (1, False)]
        assert self.after([1, 1, 1], answers, targets=[1]) == [0, 0, 1]
        assert self.after([1, 1, 1], [*answers, (2, True)], targets=[1]) == [0, 1, 1]

    def test_something_is_left(self):
        assert self.after([1, 1, 0], [(0, False), (1, False)]) == [1, 0, 0]
        assert self.after([0, 1, 0], [(1, False)]) == [0, 1, 0]
        assert self.after([0, 0, 0], []) == [0, 0, 0]  # after the end


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("popularity", {}),
        ("jump", {}),
        ("rec2inf", {"backbone": "popularity", "distance": "genre", "k": 6}),
        ("rec2inf", {"backbone": "popularity", "distance": "genre", "final_offer": True, "k": 6}),
    ],
)
def test_replanning_does_not_lose_on_the_tiny_world(name, config):
    """600 episodes each, on the same thresholds."""
    venv = gym.make_vec(TINY, num_envs=60, acceptance="sampled", autoreset_mode="Disabled")
    tasks = venv.unwrapped.evaluation_tasks(0) * 200
    found = {}
    for replan in (True, False):
        agent = agents.make(name, venv, replan=replan, **config)
        found[replan] = evaluate(agent, venv, tasks, 0)
    assert found[True]["SR"].mean() >= found[False]["SR"].mean()
    assert found[True]["return"].mean() >= found[False]["return"].mean()
