"""Optima of HarmMitigation's tiny world: the grid against the tree, and who gets near them."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import agents
from recgym.agents.harm_mitigation.projected_gradient import ascend
from recgym.evaluators import choice
from recgym.testing import drift_optimum, optimum, stationary_optimum, tree_optimum

TINY = "recgym/HarmMitigationTiny-v0"


@pytest.mark.parametrize("settings", [{}, {"dynamics": "boredom"}, {"harm_weight": 1.0}])
def test_the_grid_agrees_with_the_tree_within_its_bound(settings):
    env = gym.make(TINY, horizon=5, **settings)
    found = drift_optimum(env, cells=4_000)
    for user, value in found.values.items():
        exact = tree_optimum(env, user)
        assert abs(value - exact) <= found.error
        assert abs(value - exact) < 1e-3  # the bound is loose
    finer = drift_optimum(env, cells=16_000)
    assert finer.error == pytest.approx(found.error / 4, rel=0.01)


def test_the_bound_knows_the_weight_of_a_click():
    env = gym.make(TINY, horizon=1, harm_weight=0.0, weights={"click": 100.0})
    found = drift_optimum(env, cells=3)
    for user, value in found.values.items():
        assert abs(value - tree_optimum(env, user)) <= found.error


def test_values_are_in_order_and_the_best_policy_earns_its_value():
    env = gym.make(TINY, time_aware=True)
    found = optimum(env)
    assert found.worst_value < found.random_value < found.value
    assert found.error < 0.2
    returns = []
    for seed in range(400):
        observation, info = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            observation, reward, over, _, _ = env.step(found.act(observation))
            total += reward
        returns.append(total - found.values[info["task"]["user"]])
    assert abs(np.mean(returns)) < 4 * np.std(returns) / 20


def test_the_best_stationary_item_depends_on_the_user():
    """Who leans to harm a little is led to calm; who leans further is held by the gateway."""
    problem = gym.make(TINY).unwrapped.problem
    best = stationary_optimum(problem, np.arange(9))
    by_taste = best.items[np.argsort(problem.world.inherent[:, 0])]
    assert set(by_taste.tolist()) == {0, 3}
    assert (np.diff(by_taste) >= 0).all()
    assert problem.world.titles[0] == "calm"
    assert problem.world.titles[3] == "gateway"


def test_projected_gradient_finds_the_best_stationary_item_and_static_does_not():
    """SLSQP's nine starts can miss it; it is never above, and never below the static choice."""
    env = gym.make(TINY)
    problem = env.unwrapped.problem
    best = stationary_optimum(problem)
    inherent = problem.world.inherent[problem.users].astype(np.float32)
    observation = {
        "inherent": inherent,
        "profile": inherent,
        "action_mask": np.ones((len(inherent), 7)),
    }
    names = ("projected_gradient", "gradient", "static")
    acts = [agents.make(name, env).act(observation, deterministic=True) for name in names]
    assert acts[0].tolist() == best.items.tolist()
    rows = np.arange(len(inherent))
    values = [best.all_values[rows, act] for act in acts]
    assert (values[0] >= values[1]).all()
    assert (values[1] >= values[2]).all()
    assert (values[0] > values[2]).any()


def test_what_is_shown_counts_where_exposure_does():
    """Agents that plan weigh the severity of what they recommend, not of what is consumed alone."""
    env = gym.make(TINY, harm="exposure", harm_weight=3.0)
    problem = env.unwrapped.problem
    best = stationary_optimum(problem)
    inherent = problem.world.inherent[problem.users].astype(np.float32)
    observation = {
        "inherent": inherent,
        "profile": inherent,
        "action_mask": np.ones((len(inherent), 7)),
    }
    plain = stationary_optimum(gym.make(TINY, harm="graded", harm_weight=3.0).unwrapped.problem)
    assert plain.items.tolist() != best.items.tolist()
    for name in ("projected_gradient", "gradient", "closed_loop"):
        act = agents.make(name, env).act(observation, deterministic=True)
        assert act.tolist() == best.items.tolist(), name
    family = choice.single_items(problem.model)
    taste = problem.world.inherent[problem.users]
    for weight in (0.5, 1.0, 3.0):
        oracle = stationary_optimum(
            gym.make(TINY, harm="exposure", harm_weight=weight).unwrapped.problem
        )
        value = ascend(problem.model, family, taste, weight, exposure_weight=weight)[1]
        assert (value >= oracle.values - 1e-6 * np.abs(oracle.values)).all()


def test_what_is_not_covered_is_said():
    with pytest.raises(ValueError, match="single numbers"):
        drift_optimum(gym.make("recgym/HarmMitigation-v0", dataset="synthetic"))
    with pytest.raises(ValueError, match="at most 8"):
        tree_optimum(gym.make(TINY, horizon=9), 0)
    with pytest.raises(ValueError, match="smooth"):
        drift_optimum(gym.make(TINY, harm="graded"))
