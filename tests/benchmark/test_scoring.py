from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from recgym.benchmark.scoring import estimate, interquartile_mean, paired_difference


def test_interquartile_mean_by_hand():
    assert interquartile_mean(np.array([0, 1, 2, 3, 4, 5, 6, 100])) == pytest.approx(3.5)
    assert interquartile_mean(np.array([5.0, np.nan])) == 5.0
    assert np.isnan(interquartile_mean(np.array([np.nan])))


def test_values_are_over_all_episodes():
    found = estimate([np.array([1.0, 2.0]), np.array([3.0, 6.0])])
    assert found.value == 3.0
    assert (found.episodes, found.seeds) == (4, 2)
    iqm = estimate([np.array([0.0, 1, 2, 3]), np.array([4.0, 5, 6, 100])], "iqm")
    assert iqm.value == pytest.approx(3.5)


def test_one_seed_mean_agrees_with_scipy():
    sample = np.random.default_rng(0).exponential(size=120)
    ours = estimate([sample], resamples=8_000)
    theirs = stats.bootstrap(
        (sample,), np.mean, n_resamples=8_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_one_seed_iqm_agrees_with_scipy_crossed_and_nested():
    sample = np.random.default_rng(1).normal(size=81)
    theirs = stats.bootstrap(
        (sample,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=8_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    for crossed in (True, False):
        ours = estimate([sample], "iqm", crossed=crossed, resamples=8_000)
        assert ours.low == pytest.approx(theirs.low, abs=0.03)
        assert ours.high == pytest.approx(theirs.high, abs=0.03)


def test_crossed_mean_has_the_variance_of_its_definition():
    """With two seeds and two users the resampled means can be enumerated: 4 × 4 draws."""
    table = np.array([[0.0, 1.0], [10.0, 31.0]])
    draws = np.array(
        [
            table[np.ix_(seeds, users)].mean()
            for seeds in np.ndindex(2, 2)
            for users in np.ndindex(2, 2)
        ]
    )
    found = estimate(list(table), level=0.6, resamples=40_000)
    low, high = np.quantile(np.repeat(draws, 1_000), [0.2, 0.8])
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_intervals_cover_where_users_differ_and_independent_episodes_do_not():
    """The claim of the module's docstring: users are the same in every run."""
    rng = np.random.default_rng(0)
    hits = {True: 0, False: 0}
    for trial in range(150):
        users = rng.normal(size=(1, 60))
        samples = list(users + 0.3 * rng.normal(size=(5, 60)))
        for crossed in hits:
            found = estimate(samples, crossed=crossed, resamples=300, seed=trial)
            hits[crossed] += not found.excludes(0.0)
    assert hits[True] / 150 > 0.9
    assert hits[False] / 150 < 0.8


def test_seed_variance_widens_the_interval():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(5, 300))
    shifts = np.array([[-2.0], [-1.0], [0.0], [1.0], [2.0]])
    same, varied = estimate(list(noise)), estimate(list(noise + shifts))
    assert varied.half_width > 5 * same.half_width
    pooled = estimate([np.concatenate(list(noise + shifts))])
    assert pooled.half_width < varied.half_width / 3


def test_paired_differences_are_narrower_than_unpaired_ones():
    rng = np.random.default_rng(0)
    users = rng.normal(0, 5, size=200)
    left = [users + rng.normal(size=200) + 0.5 for _ in range(3)]
    right = [users + rng.normal(size=200) for _ in range(3)]
    found = paired_difference(left, right)
    assert found.excludes(0.0)
    assert found.value == pytest.approx(np.mean(left) - np.mean(right))
    assert estimate(left).half_width > 3 * found.half_width
    mirrored = paired_difference(right, left)
    assert mirrored.value == pytest.approx(-found.value)
    with pytest.raises(ValueError, match="same episodes"):
        paired_difference(left, right[:2])


def test_undefined_episodes_are_left_out():
    samples = [np.array([1.0, np.nan, 3.0, 5.0]), np.array([np.nan, 2.0, 4.0, 6.0])]
    for statistic in ("mean", "iqm"):
        for crossed in (True, False):
            found = estimate(samples, statistic, crossed=crossed)
            assert found.value == pytest.approx(3.5)
            assert 1.0 <= found.low <= 3.5 <= found.high <= 6.0
            assert found.episodes == 6
    nothing = estimate([np.array([np.nan])])
    assert np.isnan(nothing.value)
    assert nothing.episodes == 0


def test_a_constant_has_no_width_and_seeds_make_it_reproducible():
    assert estimate([np.full(9, 2.0)] * 3).half_width == 0.0
    sample = [np.random.default_rng(0).normal(size=50)]
    assert estimate(sample) == estimate(sample)
    assert estimate(sample, seed=1) != estimate(sample)


def test_unequal_lengths_need_nested_resampling():
    samples = [np.arange(3.0), np.arange(5.0)]
    with pytest.raises(ValueError, match="one length"):
        estimate(samples)
    assert estimate(samples, crossed=False).value == pytest.approx(13 / 8)
    with pytest.raises(ValueError, match="non-empty"):
        estimate([])
    with pytest.raises(ValueError, match="iqm"):
        estimate([np.arange(3.0)], "median")  # type: ignore[arg-type]
