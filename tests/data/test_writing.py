"""Files appear whole or not at all."""

from __future__ import annotations

import pandas as pd
import pytest

from recgym.data import writing


def test_nothing_is_left_half_written(tmp_path):
    target = tmp_path / "file"
    target.write_text("before")

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        writing.write_atomically(target, fail)
    assert target.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_csv_in_a_new_folder(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": [0.123456, float("nan")]})
    path = writing.write_csv(tmp_path / "new" / "x.csv", frame, "%.3f")
    assert path.read_bytes() == b"a,b\n1,0.123\n2,\n"
    assert path.stat().st_mode & 0o044, "others may read it"
