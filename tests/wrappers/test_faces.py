"""What every wrapper owes: its vector face equals its single face, final observations included."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import recgym  # noqa: F401
from recgym import wrappers
from recgym.testing import MODES
from recgym.testing.vector import _assert_same

WORLD = {"id": "recgym/InfluencePath-v0", "dataset": "synthetic", "horizon": 5}
NAMES = {
    "CandidateActions": {"k": 6, "pool": 20, "backbone": "cooccurrence"},
    "FlatEmbeddings": {"width": 8},
    "EmbeddedHistory": {"width": 8},
    "NearestItem": {"width": 8},
}


def single(name: str, **kwargs) -> gym.Env:
    return getattr(wrappers, name)(gym.make(**WORLD, **kwargs), **NAMES[name])


def vector(name: str, mode: str, n: int = 3) -> gym.vector.VectorEnv:
    venv = gym.make_vec(**WORLD, num_envs=n, autoreset_mode=mode)
    return getattr(wrappers, "Vector" + name)(venv, **NAMES[name])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_vector_face_equals_single_face(name, mode):
    native = vector(name, mode)
    sync = SyncVectorEnv([lambda: single(name)] * 3, autoreset_mode=AutoresetMode(mode))
    assert native.observation_space == sync.observation_space
    assert native.action_space == sync.action_space
    _assert_same(native.reset(seed=3), sync.reset(seed=3), 1e-6, "reset")
    native.action_space.seed(0)
    finals = items = 0
    for step in range(60):
        actions = native.action_space.sample()
        results = native.step(actions), sync.step(actions)
        _assert_same(*results, 1e-6, f"step {step}")
        assert results[0][0] in native.observation_space
        np.testing.assert_array_equal(native.action_masks(), np.stack(sync.call("action_masks")))
        infos, ended = results[0][4], results[0][2]
        items += "item" in infos
        if "final_obs" in infos:
            finals += 1
            for row in np.flatnonzero(infos["_final_obs"]):
                assert infos["final_obs"][row] in native.single_observation_space
        if mode == "Disabled" and ended.any():
            resets = [e.reset(options={"reset_mask": ended.copy()}) for e in (native, sync)]
            _assert_same(*resets, 1e-6, f"reset after {step}")
    assert (finals > 0) == (mode == "SameStep")
    assert (items > 0) == (name in ("CandidateActions", "NearestItem"))


@pytest.mark.parametrize("name", NAMES)
def test_wrapped_environments_pass_gymnasiums_checker(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version.*")
        check_env(single(name), skip_render_check=True)


@pytest.mark.parametrize("name", NAMES)
def test_specs_record_the_wrappers(name):
    env = single(name)
    again = gym.make(env.spec)
    _assert_same(env.reset(seed=1), again.reset(seed=1), 0, "reset")
    assert again.spec.additional_wrappers[-1].kwargs.items() >= NAMES[name].items()


@pytest.mark.parametrize("name", ["CandidateActions", "NearestItem"])
def test_item_is_what_was_recommended(name):
    env = single(name)
    env.reset(seed=2)
    env.action_space.seed(2)
    for step in range(3):
        _, _, _, _, info = env.step(env.action_space.sample())
        assert info["item"] == env.unwrapped.state.path[0, step]


def test_names_are_imported_when_used():
    for name in wrappers.__all__:
        assert getattr(wrappers, name).__name__ == name
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = wrappers.Nonsense


@pytest.mark.parametrize("make", [single, lambda name: vector(name, "Disabled")])
def test_after_set_state_actions_refer_to_what_is_seen_there(make):
    env = make("CandidateActions")
    env.reset(seed=0)
    saved, action = env.unwrapped.get_state(), np.zeros(env.action_space.shape, dtype=np.int64)
    first = env.step(action)[-1]["item"]
    env.step(action)
    env.unwrapped.set_state(saved)
    assert np.array_equal(env.step(action)[-1]["item"], first)
    env.unwrapped.set_state(saved)
    before = env.action_masks().copy()
    env.step(action)
    env.unwrapped.set_state(saved)
    assert np.array_equal(env.action_masks(), before)
    assert env.observation_space.contains(env.current())
