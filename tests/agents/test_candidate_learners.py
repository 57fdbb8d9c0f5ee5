"""PPO, DQN and MaskablePPO over candidate sets: files, legality, and who plays the user."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

import recgym  # noqa: F401
from recgym import agents
from recgym.agents.base import AgentError

pytest.importorskip("sb3_contrib")

ID = "recgym/InfluencePath-v0"
SMALL = {"num_envs": 4, "k": 10, "pool": 30, "width": 8}
QUICK = {
    "maskable_ppo": {"n_steps": 10, "batch": 40},
    "ppo": {"n_steps": 10, "batch": 40},
    "dqn": {"learning_starts": 40, "buffer": 1_000, "gradient_steps": 1, "target_update": 40},
}


@pytest.fixture(scope="module")
def world():
    return gym.make_vec(ID, num_envs=6, dataset="synthetic", autoreset_mode="Disabled")


def make(name, world, **config):
    return agents.make(name, world, **{**SMALL, **QUICK[name], **config})


@pytest.mark.parametrize("name", QUICK)
def test_learns_acts_legally_and_is_the_same_from_disk(name, world, tmp_path):
    agent = make(name, world)
    before = {k: v.clone() for k, v in agent.model.policy.state_dict().items()}
    agent.learn(160, seed=1)
    after = agent.model.policy.state_dict()
    assert any(not before[key].equal(after[key]) for key in before), "nothing was learned"
    again = make(name, world).learn(160, seed=1)
    agent.save(tmp_path)
    loaded = type(agent).load(tmp_path, world)
    observation, _ = world.reset(seed=3)
    action, _ = agent.predict(observation, deterministic=True)
    assert observation["action_mask"][np.arange(6), action].all()
    for other in (again, loaded):
        assert np.array_equal(other.predict(observation, deterministic=True)[0], action)
    assert agent.sees == "simulator"
    drawn = []
    for seed in (5, 5, 6):
        agent.reseed(seed)
        torch.manual_seed(len(drawn))  # nobody else's randomness counts
        drawn.append([agent.predict(observation)[0] for _ in range(20)])
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_dqn_never_plays_what_is_not_legal(world):
    agent = make("dqn", world)
    observation, _ = world.reset(seed=0)
    found = agent.build(observation)
    found.legal[:, 1:] = False
    flat = agent.build.observation(found, observation, 20)
    for deterministic in (True, False):
        assert (agent.choose(flat, found, deterministic) == 0).all()


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("setting", ["timesteps", "num_envs", "width"])
def test_sizes_are_checked(name, setting, world):
    with pytest.raises(AgentError, match=f"{setting} must be at least 1"):
        make(name, world, **{setting: 0})


@pytest.fixture(scope="module")
def default():
    return gym.make_vec(ID, num_envs=8, split="validation", autoreset_mode="Disabled")


class TestModelPPO:
    """It practises on its own model: the environment's user is not called in training."""

    def test_the_user_is_not_met(self, default, monkeypatch):
        agent = agents.make("model_ppo", default, **SMALL, n_steps=10, batch=40)
        user = default.unwrapped.problem.evaluator
        assert agent.sees == "log"
        assert agent.world().evaluator.name == "sasrec"
        assert agent.world().split == "train"

        def refuse(histories):
            raise AssertionError("the simulated user was read")

        monkeypatch.setattr(user, "_log_prob", refuse)
        agent.learn(80)

    @pytest.mark.parametrize("name", ["model_ppo", "planner"])
    def test_the_environments_own_user_is_refused(self, default, name):
        with pytest.raises(AgentError, match="simulated user itself"):
            agents.make(name, default, user="bert4rec")


def test_planner_looks_ahead_on_its_own_model(default):
    planner = agents.make("planner", default, k=5)
    lookahead = agents.make("lookahead", default, k=5)
    assert (planner.sees, lookahead.sees) == ("log", "privileged")
    observation, _ = default.reset(seed=0)
    own = gym.make_vec(
        ID, num_envs=8, split="validation", evaluator="sasrec", autoreset_mode="Disabled"
    )
    same, _ = own.reset(seed=0)
    assert all(np.array_equal(observation[key], same[key]) for key in same)
    at_home = agents.make("lookahead", own, k=5)
    assert np.array_equal(planner.predict(observation)[0], at_home.predict(same)[0])
    last = {**observation, "steps_left": np.ones(8, dtype=int)}
    assert np.array_equal(planner.predict(last)[0], observation["objective"])
