"""IPG: its score by hand, and when the objective may be proposed."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import agents
from recgym.agents.base import AgentError

ID = "recgym/InfluencePath-v0"


@pytest.fixture(scope="module")
def world():
    return gym.make_vec(ID, num_envs=8, dataset="synthetic", autoreset_mode="Disabled")


def test_score_by_hand(world):
    agent = agents.make("ipg", world, recent=3, threshold=1.0)
    obs, _ = world.reset(seed=0)
    vectors = agent.vectors[:-1]
    chosen = agent.predict(obs)[0]
    ripe = agent.acceptance(obs["history"], obs["user"])[np.arange(8), obs["objective"]] >= 1.0
    assert 0 < ripe.sum() < 8  # both cases occur
    for row, objective in enumerate(obs["objective"]):
        user = vectors[obs["history"][row, -3:]].mean(axis=0)
        cosine = user @ vectors[objective] / np.linalg.norm(user)
        best, value = -1, -np.inf
        for item in np.flatnonzero(obs["action_mask"][row]):
            score = vectors[item] @ vectors[objective] - cosine
            score /= 1 + np.exp(-user @ vectors[item])
            if (item != objective or ripe[row]) and score > value:
                best, value = item, score
        assert chosen[row] == best


def test_as_printed_it_jumps(world):
    obs, _ = world.reset(seed=0)
    agent = agents.make("ipg", world, threshold=0.0)
    assert np.array_equal(agent.predict(obs)[0], obs["objective"])


def test_the_objective_waits_until_it_is_ripe(world):
    obs, _ = world.reset(seed=0)
    agent = agents.make("ipg", world)
    estimate = agent.acceptance(obs["history"], obs["user"])[np.arange(8), obs["objective"]]
    held_back = agents.make("ipg", world, threshold=float(np.sort(estimate)[4]))
    chosen = held_back.predict(obs)[0] == obs["objective"]
    assert np.array_equal(chosen, estimate >= np.sort(estimate)[4])
    last = {**obs, "steps_left": np.ones(8, dtype=np.int64)}
    assert np.array_equal(held_back.predict(last)[0], obs["objective"])


def test_real_next_items_are_mostly_accepted(world):
    """τ is calibrated: the estimate for users' last items is far above that of random ones."""
    from recgym.evaluators.held_out import HeldOut

    agent = agents.make("ipg", world)
    histories, users, target, _ = HeldOut.of(agent.problem.log, 50).batch(slice(0, 300))
    estimate = agent.acceptance(histories, users)
    assert estimate[np.arange(300), target].mean() > 2 * estimate.mean()
    assert (estimate <= 1).all()


def test_an_empty_history_and_nothing_but_the_objective(world):
    obs, _ = world.reset(seed=0)
    empty = {**obs, "history": np.full_like(obs["history"], 500)}
    agent = agents.make("ipg", world, threshold=1.0)
    assert (empty["action_mask"][np.arange(8), agent.predict(empty)[0]] == 1).all()
    only = np.zeros_like(obs["action_mask"])
    only[np.arange(8), obs["objective"]] = 1
    assert np.array_equal(agent.predict({**obs, "action_mask": only})[0], obs["objective"])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"recent": 0}, "recent"),
        ({"threshold": 1.5}, r"threshold must be in \[0, 1\]"),
        ({"backbone": "svd"}, "svd"),
    ],
)
def test_bad_settings(world, config, words):
    with pytest.raises(ValueError, match=words):
        agents.make("ipg", world, **config)


def test_the_simulated_user_is_no_estimate():
    env = gym.make(ID, evaluator="markov")
    with pytest.raises(AgentError, match="simulated user itself"):
        agents.make("ipg", env, backbone="markov")
