from __future__ import annotations

import numpy as np
import pytest

from recgym.data import DataError, InteractionLog, load
from recgym.data.selection_split import (
    LeaveTwoOut,
    first_events,
    first_rows,
    shuffled,
    subsample,
)
from recgym.data.selection_world import simulate


def log_of(*histories, **columns) -> InteractionLog:
    user = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
    item = np.concatenate([np.asarray(h, dtype=np.int64) for h in histories])
    ids = {"user_ids": np.arange(len(histories)), "item_ids": np.arange(item.max() + 1)}
    return InteractionLog.from_columns("x", user, item, **ids, **columns)


def parts(log: InteractionLog, split: LeaveTwoOut, user: int) -> tuple[list, list, list]:
    train, validation, test = (
        log.item[rows[log.user[rows] == user]].tolist()
        for rows in (split.train, split.validation, split.test)
    )
    return train, validation, test


def test_last_two_are_held_out_by_hand():
    log = log_of([4, 2, 0, 1, 3], [1, 2], [3, 0, 1], [])
    split = LeaveTwoOut.of(log)
    assert parts(log, split, 0) == ([4, 2, 0], [1], [3])
    assert parts(log, split, 1) == ([], [], [])
    assert parts(log, split, 2) == ([3], [0], [1])
    assert split.users.tolist() == [0, 2]
    assert (split.excluded, split.repeated) == (2, 0)
    for rows in (split.train, split.validation, split.test, split.users):
        assert rows.dtype == np.int64


def test_order_is_that_of_time():
    log = log_of([0, 1, 2, 3], time=np.array([40, 10, 30, 20]))
    assert parts(log, LeaveTwoOut.of(log), 0) == ([1, 3], [2], [0])


def test_repeated_pairs_count_once_at_their_first_event():
    log = log_of([5, 1, 5, 2, 1, 3, 3], [1, 1, 2, 2])
    split = LeaveTwoOut.of(log)
    assert parts(log, split, 0) == ([5, 1], [2], [3])
    assert (split.excluded, split.repeated) == (1, 5)
    assert first_rows(log).tolist() == [0, 1, 3, 5, 7, 9]
    assert first_events(log).item.tolist() == [5, 1, 2, 3, 1, 2]


def test_shares_by_hand():
    log = log_of(range(10), range(3), range(5), range(2))
    split = LeaveTwoOut.of(log, (0.7, 0.1, 0.2))
    assert parts(log, split, 0) == ([0, 1, 2, 3, 4, 5, 6], [7], [8, 9])
    assert parts(log, split, 1) == ([0], [1], [2])
    assert parts(log, split, 2) == ([0, 1, 2], [3], [4])
    assert split.excluded == 1
    greedy = LeaveTwoOut.of(log, (0.1, 0.1, 0.8))
    assert parts(log, greedy, 1) == ([0], [1], [2])
    assert parts(log, greedy, 0) == ([0], [1], [2, 3, 4, 5, 6, 7, 8, 9])


@pytest.mark.parametrize("shares", [None, (0.7, 0.1, 0.2), (0.2, 0.4, 0.4)])
@pytest.mark.parametrize("seed", [None, 3])
def test_parts_of_real_data(few, shares, seed):
    split = LeaveTwoOut.of(few, shares, seed=seed)
    together = np.concatenate([split.train, split.validation, split.test])
    assert len(np.unique(together)) == len(together) == len(few)
    for rows in (split.train, split.validation, split.test):
        assert (np.diff(rows) > 0).all()
        assert (np.bincount(few.user[rows], minlength=few.n_users) >= 1).all()
    again = LeaveTwoOut.of(few, shares, seed=seed)
    np.testing.assert_array_equal(split.test, again.test)
    if seed is None:
        last = np.array([split.test[few.user[split.test] == u].min() for u in range(few.n_users)])
        assert (few.user[split.validation] <= few.n_users).all()
        assert (split.validation < last[few.user[split.validation]]).all()
        assert (few.offsets[1:] - 1).tolist() == [
            split.test[few.user[split.test] == u].max() for u in range(few.n_users)
        ]


def test_seed_shuffles_within_users(few):
    plain, shuffled = LeaveTwoOut.of(few), LeaveTwoOut.of(few, seed=0)
    assert (plain.test != shuffled.test).any()
    np.testing.assert_array_equal(few.user[plain.test], few.user[shuffled.test])
    log = log_of(*[range(4)] * 4_000)
    held = log.item[LeaveTwoOut.of(log, seed=1).test]
    assert np.abs(np.bincount(held) / 4_000 - 0.25).max() < 0.03


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0, 0.2), (0.7, 0.1, 0.1), (1.2, -0.4, 0.2)])
def test_shares_must_be_three_positive_numbers_of_sum_one(few, shares):
    with pytest.raises(DataError, match="three positive numbers that sum to 1, got"):
        LeaveTwoOut.of(few, shares)


def test_histories_that_are_too_short():
    with pytest.raises(DataError, match=r"x: no user has 3 different items.*longer histories"):
        LeaveTwoOut.of(log_of([0, 1], [2, 2, 2, 2, 0]))


def test_subsample(few):
    part = subsample(few, 5, seed=0)
    assert part.n_users == 5
    assert part.popularity.min() >= 1
    assert subsample(few, 5, seed=0).fingerprint == part.fingerprint
    assert subsample(few, 5, seed=1).fingerprint != part.fingerprint
    frame = few.to_frame()
    kept = frame[frame.user_id.isin(part.user_ids)].reset_index(drop=True)
    assert part.to_frame().equals(kept)
    assert subsample(few, 10**6, seed=0).fingerprint == few.fingerprint
    with pytest.raises(DataError, match="n_users must be at least 1, got 0"):
        subsample(few, 0, seed=0)


def test_subsample_draws_users_uniformly_and_only_those_with_events():
    log = log_of([0], [], [1, 2], [0], [])
    drawn = [subsample(log, 1, seed).user_ids[0] for seed in range(600)]
    assert np.abs(np.bincount(drawn, minlength=5) / 600 - [1 / 3, 0, 1 / 3, 1 / 3, 0]).max() < 0.07


def test_default_world():
    split = LeaveTwoOut.of(load("ml-latest-small"))
    assert len(split.test) == len(split.validation) == 671
    assert (split.excluded, split.repeated) == (0, 0)


def test_shuffled_events_stay_with_their_users():
    world = simulate(0, 300, 50)
    log = shuffled(world.log, 3)
    np.testing.assert_array_equal(log.user, world.log.user)
    assert (log.item != world.log.item).mean() > 0.5
    for user in range(300):
        mine = log.user == user
        assert sorted(log.item[mine]) == sorted(world.log.item[mine])
    np.testing.assert_array_equal(shuffled(world.log, 3).item, log.item)
    assert (shuffled(world.log, 4).item != log.item).any()
