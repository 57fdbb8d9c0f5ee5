"""Exact answers on the tiny world, against brute force and the issue's conditions."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.testing import optimum, tabular

TINY = "recgym/InfluencePathTiny-v0"


@pytest.fixture(scope="module", params=["train", "validation", "test"])
def world(request):
    env = gym.make(TINY, split=request.param)
    return env, optimum(env)


def episode(env, task, actions):
    env.reset(options=task)
    total = 0.0
    for action in actions:
        _, reward, ended, _, _ = env.step(action)
        total += reward
        if ended:
            break
    return total, ended


def test_against_brute_force():
    """Every sequence of three actions on a horizon of three, illegal ones included."""
    env = gym.make(TINY, horizon=3)
    exact = optimum(env)
    task = env.unwrapped.problem.tasks()[0]
    best = max(episode(env, task, a)[0] for a in itertools.product(range(12), repeat=3))
    obs, _ = env.reset(options=task)
    assert exact.values[exact.tabular.index(obs)] == pytest.approx(best)


def test_best_path_is_long_and_jumping_does_not_pay(world):
    env, exact = world
    jumps, lengths, returns = [], [], []
    for task in env.unwrapped.problem.tasks():
        jumps.append(episode(env, task, [task["objective"]])[0])
        obs, _ = env.reset(options=task)
        total, ended, length = 0.0, False, 0
        while not ended:
            obs, reward, ended, _, info = env.step(exact.act(obs))
            total, length = total + reward, length + 1
        lengths.append(length)
        returns.append(total)
        assert info["metrics"]["SR"] == 1
    assert min(lengths) >= 3
    assert exact.regret(np.mean(jumps)) >= 0.3
    assert np.mean(returns) == pytest.approx(exact.value)
    assert exact.regret(exact.value) == 0
    assert exact.regret(exact.random_value) == 1


def test_always_illegal_is_the_worst_policy(world):
    env, exact = world
    for task in env.unwrapped.problem.tasks():
        obs, _ = env.reset(options=task)
        seen = int(obs["action_mask"].argmin())
        total, _ = episode(env, task, [seen] * 6)
        assert total == pytest.approx(exact.worst_value)


def test_illegal_actions_are_worst_in_every_state(world):
    """In reward, and in optimal value."""
    _, exact = world
    table = exact.tabular
    for q in (table.R, table.backup(exact.values)):
        worst_legal = np.where(table.legal, q, np.inf).min(axis=1)
        best_illegal = np.where(table.legal, -np.inf, q).max(axis=1)
        assert (best_illegal < worst_legal).all()


def test_matrices(world):
    env, exact = world
    table = exact.tabular
    assert table.P.shape == (table.n_states * table.n_actions, table.n_states)
    sums = np.asarray(table.P.sum(axis=1)).ravel()
    assert set(sums) == {0.0, 1.0}
    assert table.start.sum() == pytest.approx(1)
    assert table.n_states == 9832
    rng = np.random.default_rng(0)
    obs, _ = env.reset(seed=0)
    for _ in range(100):
        state, action = table.index(obs), int(rng.integers(12))
        obs, reward, ended, _, _ = env.step(action)
        assert reward == pytest.approx(table.R[state, action])
        row = table.P[state * 12 + action]
        assert row.nnz == (0 if ended else 1)
        if ended:
            obs, _ = env.reset()
        else:
            assert row.indices[0] == table.index(obs)


def test_random_value_is_what_random_scores(world):
    env, exact = world
    from recgym import agents

    agent = agents.make("random", env)
    scores = []
    for _ in range(600):
        obs, _ = env.reset()
        total, ended = 0.0, False
        while not ended:
            obs, reward, ended, _, _ = env.step(agent.predict(obs)[0])
            total += reward
        scores.append(total)
    error = np.std(scores) / np.sqrt(len(scores))
    assert abs(np.mean(scores) - exact.random_value) < 4 * error


def test_what_cannot_be_enumerated_is_refused():
    with pytest.raises(ValueError, match="passive"):
        tabular(gym.make(TINY, acceptance="sampled"))
    with pytest.raises(ValueError, match="history_length"):
        tabular(gym.make("recgym/InfluencePath-v0", history_length=10, split="test"))
