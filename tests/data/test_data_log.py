from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

from recgym import data
from recgym.data import DataError, InteractionLog


def test_counts_of_the_embedded_set(small):
    assert (small.n_users, small.n_items, len(small)) == (671, 9_066, 100_004)
    clean = data.load("ml-latest-small")
    assert (clean.n_users, clean.n_items, len(clean)) == (671, 3_496, 90_072)
    assert clean.genres.shape == (3_496, len(clean.genre_names))
    assert clean.item_label(0) == "Toy Story (1995)"
    assert clean.genre_label(0) == "Adventure|Animation|Children|Comedy|Fantasy"
    assert clean.time is not None
    assert clean.time.min() > 788_918_400  # 1995


def test_sorted_by_user_and_time_with_ties_in_file_order():
    log = InteractionLog.from_columns(
        "t", np.array([1, 0, 1, 0, 1]), np.array([0, 1, 2, 3, 4]),
        time=np.array([5, 9, 5, 1, 4]),
    )  # fmt: skip
    assert log.user.tolist() == [0, 0, 1, 1, 1]
    assert log.item.tolist() == [3, 1, 4, 0, 2]
    assert log.items_of(1).tolist() == [4, 0, 2]


def test_without_times_rows_keep_their_order():
    log = InteractionLog.from_columns("t", np.array([1, 0, 1]), np.array([2, 1, 0]))
    assert log.time is None
    assert log.items_of(1).tolist() == [2, 0]


def test_immutable(small):
    for column in (small.user, small.item, small.time, small.genres, small.offsets):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1
    with pytest.raises(AttributeError):
        small.name = "other"
    source = np.array([0, 1])
    log = InteractionLog.from_columns("t", source, np.array([0, 0]))
    source[0] = 1
    assert log.user.tolist() == [0, 1]


def test_copies(few):
    assert copy.deepcopy(few) is few
    assert pickle.loads(pickle.dumps(few)).fingerprint == few.fingerprint


def test_fingerprint_sees_every_column(few):
    columns = {
        "user": few.user, "item": few.item, "time": few.time, "rating": few.rating,
        "user_ids": few.user_ids, "item_ids": few.item_ids, "titles": few.titles,
        "genres": few.genres, "genre_names": few.genre_names,
    }  # fmt: skip

    def build(**change):
        return InteractionLog.from_columns("x", **{**columns, **change}).fingerprint

    assert build() == few.fingerprint, "the name is no part of it"
    titles = few.titles.copy()
    titles[3] = "Another"
    genres = few.genres.copy()
    genres[0, 0] ^= True
    changed = [
        build(titles=titles), build(genres=genres), build(time=few.time + 1),
        build(rating=None), build(item_ids=few.item_ids + 1),
        build(genre_names=[*few.genre_names[:-1], "Z"]),
    ]  # fmt: skip
    assert len({few.fingerprint, *changed}) == 1 + len(changed)


def test_compact_drops_what_has_no_rows(small):
    part = small.keep(small.user == 3)
    assert part.n_items == small.n_items
    compact = part.compact()
    assert (compact.n_users, len(compact)) == (1, len(part))
    assert compact.popularity.min() == 1
    np.testing.assert_array_equal(
        compact.titles[compact.items_of(0)], small.titles[small.items_of(3)]
    )
    assert compact.genre_label(0) == small.genre_label(int(part.item.min()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": np.array([0])}, "equally long"),
        ({"time": np.array([1])}, "time has shape"),
        ({"user": np.array([0, -1])}, "user codes"),
        ({"item": np.array([0.2, 0.9])}, "item codes must be whole numbers"),
        ({"time": np.array([1.0, np.nan])}, "time has values that are missing"),
        ({"rating": np.array([1.0, np.inf])}, "rating has values that are missing"),
        ({"item": np.array([0, 5]), "item_ids": np.arange(2)}, r"item codes must lie in 0\.\.1"),
        ({"titles": ["one"]}, "titles and genres"),
        ({"user": np.array([], int), "item": np.array([], int)}, "no interactions"),
    ],
)
def test_bad_columns(change, message):
    columns = {"user": np.array([0, 1]), "item": np.array([0, 1]), **change}
    with pytest.raises(DataError, match=message):
        InteractionLog.from_columns("t", **columns)


def test_unknown_user(few):
    with pytest.raises(DataError, match=r"user 12 is not in 0\.\.11"):
        few.items_of(12)


def test_import_is_light():
    code = (
        "import sys, recgym.data as d; d.load('ml-latest-small'); d.load('synthetic');"
        "print(sorted({'torch', 'pandas', 'pyarrow', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_public_names():
    for name in data.__all__:
        assert getattr(data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = data.nothing
