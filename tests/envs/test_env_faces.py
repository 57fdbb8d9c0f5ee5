"""The single and the vector face: options, copies, limits on arguments, metrics not defined."""

from __future__ import annotations

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

import recgym  # noqa: F401
from recgym.testing import (
    MODES,
    check_environment,
    check_illegal_is_worst,
    check_vector_equals_single,
)

TINY = "recgym/InfluencePathTiny-v0"
ILLEGAL = {0: 0, 1: 1, 2: 2}  # the comedy that each tiny user has seen


@pytest.mark.parametrize(
    "clone",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["deepcopy", "pickle"],
)
@pytest.mark.parametrize("weights", [{}, {"success": 1.0}])
def test_a_copy_in_mid_episode_has_the_same_future(clone, weights):
    env = gym.make(TINY, acceptance="sampled", weights=weights)
    env.reset(seed=4)
    env.step(5)
    other = clone(env)
    for action in (6, 7, 8):
        assert data_equivalence(env.step(action), other.step(action), exact=True)
    assert data_equivalence(env.reset(), other.reset(), exact=True)


def test_a_copy_shares_the_rules():
    env = gym.make(TINY).unwrapped
    assert copy.deepcopy(env).problem is env.problem


@pytest.mark.parametrize("value", ["1", 1.7, None, True, [1, 2], float("nan")])
@pytest.mark.parametrize("key", ["user", "objective", "cut"])
def test_options_must_be_whole_numbers(key, value):
    with pytest.raises(ValueError, match=f"Reset option '{key}' must be a whole number"):
        gym.make(TINY).reset(options={key: value})


@pytest.mark.parametrize("value", [["0", "1"], [0.5, 0.5], [0, 1, 2], None, [[0, 1]]])
def test_options_of_rows_must_be_whole_numbers(value):
    env = gym.make_vec(TINY, num_envs=2)
    with pytest.raises(ValueError, match="Reset option 'user' must be a whole number or an array"):
        env.reset(options={"user": value})


def test_options_of_numpy_are_taken():
    _, info = gym.make(TINY).reset(seed=0, options={"user": np.int32(2)})
    assert info["task"]["user"] == 2


def test_metrics_that_are_not_defined_are_left_out():
    env = gym.make(TINY, horizon=1)
    env.reset(seed=0, options={"user": 1})
    info = env.step(ILLEGAL[1])[4]
    assert "SR" in info["metrics"]
    assert "log_ppl" not in info["metrics"]  # the path is empty
    assert np.isnan(env.unwrapped.metrics()["log_ppl"])


@pytest.mark.parametrize("mode", MODES)
def test_metrics_that_are_not_defined_are_masked_in_rows(mode):
    env = gym.make_vec(TINY, num_envs=3, horizon=1, autoreset_mode=mode)
    env.reset(seed=0, options={"user": np.arange(3)})
    infos = env.step(np.array([3, ILLEGAL[1], 4]))[4]
    metrics = infos.get("final_info", infos)["metrics"]
    assert metrics["_log_ppl"].tolist() == [True, False, True]
    assert metrics["_SR"].all()
    check_vector_equals_single(TINY, mode=mode, steps=60, horizon=1)


@pytest.mark.parametrize("kwargs", [{"acceptance": "sampled"}, {"horizon": 1}], ids=str)
def test_contract_with_paths_that_stay_empty(kwargs, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    check_environment(TINY, modes=["ansi"], steps=60, **kwargs)


def test_metrics_of_rows_are_copies():
    env = gym.make_vec(TINY, num_envs=2)
    env.reset(seed=0)
    env.unwrapped.metrics()["SR"][:] = 9
    assert (env.unwrapped.metrics()["SR"] == 0).all()


@pytest.mark.parametrize(
    "kwargs",
    [{"num_envs": 0}, {"num_envs": 2.5}, {"max_episode_steps": 0}, {"max_episode_steps": 2.5}],
)
def test_counts_of_rows_and_steps_are_whole_and_positive(kwargs):
    with pytest.raises(ValueError, match=f"{next(iter(kwargs))} must be a whole number"):
        gym.make_vec(TINY, **{"num_envs": 1, **kwargs})


def test_a_foreign_snapshot_changes_nothing():
    env = gym.make(TINY).unwrapped
    env.reset(seed=0)
    before = env.get_state()
    other = gym.make(TINY, horizon=5).unwrapped
    other.reset(seed=1)
    with pytest.raises(ValueError, match="other data or parameters"):
        env.set_state(other.get_state())
    assert data_equivalence(env.get_state()["generator"], before["generator"])
    rows = [gym.make_vec(TINY, num_envs=n).unwrapped for n in (2, 3)]
    for each in rows:
        each.reset(seed=0)
    with pytest.raises(ValueError, match="2 rows, here are 3"):
        rows[1].set_state(rows[0].get_state())
    assert len(rows[1].state) == 3
    one = gym.make_vec(TINY, num_envs=1).unwrapped
    one.reset(seed=0)
    for here, foreign in ((env, one.get_state()), (one, before)):
        with pytest.raises(ValueError, match="of this kind of environment"):
            here.set_state(foreign)
        here.step(here.action_space.sample())


def test_an_autoreset_that_is_stopped_midway_leaves_no_state(monkeypatch):
    venv = gym.make_vec(TINY, num_envs=2, horizon=1, autoreset_mode="SameStep")
    venv.reset(seed=0)
    core = venv.unwrapped

    def stopped(*of, **kw):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(core.problem), "start", stopped)
        with pytest.raises(KeyboardInterrupt):
            venv.step(np.array([0, 0]))
    with pytest.raises(gym.error.ResetNeeded):
        core.step(np.array([0, 0]))
    venv.reset(seed=0)
    venv.step(np.array([0, 0]))


@pytest.mark.parametrize("bonus", [0.0, 0.5, 5.0, 20.0])
def test_illegal_is_worst_for_every_bonus(bonus):
    check_illegal_is_worst(gym.make(TINY, bonus=bonus), states=40)
