from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

import data_layouts as layouts
import data_tiny as tiny
import pytest

from recgym import data
from recgym.data import DataError, registry
from recgym.data.download import COPIED, KEY_FILES
from recgym.data.paths import cache_dir
from recgym.data.readers import READERS


def test_names_and_entries():
    assert data.names() == (
        "ml-latest-small", "synthetic", "ml-100k", "ml-1m", "ml-20m", "ml-25m", "lastfm-2k",
        "diginetica", "steam-200k", "amazon-video-games", "ifrqe-simulation",
        "amazon-beauty", "gowalla",
    )  # fmt: skip
    for name in data.names():
        entry = data.info(name)
        assert entry.licence.endswith(".")
        if not entry.embedded:
            assert entry.by_hand or entry.url.endswith("/" + entry.archive)
            kind, checksum = entry.checksum
            assert len(checksum) == {"sha256": 64, "md5": 32, "": 0}[kind]
            assert entry.counts or (kind and entry.parquet_counts)
            assert entry.format in READERS
            assert entry.format in KEY_FILES
            assert any(fnmatchcase(entry.archive, p) for p in COPIED.get(entry.format, "*"))


def test_page_lists_them_as_the_registry_does():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert [row[0].strip("| `") for row in rows] == list(data.names())
    for row, name in zip(rows, data.names(), strict=True):
        entry = data.info(name)
        counts = " / ".join(f"{n:,}" for n in entry.counts) if entry.counts else "any"
        assert row[1:] == [entry.title, counts, ", ".join(entry.variants), f"{entry.licence} |"]


def test_unknown_name_lists_the_known():
    with pytest.raises(DataError, match=r"No data set is called 'ml-2m'\. Known: ml-latest-small"):
        data.load("ml-2m")


def test_unknown_variant():
    with pytest.raises(DataError, match=r"no variant 'paper'\. It has: raw, clean"):
        data.load("ml-latest-small", "paper")


def test_absent_says_how_to_get_it():
    with pytest.raises(DataError) as raised:
        data.load("ml-1m")
    message = str(raised.value)
    assert "`recgym data fetch ml-1m`" in message
    assert "ml-1m.zip from https://files.grouplens.org/datasets/movielens/ml-1m.zip" in message
    assert "`recgym data import PATH`" in message
    assert "\n" not in message


def test_absent_and_behind_an_account():
    for call in (data.load, data.fetch):
        with pytest.raises(DataError) as raised:
            call("steam-200k")
        message = str(raised.value)
        assert "download steam-200k.csv from https://www.kaggle.com/" in message
        assert "`recgym data import PATH`" in message
        assert "data fetch" not in message


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
    monkeypatch.setenv("RECGYM_CACHE", "~/there")
    assert cache_dir() == tmp_path.home() / "there"
    monkeypatch.delenv("RECGYM_CACHE")
    assert cache_dir().name == "recgym"


@pytest.fixture
def placed(own_cache, monkeypatch, few):
    """A data set in the cache, as if fetched."""
    tiny.register(monkeypatch, tiny.entry(b"", few, counts=None))
    folder = own_cache / "datasets" / "tiny"
    files = layouts.ml_csv(few)
    return layouts.as_folder(folder, {k.split("/")[1]: v for k, v in files.items()})


def test_kept_in_memory_until_the_files_change(placed, few):
    first = data.load("tiny", "raw")
    assert data.load("tiny", "raw") is first
    part = layouts.ml_csv(few.keep(few.user < 6).compact())
    (placed / "ratings.csv").write_bytes(part["ml-latest-small/ratings.csv"])
    assert data.load("tiny", "raw").n_users == 6


def test_clean_is_the_five_core(placed, small):
    files = layouts.ml_csv(small.keep(small.user < 100).compact())
    (placed / "ratings.csv").write_bytes(files["ml-latest-small/ratings.csv"])
    clean = data.load("tiny")
    assert clean.popularity.min() >= 5
    assert clean.fingerprint == data.k_core(data.load("tiny", "raw")).fingerprint
    assert clean.name == "tiny"


def test_folder_with_less_than_the_data_set(placed, monkeypatch, few):
    tiny.register(monkeypatch, tiny.entry(b"", few, counts=(12, 9_066, 100_004)))
    with pytest.raises(DataError, match=r"tiny has 12 / 9,066 / 100,004.*recgym data fetch tiny"):
        data.load("tiny")


def test_shared_folder_comes_after_the_cache(monkeypatch, tmp_path, few, placed):
    pytest.importorskip("pyarrow")
    shared = tmp_path / "shared" / "tiny"
    shared.mkdir(parents=True)
    few.keep(few.user < 5).compact().to_frame().to_parquet(shared / "interactions.parquet")
    monkeypatch.setenv("RECGYM_SHARED_DATA", str(shared.parent))
    assert data.load("tiny", "raw").n_users == 12
    for name in os.listdir(placed):
        (placed / name).unlink()
    placed.rmdir()
    assert registry.locate("tiny") == shared
    assert data.load("tiny", "raw").n_users == 5


def test_lastfm_of_the_paper_needs_all_taggings(monkeypatch, tmp_path, few):
    pytest.importorskip("pyarrow")
    folder = tmp_path / "lastfm-2k"
    folder.mkdir()
    few.to_frame().to_parquet(folder / "interactions.parquet")
    monkeypatch.setenv("RECGYM_SHARED_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"variant 'paper' needs all tag assignments"):
        data.load("lastfm-2k", "paper")
