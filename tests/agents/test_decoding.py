"""Decoding of next-item scores, against brute force and known distributions."""

from __future__ import annotations

from itertools import permutations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import agents
from recgym.agents.base import AgentError
from recgym.agents.influence_path import decoding

B, N, L = 6, 5, 4


def world(seed=0):
    """Scores that depend on the row, the last two items and how far the path has grown."""
    table = np.random.default_rng(seed).normal(size=(B, N + 1, N + 1, 3, N))
    return lambda rows, histories, ahead: table[rows, histories[:, -2], histories[:, -1], ahead]


def log_probability(score, row, history, path, legal, ends, left):
    total, history, legal = 0.0, list(history), legal.copy()
    for step, item in enumerate(path):
        logits = score(np.array([row]), np.array([history]), step)[0]
        logits = np.where(legal, logits, -np.inf)
        total += logits[item] - np.log(np.exp(logits).sum())
        legal[item] = False
        history = [*history[1:], item]
        if ends[item] or step + 1 == left:
            return total, path[: step + 1]
    return total, path


def test_a_wide_beam_finds_the_likeliest_path():
    score, rng = world(), np.random.default_rng(1)
    history = rng.integers(0, N + 1, (B, L))
    legal = rng.random((B, N)) < 0.8
    legal[:, :3] = True
    ends, left = np.eye(N, dtype=bool)[rng.integers(0, 3, B)], np.array([1, 2, 3, 9, 9, 9])
    ends[4:, 2:4] = True  # objectives of two and three items
    found = decoding.beam(score, history, legal, ends, left, beams=N**3, depth=3)
    for row in range(B):
        paths = permutations(np.flatnonzero(legal[row]).tolist(), 3)
        case = (legal[row], ends[row], left[row])
        best = max(log_probability(score, row, history[row], path, *case) for path in paths)
        assert found[row] == best[1][0]


def test_a_beam_of_one_is_greedy():
    score, rng = world(), np.random.default_rng(1)
    history, legal = rng.integers(0, N + 1, (B, L)), np.ones((B, N), dtype=bool)
    greedy = score(np.arange(B), history, 0).argmax(axis=1)
    left = np.full(B, 9)
    for objective in (greedy, (greedy + 1) % N):
        ends = np.eye(N, dtype=bool)[objective]
        assert np.array_equal(decoding.beam(score, history, legal, ends, left, 1, 3), greedy)


def test_a_beam_takes_the_only_legal_item():
    legal = np.eye(N, dtype=bool)[np.arange(B) % N]
    left, none = np.full(B, 9), np.zeros((B, N), dtype=bool)
    history = np.zeros((B, L), dtype=int)
    found = decoding.beam(world(), history, legal, none, left, beams=4, depth=3)
    assert np.array_equal(found, np.arange(B) % N)


def test_samples_follow_the_softmax():
    scores = np.log(np.array([0.5, 0.3, 0.2, 0.0]) + 1e-300)
    scores[3] = -np.inf
    rng = np.random.default_rng(0)
    drawn = decoding.sample(np.tile(scores, (20_000, 1)), 1.0, rng)
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=4) / 20_000, [0.5, 0.3, 0.2, 0], atol=0.015
    )
    sharp = decoding.sample(np.tile(scores, (2_000, 1)), 0.1, rng)
    assert (sharp == 0).mean() > 0.98


@pytest.fixture(scope="module")
def venv():
    return gym.make_vec(
        "recgym/InfluencePath-v0", num_envs=5, dataset="synthetic", autoreset_mode="Disabled"
    )


class TestIRN:
    def choose(self, venv, **config):
        observation, _ = venv.reset(seed=0)
        shape = {"width": 16, "layers": 1, "length": 30}
        return agents.make("irn", venv, **shape, **config).predict(observation)[0]

    def test_settings_of_decoding(self, venv):
        greedy = self.choose(venv)
        assert np.array_equal(self.choose(venv, decoding="beam", beams=1), greedy)
        assert np.array_equal(self.choose(venv, decoding="beam", depth=1), greedy)
        assert np.array_equal(self.choose(venv, decoding="sampled", temperature=1e-6), greedy)
        drawn = self.choose(venv, decoding="sampled", temperature=50.0)
        assert not np.array_equal(drawn, greedy)
        assert np.array_equal(self.choose(venv, decoding="sampled", temperature=50.0), drawn)
        again = self.choose(venv, decoding="sampled", temperature=50.0, seed=1)
        assert not np.array_equal(again, drawn)

    def test_a_large_w_t_in_decoding_jumps(self, venv):
        observation, _ = venv.reset(seed=0)
        agent = agents.make("irn", venv, width=16, layers=1, length=30, decode_w_t=0.0)
        parts = [observation[k] for k in ("history", "objective", "user")]
        gap = np.full(5, 3)
        low = agent.scores(*parts, gap)
        high = agents.make("irn", venv, width=16, layers=1, length=30, decode_w_t=50.0)
        own = agents.make("irn", venv, width=16, layers=1, length=30, w_t=50.0)
        assert not np.allclose(high.scores(*parts, gap), low)
        np.testing.assert_allclose(high.scores(*parts, gap), own.scores(*parts, gap))

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"decoding": "greedy best"}, "decoding"),
            ({"decoding": "beam", "nearest": True}, "greedy decoding"),
            ({"temperature": 0.0}, "temperature must be positive"),
            ({"beams": 0}, "beams must be at least 1"),
            ({"depth": 0}, "depth must be at least 1"),
        ],
    )
    def test_bad_settings(self, venv, config, words):
        with pytest.raises(AgentError, match=words):
            agents.make("irn", venv, **config)
