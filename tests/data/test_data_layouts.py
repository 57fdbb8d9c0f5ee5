"""Every official layout, written from real rows and read back equal; folder and zip alike."""

from __future__ import annotations

import logging

import data_layouts as layouts
import numpy as np
import pandas as pd
import pytest
from data_layouts import same_events

from recgym import data
from recgym.data import DataError, InteractionLog
from recgym.data.formats import ML100K_GENRES
from recgym.data.paper import lastfm as lastfm_paper
from recgym.data.tables import Table


@pytest.fixture(scope="module")
def whole_stars(few) -> InteractionLog:
    """``few`` with genres and ratings that MovieLens 100K could hold."""
    known = [g for g, name in enumerate(few.genre_names) if name in ML100K_GENRES]
    return InteractionLog.from_columns(
        "whole", few.user, few.item, time=few.time, rating=np.floor(few.rating + 0.5),
        user_ids=few.user_ids, item_ids=few.item_ids, titles=few.titles,
        genres=few.genres[:, known], genre_names=[few.genre_names[g] for g in known],
    )  # fmt: skip


def write(tmp_path, files, kind):
    if kind == "zip":
        return layouts.as_zip(tmp_path / "given.zip", files)
    return layouts.as_folder(tmp_path / "given", files)


kinds = pytest.mark.parametrize("kind", ["folder", "zip"])


def test_embedded_set_as_the_official_archive(small, tmp_path):
    log = data.read(layouts.as_zip(tmp_path / "ml-latest-small.zip", layouts.ml_csv(small)))
    assert (log.n_users, log.n_items, len(log)) == (671, 9_066, 100_004)
    same_events(log, small)
    np.testing.assert_array_equal(log.rating, small.rating)
    assert log.fingerprint == small.fingerprint


@kinds
@pytest.mark.parametrize("layout", ["ml_csv", "recbole", "plain"])
def test_text_layouts(few, tmp_path, kind, layout):
    log = data.read(write(tmp_path, getattr(layouts, layout)(few), kind))
    same_events(log, few)
    np.testing.assert_array_equal(log.rating, few.rating)


@kinds
def test_movielens_1m(whole_stars, tmp_path, kind):
    log = data.read(write(tmp_path, layouts.ml_1m(whole_stars), kind))
    same_events(log, whole_stars)


@kinds
def test_movielens_100k(whole_stars, tmp_path, kind):
    log = data.read(write(tmp_path, layouts.ml_100k(whole_stars), kind))
    np.testing.assert_array_equal(log.titles, whole_stars.titles)
    # u.item lists genres in its own order of flags, ours are sorted: the same set
    same_events(log, whole_stars)


@pytest.mark.parametrize("name", ["ratings.dat", "movies.dat"])
def test_one_file_stands_for_its_folder(whole_stars, tmp_path, name):
    folder = layouts.as_folder(tmp_path, layouts.ml_1m(whole_stars)) / "ml-1m"
    if name == "movies.dat":
        with pytest.raises(DataError, match=r"movies\.dat.*"):
            data.read(folder / name)
    else:
        same_events(data.read(folder / name), whole_stars)


@kinds
@pytest.mark.parametrize("stamps", [True, False])
def test_lastfm(tmp_path, kind, stamps):
    log = data.read(write(tmp_path, layouts.lastfm(stamps=stamps), kind))
    assert log.user_ids.tolist() == [2, 4, 9]
    assert log.item_ids.tolist() == [51, 52, 73]
    assert log.titles.tolist() == ['Duran "Duran', "Morcheeba", "Tiësto"]
    assert [log.items_of(u).tolist() for u in range(3)] == [[0, 1, 2], [0, 1], [2]]
    assert log.time is not None
    expected = [1230764400, 1238536800, 1243807200, -428720400, 1241128800, 1243807200]
    if stamps:
        assert log.time.tolist() == expected
    else:  # midnight UTC of the day that was midnight or the evening before in Madrid
        assert np.abs(log.time - expected).max() <= 86_400
    assert [log.genre_label(i) for i in range(3)] == [
        "chillout|français", "chillout|downtempo|français", "chillout|downtempo"
    ]  # fmt: skip


def test_lastfm_genres_are_the_most_frequent_tags(tmp_path):
    files = layouts.lastfm()
    tags = [13, 15, 15, 18, 18, 20, 20, 21, 21, 22, 22]  # 13 once, the others twice
    rows = [(user, 52, tag, 1238536800000) for user, tag in enumerate(tags)]
    files["user_taggedartists-timestamps.dat"] = layouts.table(
        "userID artistID tagID timestamp", rows
    )
    names = [f"{tag}\ttag {tag}" for tag in sorted(set(tags))]
    files["tags.dat"] = layouts.text(["tagID\ttagValue", *names])
    log = data.read(layouts.as_folder(tmp_path, files))
    assert log.genre_label(0) == "tag 15|tag 18|tag 20|tag 21|tag 22"


def test_lastfm_of_the_paper_splits_identities(monkeypatch):
    """Rows after the first chunk are other users and artists, by hand on eight rows."""
    monkeypatch.setattr("recgym.data.paper.TEXT_ROWS", 5)
    monkeypatch.setattr(
        "recgym.data.paper.capped_core", lambda user, item: np.ones(len(user), bool)
    )
    frame = pd.DataFrame(layouts.LASTFM_TAGGINGS, columns=["user_id", "item_id", "tag_id", "ms"])
    frame["timestamp"] = frame.pop("ms") // 1000
    items = Table(pd.DataFrame({"item_id": [51, 52], "title": ["Duran", "Morcheeba"]}), "items")
    log = lastfm_paper(Table(frame, "taggings"), items, name="paper")
    assert log.user_ids.tolist() == ["i4", "i9", "s2", "s4"]
    assert log.item_ids.tolist() == ["i51", "i52", "i73", "s51", "s52", "s73"]
    assert log.titles.tolist() == ["Duran", "Morcheeba", "", "Duran", "Morcheeba", ""]
    assert len(log) == 7


@pytest.mark.parametrize("separator", [",", "\t", ";", "::", "|"])
def test_separators_of_plain_tables(few, tmp_path, separator):
    files = layouts.plain(few, separator)
    path = tmp_path / "mine.csv"
    path.write_bytes(files["interactions.csv"])
    log = data.read(path)
    np.testing.assert_array_equal(log.item_ids[log.item], few.item_ids[few.item])
    assert log.name == "mine"
    assert log.titles.tolist() == [""] * log.n_items


def test_items_file_given(few, tmp_path):
    files = layouts.plain(few)
    (tmp_path / "events.csv").write_bytes(files["interactions.csv"])
    (tmp_path / "films.csv").write_bytes(files["items.csv"])
    same_events(data.read(tmp_path / "events.csv", items=tmp_path / "films.csv"), few)


def test_parquet_folder_file_and_zip(few, tmp_path):
    pytest.importorskip("pyarrow")
    catalogue = pd.DataFrame(layouts.items(few), columns=["item_id", "title", "genres"])
    few.to_frame().to_parquet(tmp_path / "interactions.parquet")
    catalogue.to_parquet(tmp_path / "items.parquet")
    same_events(data.read(tmp_path), few)
    same_events(data.read(tmp_path / "interactions.parquet"), few)
    files = {p.name: p.read_bytes() for p in tmp_path.glob("*.parquet")}
    same_events(data.read(layouts.as_zip(tmp_path / "x.zip", files)), few)


def test_from_frame(few):
    catalogue = pd.DataFrame(layouts.items(few), columns=["item_id", "title", "genres"])
    log = data.from_frame(few.to_frame().sample(frac=1, random_state=0), catalogue, name="mine")
    assert log.name == "mine"
    assert log.genre_names == few.genre_names
    # Shuffled rows lose the order of ties, nothing else.
    assert sorted(zip(log.user, log.time, log.item, strict=True)) == sorted(
        zip(few.user, few.time, few.item, strict=True)
    )


def test_recbole_with_several_data_sets(few, tmp_path):
    files = layouts.recbole(few)
    layouts.as_folder(tmp_path, files | {"other.inter": files["few.inter"]})
    with pytest.raises(DataError, match=r"2 \.inter files \(few, other\)"):
        data.read(tmp_path)
    same_events(data.read(tmp_path / "few.inter"), few)


def test_several_tables_need_a_choice(few, tmp_path):
    content = layouts.plain(few)["interactions.csv"]
    layouts.as_folder(tmp_path, {"a.csv": content, "b.csv": content})
    with pytest.raises(DataError, match=r"2 tables could hold the interactions \(a\.csv, b\.csv\)"):
        data.read(tmp_path)


def test_format_can_be_given(few, tmp_path):
    folder = layouts.as_folder(tmp_path, layouts.ml_csv(few)) / "ml-latest-small"
    assert len(data.read(folder, format="plain")) == len(few)
    with pytest.raises(DataError, match="format 'csv' is not known"):
        data.read(folder, format="csv")


def test_known_layouts_are_quiet_about_their_quirks(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "recgym.data"):
        data.read(layouts.as_folder(tmp_path, layouts.lastfm()))
    assert caplog.text == ""
