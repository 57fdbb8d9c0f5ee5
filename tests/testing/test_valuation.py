"""The tiny world of DataValuation by brute force, against episodes that are played."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.testing import optimum, shapley_values, valuation_optimum

TINY = "recgym/DataValuationTiny-v0"


def played(env, stream, actions):
    env.reset(options={"stream": stream})
    return sum(env.step(action)[1] for action in actions)


def test_the_best_selections_are_worth_what_they_are_said_to():
    env = gym.make(TINY)
    assert optimum(gym.make(TINY, steps=1)).value > 0  # the common name leads here too
    found = valuation_optimum(env, [3, 4])
    best = [played(env, stream, actions) for stream, actions in found.selections.items()]
    assert np.mean(best) == pytest.approx(found.value, abs=1e-4)
    rng = np.random.default_rng(0)
    for _ in range(20):
        actions = rng.integers(0, 2, (2, 8)).astype(np.int8)
        assert played(env, 3, actions) <= best[0] + 1e-4
    everything = np.mean([played(env, s, np.ones((2, 8), dtype=np.int8)) for s in (3, 4)])
    assert found.worst_value < found.random_value < found.value
    assert found.regret(everything) > 0.1  # the planted ones are worth leaving out


def test_shapley_values_add_up_to_the_worth_of_the_batch():
    env = gym.make(TINY)
    values = shapley_values(env, stream=3)
    whole = played(env, 3, np.ones((1, 8), dtype=np.int8))
    assert values.sum() == pytest.approx(whole, abs=1e-6)


def test_symmetric_members_are_worth_the_same():
    """With a reward of Σ w / n, each of the eight is worth an eighth."""
    env = gym.make(TINY, weights={"gain": 0.0, "kept": 1.0})
    np.testing.assert_allclose(shapley_values(env), np.full(8, 1 / 8), atol=1e-6)


def test_worlds_that_cannot_be_tried():
    with pytest.raises(ValueError, match="too many"):
        valuation_optimum(gym.make(TINY, steps=4))
    with pytest.raises(ValueError, match="select"):
        shapley_values(gym.make(TINY, action="weigh"))
