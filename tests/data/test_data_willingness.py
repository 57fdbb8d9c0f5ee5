from __future__ import annotations

import numpy as np
import pytest

from recgym.data import DataError, InteractionLog, willingness
from recgym.data.willingness import WILLINGNESS, check, constant, draw, rarity, uniform


@pytest.fixture
def log() -> InteractionLog:
    """Four items: drama; drama and western; western; none. Drama has 6 events, western 3."""
    item = np.array([0, 0, 0, 0, 1, 1, 2, 3])
    return InteractionLog.from_columns(
        "x", np.zeros(8, int), item, genre_names=("Drama", "War", "Western"),
        genres=np.array([[1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 0, 0]], dtype=bool),
    )  # fmt: skip


def test_uniform(small):
    values = uniform(small, 0)
    assert values.shape == (len(small),)
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, uniform(small, 0))
    assert (values != uniform(small, 1)).mean() > 0.99
    assert values.mean() == pytest.approx(0.5, abs=0.01)
    assert np.quantile(values, [0.1, 0.9]) == pytest.approx([0.1, 0.9], abs=0.01)


def test_constant(log):
    assert constant(log).tolist() == [0.5] * 8
    assert constant(log, 0.0).tolist() == [0.0] * 8
    with pytest.raises(DataError, match=r"willingness of event 0 is 1\.5, not in 0\.\.1 \(8 such"):
        constant(log, 1.5)


def test_rarity_by_hand(log):
    # r(Drama) = 1 − 6/12, r(Western) = 1 − 3/12; two categories: the rarer; none: 0.5
    assert rarity(log).tolist() == [0.5] * 4 + [0.75] * 3 + [0.5]


def test_rarity_of_real_data(small):
    values = rarity(small)
    assert values.min() == 0.5
    assert 0.98 < values.max() < 1
    genre = small.genre_names.index("Drama")
    only = small.genres[:, genre] & (small.genres.sum(axis=1) == 1)
    assert set(values[only[small.item]]) == {0.5}, "drama is the most common genre"


def test_rarity_needs_categories(few):
    bare = InteractionLog.from_columns("bare", few.user, few.item)
    with pytest.raises(DataError, match=r"bare: no item has a category.*Give items genres"):
        rarity(bare)


def test_draw_by_name(few):
    assert list(WILLINGNESS) == ["uniform", "constant", "rarity"]
    for name in WILLINGNESS:
        values = draw(name, few, 3)
        np.testing.assert_array_equal(values, draw(name, few, 3))
        np.testing.assert_array_equal(check(values, few), values)
    with pytest.raises(DataError, match=r"called 'mood'\. Known: uniform, constant, rarity"):
        willingness.draw("mood", few, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(7), r"x: willingness has shape \(7,\), expected \(8,\)"),
        (np.zeros((8, 1)), r"shape \(8, 1\), expected \(8,\)"),
        ([0, 0, np.nan, 0, 0, 0, 0, np.nan], r"event 2 is nan, not in 0\.\.1 \(2 such\)"),
        ([0, 0, 0, -0.1, 0, 0, 0, 0], r"event 3 is -0\.1"),
        ([0, 1, 0, 0, 0, 0, 0, np.inf], r"event 7 is inf"),
    ],
)
def test_check_refuses(log, values, message):
    with pytest.raises(DataError, match=message):
        check(values, log)


def test_check_allows_the_ends(log):
    assert check(np.array([0, 1, 0.5, 0, 0, 0, 0, 1]), log).dtype == np.float64
