"""Amazon's reviews and ratings: read, refused, imported; one category is not another."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os

import data_layouts as layouts
import data_tiny as tiny
import numpy as np
import pytest
from data_server import Server

from recgym import data
from recgym.data import DataError, InteractionLog, paper, registry

REVIEWS = [
    # reviewer, item, stars, time
    ("A1YJEY40YUW4SE", "0706397051", 1.0, 1391040000),
    ("A60XNB876KYML", "0706397051", 5.0, 1397779200),
    ("A60XNB876KYML", "9759091062", 4.0, 1378425600),
    ("AAAAAAAAAAAAA1", "B000052YAN", 3.0, 1404691200),
]
META = [
    "{'asin': '0706397051', 'title': \"Don't\", 'categories': [['Beauty', 'Makeup', 'Face'],"
    " ['Beauty']]}",
    "{'asin': '9759091062', 'categories': [['Beauty', 'Skin|Care']]}",
    "{'asin': 'B999999999', 'title': 'Nobody bought it', 'categories': [['Beauty', 'Hair']]}",
]


def review(user, item, stars, time):
    named = {"reviewerID": user, "asin": item, "overall": stars, "unixReviewTime": time}
    return json.dumps({"reviewText": 'a, "b"\n', "helpful": [0], **named})


JSON = layouts.text([review(*row) for row in REVIEWS])
CSV = layouts.text([",".join(map(str, row)) for row in REVIEWS])
GZ = gzip.compress(JSON)


def as_files(kind: str) -> dict[str, bytes]:
    meta = layouts.text(META)
    if kind == "gz":
        return {
            "reviews_Beauty.json.gz": GZ,
            "meta_Beauty.json.gz": gzip.compress(meta),
        }
    return {"reviews_Beauty.json": JSON, "meta_Beauty.json": meta}


def check_amazon(log: InteractionLog) -> None:
    assert log.user_ids.tolist() == sorted({row[0] for row in REVIEWS})
    assert log.item_ids.tolist() == ["0706397051", "9759091062", "B000052YAN"]
    assert log.rating is not None
    assert log.time is not None
    assert log.rating.tolist() == [1, 4, 5, 3]  # the second user's in order of time
    assert log.time.tolist() == [1391040000, 1378425600, 1397779200, 1404691200]


@pytest.mark.parametrize("kind", ["text", "gz"])
@pytest.mark.parametrize("one_file", [True, False])
def test_amazon_reviews_with_metadata(tmp_path, kind, one_file):
    files = as_files(kind)
    folder = layouts.as_folder(tmp_path / "given", files)
    log = data.read(folder / next(iter(files)) if one_file else folder)
    check_amazon(log)
    assert log.titles.tolist() == ["Don't", "", ""]
    assert [log.genre_label(i) for i in range(3)] == ["Face", "Skin/Care", ""]


def test_amazon_reviews_in_a_zip_without_metadata(tmp_path):
    files = as_files("text")
    del files["meta_Beauty.json"]
    log = data.read(layouts.as_zip(tmp_path / "x.zip", files))
    check_amazon(log)
    assert log.genre_names == ()


@pytest.mark.parametrize("edition", [2014, 2018])
@pytest.mark.parametrize("packed", [True, False])
def test_amazon_ratings_of_both_editions(tmp_path, edition, packed):
    rows = [(u, i, r, t) if edition == 2014 else (i, u, r, t) for u, i, r, t in REVIEWS]
    content = layouts.text([",".join(map(str, row)) for row in rows])
    name = "ratings_Beauty.csv" + ".gz" * packed
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    check_amazon(data.read(tmp_path / name))


ALL = {"reviews_Toys_5.json": JSON, "reviews_Toys.json.gz": GZ, "ratings_Toys.csv": CSV}


@pytest.mark.parametrize("file", ALL)
def test_amazon_folder_or_file(tmp_path, file):
    layouts.as_folder(tmp_path, {file: ALL[file]})
    for path in (tmp_path, tmp_path / file):
        check_amazon(data.read(path))


def test_amazon_with_two_files_needs_a_choice(tmp_path):
    layouts.as_folder(tmp_path, {**ALL, "meta_Toys.json": layouts.text(META)})
    with pytest.raises(DataError, match=r"expected one file .* found .*Give the path of one"):
        data.read(tmp_path)
    for file in ALL:
        log = data.read(tmp_path / file)
        check_amazon(log)
        assert (log.genre_names == ()) == file.startswith("ratings")


def test_ratings_with_a_header_are_a_plain_table(tmp_path):
    path = tmp_path / "ratings_mine.csv"
    path.write_bytes(b"user,item,rating,time\n" + CSV)
    assert len(data.read(path)) == 4
    (tmp_path / "ratings_Toys.csv").write_bytes(CSV)
    check_amazon(data.read(tmp_path, format="amazon"))


def test_reviews_as_python_literals(tmp_path):
    literals = [repr(json.loads(line)).encode() for line in JSON.splitlines()]
    (tmp_path / "reviews_Beauty.json").write_bytes(b"\n".join(literals))
    check_amazon(data.read(tmp_path))


ERRORS = {
    "literal": ("reviews_Toys_5.json", JSON + b"{'reviewerID': 'A1'}\n", "line 5: {what}"),
    "key": ("reviews_Toys_5.json", b'{"reviewerID": "A1"}\n', "line 1: {what}"),
    "text": ("reviews_Toys.json", b"not json\n", "line 1: {what}"),
    "bytes": ("reviews_Toys.json", b"\xff\n", "line 1: {what}"),
    "list": ("reviews_Toys.json", b"[1]\n", "line 1: {what}"),
    "rating": (
        "reviews_Toys_5.json",
        JSON.replace(b"4.0", b'"good"'),
        r"line 3: rating is 'good', not a number",
    ),
    "no user": (
        "reviews_Toys_5.json",
        JSON.replace(b'"A60XNB876KYML"', b"null", 1),
        r"line 2: user_id is missing",
    ),
    "empty": ("reviews_Toys_5.json", b"", r"the file is empty\. Download it again"),
    "cut": (
        "reviews_Toys_5.json.gz",
        GZ[:-20],
        r"gzip file is truncated or damaged .*Download it again",
    ),
    "header cut": ("reviews_Toys.json.gz", b"\x1f\x8bcut", r"gzip file is truncated or damaged"),
    "not gzip": ("reviews_Toys_5.json.gz", JSON, r"gzip file is truncated or damaged"),
    "ratings cut": (
        "ratings_Toys.csv.gz",
        gzip.compress(CSV)[:-6],
        r"gzip file is truncated or damaged",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_name_the_file_and_the_cure(tmp_path, case):
    file, content, message = ERRORS[case]
    what = "not a JSON object with reviewerID, asin, overall, unixReviewTime"
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(DataError, match=message.replace("{what}", what)) as raised:
        data.read(path)
    assert str(raised.value).startswith(str(path))


def test_errors_of_the_catalogue(tmp_path):
    files = {"reviews_Toys.json": JSON, "meta_Toys.json": b"{'title': 'x'}\n"}
    with pytest.raises(DataError, match=r"meta_Toys\.json, line 1: not a JSON object with asin"):
        data.read(layouts.as_folder(tmp_path, files))


def test_selection_of_the_paper():
    """Ratings ≥ 4, a pair once, then users and items with ten."""
    user, item = (x.ravel() for x in np.mgrid[:12, :12])
    rating = np.full(144, 4.0)
    rating[:12] = 3.9  # user 0 goes
    log = InteractionLog.from_columns(
        "x", np.append(user, [12] * 15), np.append(item, [5] * 15),
        rating=np.append(rating, [5.0] * 15),
    )  # fmt: skip
    found = paper.valuation(log, prepared=False)
    assert found.user_ids.tolist() == list(range(1, 12))
    assert len(found) == 11 * 12
    assert paper.valuation(log, prepared=True) is log


def entry(content: bytes) -> registry.Dataset:
    return registry.Dataset(
        "tiny", "Tiny", "For tests.", "reviews_Beauty.json.gz", "http://x/reviews_Beauty.json.gz",
        md5=hashlib.md5(content).hexdigest(), format="amazon", parquet_counts=(2, 2, 3),
        variants=registry.VARIANTS,
    )  # fmt: skip


def test_import_of_a_single_file_under_another_name(tmp_path, monkeypatch, own_cache):
    content = as_files("gz")["reviews_Beauty.json.gz"]
    tiny.register(monkeypatch, entry(content))
    path = tmp_path / "reviews (1).gz"
    path.write_bytes(content)
    folder = data.import_path(path)
    assert [p.name for p in folder.iterdir()] == ["reviews_Beauty.json.gz"]
    check_amazon(data.load("tiny", "raw"))
    with pytest.raises(DataError, match="10-core is empty"):
        data.load("tiny", "paper")


def test_import_of_a_folder_with_its_metadata(tmp_path, monkeypatch, own_cache):
    files = as_files("gz")
    tiny.register(monkeypatch, entry(files["reviews_Beauty.json.gz"]))
    data.import_path(layouts.as_folder(tmp_path / "mine", files), "tiny")
    assert data.load("tiny", "raw").titles[0] == "Don't"


def test_parquet_holds_the_papers_selection(tmp_path, monkeypatch, own_cache):
    pytest.importorskip("pyarrow")
    tiny.register(monkeypatch, entry(b""))
    log = InteractionLog.from_columns("x", np.array([0, 0, 1]), np.array([0, 1, 1]))
    folder = own_cache / "datasets" / "tiny"
    folder.mkdir(parents=True)
    log.to_frame().to_parquet(folder / "interactions.parquet")
    assert data.load("tiny", "paper") is data.load("tiny", "raw")
    log.keep([0, 2]).to_frame().to_parquet(folder / "interactions.parquet")
    with pytest.raises(DataError, match="tiny has 2 / 2 / 3"):
        data.load("tiny", "paper")


def test_import_of_another_edition(tmp_path, own_cache, few, monkeypatch):
    entry = tiny.entry(
        b"", few, name="tiny-toys", archive="reviews_Toys.json.gz", sha256="", size=0,
        format="amazon", counts=(9, 9, 9), editions=((3, 3, 4),),
    )  # fmt: skip
    tiny.register(monkeypatch, entry)
    (tmp_path / "ratings_Toys.csv").write_bytes(CSV)
    data.import_path(tmp_path / "ratings_Toys.csv", "tiny-toys")
    assert len(data.load("tiny-toys", "raw")) == 4


@pytest.mark.parametrize("complete", [True, False])
def test_fetch_of_one_file_without_a_checksum(own_cache, few, monkeypatch, complete):
    content = GZ
    with Server(content if complete else gzip.compress(b"<html>")).running() as server:
        entry = tiny.entry(
            b"", few, name="tiny-toys", archive="reviews_Toys.json.gz", sha256="", size=0,
            format="amazon", counts=(3, 3, 4), url=server.url,
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


GAMES = [*REVIEWS, ("AAAAAAAAAAAAA2", "B000052YAN", 5.0, 1404691300)]
GAMES_CSV = layouts.text([",".join(map(str, row)) for row in GAMES])


@pytest.fixture
def two(monkeypatch, own_cache, few):
    """Beauty, whose checksum is known, and games, counted: nothing else is registered."""
    games = tiny.entry(
        b"", few, name="games", archive="reviews_Video_Games_5.json.gz", sha256="", size=0,
        format="amazon", counts=(4, 3, 5), editions=((3, 3, 4),),
    )  # fmt: skip
    beauty = tiny.entry(
        GZ, few, name="beauty", archive="reviews_Beauty.json.gz", format="amazon",
        counts=(3, 3, 4), editions=((4, 3, 5),), parquet_counts=(2, 2, 3),
    )  # fmt: skip
    known = {"games": games, "beauty": beauty}
    monkeypatch.setattr("recgym.data.registry.DATASETS", known)
    monkeypatch.setattr("recgym.data.download.DATASETS", known)
    return own_cache / "datasets"


@pytest.mark.parametrize("kind", ["folder", "file", "zip"])
@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ("reviews_Beauty.json", JSON, "beauty"),
        ("reviews_Beauty_5.json.gz", GZ + gzip.compress(b""), "beauty"),
        ("ratings_Beauty.csv", GAMES_CSV, "beauty"),
        ("reviews_Video_Games.json", JSON, "games"),
        ("ratings_Video_Games.csv", GAMES_CSV, "games"),
    ],
)
def test_names_decide_between_categories(tmp_path, two, kind, file, content, name):
    given = layouts.as_folder(tmp_path / "given", {file: content, "thesis.csv": b"private"})
    path = {"folder": given, "file": given / file}.get(kind)
    if path is None:
        path = layouts.as_zip(tmp_path / "archive.zip", {file: content})
    other = {"beauty": "games", "games": "beauty"}[name]
    if kind == "folder":
        with pytest.raises(DataError, match=f"this is not {other}"):
            data.import_path(path, other)
    for wanted in (None, name):
        assert data.import_path(path, wanted) == two / name
        assert os.listdir(two / name) == [file]
    assert len(data.load(name, "raw")) == (5 if content is GAMES_CSV else 4)


def test_counts_decide_where_names_do_not(tmp_path, two, monkeypatch):
    registered = dict(registry.DATASETS)
    registered["games"] = dataclasses.replace(registered["games"], editions=())
    registered["beauty"] = dataclasses.replace(registered["beauty"], editions=())
    monkeypatch.setattr("recgym.data.registry.DATASETS", registered)
    monkeypatch.setattr("recgym.data.download.DATASETS", registered)
    for content, name in ((CSV, "beauty"), (GAMES_CSV, "games")):
        folder = layouts.as_folder(tmp_path / name, {"ratings_mine.csv": content})
        assert data.import_path(folder) == two / name
        assert data.import_path(folder / "ratings_mine.csv") == two / name
        assert len(data.load(name, "raw")) == len(content.splitlines())
    less = layouts.as_folder(tmp_path / "less", {"ratings_mine.csv": CSV[: CSV.index(b"\n") + 1]})
    for path in (less, less / "ratings_mine.csv"):
        with pytest.raises(DataError, match="1 / 1 / 1 users"):
            data.import_path(path)


def test_checksum_decides_over_the_official_name(tmp_path, two):
    path = tmp_path / "reviews_Beauty.json.gz"
    path.write_bytes(gzip.compress(JSON, 1)[:-1] + b"x")
    for name in (None, "beauty"):
        with pytest.raises(DataError, match=r"it is not the complete reviews_Beauty\.json\.gz"):
            data.import_path(path, name)
    with pytest.raises(DataError):
        data.import_path(path, "games")
    assert not (two / "games").exists()


def test_catalogue_of_the_category_is_copied_alone(tmp_path, two):
    files = {
        "reviews_Beauty.json.gz": GZ,
        "meta_Beauty.json": layouts.text(META),
        "meta_Video_Games.json": layouts.text(META),
        "ratings_mine.csv": b"user,item,rating,time\n" + CSV,
    }
    folder = layouts.as_folder(tmp_path / "downloads", files)
    for path in (folder, folder / "reviews_Beauty.json.gz"):
        data.import_path(path)
        assert sorted(os.listdir(two / "beauty")) == ["meta_Beauty.json", "reviews_Beauty.json.gz"]
    assert data.load("beauty", "raw").titles[0] == "Don't"
