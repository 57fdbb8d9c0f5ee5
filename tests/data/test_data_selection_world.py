from __future__ import annotations

import copy

import numpy as np
import pytest
from scipy.special import expit, logit

from recgym.data import DataError
from recgym.data.selection_split import LeaveTwoOut
from recgym.data.selection_world import CHARACTERS, simulate
from recgym.data.willingness import check


@pytest.fixture(scope="module")
def world():
    return simulate(0)


def test_shape_of_the_paper(world):
    log = world.log
    assert (log.n_users, log.n_items) == (1_000, 1_000)
    assert world.user_features.shape == world.item_features.shape == (1_000, 4)
    lengths = np.diff(log.offsets)
    assert (lengths.min(), lengths.max()) == (5, 20)
    assert lengths.mean() == pytest.approx(12.5, abs=0.5)
    # both ends as likely as the rest
    assert np.bincount(lengths)[5:].min() > 1_000 / 16 / 2
    assert check(world.willingness, log) is world.willingness
    split = LeaveTwoOut.of(log)
    assert (split.excluded, split.repeated) == (0, 0)


def test_only_allowed_pairs_and_uniform_among_them(world):
    log = world.log
    affinity = expit(world.user_features @ world.item_features.T)
    assert (affinity >= 0.5).mean() == pytest.approx(0.5, abs=0.05)
    taken = affinity[log.user, log.item]
    assert taken.min() >= 0.5
    # a uniform choice of a user's allowed items: no pull to the strong ones, in no place
    allowed = np.where(affinity >= 0.5, affinity, np.nan)
    expected = np.nanmean(allowed, axis=1)[log.user].mean()
    assert taken.mean() == pytest.approx(expected, abs=0.01)
    assert taken[log.offsets[1:] - 1].mean() == pytest.approx(expected, abs=0.02)
    assert log.item[log.offsets[1:] - 1].mean() == pytest.approx(500, abs=50)


def test_willingness_is_the_papers_equation():
    """With s = 1 and b = 0, β = σ(tanh(w · [e_u, e_v] + c)): linear under the two inverses."""
    world = simulate(3, a=(1.0, 1.0, 0.0))
    log = world.log
    inner = np.arctanh(logit(world.willingness))
    pairs = np.hstack(
        [world.user_features[log.user], world.item_features[log.item], np.ones((len(log), 1))]
    )
    weights, _, rank, _ = np.linalg.lstsq(pairs, inner)
    assert rank == 9
    np.testing.assert_allclose(pairs @ weights, inner, atol=1e-6)
    other = simulate(3, a=(0.5, 2.0, 1.2))
    np.testing.assert_allclose(
        logit(other.willingness),
        other.sensitivity[log.user] * np.tanh(inner) + other.level[log.user],
        atol=1e-6,
    )


def test_a3_is_a_variance_and_s_is_uniform():
    world = simulate(1, n_users=20_000, n_items=20, a=(0.4, 2.0, 4.0), per_user=(1, 2))
    assert world.level.std() == pytest.approx(2.0, rel=0.02)
    assert world.level.mean() == pytest.approx(0.0, abs=0.05)
    assert world.sensitivity.min() >= 0.4
    assert world.sensitivity.max() <= 2.0
    assert np.quantile(world.sensitivity, [0.25, 0.75]) == pytest.approx([0.8, 1.6], abs=0.03)


def test_characters_share_their_interactions(world):
    assert tuple(CHARACTERS) == ("A", "B", "C", "D")
    worlds = {name: simulate(0, a=a) for name, a in CHARACTERS.items()}
    for name, other in worlds.items():
        assert other.log.fingerprint == world.log.fingerprint
        assert other.a == CHARACTERS[name]
    np.testing.assert_array_equal(worlds["D"].willingness, world.willingness)
    assert worlds["A"].willingness.std() > worlds["B"].willingness.std()
    assert worlds["C"].willingness.std() > worlds["D"].willingness.std()


def test_seeds(world):
    again, other = simulate(0), simulate(1)
    assert again.log.fingerprint == world.log.fingerprint
    np.testing.assert_array_equal(again.willingness, world.willingness)
    assert other.log.fingerprint != world.log.fingerprint


def test_users_without_enough_allowed_items_take_all():
    world = simulate(0, n_users=200, n_items=30, per_user=(10, 30), eta=0.6)
    allowed = expit(world.user_features @ world.item_features.T) >= 0.6
    lengths = np.diff(world.log.offsets)
    short = allowed.sum(axis=1) < 10
    assert short.any()
    np.testing.assert_array_equal(lengths[short], allowed.sum(axis=1)[short])
    assert world.log.n_users == 200


def test_immutable(world):
    assert copy.deepcopy(world) is world
    for array in (world.willingness, world.user_features, world.item_features, world.level):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_users": 0}, "n_users >= 1"),
        ({"per_user": (0, 5)}, r"1 <= per_user\[0\]"),
        ({"per_user": (6, 5)}, r"per_user=\(6, 5\)"),
        ({"n_items": 10}, r"per_user\[1\] <= n_items, got .*n_items=10"),
        ({"a": (1.0, 0.5, 1.0)}, "0 <= a1 <= a2 and a3 >= 0"),
        ({"a": (0.5, 1.0, -1.0)}, "a3 >= 0"),
        ({"a": (0.5, np.nan, 1.0)}, "all finite"),
        ({"eta": 1.0}, r"eta must lie in \[0, 1\), got 1"),
        ({"eta": 0.999999999}, r"no pair passes eta=0\.999999999\. Lower it"),
    ],
)
def test_errors(change, message):
    with pytest.raises(DataError, match=message):
        simulate(0, **{"n_users": 20, "n_items": 30, **change})


def test_characters_can_be_drawn_anew():
    world = simulate(0, 2_000, 100, a=(0.5, 1.0, 1.0))
    np.testing.assert_array_equal(world.drawn(0), world.willingness)
    other = world.drawn(4)
    np.testing.assert_array_equal(other, world.drawn(4))
    level = np.log(other / (1 - other))  # s_u g + b_u
    user = world.log.user
    first = np.flatnonzero(np.diff(user, prepend=-1))
    # within a user willingness is linear in g with a slope in [a1, a2]
    slope = (level[first + 1] - level[first]) / (world.likes[first + 1] - world.likes[first])
    assert slope.min() > 0.5 - 1e-6
    assert slope.max() < 1.0 + 1e-6
    assert slope.mean() == pytest.approx(0.75, abs=0.02)
    constant = level[first] - slope * world.likes[first]
    assert constant.std() == pytest.approx(1.0, abs=0.05)
    assert np.abs(np.corrcoef(slope, world.sensitivity)[0, 1]) < 0.1
    with pytest.raises(DataError, match="at least 0"):
        world.drawn(-1)
