from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.wrappers import RewardTerms

TINY = "recgym/InfluencePathTiny-v0"


def test_terms_times_weights_are_the_reward():
    env, same = RewardTerms(gym.make(TINY)), gym.make(TINY)
    assert env.terms == tuple(env.unwrapped.problem.weights)
    env.reset(seed=0), same.reset(seed=0)
    for item in (3, 3, 6, 10):  # one of them illegal
        _, vector, *_, info = env.step(item)
        _, reward, *_ = same.step(item)
        assert vector in env.reward_space
        assert vector @ env.weights == pytest.approx(reward, abs=1e-12)
        assert dict(zip(env.terms, vector, strict=True)) == info["reward_terms"]


def test_chosen_terms_keep_their_order():
    env, same = RewardTerms(gym.make(TINY), terms=("reward", "cost", "invalid")), gym.make(TINY)
    env.reset(seed=0), same.reset(seed=0)
    for item in (3, 3):
        _, vector, *_ = env.step(item)
        _, reward, _, _, info = same.step(item)
        assert vector.tolist() == [reward, info["cost"], float(info["invalid_action"])]
    assert env.weights.tolist() == [1.0, 0.0, env.unwrapped.problem.weights["invalid"]]


def test_unknown_terms_are_refused():
    with pytest.raises(ValueError, match=r"'joy'.*interest"):
        RewardTerms(gym.make(TINY), terms=("interest", "joy"))
    with pytest.raises(ValueError, match="At least one"):
        RewardTerms(gym.make(TINY), terms=())


def test_spec_records_the_terms():
    env = gym.make(RewardTerms(gym.make(TINY), terms=("interest", "cost")).spec)
    env.reset(seed=0)
    assert np.shape(env.step(3)[1]) == (2,)
