"""Diginetica and Steam: official layouts read, refused and imported."""

from __future__ import annotations

import os

import data_layouts as layouts
import data_tiny as tiny
import numpy as np
import pytest

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
