"""Splits and filters keep what they promise, on random logs of many shapes."""

from __future__ import annotations

import numpy as np
import pytest

from recgym import data
from recgym.data import DataError, InteractionLog
from recgym.data.paper import capped_core


def random_log(seed: int, users: int = 30, items: int = 25, events: int = 600) -> InteractionLog:
    rng = np.random.default_rng(seed)
    user = np.minimum(rng.geometric(0.08, events) - 1, users - 1)
    item = np.minimum(rng.geometric(0.1, events) - 1, items - 1)
    return InteractionLog.from_columns(
        "random", user, item, time=rng.integers(0, 200, events),
        user_ids=np.arange(users), item_ids=np.arange(items),
    )  # fmt: skip


seeds = pytest.mark.parametrize("seed", range(8))


def events(log: InteractionLog) -> list[tuple[int, int, int]]:
    assert log.time is not None
    return sorted(zip(log.user.tolist(), log.item.tolist(), log.time.tolist(), strict=True))


@seeds
@pytest.mark.parametrize("n", [1, 3])
def test_leave_last_out(seed, n):
    log = random_log(seed)
    train, held = data.leave_last_out(log, n)
    assert sorted(events(train) + events(held)) == events(log)
    for user in range(log.n_users):
        whole = log.items_of(user)
        cut = len(whole) - n if len(whole) > n else len(whole)
        np.testing.assert_array_equal(train.items_of(user), whole[:cut])
        np.testing.assert_array_equal(held.items_of(user), whole[cut:])


@seeds
def test_leave_last_out_of_short_histories(seed):
    log = random_log(seed)
    train, held = data.leave_last_out(log, 3, keep_short=False)
    assert sorted(events(train) + events(held)) == events(log)
    for user in range(log.n_users):
        whole = log.items_of(user)
        np.testing.assert_array_equal(train.items_of(user), whole[: max(0, len(whole) - 3)])


def test_leave_last_out_refuses_zero():
    with pytest.raises(DataError, match="at least 1"):
        data.leave_last_out(random_log(0), 0)


@seeds
def test_ratio_in_order_of_time(seed):
    log = random_log(seed)
    parts = data.ratio(log, (0.7, 0.2, 0.1))
    assert sorted(e for part in parts for e in events(part)) == events(log)
    for user in range(log.n_users):
        joined = np.concatenate([part.items_of(user) for part in parts])
        np.testing.assert_array_equal(joined, log.items_of(user))
        assert abs(len(parts[0].items_of(user)) - 0.7 * len(joined)) <= 0.5


@seeds
def test_ratio_shuffled_has_the_same_sizes(seed):
    log = random_log(seed)
    ordered, shuffled = data.ratio(log), data.ratio(log, seed=seed)
    assert [len(p) for p in ordered] == [len(p) for p in shuffled]
    assert sorted(e for part in shuffled for e in events(part)) == events(log)
    assert events(shuffled[0]) != events(ordered[0])
    assert events(shuffled[0]) == events(data.ratio(log, seed=seed)[0])


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.2, -0.2)])
def test_ratio_refuses_shares(shares):
    with pytest.raises(DataError, match="sum to 1"):
        data.ratio(random_log(0), shares)


@seeds
@pytest.mark.parametrize(("shortest", "longest"), [(2, 2), (3, 9), (20, 60)])
def test_segments_are_disjoint_and_consecutive(seed, shortest, longest):
    log = random_log(seed)
    train, valid = data.segments(log, shortest, longest, seed=seed)
    total = len(train) + len(valid)
    assert len(train) == round(0.9 * total)
    covered = np.zeros(len(log), dtype=int)
    for part in (train, valid):
        for user, start, stop in zip(part.user, part.start, part.stop, strict=True):
            assert shortest <= stop - start <= longest
            assert log.offsets[user] <= start < stop <= log.offsets[user + 1]
            covered[start:stop] += 1
    assert covered.max(initial=0) <= 1
    # From the first event on nothing is left out but a remainder that is too short.
    for user in range(log.n_users):
        mine = covered[log.offsets[user] : log.offsets[user + 1]]
        assert mine.sum() == 0 or mine[: mine.sum()].all()
        assert len(mine) - mine.sum() < shortest


@seeds
@pytest.mark.parametrize("least", [2, 3])
def test_short_histories_can_be_segments_of_their_own(seed, least):
    log = random_log(seed)

    def pieces(keep_short):
        parts = data.segments(log, 20, 60, seed=seed, keep_short=keep_short, least=least)
        rows = (np.stack([p.user, p.start, p.stop], axis=1).tolist() for p in parts)
        return {tuple(row) for part in rows for row in part}

    plain, kept, count = pieces(False), pieces(True), np.diff(log.offsets)
    short = np.flatnonzero((count >= least) & (count < 20))
    assert kept - plain == {(u, log.offsets[u], log.offsets[u + 1]) for u in short.tolist()}
    assert plain <= kept


def test_segments_are_seeded():
    log = random_log(1)
    first, again, other = (data.segments(log, 3, 9, seed=s)[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first.start, again.start)
    assert not np.array_equal(first.start, other.start)


@seeds
def test_k_core_is_the_largest(seed):
    log = random_log(seed)
    core = data.k_core(log, 5)
    assert core.popularity.min() >= 5
    assert np.diff(core.offsets).min() >= 5
    # Peeling one row at a time in any order gives the same core.
    rows = set(range(len(log)))
    while True:
        users = np.bincount(log.user[sorted(rows)], minlength=log.n_users)
        items = np.bincount(log.item[sorted(rows)], minlength=log.n_items)
        bad = [r for r in rows if users[log.user[r]] < 5 or items[log.item[r]] < 5]
        if not bad:
            break
        rows.discard(bad[0])
    assert len(core) == len(rows)
    assert set(core.user_ids) == {log.user_ids[log.user[r]] for r in rows}


def test_k_core_of_nothing():
    with pytest.raises(DataError, match="1000-core is empty"):
        data.k_core(random_log(0), 1_000)


def test_capped_core_drops_the_largest_along_with_the_small():
    members = {0: range(6), 1: (0, 1, 2, 3), 2: (2, 3, 4, 5), 3: (0, 1, 4, 5)}
    pairs = np.array([(u, i) for i, users in members.items() for u in users])
    assert capped_core(pairs[:, 0], pairs[:, 1], k=2).all(), "nothing is small, nothing is capped"
    # Item 4, seen once, goes; and with it item 0, the most popular.
    user, item = np.vstack([pairs, [0, 4]]).T
    keep = capped_core(user, item, k=2)
    assert sorted(set(item[keep])) == [1, 2, 3]
    assert keep.sum() == 12
    with pytest.raises(DataError, match="empty"):
        capped_core(user, item, k=7)


def test_drop_most_popular():
    log = random_log(2)
    dropped = data.drop_most_popular(log)
    top = log.item_ids[np.argmax(log.popularity)]
    assert top not in dropped.item_ids
    assert len(dropped) == len(log) - log.popularity.max()


@seeds
def test_sequences_and_windows(seed):
    log = random_log(seed)
    padded = data.sequences(log, 10)
    assert padded.shape == (log.n_users, 10)
    for user, row in enumerate(padded):
        mine = log.items_of(user)[-10:]
        expected = [log.n_items] * (10 - len(mine)) + mine.tolist()
        assert row.tolist() == expected
    users = np.array([0, 3])
    stops = log.offsets[users] + 2
    rows = data.windows(log, stops, users, 4)
    for user, row in zip(users, rows, strict=True):
        assert row[:2].tolist() == [log.n_items] * 2
        np.testing.assert_array_equal(row[2:], log.items_of(user)[:2])
