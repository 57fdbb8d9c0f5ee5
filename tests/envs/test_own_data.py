"""InfluencePath on a user's own log: who can be drawn, what is read again, what is refused."""

from __future__ import annotations

import os

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

import recgym  # noqa: F401
from recgym import data

ENV = "recgym/InfluencePath-v0"


def frame(users: int, items: int, length: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [(u, i, t) for u in range(users) for t, i in enumerate(rng.permutation(items)[:length])]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])


@pytest.fixture(scope="module")
def crowded():
    """Fifteen items of which each of 200 users has seen thirteen: few objectives are left."""
    return gym.make(ENV, dataset=data.from_frame(frame(200, 15, 13)), evaluator="markov")


def test_users_who_have_seen_every_objective_are_not_drawn(crowded):
    for seed in range(100):
        observation, _ = crowded.reset(seed=seed)
        assert observation["action_mask"][observation["objective"]] == 1


def test_evaluation_tasks_leave_them_out(crowded):
    tasks = crowded.unwrapped.evaluation_tasks(0)
    users = [task["user"] for task in tasks]
    assert 0 < len(users) < 200
    assert users == sorted(set(users))
    for task in tasks:
        crowded.reset(options=task)


def test_a_user_is_drawn_who_has_not_seen_the_given_objective(crowded):
    for objective in range(15):
        for seed in range(10):
            _, info = crowded.reset(seed=seed, options={"objective": objective})
            assert info["task"]["objective"] == objective


def test_nothing_left_is_one_sentence():
    env = gym.make(ENV, dataset=data.from_frame(frame(30, 12, 12)), evaluator="markov")
    with pytest.raises(ValueError, match="every user has seen every objective of the train split"):
        env.reset(seed=0)


def test_a_file_that_has_changed_is_read_again(tmp_path):
    path = tmp_path / "mine.csv"
    counts = []
    for users in (60, 61):
        frame(users, 40, 20).to_csv(path, index=False)
        os.utime(path, ns=(users, users))
        env = gym.make(ENV, dataset=str(path), evaluator="markov")
        counts.append(env.unwrapped.problem.log.n_users)
    assert counts == [60, 61]
    assert gym.make(ENV, dataset=path, evaluator="markov").unwrapped.problem.log.n_users == 61


def test_wrong_kinds_are_refused(tmp_path):
    path = tmp_path / "mine.csv"
    frame(60, 40, 20).to_csv(path, index=False)
    with pytest.raises(ValueError, match="no variant 'banana'"):
        gym.make(ENV, dataset=str(path), evaluator="markov", variant="banana")
    with pytest.raises(ValueError, match="taken as it is: leave variant='paper' out"):
        gym.make(ENV, dataset=data.load("synthetic"), evaluator="markov", variant="paper")
    with pytest.raises(ValueError, match="tiny world has no variant"):
        gym.make("recgym/InfluencePathTiny-v0", variant="raw")
    with pytest.raises(ValueError, match="tiny world has its own exact user"):
        gym.make("recgym/InfluencePathTiny-v0", evaluator=42)
    for kwargs in ({"dataset": 5}, {"evaluator": 5}):
        with pytest.raises(ValueError, match=f"{next(iter(kwargs))} must be"):
            gym.make(ENV, **kwargs)
