"""Games in which all players act at once: PettingZoo's checkers, rewards, agreement with turns."""

from __future__ import annotations

import sys

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

import recgym

ID, TINY = "recgym/DataSelection-v0", "recgym/DataSelectionTiny-v0"


def chosen(env, rng):
    return {agent: rng.integers(0, 2, env.problem.width).astype(np.int8) for agent in env.agents}


def levels(env):
    """z_u (N,) of everybody at the present joint selection."""
    state, problem = env.state_now, env.problem
    selected = state.selected.astype(float)
    losses = problem.joint_backend.losses(selected)
    return problem.utilities(selected, state.willingness, losses)[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "settings",
    [
        {"backend": "influence"},
        {"backend": "retrain"},
        {"backend": "anchors", "action": "recent"},
        {"backend": "influence", "deselected": "relabel"},
    ],
    ids=lambda settings: settings.get("deselected", settings["backend"]),
)
def test_api_and_seeds(settings):
    parallel_api_test(recgym.parallel_env(TINY, rounds=3, **settings), num_cycles=20)
    parallel_seed_test(lambda: recgym.parallel_env(TINY, drift=0.2, **settings), num_cycles=5)


@pytest.mark.parametrize("backend", ["retrain", "influence", "anchors"])
def test_a_round_is_paid_its_change_of_z(backend):
    env = recgym.parallel_env(TINY, backend=backend, rounds=2, harm_of_disclosure=0.1)
    env.reset(seed=0)
    start, rng = levels(env), np.random.default_rng(0)
    total = np.zeros(len(start))
    while env.agents:
        before = levels(env)
        _, rewards, _, _, infos = env.step(chosen(env, rng))
        found = np.array(list(rewards.values()))
        np.testing.assert_allclose(found, levels(env) - before, atol=1e-9)
        terms = infos["user_1"]["reward_terms"]
        assert rewards["user_1"] == pytest.approx(-terms["loss"] - 0.1 * terms["disclosure"])
        total += found
    np.testing.assert_allclose(total, levels(env) - start, atol=1e-9)
    assert infos["user_0"]["metrics"]["return"] == pytest.approx(total.mean())
    assert infos["user_0"]["metrics"]["z"] == pytest.approx(levels(env).mean(), abs=1e-4)


def test_social_rewards_are_everybodys():
    env = recgym.parallel_env(TINY, backend="influence", objective="social")
    env.reset(seed=0)
    before = levels(env).mean()
    _, rewards, *_ = env.step(chosen(env, np.random.default_rng(0)))
    np.testing.assert_allclose(list(rewards.values()), levels(env).mean() - before, atol=1e-9)


@pytest.mark.parametrize("action", ["items", "recent", "category"])
def test_a_round_at_once_selects_what_a_round_in_turns_does(action):
    """And what users see after it is the same."""
    together = recgym.parallel_env(ID, action=action, show_influence=True)
    turns = gym.make(ID, action=action, show_influence=True).unwrapped
    options = {"draw": 3}
    first, _ = together.reset(seed=0, options=options)
    observation, _ = turns.reset(seed=0, options=options)
    for key, value in observation.items():
        np.testing.assert_array_equal(first["user_0"][key], value, err_msg=key)
    for place, agent in enumerate(together.agents):
        together.action_space(agent).seed(place)
    actions = {agent: together.action_space(agent).sample() for agent in together.agents}
    for agent in together.agents:
        observation, *_ = turns.step(actions[agent])
    found, *_ = together.step(actions)
    np.testing.assert_array_equal(together.state_now.selected, turns.state.selected)
    for key, value in observation.items():
        np.testing.assert_array_equal(found["user_0"][key], value, err_msg=key)
    assert all(found[a] in together.observation_space(a) for a in together.agents)


def test_it_ends_when_nobody_changes_anything():
    env = recgym.parallel_env(TINY, backend="influence", rounds=5)
    env.reset(seed=0)
    keep = dict.fromkeys(env.agents, np.ones(env.problem.width, dtype=np.int8))
    _, rewards, terminated, truncated, infos = env.step(keep)
    assert all(terminated.values())
    assert not any(truncated.values())
    assert set(rewards.values()) == {0.0}
    assert env.agents == []
    assert infos["user_2"]["metrics"]["kept"] == 1
    with pytest.raises(gym.error.ResetNeeded):
        env.step(keep)


def test_branches():
    env = recgym.parallel_env(TINY, backend="influence", drift=0.3, rounds=4)
    env.reset(seed=3)
    snapshot = env.get_state()
    futures = []
    for _ in range(2):
        env.set_state(snapshot)
        rng = np.random.default_rng(1)
        futures.append([env.step(chosen(env, rng))[1] for _ in range(3)])
    assert futures[0] == futures[1]
    with pytest.raises(ValueError, match="other data or parameters"):
        recgym.parallel_env(TINY, backend="influence").set_state(snapshot)


def test_pictures():
    env = recgym.parallel_env(TINY, backend="influence", render_mode="ansi")
    env.reset(seed=0)
    assert "User 1 of 4" in env.render()


def test_bad_input(monkeypatch):
    env = recgym.parallel_env(TINY, backend="influence")
    with pytest.raises(gym.error.ResetNeeded):
        env.step({})
    env.reset(seed=0)
    actions = chosen(env, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"1 are missing, such as \['user_3'\]"):
        env.step({agent: actions[agent] for agent in env.agents[:3]})
    with pytest.raises(ValueError, match=r"unknown are \['nobody'\]"):
        env.step({**actions, "nobody": actions["user_0"]})
    with pytest.raises(ValueError, match=r"action of user_1 must have shape \(3,\), got \(2,\)"):
        env.step({**actions, "user_1": np.ones(2, dtype=np.int8)})
    with pytest.raises(ValueError, match="lies outside"):
        env.step({**actions, "user_1": np.full(3, 2)})
    with pytest.raises(ValueError, match="Games: recgym/DataSelection-v0"):
        recgym.parallel_env("recgym/InfluencePath-v0")
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"):
        recgym.parallel_env(TINY, speed=1)
    with pytest.raises(ValueError, match="render_mode"):
        recgym.parallel_env(TINY, render_mode="human")
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    with pytest.raises(gym.error.DependencyNotInstalled, match=r"recgym\[multiagent\]"):
        recgym.parallel_env(TINY)
