"""Downloads that are cut, wrong, doubled or impossible; nothing half-written stays."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import data_layouts as layouts
import data_tiny as tiny
import pytest
from data_server import Server

from recgym import data
from recgym.data import DataError, download


@pytest.fixture
def content(tmp_path, few) -> bytes:
    return tiny.archive(tmp_path, few)


@pytest.fixture
def server(content):
    with Server(content).running() as running:
        yield running


@pytest.fixture(autouse=True)
def known(content, few, monkeypatch):
    tiny.register(monkeypatch, tiny.entry(content, few))
    monkeypatch.setattr(download, "PAUSE", 0.001)


def leftovers(cache: Path) -> list[str]:
    folder = cache / "datasets"
    names = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    return [n for n in names if not n.endswith(".lock")]


def test_fetch_then_load(server, own_cache, few):
    folder = data.fetch("tiny", url=server.url)
    assert folder == own_cache / "datasets" / "tiny"
    assert leftovers(own_cache) == ["tiny"]
    layouts.same_events(data.load("tiny", "raw"), few)
    assert data.fetch("tiny", url=server.url) == folder
    assert server.log == [None], "the second call asks nobody"


def test_cut_connection_goes_on_where_it_stopped(server, own_cache, content):
    server.cuts = [1_000, 0, 2_000]
    data.fetch("tiny", url=server.url)
    assert server.log == [None, "bytes=1000-", "bytes=1000-", "bytes=3000-"]
    assert leftovers(own_cache) == ["tiny"]


def test_interrupted_call_is_resumed_by_the_next(server, own_cache, monkeypatch, content):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    server.cuts = [1_500, 0]
    with pytest.raises(DataError, match=r"connection was cut.*recgym data import PATH"):
        data.fetch("tiny", url=server.url)
    assert leftovers(own_cache) == ["tiny.zip.part"]
    assert (own_cache / "datasets" / "tiny.zip.part").read_bytes() == content[:1_500]
    with pytest.raises(DataError, match="tiny is not on this machine"):
        data.load("tiny")
    data.fetch("tiny", url=server.url)
    assert server.log[-1] == "bytes=1500-"
    assert leftovers(own_cache) == ["tiny"]


def test_server_that_ignores_ranges(server, own_cache):
    server.cuts, server.ranges = [1_000], False
    data.fetch("tiny", url=server.url)
    assert server.log == [None, "bytes=1000-"]
    assert leftovers(own_cache) == ["tiny"]


def test_without_a_content_length(server, monkeypatch, content, few):
    tiny.register(monkeypatch, tiny.entry(content, few, size=0))
    server.length = False
    assert data.fetch("tiny", url=server.url).is_dir()


def test_complete_part_is_not_asked_for(server, own_cache, content):
    (own_cache / "datasets").mkdir(parents=True)
    (own_cache / "datasets" / "tiny.zip.part").write_bytes(content)
    data.fetch("tiny", url=server.url)
    assert server.log == []


@pytest.mark.parametrize("size", ["known", "unknown"])
def test_part_of_another_file_starts_over(server, own_cache, content, monkeypatch, few, size):
    if size == "unknown":
        tiny.register(monkeypatch, tiny.entry(content, few, size=0))
    (own_cache / "datasets").mkdir(parents=True)
    (own_cache / "datasets" / "tiny.zip.part").write_bytes(b"x" * 500)
    data.fetch("tiny", url=server.url)
    assert server.log == ["bytes=500-", None]


def test_part_that_is_too_long_starts_over(server, own_cache, content):
    (own_cache / "datasets").mkdir(parents=True)
    (own_cache / "datasets" / "tiny.zip.part").write_bytes(content + b"more")
    data.fetch("tiny", url=server.url)
    assert server.log == [None]


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_wrong_checksum(server, own_cache, monkeypatch, content, few, kind):
    sums = {"sha256": "", "md5": ""} | {kind: "0" * 32}
    tiny.register(monkeypatch, tiny.entry(content, few, **sums))
    with pytest.raises(DataError, match=rf"{kind} is [0-9a-f]+, expected 0000.*deleted.*again"):
        data.fetch("tiny", url=server.url)
    assert leftovers(own_cache) == []


def test_not_found_is_not_tried_again(server, own_cache):
    server.status = 404
    with pytest.raises(DataError, match=r"404.*download tiny\.zip from http.*import PATH"):
        data.fetch("tiny", url=server.url)
    assert server.log == [None]


def test_server_error_is_tried_again(server, own_cache):
    server.status = 503
    with pytest.raises(DataError, match="503"):
        data.fetch("tiny", url=server.url)
    assert len(server.log) == download.ATTEMPTS


def test_no_network(own_cache):
    with pytest.raises(DataError) as raised:  # the registry's address: nobody listens there
        data.fetch("tiny")
    message = str(raised.value)
    assert "download tiny.zip from http://127.0.0.1:9/tiny.zip" in message
    assert "recgym data import PATH" in message
    assert leftovers(own_cache) == []


def test_zip_slip_leaves_nothing(own_cache, monkeypatch, few, tmp_path):
    bad = layouts.as_zip(tmp_path / "x.zip", {"ok.csv": b"1", "../evil.csv": b"2"}).read_bytes()
    tiny.register(monkeypatch, tiny.entry(bad, few))
    with Server(bad).running() as server, pytest.raises(DataError, match="points outside"):
        data.fetch("tiny", url=server.url)
    assert not list(tmp_path.rglob("evil.csv"))
    assert not (own_cache / "datasets" / "tiny").exists()


def test_damaged_archive_leaves_nothing_unpacked(own_cache, monkeypatch, few, tmp_path, content):
    bad = bytearray(content)
    bad[200:300] = bytes(100)
    tiny.register(monkeypatch, tiny.entry(bytes(bad), few))
    (tmp_path / "bad.zip").write_bytes(bad)
    with pytest.raises(DataError, match="truncated or damaged"):
        data.import_path(tmp_path / "bad.zip", "tiny")
    assert leftovers(own_cache) == []


TWO = """
import sys; sys.path.insert(0, {tests!r})
from recgym import data
from recgym.data import download, registry
entry = registry.Dataset(
    "tiny", "Tiny", "For tests.", "tiny.zip", {url!r}, {size}, {sha!r}, format="ml-csv"
)
registry.DATASETS = download.DATASETS = {{"tiny": entry}}
print("ready", flush=True)
print(data.fetch("tiny"), len(data.load("tiny", "raw")))
"""


def test_two_processes_at_once(server, own_cache, content, few, tmp_path):
    entry = tiny.entry(content, few)
    code = TWO.format(
        tests=str(Path(__file__).parent), url=server.url, size=entry.size, sha=entry.sha256
    )
    script = tmp_path / "two.py"
    script.write_text(textwrap.dedent(code))
    root = Path(data.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    server.gate.clear()
    both = [
        subprocess.Popen(
            [sys.executable, str(script)], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    time.sleep(1)  # without a lock both would ask within this second
    server.gate.set()
    expected = f"{own_cache / 'datasets' / 'tiny'} {len(few)}"
    for process in both:
        out, err = process.communicate(timeout=60)
        assert out.strip() == expected, err
    assert server.log == [None], "one of them downloads, the other waits"
    assert leftovers(own_cache) == ["tiny"]


def test_import_archive_by_its_checksum(tmp_path, content, own_cache, few):
    renamed = tmp_path / "download (1).zip"
    renamed.write_bytes(content)
    assert data.import_path(renamed) == own_cache / "datasets" / "tiny"
    layouts.same_events(data.load("tiny", "raw"), few)
    assert leftovers(own_cache) == ["tiny"]


def test_import_folder_by_its_counts(tmp_path, few, own_cache):
    folder = layouts.as_folder(tmp_path / "unpacked", layouts.ml_csv(few))
    (folder / "unrelated.txt").write_text("stays")
    data.import_path(folder)
    layouts.same_events(data.load("tiny", "raw"), few)
    assert "unrelated.txt" not in os.listdir(own_cache / "datasets" / "tiny")


def test_import_replaces_what_is_there(tmp_path, content, own_cache, few):
    (own_cache / "datasets" / "tiny").mkdir(parents=True)
    (own_cache / "datasets" / "tiny" / "junk").write_text("old")
    with pytest.raises(DataError, match=r"tiny: ratings\.csv is missing"):
        data.load("tiny")
    data.import_path(tmp_path / "tiny.zip")
    assert len(data.load("tiny", "raw")) == len(few)
    assert leftovers(own_cache) == ["tiny"]
    assert not (own_cache / "datasets" / "tiny" / "junk").exists()


def test_import_of_an_incomplete_folder(tmp_path, few, own_cache):
    part = few.keep(few.user < 6).compact()
    folder = layouts.as_folder(tmp_path / "unpacked", layouts.ml_csv(part))
    with pytest.raises(DataError, match=r"users, items and interactions, but tiny has 12 / "):
        data.import_path(folder, "tiny")
    assert leftovers(own_cache) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "it is not the complete tiny.zip"),
        ("tiny", "it is not the complete tiny.zip"),
        ("ml-1m", "it is not the complete ml-1m.zip"),
        ("synthetic", "is part of recgym"),
        ("nope", "No data set is called 'nope'"),
    ],
)
def test_import_of_a_wrong_archive(tmp_path, content, own_cache, name, message):
    path = tmp_path / "tiny.zip"
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match=message):
        data.import_path(path, name)
    assert leftovers(own_cache) == []


def test_import_of_something_else(tmp_path, own_cache):
    (tmp_path / "mine.csv").write_text("user_id,item_id\n1,1\n")
    with pytest.raises(DataError, match=r"not an official archive.*recgym\.data\.read"):
        data.import_path(tmp_path / "mine.csv")
    (tmp_path / "own").mkdir()
    (tmp_path / "mine.csv").rename(tmp_path / "own" / "mine.csv")
    with pytest.raises(DataError, match=r"not a data set that recgym knows.*recgym\.data\.read"):
        data.import_path(tmp_path / "own")
    with pytest.raises(DataError, match="no such file"):
        data.import_path(tmp_path / "nothing.zip")


def test_fetch_of_what_is_built_in():
    with pytest.raises(DataError, match="part of recgym"):
        data.fetch("ml-latest-small")


def test_killed_process_leaves_nothing_for_long(tmp_path, content, own_cache):
    abandoned = own_cache / "datasets" / ".tiny@abc"
    abandoned.mkdir(parents=True)
    data.import_path(tmp_path / "tiny.zip")
    assert leftovers(own_cache) == ["tiny"]


def test_full_disk(tmp_path, own_cache, content, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.shutil, "copyfileobj", full)
    with pytest.raises(DataError, match=r"cannot write here \(No space left on device\)"):
        data.import_path(tmp_path / "tiny.zip")
    assert leftovers(own_cache) == []


def test_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write here.*RECGYM_CACHE"):
        data.fetch("tiny", cache=tmp_path / "file")
