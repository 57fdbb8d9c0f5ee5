"""Exact counts of the real data sets, where they are at hand."""

from __future__ import annotations

import numpy as np
import pytest

from recgym import data
from recgym.data import willingness
from recgym.data.registry import _load
from recgym.data.selection_split import LeaveTwoOut


@pytest.fixture(autouse=True)
def use_shared(shared_data, monkeypatch, own_cache):
    monkeypatch.setenv("RECGYM_SHARED_DATA", str(shared_data))
    _load.cache_clear()


COUNTS = [
    ("ml-1m", "raw", 6_040, 3_706, 1_000_209),
    ("ml-1m", "clean", 6_040, 3_416, 999_611),
    ("ml-1m", "paper", 6_040, 3_415, 996_183),
    ("ml-100k", "raw", 943, 1_682, 100_000),
    ("lastfm-2k", "raw", 1_892, 12_523, 71_064),
    ("lastfm-2k", "clean", 1_090, 3_646, 52_551),
    ("lastfm-2k", "paper", 896, 2_682, 28_220),
    ("diginetica", "raw", 202_633, 43_097, 982_961),
    ("diginetica", "clean", 71_110, 29_197, 572_933),
    ("steam-200k", "raw", 12_393, 5_155, 128_804),
    ("steam-200k", "clean", 3_726, 2_628, 110_176),
    ("amazon-video-games", "raw", 31_013, 23_715, 287_107),
    ("amazon-video-games", "clean", 24_303, 10_672, 231_780),
    ("ifrqe-simulation", "raw", 1_000, 1_000, 12_305),
    ("ifrqe-simulation", "clean", 999, 988, 12_257),
    ("amazon-beauty", "raw", 8_159, 5_862, 98_566),
    ("amazon-beauty", "paper", 8_159, 5_862, 98_566),
    ("gowalla", "paper", 29_858, 40_981, 1_027_370),
]
NO_CORE = {"amazon-beauty"}  # the paper's Beauty has users and items with one interaction


@pytest.mark.parametrize(("name", "variant", "users", "items", "events"), COUNTS)
def test_counts(name, variant, users, items, events):
    log = data.load(name, variant)
    assert (log.n_users, log.n_items, len(log)) == (users, items, events)
    assert log is data.load(name, variant), "kept in memory"
    if variant != "raw" and name not in NO_CORE:
        assert np.diff(log.offsets).min() >= 5
        assert log.popularity.min() >= 5


def test_paper_of_movielens_is_the_clean_set_without_its_most_popular_film():
    clean, paper = data.load("ml-1m", "clean"), data.load("ml-1m", "paper")
    assert clean.item_label(int(np.argmax(clean.popularity))) == "American Beauty (1999)"
    assert data.drop_most_popular(clean).fingerprint == paper.fingerprint


def test_movielens_1m_in_the_authors_order(shared_data):
    import pandas as pd

    frame = pd.read_parquet(shared_data / "ml-1m" / "interactions.parquet")
    frame = frame.dropna(subset="irs_order").sort_values(["user_id", "irs_order"])
    paper = data.load("ml-1m", "paper")
    frame = frame[frame.item_id.isin(paper.item_ids)]
    np.testing.assert_array_equal(paper.item_ids[paper.item], frame.item_id)
    assert paper.titles[0] == "Toy Story (1995)"
    assert len(paper.genre_names) == 18


def test_film_without_an_order_is_placed_by_time_or_anywhere_but_at_the_end(shared_data):
    import pandas as pd

    log = data.load("ml-1m", "raw")
    frame = pd.read_parquet(shared_data / "ml-1m" / "interactions.parquet")
    times = frame.dropna(subset="timestamp").set_index(["user_id", "item_id"]).timestamp
    film = int(np.flatnonzero(log.item_ids == 2858)[0])
    place = np.arange(len(log)) - log.offsets[log.user]
    share = (place / (np.diff(log.offsets)[log.user] - 1))[log.item == film]
    assert 0.3 < share.mean() < 0.6
    assert (share == 1).mean() < 0.05
    for user in range(0, 2_999, 100):  # all of their times are known
        key = pd.MultiIndex.from_product([[user + 1], log.item_ids[log.items_of(user)]])
        assert (np.diff(times.loc[key].to_numpy(np.int64)) >= 0).all()


def test_lastfm_of_the_paper_row_by_row(shared_data):
    import pandas as pd

    theirs = pd.read_parquet(shared_data / "lastfm-2k" / "interactions_irs_paper_exact.parquet")
    ours = data.load("lastfm-2k", "paper").to_frame()
    columns = ["user_id", "item_id", "timestamp"]
    assert set(map(tuple, ours[columns].to_numpy())) == set(map(tuple, theirs[columns].to_numpy()))


def test_lastfm_from_the_official_layout_equals_the_shared_one(shared_data, tmp_path):
    """The tag assignments, written as the official file, give the same logs."""
    import pandas as pd

    folder = shared_data / "lastfm-2k"
    taggings = pd.read_parquet(folder / "taggings.parquet").drop(columns="exact")
    taggings.columns = ["userID", "artistID", "tagID", "timestamp"]
    taggings.to_csv(tmp_path / "user_taggedartists-timestamps.dat", sep="\t", index=False)
    read, shared = data.read(tmp_path), data.load("lastfm-2k", "raw")
    np.testing.assert_array_equal(read.user, shared.user)
    np.testing.assert_array_equal(read.item, shared.item)
    np.testing.assert_array_equal(read.time, shared.time)


@pytest.mark.slow
def test_a_bench_of_an_imported_official_folder(shared_data, tmp_path, monkeypatch):
    """From the unpacked archive of Last.fm to the report, without the shared folder.

    By the command; models are small and trained for one epoch.
    """
    import pandas as pd
    from typer.testing import CliRunner

    from recgym.benchmark.influence_path import suite as suites
    from recgym.benchmark.suites import Entry
    from recgym.cli import app
    from recgym.evaluators import recipes

    folder, official = shared_data / "lastfm-2k", tmp_path / "hetrec2011-lastfm-2k"
    official.mkdir()
    taggings = pd.read_parquet(folder / "taggings.parquet").drop(columns="exact")
    taggings.columns = ["userID", "artistID", "tagID", "timestamp"]
    artists = pd.read_parquet(folder / "items.parquet").dropna(subset="title")
    artists = artists.rename(columns={"item_id": "id", "title": "name"})[["id", "name"]]
    tags = pd.read_parquet(folder / "tags.parquet")
    for name, frame, encoding in (
        ("user_taggedartists-timestamps.dat", taggings, "utf-8"),
        ("artists.dat", artists, "utf-8"),
        ("tags.dat", tags, "latin-1"),
    ):
        frame.to_csv(official / name, sep="\t", index=False, quoting=3, encoding=encoding)
    shared = data.load("lastfm-2k").fingerprint
    monkeypatch.delenv("RECGYM_SHARED_DATA")
    _load.cache_clear()
    data.import_path(official)
    assert data.load("lastfm-2k").fingerprint == shared

    small = recipes.Recipe({"width": 8, "layers": 1}, {"epochs": 1})
    monkeypatch.setattr(recipes, "recipe", lambda model, dataset: small)
    few = (
        suites.irn("lastfm-2k", "irn[gap left]", width=8, heads=2, layers=1, epochs=1),
        suites.rec2inf("sasrec", "genre", True),
        Entry("planner", "planner"),
        Entry("lookahead", "lookahead"),
        Entry("pf2inf[dijkstra]", "pf2inf"),
        Entry("jump", "jump"),
    )
    monkeypatch.setattr(suites, "quick_methods", lambda: few)
    words = ["bench", "influence-path", "--dataset", "lastfm-2k", "--quick", "--jobs", "1"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "runs")])
    assert result.exit_code == 0, result.output
    assert not list((tmp_path / "runs").glob("*.error.txt"))
    for entry in few:
        assert entry.label in result.output
    again = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "runs")])
    assert again.output.count("done") < result.output.count("done")  # nothing is made twice


def test_import_of_a_shared_folder(shared_data, monkeypatch, own_cache):
    monkeypatch.delenv("RECGYM_SHARED_DATA")
    folder = data.import_path(shared_data / "ml-100k")
    assert folder == own_cache / "datasets" / "ml-100k"
    assert len(data.load("ml-100k", "raw")) == 100_000


def test_other_folders_can_be_read(shared_data):
    log = data.load("amazon-beauty", "paper")
    assert log.time is None
    assert log.rating is None
    assert len(log.genre_names) == 41
    assert (log.genres.sum(axis=1) == 1).all()
    assert len(data.read(shared_data / "amazon-beauty")) == 98_566
    assert len(data.read(shared_data / "gowalla")) == 1_027_370
    simulated = data.read(shared_data / "ifrqe-simulation")
    assert (simulated.n_users, simulated.n_items, len(simulated)) == (1_000, 1_000, 12_305)


def test_diginetica_of_the_paper():
    log = data.load("diginetica", "paper")
    assert (log.n_users, log.n_items, len(log)) == (2_879, 10_835, 17_268)
    lengths = np.diff(log.offsets)
    assert (lengths.min(), lengths.max()) == (5, 16)
    assert (log.popularity.min(), log.popularity.max()) == (1, 8)
    split = LeaveTwoOut.of(log)
    assert (len(split.train), split.excluded, split.repeated) == (11_510, 0, 0)
    # Table 1: willingness violation of the base model, β uniform, is half of the training events
    assert len(split.train) / log.n_users / 2 == pytest.approx(2.01, abs=0.02)


def test_official_5_core_of_video_games_is_the_clean_variant():
    clean = data.load("amazon-video-games")
    assert (clean.n_users, clean.n_items, len(clean)) in data.info("amazon-video-games").editions


def test_steam_has_genres_and_no_repeats():
    log = data.load("steam-200k", "raw")
    assert log.genres.any(axis=1).mean() == pytest.approx(0.72, abs=0.005)
    assert LeaveTwoOut.of(log).repeated == 0
    assert willingness.draw("rarity", log, 0).min() == 0.5
    with pytest.raises(data.DataError, match="diginetica: no item has a category"):
        willingness.draw("rarity", data.load("diginetica", "paper"), 0)


def test_import_of_the_simulated_world(shared_data, monkeypatch, own_cache):
    monkeypatch.delenv("RECGYM_SHARED_DATA")
    folder = shared_data / "ifrqe-simulation"
    for path in (folder, folder / "simulation.inter"):
        assert data.import_path(path) == own_cache / "datasets" / "ifrqe-simulation"
        assert len(data.load("ifrqe-simulation", "raw")) == 12_305


@pytest.mark.parametrize("name", ["amazon-beauty", "amazon-video-games", "gowalla"])
def test_import_of_parquet_goes_by_its_counts(shared_data, monkeypatch, own_cache, name):
    monkeypatch.delenv("RECGYM_SHARED_DATA")
    assert data.import_path(shared_data / name) == own_cache / "datasets" / name
    assert data.load(name, "raw").name == name


def test_import_of_another_category(shared_data):
    with pytest.raises(data.DataError, match=r"but amazon-beauty has 8,159 / 5,862 / 98,566\."):
        data.import_path(shared_data / "amazon-video-games", "amazon-beauty")
