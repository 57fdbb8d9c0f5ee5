"""The made-up world draws exactly what its formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from recgym import data
from recgym.data import DataError, synthetic
from recgym.data.synthetic import MarkovGenreWorld


@pytest.fixture(scope="module")
def world() -> MarkovGenreWorld:
    return MarkovGenreWorld(n_users=3_000, n_items=30, n_genres=4, mean_length=40, seed=3)


def all_events(world: MarkovGenreWorld, rows: int) -> tuple[np.ndarray, ...]:
    parts = [(b.user, b.item, b.time) for b in world.batches(rows)]
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def test_log_transition_is_normalised_and_low_rank(world):
    table = np.exp(world.log_transition(np.arange(world.n_items + 1)))
    assert table.shape == (31, 30)
    assert table.dtype == np.float64
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-12)
    assert np.linalg.matrix_rank(table, tol=1e-10) == world.n_genres
    genre = world.genre_of
    same = np.exp(world.log_popularity)
    np.testing.assert_allclose(
        table[:30], world.genre_transition[genre][:, genre] * same, rtol=1e-12
    )


def test_events_follow_log_transition(world):
    """Chi-square of the log's first events and transitions against the formula."""
    log = world.log()
    n = world.n_items
    previous, following = log.item[:-1], log.item[1:]
    within = log.user[:-1] == log.user[1:]
    counts = np.zeros((n + 1, n))
    np.add.at(counts, (previous[within], following[within]), 1)
    np.add.at(counts, (np.full(log.n_users, n), log.item[log.offsets[:-1]]), 1)
    expected = np.exp(world.log_transition(np.arange(n + 1))) * counts.sum(axis=1, keepdims=True)
    enough = expected >= 5
    assert enough.mean() > 0.7
    statistic = ((counts - expected) ** 2 / expected)[enough].sum()
    freedom = enough.sum() - (n + 1)
    assert stats.chi2.sf(statistic, freedom) > 1e-3
    # The test can fail: transitions read backwards do not fit.
    wrong = ((counts[:n].T - expected[:n]) ** 2 / expected[:n])[enough[:n]].sum()
    assert stats.chi2.sf(wrong, freedom) < 1e-9


def test_genres_lie_on_a_ring(world):
    rest = (1 - 0.55 - 0.25 - 0.10) / 4
    first = [0.55 + rest, 0.25 + rest, rest, 0.10 + rest]
    for genre in range(4):
        np.testing.assert_allclose(world.genre_transition[genre], np.roll(first, genre))


def test_lengths_and_times(world):
    log = world.log()
    lengths = np.diff(log.offsets)
    assert lengths.min() >= 1
    assert abs(lengths.mean() - 40) < 0.5
    assert log.time is not None
    assert (np.diff(log.time)[np.diff(log.user) == 0] == 3_600).all()


@pytest.mark.parametrize("rows", [1, 7, 1_000, 1_024, 5_000])
def test_data_do_not_depend_on_the_batch_size(rows):
    world = MarkovGenreWorld(n_users=2_100, n_items=20, n_genres=3, mean_length=4, seed=1)
    if rows == 1:
        world = MarkovGenreWorld(n_users=40, n_items=20, n_genres=3, mean_length=4, seed=1)
    for whole, part in zip(all_events(world, 10**6), all_events(world, rows), strict=True):
        np.testing.assert_array_equal(whole, part)


def test_more_users_keep_the_first_ones():
    small, large = (MarkovGenreWorld(n_users=n, mean_length=5) for n in (100, 3_000))
    events = [all_events(w, 500) for w in (small, large)]
    np.testing.assert_array_equal(events[0][1], events[1][1][events[1][0] < 100])


def test_a_million_users_stream():
    world = MarkovGenreWorld(n_users=1_000_000, n_items=100_000, n_genres=16, mean_length=8)
    stream = world.batches(rows=5_000)
    for number in range(3):
        batch = next(stream)
        assert set(np.unique(batch.user)) == set(range(5_000 * number, 5_000 * (number + 1)))
        assert len(batch.item) < 60_000
    np.testing.assert_allclose(np.exp(world.log_transition(np.array([5]))).sum(), 1)


def test_seeds():
    assert MarkovGenreWorld().log().fingerprint == MarkovGenreWorld().log().fingerprint
    assert MarkovGenreWorld().log().fingerprint != MarkovGenreWorld(seed=1).log().fingerprint
    assert MarkovGenreWorld(seed=1) == MarkovGenreWorld(seed=1)


def test_titles_and_genres(world):
    log = world.log()
    assert log.genre_names == ("Comedy", "Drama", "Mystery", "Thriller")
    assert len(set(log.titles)) == log.n_items
    top = int(np.argmax(np.where(world.genre_of == 0, world.log_popularity, -np.inf)))
    assert log.item_label(top) == "Comedy 001"
    assert log.genre_label(top) == "Comedy"
    assert len(MarkovGenreWorld(n_genres=40).genre_names) == 40


def test_load_is_the_default_world():
    log = data.load("synthetic")
    assert log is data.load("synthetic")
    assert (log.n_users, log.n_items) == (1_000, 500)
    assert log.fingerprint == synthetic.default_world().log().fingerprint
    # Codes are the world's: nothing is dropped by a core.
    assert log.popularity.min() >= 5


@pytest.mark.parametrize(
    "bad",
    [{"n_users": 0}, {"n_genres": 9, "n_items": 8}, {"mean_length": 0.5}, {"stay": 1.0},
     {"backward": -0.1}],
)  # fmt: skip
def test_bad_sizes(bad):
    with pytest.raises(DataError, match="synthetic"):
        MarkovGenreWorld(**bad)


def test_bad_arguments(world):
    for last in (np.array([31]), np.array([-1]), np.array(3)):
        with pytest.raises(DataError, match=r"0\.\.30"):
            world.log_transition(last)
    with pytest.raises(DataError, match="rows"):
        world.batches(0)


def test_one_genre_and_tiny_worlds():
    world = MarkovGenreWorld(n_users=2, n_items=1, n_genres=1, mean_length=1)
    assert world.log().item.tolist() == [0] * len(world.log())
    two = MarkovGenreWorld(n_genres=2)
    np.testing.assert_allclose(two.genre_transition.sum(axis=1), 1)
