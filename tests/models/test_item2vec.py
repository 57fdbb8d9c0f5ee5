"""item2vec: what is taken together lies together, once it is trained long enough."""

import sys

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

from recgym import data
from recgym.models.item2vec import item2vec

USERS, LENGTH, HALF = 60, 20, 10


@pytest.fixture(scope="module")
def log():
    """Users of even number take the first ten items, the others the last ten."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(USERS), LENGTH)
    item = rng.integers(0, HALF, USERS * LENGTH) + HALF * (user % 2)
    return data.InteractionLog.from_columns("t", user, item, item_ids=np.arange(2 * HALF))


def cosine(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def test_what_is_taken_together_lies_together(log):
    near = cosine(item2vec(log, 8, epochs=100))
    half = np.arange(2 * HALF) // HALF
    same = half == half[:, None]
    others = ~np.eye(2 * HALF, dtype=bool)
    assert near[same & others].min() > near[~same].max()


def test_the_same_seed_trains_the_same_vectors(log):
    first = item2vec(log, 8, epochs=3, seed=4)
    assert first.shape == (2 * HALF, 8)
    assert first.dtype == np.float32
    assert np.array_equal(first, item2vec(log, 8, epochs=3, seed=4))
    assert not np.array_equal(first, item2vec(log, 8, epochs=3, seed=5))


def test_without_epochs_the_vectors_are_as_drawn(log):
    drawn = item2vec(log, 8, epochs=0)
    assert np.abs(drawn).max() <= 1 / 8  # where gensim draws from
    assert not np.array_equal(drawn, item2vec(log, 8, epochs=1))


def test_an_item_that_nobody_took_is_at_zero():
    few = data.InteractionLog.from_columns("t", [0, 0], [0, 1], item_ids=np.arange(3))
    vectors = item2vec(few, 4, epochs=1)
    assert np.abs(vectors).max(axis=1).astype(bool).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"epochs": -1}, "epochs must be at least 0"), ({"seed": 2**32}, "seed must be in")],
)
def test_bad_settings(log, settings, words):
    with pytest.raises(ValueError, match=words):
        item2vec(log, **settings)


def test_without_gensim_the_error_says_what_to_install(log, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(DependencyNotInstalled, match=r"recgym\[item2vec\]"):
        item2vec(log)
