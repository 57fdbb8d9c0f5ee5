"""Amazon, Gowalla and LightGCN layouts, written by hand and read back; the paper's selection."""

from __future__ import annotations

import gzip
import hashlib
import json

import data_layouts as layouts
import data_tiny as tiny
import numpy as np
import pytest

from recgym import data
from recgym.data import DataError, InteractionLog, registry
from recgym.data.formats_valuation import adjacency, of_paper
from recgym.data.sources import Source

REVIEWS = [
    # reviewer, item, stars, time
    ("A1YJEY40YUW4SE", "7806397051", 1.0, 1391040000),
    ("A60XNB876KYML", "7806397051", 5.0, 1397779200),
    ("A60XNB876KYML", "9759091062", 4.0, 1378425600),
    ("AAAAAAAAAAAAA1", "B000052YAN", 3.0, 1404691200),
]
META = [
    "{'asin': '7806397051', 'title': \"Don't\", 'categories': [['Beauty', 'Makeup', 'Face'],"
    " ['Beauty']]}",
    "{'asin': '9759091062', 'categories': [['Beauty', 'Skin|Care']]}",
    "{'asin': 'B999999999', 'title': 'Nobody bought it', 'categories': [['Beauty', 'Hair']]}",
]
CHECKINS = [
    (0, "2010-10-19T23:55:27Z", 30.2359091167, -97.7951395833, 22847),
    (0, "2010-10-18T22:17:43Z", 30.2691029532, -97.7493953705, 420315),
    (0, "2010-10-17T23:42:03Z", 30.2359091167, -97.7951395833, 22847),
    (7, "2010-10-17T19:26:05Z", 30.2634181234, -97.7575966669, 316637),
]


def review(user, item, stars, time):
    return json.dumps(
        {"reviewerID": user, "asin": item, "overall": stars, "unixReviewTime": time, "helpful": [0]}
    )


def as_files(kind: str) -> dict[str, bytes]:
    reviews = layouts.text([review(*row) for row in REVIEWS])
    meta = layouts.text(META)
    if kind == "gz":
        return {
            "reviews_Beauty.json.gz": gzip.compress(reviews),
            "meta_Beauty.json.gz": gzip.compress(meta),
        }
    return {"reviews_Beauty.json": reviews, "meta_Beauty.json": meta}


def check_amazon(log: InteractionLog) -> None:
    assert log.user_ids.tolist() == sorted({row[0] for row in REVIEWS})
    assert log.item_ids.tolist() == ["7806397051", "9759091062", "B000052YAN"]
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


@pytest.mark.parametrize("packed", [True, False])
def test_gowalla_checkins(tmp_path, packed):
    content = layouts.text(["\t".join(map(str, row)) for row in CHECKINS])
    name = "loc-gowalla_totalCheckins.txt" + ".gz" * packed
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    log = data.read(tmp_path / name)
    assert log.user_ids.tolist() == [0, 7]
    assert log.item_ids[log.item].tolist() == [22847, 420315, 22847, 316637]
    assert log.time is not None
    assert log.time[:3].tolist() == [1287358923, 1287440263, 1287532527]
    assert log.rating is None


def test_adjacency_lists(tmp_path):
    files = {"train.txt": b"0 3 1\n1 2\n2\n", "test.txt": b"0 2 \n1 3 1\n\n"}
    folder = layouts.as_folder(tmp_path, files)
    for path in (folder, folder / "train.txt"):
        log = data.read(path)
        assert log.n_users == 2  # user 2 has nothing
        assert log.item_ids.tolist() == [1, 2, 3]
        assert [log.item_ids[log.items_of(u)].tolist() for u in range(2)] == [[3, 1, 2], [2, 3, 1]]
    users, items = adjacency(Source(folder), "test.txt")
    assert users.tolist() == [0, 1, 1]
    assert items.tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"reviews_A.json": b"{}\n", "ratings_B.csv": b""}, r"2 files could hold .*folder of its"),
        ({"reviews_A.json": b"not json\n"}, r"reviews_A\.json, line 1: not a JSON object"),
        ({"reviews_A.json": b"[1]\n"}, r"reviews_A\.json, line 1: list, expected an object"),
        ({"reviews_A.json": b""}, r"reviews_A\.json: there is no review"),
        (
            {"reviews_A.json": review("A", "B", 1, 2).encode() + b'\n{"asin": "B"}\n'},
            r"reviews_A\.json, row 2: user_id is missing",
        ),
        ({"reviews_A.json.gz": b"\x1f\x8bcut"}, r"reviews_A\.json\.gz: the file is truncated"),
        (
            {"loc-gowalla_totalCheckins.txt.gz": gzip.compress(b"0\tx\t1\t1\t5\n" * 9)[:-6]},
            r"totalCheckins\.txt\.gz: the file is truncated",
        ),
        ({"train.txt": b"0 1\n0 x\n", "test.txt": b"0 2\n"}, r"train\.txt, line 2: expected whole"),
        ({"train.txt": b"0 1\n", "test.txt": b"0 -2\n"}, r"test\.txt, line 1: expected whole"),
        ({"train.txt": b"0\n", "test.txt": b"0 2\n"}, r"train\.txt: there is no interaction"),
    ],
)
def test_bad_files_are_named(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
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
    found = of_paper(log, prepared=False)
    assert found.user_ids.tolist() == list(range(1, 12))
    assert len(found) == 11 * 12
    assert of_paper(log, prepared=True) is log


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
