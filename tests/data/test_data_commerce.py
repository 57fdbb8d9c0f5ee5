"""Diginetica, Steam and Amazon: official layouts read, refused and imported."""

from __future__ import annotations

import gzip
import json
import os

import data_layouts as layouts
import data_tiny as tiny
import numpy as np
import pytest
from data_server import Server

from recgym import data
from recgym.data import DataError, InteractionLog, paper

VIEWS = """\
sessionId;userId;itemId;timeframe;eventdate
7;NA;30;900;2016-05-09
7;NA;10;100;2016-05-09
7;NA;30;500;2016-05-09
2;81;20;5;2016-04-01
2;81;10;7;2016-04-01
"""
CATEGORIES = "itemId;categoryId\n10;8\n20;9\n30;8\n99;1\n"
STEAM = """\
151603712,"The Elder Scrolls V Skyrim",purchase,1.0,0
151603712,"The Elder Scrolls V Skyrim",play,273.0,0
151603712,"Warhammer, Dawn of War",purchase,1.0,0
151603712,"The Elder Scrolls V Skyrim",purchase,1.0,0
59945701,Spore,purchase,1.0,0
59945701,Spore,play,0.3,0
59945701,"The Elder Scrolls V Skyrim",purchase,1.0,0
"""
REVIEWS = [("A9", "B2", 5.0, 1_300_000_300), ("A9", "0700099867", 1.0, 1_300_000_000)]
REVIEWS += [("A2", "B2", 3.0, 1_300_000_200), ("A2", "B3", 4.0, 1_300_000_100)]
KEYS = ("reviewerID", "asin", "overall", "unixReviewTime")
AMAZON_JSON = "".join(
    json.dumps({"reviewText": 'a, "b"\n', **dict(zip(KEYS, r, strict=True))}) + "\n"
    for r in REVIEWS
)
AMAZON_CSV = "".join(",".join(map(str, r)) + "\n" for r in REVIEWS)
AMAZON = {
    "reviews_Toys_5.json": AMAZON_JSON.encode(),
    "reviews_Toys.json.gz": gzip.compress(AMAZON_JSON.encode()),
    "ratings_Toys.csv": AMAZON_CSV.encode(),
}


def write(path, content: str | bytes):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def items(log: InteractionLog) -> list[list]:
    return [log.item_ids[log.items_of(u)].tolist() for u in range(log.n_users)]


def test_diginetica_sessions_are_users_in_order_of_timeframe(tmp_path):
    log = data.read(write(tmp_path / "train-item-views.csv", VIEWS))
    assert log.user_ids.tolist() == [2, 7]
    assert items(log) == [[20, 10], [10, 30, 30]]
    assert log.time is None
    assert log.genre_names == ()


def test_diginetica_with_categories_as_a_zip(tmp_path):
    files = {"d/train-item-views.csv": VIEWS.encode(), "d/product-categories.csv": CATEGORIES}
    files["d/train-queries.csv"] = b"queryId;sessionId\n1;7\n"
    path = layouts.as_zip(tmp_path / "dataset.zip", files)
    log = data.read(path)
    assert items(log) == [[20, 10], [10, 30, 30]]
    assert [log.genre_label(i) for i in range(3)] == ["category_8", "category_9", "category_8"]


def test_steam_purchases_once_in_order_of_the_file(tmp_path):
    log = data.read(write(tmp_path / "steam-200k.csv", STEAM))
    assert log.user_ids.tolist() == [59945701, 151603712]
    skyrim, war = "The Elder Scrolls V Skyrim", "Warhammer, Dawn of War"
    assert items(log) == [["Spore", skyrim], [skyrim, war]]
    assert log.titles.tolist() == ["Spore", skyrim, war]
    assert log.time is None
    assert log.rating is None


@pytest.mark.parametrize("file", AMAZON)
def test_amazon(tmp_path, file):
    write(tmp_path / file, AMAZON[file])
    for path in (tmp_path, tmp_path / file):
        log = data.read(path)
        assert log.user_ids.tolist() == ["A2", "A9"]
        assert items(log) == [["B3", "B2"], ["0700099867", "B2"]]
        assert log.rating is not None
        assert log.time is not None
        assert log.rating.tolist() == [4.0, 3.0, 1.0, 5.0]
        assert log.time.tolist() == [1_300_000_000 + s for s in (100, 200, 0, 300)]


def test_amazon_with_two_files_needs_a_choice(tmp_path):
    layouts.as_folder(tmp_path, AMAZON)
    with pytest.raises(DataError, match=r"expected one file .* found .*Give the path of one"):
        data.read(tmp_path)
    assert len(data.read(tmp_path / "ratings_Toys.csv")) == 4


def test_ratings_with_a_header_are_a_plain_table(tmp_path):
    path = write(tmp_path / "ratings_mine.csv", "user,item,rating,time\n" + AMAZON_CSV)
    assert len(data.read(path)) == 4


ERRORS = {
    "columns": (
        "train-item-views.csv",
        VIEWS.replace("timeframe", "when"),
        r"line 1: expected the columns sessionId; .*found .*when",
    ),
    "timeframe": (
        "train-item-views.csv",
        VIEWS.replace(";500;", ";soon;"),
        r"line 4: order is 'soon', not a number",
    ),
    "behaviour": (
        "steam-200k.csv",
        "user,game,behaviour,value,zero\n" + STEAM,
        r"line 1: 'behaviour' is neither purchase nor play",
    ),
    "json": (
        "reviews_Toys_5.json",
        AMAZON_JSON + "{'reviewerID': 'A1'}\n",
        r"line 5: not a JSON object with reviewerID, asin",
    ),
    "key": ("reviews_Toys_5.json", '{"reviewerID": "A1"}\n', r"line 1: not a JSON object with"),
    "rating": (
        "reviews_Toys_5.json",
        AMAZON_JSON.replace("3.0", '"good"'),
        r"line 3: rating is 'good', not a number",
    ),
    "empty": ("reviews_Toys_5.json", "", r"the file is empty\. Download it again"),
    "cut": (
        "reviews_Toys_5.json.gz",
        gzip.compress(AMAZON_JSON.encode())[:-20],
        r"gzip file is truncated or damaged .*Download it again",
    ),
    "not gzip": ("reviews_Toys_5.json.gz", AMAZON_JSON, r"gzip file is truncated or damaged"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_name_the_file_and_the_cure(tmp_path, case):
    file, content, message = ERRORS[case]
    path = write(tmp_path / file, content)
    with pytest.raises(DataError, match=message) as raised:
        data.read(path)
    assert str(raised.value).startswith(str(path))


def test_between_drops_users_and_items_at_once():
    # Items 0 and 1 have three users; user 3 has one item.
    user, item = [0, 0, 1, 1, 2, 2, 3], [0, 1, 0, 1, 0, 1, 2]
    log = InteractionLog.from_columns("x", np.array(user), np.array(item))
    kept = paper.between(log, (1, 2), (1, 2))
    assert kept.user_ids.tolist() == [3]
    # Users and items go in one pass: had users gone first, item 0 would have been common no more.
    user, item = [0, 0, 0, 1, 2], [0, 1, 2, 0, 0]
    log = InteractionLog.from_columns("x", np.array(user), np.array(item))
    with pytest.raises(DataError, match=r"nothing is left of users with 1\.\.2 and items with"):
        paper.between(log, (1, 2), (1, 2))
    assert len(paper.between(log, (1, 3), (1, 2))) == 2


def test_diginetica_of_the_paper_from_all_views():
    """Five sessions see items 0..4; a sixth sees one of them, a seventh only what is rare."""
    user = np.concatenate([np.repeat(np.arange(5), 5), [0, 5, 6, 6]])
    item = np.concatenate([np.tile(np.arange(5), 5), [0, 0, 5, 6]])
    log = InteractionLog.from_columns("views", user, item)
    cut = paper.diginetica(log, cut=True)
    assert (cut.n_users, cut.n_items, len(cut)) == (5, 5, 25)
    assert cut.user_ids.tolist() == [0, 1, 2, 3, 4]


@pytest.fixture
def steam(monkeypatch, few):
    entry = tiny.entry(
        b"", few, name="tiny-steam", archive="steam-200k.csv", sha256="", size=0,
        format="steam-200k", counts=(2, 3, 4), by_hand=True,
    )  # fmt: skip
    known = {"tiny-steam": entry}
    monkeypatch.setattr("recgym.data.registry.DATASETS", known)
    monkeypatch.setattr("recgym.data.download.DATASETS", known)


@pytest.mark.parametrize("kind", ["file", "zip", "folder"])
def test_import_without_a_checksum_counts_the_content(tmp_path, own_cache, steam, kind):
    given = tmp_path / "given"
    given.mkdir()
    write(given / "thesis.csv", "private")
    path = write(given / "steam-200k.csv", STEAM)
    if kind == "zip":
        path = layouts.as_zip(given / "archive.zip", {"steam-200k.csv": STEAM.encode()})
    elif kind == "folder":
        path = given
    assert data.import_path(path) == own_cache / "datasets" / "tiny-steam"
    assert len(data.load("tiny-steam", "raw")) == 4
    assert os.listdir(own_cache / "datasets" / "tiny-steam") == ["steam-200k.csv"]


def test_import_of_less(tmp_path, own_cache, steam):
    path = write(tmp_path / "steam-200k.csv", STEAM[: STEAM.index("59945701")])
    for name in (None, "tiny-steam"):
        with pytest.raises(DataError, match=r"1 / 2 / 2 users.* but tiny-steam has 2 / 3 / 4"):
            data.import_path(path, name)
    assert not (own_cache / "datasets" / "tiny-steam").exists()


def test_import_of_another_edition(tmp_path, own_cache, few, monkeypatch):
    entry = tiny.entry(
        b"", few, name="tiny-toys", archive="reviews_Toys.json.gz", sha256="", size=0,
        format="amazon", counts=(9, 9, 9), editions=((2, 3, 4),),
    )  # fmt: skip
    tiny.register(monkeypatch, entry)
    data.import_path(write(tmp_path / "ratings_Toys.csv", AMAZON_CSV), "tiny-toys")
    assert len(data.load("tiny-toys", "raw")) == 4


@pytest.mark.parametrize("complete", [True, False])
def test_fetch_of_one_file_without_a_checksum(own_cache, few, monkeypatch, complete):
    content = AMAZON["reviews_Toys.json.gz"]
    with Server(content if complete else gzip.compress(b"<html>")).running() as server:
        entry = tiny.entry(
            b"", few, name="tiny-toys", archive="reviews_Toys.json.gz", sha256="", size=0,
            format="amazon", counts=(2, 3, 4), url=server.url,
        )  # fmt: skip
        tiny.register(monkeypatch, entry)
        if complete:
            folder = data.fetch("tiny-toys")
            assert os.listdir(folder) == ["reviews_Toys.json.gz"]
            assert len(data.load("tiny-toys", "raw")) == 4
        else:
            with pytest.raises(DataError, match="not a JSON object"):
                data.fetch("tiny-toys")
            assert os.listdir(own_cache / "datasets") == ["tiny-toys.lock"]
