"""Gowalla's check-ins and LightGCN's lists, written by hand and read back."""

from __future__ import annotations

import gzip

import data_layouts as layouts
import pytest

from recgym import data
from recgym.data import DataError
from recgym.data.adjacency import edges
from recgym.data.sources import Source

CHECKINS = [
    (0, "2010-10-19T23:55:27Z", 30.2359091167, -97.7951395833, 22847),
    (0, "2010-10-18T22:17:43Z", 30.2691029532, -97.7493953705, 420315),
    (0, "2010-10-17T23:42:03Z", 30.2359091167, -97.7951395833, 22847),
    (7, "2010-10-17T19:26:05Z", 30.2634181234, -97.7575966669, 316637),
]


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
    users, items = edges(Source(folder), "test.txt")
    assert users.tolist() == [0, 1, 1]
    assert items.tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"loc-gowalla_totalCheckins.txt.gz": gzip.compress(b"0\tx\t1\t1\t5\n" * 9)[:-6]},
            r"totalCheckins\.txt\.gz: the gzip file is truncated .*Download it again",
        ),
        ({"train.txt": b"0 1\n0 x\n", "test.txt": b"0 2\n"}, r"train\.txt, line 2: expected whole"),
        ({"train.txt": b"0 1\n", "test.txt": b"0 -2\n"}, r"test\.txt, line 1: expected whole"),
        ({"train.txt": b"0 1_000\n", "test.txt": b"0 2\n"}, r"train\.txt, line 1: expected whole"),
        ({"train.txt": b"0 %d\n" % 2**63, "test.txt": b"0 2\n"}, r"line 1: expected whole"),
        ({"train.txt": b"0\n", "test.txt": b"0 2\n"}, r"train\.txt: there is no interaction"),
    ],
)
def test_bad_files_are_named(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        data.read(layouts.as_folder(tmp_path, files))
