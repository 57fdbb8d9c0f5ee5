"""A person's messy file: each mistake is an error that names file, line and cure, or a repair."""

from __future__ import annotations

import logging
import zipfile

import data_layouts as layouts
import numpy as np
import pandas as pd
import pytest

from recgym import data
from recgym.data import DataError

HEADER = "user_id,item_id,rating,timestamp\n"
GOOD = "".join(f"{u},{i},4.0,{1_500_000_000 + 60 * i}\n" for u in range(3) for i in range(4))


def file(tmp_path, content: str | bytes, name: str = "mine.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


ERRORS = {
    "missing column": ("user_id,rating\n1,2\n", r"line 1: no column 'item_id'; found 'user_id'"),
    "no known column": ("a,b\n1,2\n", r"no column 'user_id' and 'item_id'; found 'a', 'b'"),
    "empty": ("", r"the file is empty\. Give a file with a header"),
    "only blanks": ("\n\n  \n", r"the file is empty"),
    "blank first line": ("\n" + HEADER + GOOD, r"line 1: the first line is blank\. Delete it"),
    "header only": (HEADER, r"there is a header and no row"),
    "no header": ("1,2,5,978300019\n1,3,4,978300020\n", r"line 1: .* is data, a header is missing"),
    "no separator": ("user_id item_id\n1 2\n", r"line 1: .* has no separator"),
    "mixed separators": (HEADER + "1;2;3.0;4\n", r"line 2: .*one field.*not by semicolon"),
    "too many fields": (HEADER + GOOD + "1,2,3,4,5\n", r"line 14: 5 fields where the header has 4"),
    "too many in the first row": (HEADER + "1,2,3,4,5\n" + GOOD, r"line 2: more fields"),
    "too few fields": (HEADER + GOOD + "7\n", r"line 14: item_id is missing"),
    "missing user": (HEADER + GOOD + ",3,4.0,1\n,3,4.0,2\n", r"line 14: user_id .*1 more like it"),
    "NaN item": (HEADER + GOOD + "1,NaN,4.0,1\n", r"line 14: item_id is missing"),
    "negative user": (HEADER + "1,2,4.0,1\n-5,2,4.0,1\n", r"line 3: user_id is -5, but ident"),
    "fractional item": (HEADER + "1,2,4.0,1\n1,2.5,4.0,1\n", r"line 3: item_id is 2\.5, not a"),
    "odd id": (
        HEADER + "".join(f"{n},1,4.0,1\n" for n in range(200)) + "x7,1,4.0,1\n",
        r"line 202: user_id is 'x7' where nearly all are numbers",
    ),
    "header repeated": (HEADER + GOOD + HEADER + GOOD, r"line 14: the header is repeated"),
    "text rating": (HEADER + GOOD + "1,9,good,1\n", r"line 14: rating is 'good', not a number"),
    "missing rating": (HEADER + GOOD + "1,9,,1\n", r"line 14: rating is missing"),
    "infinite rating": (HEADER + GOOD + "1,9,inf,1\n", r"line 14: rating is 'inf', not a number"),
    "missing time": (HEADER + GOOD + "1,9,4.0,\n", r"line 14: timestamp is missing"),
    "text time": (HEADER + GOOD + "1,9,4.0,noon\n", r"line 14: timestamp is 'noon', not a number"),
    "bad date": (
        "user_id,item_id,timestamp\n1,2,2026-01-31\n1,3,2026-02-31\n",
        r"line 3: timestamp '2026-02-31' is not a date",
    ),
    "open quote": (HEADER + GOOD + '1,"2,4.0,1\n', r"line 14: a quotation mark is opened"),
    "two users": ("user,uid,item\n1,1,1\n", r"line 1: 'user' and 'uid' could both be user_id"),
    "latin-1": (
        b"user_id,item_id\n1,a\n2,b\n3,caf" + b"\xe9\n",
        r"line 4: byte 0xe9 is not utf-8\. Save the file as UTF-8 \(for example: iconv",
    ),
    "utf-16": ((HEADER + GOOD).encode("utf-16"), r"line 1: the file is UTF-16"),
    "a renamed archive": (b"\x1f\x8b\x08rest", r"line 1: this is a compressed or binary file"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_file_line_and_cure(case, tmp_path):
    content, message = ERRORS[case]
    path = file(tmp_path, content)
    with pytest.raises(DataError, match=message) as raised:
        data.read(path)
    assert str(raised.value).startswith(str(path))
    assert str(raised.value).rstrip().endswith((".", ")", "timestamp")), "it ends with the cure"


def test_line_numbers_survive_quoted_line_breaks_and_blank_lines(tmp_path):
    text = 'user_id,item_id,note\n1,2,"two\nlines"\n\n1,3,x\n-1,4,y\n'
    with pytest.raises(DataError, match="line 6: user_id is -1"):
        data.read(file(tmp_path, text))


def test_byte_order_mark_and_windows_line_ends(tmp_path):
    content = b"\xef\xbb\xbf" + (HEADER + GOOD).replace("\n", "\r\n").encode()
    assert len(data.read(file(tmp_path, content))) == 12


def test_spellings_of_columns(tmp_path):
    log = data.read(file(tmp_path, "userId,movieId,Time\n1,10,5\n1,11,4\n"))
    assert log.item_ids[log.item].tolist() == [11, 10]
    assert log.rating is None


def test_quoted_header_and_index_column(tmp_path):
    text = ',"user_id","item_id","rating"\n0,1,10,"3.5"\n1,1,11,4\n'
    log = data.read(file(tmp_path, text))
    assert log.item_ids.tolist() == [10, 11]
    with pytest.raises(DataError, match="line 3: rating is missing"):
        data.read(file(tmp_path, text.replace("11,4", "11,")))


def repaired(tmp_path, caplog, text, level=logging.WARNING):
    with caplog.at_level(level, "recgym.data"):
        log = data.read(file(tmp_path, text))
    return log, caplog.text


def test_unordered_times_are_sorted(tmp_path, caplog):
    text = HEADER + "1,1,4.0,30\n1,2,4.0,10\n1,3,4.0,20\n"
    log, told = repaired(tmp_path, caplog, text, logging.INFO)
    assert log.item_ids[log.item].tolist() == [2, 3, 1]
    assert "1 rows out of order of time; sorted" in told


def test_negative_times_are_kept(tmp_path, caplog):
    log, told = repaired(tmp_path, caplog, HEADER + "1,1,4.0,30\n1,2,4.0,-428720400\n")
    assert log.time is not None
    assert log.time.tolist() == [-428720400, 30]
    assert "1 times lie before 1970; kept" in told


def test_duplicates_are_dropped_and_counted(tmp_path, caplog):
    text = HEADER + "1,1,4.0,30\n1,2,4.0,30\n1,1,5.0,30\n1,1,4.0,31\n1,1,4.0,30\n"
    log, told = repaired(tmp_path, caplog, text)
    assert log.item_ids[log.item].tolist() == [1, 2, 1]
    assert log.rating is not None
    assert log.rating[0] == 4.0
    assert "2 rows repeat a user, item and time" in told
    assert "line 4" in told


def test_repeats_without_times_are_events(tmp_path):
    assert len(data.read(file(tmp_path, "user_id,item_id\n1,1\n1,2\n1,1\n"))) == 3


def test_extra_columns_are_ignored(tmp_path, caplog):
    text = "user_id,item_id,mood\n1,1,good\n"
    log, told = repaired(tmp_path, caplog, text, logging.INFO)
    assert len(log) == 1
    assert "columns ignored: mood" in told


def test_blank_lines_are_counted(tmp_path, caplog):
    log, told = repaired(tmp_path, caplog, "user_id,item_id\n\n1,1\n\n1,2\n")
    assert len(log) == 2
    assert "2 blank lines were ignored" in told


@pytest.mark.parametrize(("scale", "unit"), [(1e3, "milli"), (1e6, "micro"), (1e9, "nano")])
def test_finer_times_become_seconds_and_keep_their_order(tmp_path, caplog, scale, unit):
    start = int(1_600_000_000 * scale)
    text = f"user_id,item_id,timestamp\n1,1,{start + 900 * int(scale / 1e3)}\n1,2,{start}\n"
    log, told = repaired(tmp_path, caplog, text)
    assert log.time is not None
    assert log.time.tolist() == [1_600_000_000] * 2
    assert log.item_ids[log.item].tolist() == [2, 1]
    assert f"timestamp is in {unit}seconds" in told


def test_dates(tmp_path):
    text = "user_id,item_id,timestamp\n1,1,2020-01-01 00:00:01\n1,2,2020-01-01\n"
    log = data.read(file(tmp_path, text))
    assert log.time is not None
    assert log.time.tolist() == [1_577_836_800, 1_577_836_801]
    frame = pd.DataFrame({"user": ["u"], "item": ["i"], "date": pd.to_datetime(["2020-01-01"])})
    assert data.from_frame(frame).time == [1_577_836_800]


def test_column_order_where_there_are_no_times(tmp_path):
    log = data.read(file(tmp_path, "session_id,item_id,order\n1,7,2\n1,8,1\n1,9,3\n"))
    assert log.item_ids[log.item].tolist() == [8, 7, 9]
    assert log.time is None


def test_text_ids_are_stripped_and_sorted(tmp_path):
    log = data.read(file(tmp_path, "user_id,item_id\n b ,x\na,y\nb,y\n"))
    assert log.user_ids.tolist() == ["a", "b"]
    assert np.diff(log.offsets).tolist() == [1, 2]


def test_items_file_with_doubles_gaps_and_a_film_called_none(tmp_path, caplog):
    content = {
        "interactions.csv": b"user_id,item_id\n1,1\n1,2\n1,3\n",
        "items.csv": b"item_id,title,genres\n1,None,Drama|War\n1,Other,War\n3,,\n9,Unused,Comedy\n",
    }
    with caplog.at_level(logging.WARNING, "recgym.data"):
        log = data.read(layouts.as_folder(tmp_path, content))
    assert log.titles.tolist() == ["None", "", ""]
    assert log.genre_names == ("Drama", "War")
    assert log.item_label(1) == "item 2"
    assert "1 items are described twice (the first at" in caplog.text
    assert "line 3" in caplog.text


def test_many_tags_are_cut_to_the_common_ones():
    tags = ["|".join(["rock", f"tag {n}"]) for n in range(400)]
    frame = pd.DataFrame({"user_id": 0, "item_id": range(400)})
    items = pd.DataFrame({"item_id": range(400), "genres": tags})
    log = data.from_frame(frame, items)
    assert log.genres.shape == (400, 256)
    assert log.genres[:, log.genre_names.index("rock")].all()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ([1, 2], "expected a pandas DataFrame, got list"),
        (pd.DataFrame({"user_id": [1], "title": ["x"]}), "mine, columns: no column 'item_id'"),
        (pd.DataFrame({"user_id": [], "item_id": []}), "mine: there is no row"),
        (pd.DataFrame({"user_id": [1, None], "item_id": [1, 2]}), "mine, row 1: user_id is miss"),
        (pd.DataFrame({"user_id": [1, 1], "item_id": [3, -3]}), "mine, row 1: item_id is -3"),
        (pd.DataFrame({"user_id": [1, 1], "item_id": ["a", " "]}), "row 1: item_id is empty"),
    ],
)
def test_bad_frames(frame, message):
    with pytest.raises(DataError, match=message):
        data.from_frame(frame, name="mine")


def test_no_such_path(tmp_path):
    with pytest.raises(DataError, match="no such file or directory"):
        data.read(tmp_path / "nothing.csv")


def test_folder_without_data(tmp_path):
    file(tmp_path, "hello", "photo.jpg")
    with pytest.raises(DataError, match=r"no layout that is known \(found photo\.jpg\)"):
        data.read(tmp_path)


def test_truncated_zip(few, tmp_path):
    path = layouts.as_zip(tmp_path / "ml-latest-small.zip", layouts.ml_csv(few))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"ml-latest-small\.zip: the zip archive is truncated"):
        data.read(path)


def test_damaged_zip(few, tmp_path):
    path = layouts.as_zip(tmp_path / "ml-latest-small.zip", layouts.ml_csv(few))
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"ratings\.csv: the zip archive is truncated or damaged"):
        data.read(path)


@pytest.mark.parametrize("name", ["../ratings.csv", "/etc/ratings.csv", "a/../../ratings.csv"])
def test_zip_slip(tmp_path, name):
    path = layouts.as_zip(tmp_path / "bad.zip", {name: b"userId,movieId\n1,1\n"})
    with pytest.raises(DataError, match="points outside of the archive"):
        data.read(path)


def test_link_in_a_zip(tmp_path):
    path = tmp_path / "bad.zip"
    entry = zipfile.ZipInfo("ratings.csv")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="points outside of the archive"):
        data.read(path)


def test_damaged_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    path = file(tmp_path, b"PAR1 and nothing else", "interactions.parquet")
    with pytest.raises(DataError, match=r"interactions\.parquet: not a readable Parquet file"):
        data.read(path)


def test_bad_rows_of_official_files(few, tmp_path):
    files = layouts.ml_1m(few)
    files["ml-1m/ratings.dat"] = b"1::1::5::978300760\n1::2::3\n"
    with pytest.raises(DataError, match=r"ratings\.dat, line 2: timestamp is missing"):
        data.read(layouts.as_folder(tmp_path / "a", files))
    files = layouts.lastfm()
    files["user_taggedartists-timestamps.dat"] = b"userID\tartistID\ttag\ttime\n1\t2\t3\t4\n"
    with pytest.raises(DataError, match=r"line 1: expected the columns userID, artistID, tagID"):
        data.read(layouts.as_folder(tmp_path / "b", files))
    files = layouts.recbole(few)
    files["few.inter"] = b"user_id\titem_id\n1\t2\n"
    with pytest.raises(DataError, match=r"few\.inter, line 1: 'user_id' has no type"):
        data.read(layouts.as_folder(tmp_path / "c", files))
