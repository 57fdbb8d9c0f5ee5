from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.evaluators import backbones
from recgym.wrappers import (
    EmbeddedHistory,
    FlatEmbeddings,
    NearestItem,
    VectorFlatEmbeddings,
    VectorNearestItem,
)
from recgym.wrappers.embeddings import item_features

ID, TINY = "recgym/InfluencePath-v0", "recgym/InfluencePathTiny-v0"


def synthetic(**kwargs) -> gym.Env:
    return gym.make(ID, dataset="synthetic", **kwargs)


def test_flat_observation_is_made_of_the_parts_it_names():
    env = FlatEmbeddings(synthetic(horizon=4), width=8)
    flat, _ = env.reset(seed=0)
    assert flat.shape == (26,)
    assert flat.dtype == np.float32
    vectors = backbones.item_vectors(env.unwrapped.problem.log, 8)
    inner, _ = env.env.reset(seed=0)
    history = inner["history"][inner["history"] < len(vectors)]
    np.testing.assert_allclose(flat[:8], vectors[history[-5:]].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(flat[8:16], vectors[history].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(flat[16:24], vectors[inner["objective"]], atol=1e-6)
    assert flat[24:].tolist() == [1.0, 1.0]
    env.reset(seed=0)
    flat, *_ = env.step(int(history[-1]))  # illegal
    assert flat[24:].tolist() == [0.75, 0.0]


def test_short_histories_are_averaged_without_their_padding():
    env = FlatEmbeddings(synthetic(), width=8)
    flat, _ = env.reset(seed=0, options={"user": 0, "cut": 2})
    items = env.unwrapped.problem.log.items_of(0)[:2]
    mean = backbones.item_vectors(env.unwrapped.problem.log, 8)[items].mean(axis=0)
    np.testing.assert_allclose(flat[:8], mean, atol=1e-6)
    np.testing.assert_allclose(flat[8:16], mean, atol=1e-6)
    flat, _ = env.reset(seed=0, options={"user": 0, "cut": 0})
    assert not flat[:16].any()


def test_embedded_history_is_two_dimensional_and_keeps_the_rest():
    env = EmbeddedHistory(synthetic(history_length=7), width=8)
    seen, _ = env.reset(seed=0, options={"user": 0, "cut": 3})
    inner, _ = env.env.reset(seed=0, options={"user": 0, "cut": 3})
    assert seen["history"].shape == (7, 8)
    assert not seen["history"][:4].any()
    vectors = backbones.item_vectors(env.unwrapped.problem.log, 8)
    np.testing.assert_array_equal(seen["history"][4:], vectors[inner["history"][4:]])
    np.testing.assert_array_equal(seen["objective"], vectors[inner["objective"]])
    for key in set(inner) - {"history", "objective"}:
        np.testing.assert_array_equal(seen[key], inner[key])
    assert seen in env.observation_space


def test_an_items_own_vector_recommends_it_while_it_is_legal():
    env = NearestItem(synthetic(), width=8)
    env.reset(seed=1)
    vectors = backbones.item_vectors(env.unwrapped.problem.log, 8)
    rng = np.random.default_rng(0)
    legal = np.flatnonzero(env.unwrapped.action_masks())
    gaps = (vectors @ vectors.T)[legal] > 1 - 1e-6  # items that share a direction are one point
    items = rng.permutation(legal[gaps.sum(axis=1) == 1])[:5]
    for item in items:
        _, _, over, _, info = env.step(vectors[item] * 0.5)
        assert info["item"] == item
        assert not info["invalid_action"]
        if over:
            return
    _, _, _, _, info = env.step(vectors[items[0]])
    assert info["item"] != items[0]
    assert not info["invalid_action"]


def test_random_points_never_recommend_an_illegal_item():
    env = NearestItem(gym.make(TINY))
    env.action_space.seed(0)
    for seed in range(20):
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, over, _, info = env.step(env.action_space.sample())
            assert not info["invalid_action"]


def test_points_outside_the_box_are_refused():
    env = NearestItem(synthetic(), width=8)
    env.reset(seed=0)
    for bad in (np.full(8, 1.5), np.full(8, np.nan), np.full(7, 0.5)):
        with pytest.raises(ValueError, match=r"-1 to 1|shape \(8,\)"):
            env.step(bad)
    venv = VectorNearestItem(gym.make_vec(ID, num_envs=2, dataset="synthetic"), width=8)
    venv.reset(seed=0)
    with pytest.raises(ValueError, match="3 actions were given for 2 rows"):
        venv.step(np.zeros((3, 8)))


def test_wrappers_stack_in_either_order():
    first = NearestItem(FlatEmbeddings(synthetic(), width=8), width=8)
    second = FlatEmbeddings(NearestItem(synthetic(), width=8), width=8)
    venv = gym.make_vec(ID, num_envs=2, dataset="synthetic")
    stacked = VectorNearestItem(VectorFlatEmbeddings(venv, width=8), width=8)
    for env in (first, second, stacked):
        env.reset(seed=5)
    action = np.linspace(-1, 1, 8, dtype=np.float32)
    results = [env.step(action) for env in (first, second)]
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][4]["item"] == results[1][4]["item"]
    both = stacked.step(np.stack([action, action]))
    np.testing.assert_allclose(both[0][0], results[0][0], atol=1e-6)


def test_vectors_of_your_own():
    rng = np.random.default_rng(0)
    n = synthetic().unwrapped.problem.log.n_items
    own = rng.normal(size=(n, 3)) * 10
    env = NearestItem(synthetic(), vectors=own)
    assert env.action_space.shape == (3,)
    env.reset(seed=0)
    item = int(np.flatnonzero(env.unwrapped.action_masks())[7])
    assert env.step(own[item] / np.abs(own[item]).max())[4]["item"] == item
    for bad in (own[:-1], own[:, 0], np.full((n, 3), np.nan)):
        with pytest.raises(ValueError, match=f"shape \\({n}, d\\)"):
            FlatEmbeddings(synthetic(), vectors=bad)


def test_tiny_items_have_an_axis_each_and_lone_items_come_last():
    log = gym.make(TINY).unwrapped.problem.log
    np.testing.assert_array_equal(item_features(log), np.eye(12))
    some = np.eye(12)
    some[5] = 0
    env = NearestItem(gym.make(TINY), vectors=some)
    env.reset(seed=0, options={"user": 0})
    point = -np.ones(12, dtype=np.float32)
    chosen = [env.step(point)[4]["item"] for _ in range(4)]
    assert 5 not in chosen
    assert len(set(chosen)) == 4


def test_ppo_runs_on_embedded_points():
    sb3 = pytest.importorskip("stable_baselines3")
    from recgym.agents.sb3 import as_vec_env

    venv = gym.make_vec(ID, num_envs=4, dataset="synthetic", autoreset_mode="SameStep")
    venv = VectorNearestItem(VectorFlatEmbeddings(venv, width=8), width=8)
    model = sb3.PPO("MlpPolicy", as_vec_env(venv), n_steps=8, batch_size=32, n_epochs=1, seed=0)
    model.learn(64)
    assert model.num_timesteps == 64
