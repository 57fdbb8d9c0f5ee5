"""Delimited text as columns, with errors that name the file and the line."""

from __future__ import annotations

import csv
import io
import itertools
import logging
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recgym.data.log import DataError
from recgym.data.sources import Source

logger = logging.getLogger("recgym.data")

SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "::": "'::'", "|": "'|'"}
MISSING = ["", "NA", "NaN", "nan", "null", "NULL", "None", "N/A"]


@dataclass(frozen=True)
class Table:
    """Columns and the place each row came from."""

    # Any, because pandas' own types reject ordinary indexing
    frame: Any  # pd.DataFrame; index: the record's number in the file, 0 for the first
    where: str  # what messages call the file
    source: Source | None = None
    file: str = ""
    header: bool = True
    quoted: bool = True

    def place(self, record: int) -> str:
        """``file, line 17`` for text, ``name, row 17`` for frames and Parquet."""
        if self.source is None:
            return f"{self.where}, row {record}"
        return f"{self.where}, line {self._line(record)}"

    @property
    def header_place(self) -> str:
        """Where the columns' names stand."""
        return f"{self.where}, columns" if self.source is None else f"{self.where}, line 1"

    def _line(self, record: int) -> int:
        wanted = record + self.header
        if self.source is None or not self.quoted:
            return wanted + 1
        # A quoted field may span lines, so records are counted as the parser counted them.
        with self.source.open(self.file) as stream:
            text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
            before = 0
            reader = csv.reader(text)
            for _ in itertools.islice(reader, wanted):
                before = reader.line_num
        return before + 1

    def with_frame(self, frame: Any) -> Table:
        """The same place with other columns."""
        return Table(frame, self.where, self.source, self.file, self.header, self.quoted)


def first_line(source: Source, file: str, encoding: str = "utf-8-sig") -> str:
    """The first line; an error if it is blank, or the file empty or not text."""
    with source.open(file) as stream:
        head = stream.read(1 << 16)
    where = source.where(file)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            f"{where}, line 1: the file is UTF-16. Save it as UTF-8 "
            "(iconv -f utf-16 -t utf-8 FILE > NEW)."
        )
    if head.startswith((b"\x1f\x8b", b"PK\x03\x04", b"PAR1")):
        raise DataError(
            f"{where}, line 1: this is a compressed or binary file, not text. "
            "Unpack it, or give it its own ending (.zip, .parquet)."
        )
    if not head.strip():
        raise DataError(
            f"{where}: the file is empty. Give a file with a header line and at least one row."
        )
    line = head.splitlines()[0]
    if not line.strip():
        raise DataError(f"{where}, line 1: the first line is blank. Delete it.")
    return line.decode(encoding, errors="replace")


def read_text(
    source: Source,
    file: str,
    separator: str,
    *,
    names: Sequence[str] | None = None,
    encoding: str = "utf-8",
    quoted: bool = True,
    text_columns: Sequence[str] = (),
) -> Table:
    """Read a delimited file with a header line, or without one if ``names`` are given.

    Blank lines are dropped and counted in the log. Rows with more fields than the header, and
    bytes that ``encoding`` does not allow, are errors that name the line.
    """
    where = source.where(file)
    header = first_line(source, file)
    columns = names or [h.strip(' "') for h in header.split(separator)]
    options: dict = {
        "sep": separator if len(separator) == 1 else "\t",
        "encoding": encoding,
        "low_memory": False,
        "skip_blank_lines": False,
        "index_col": False,
        "quoting": csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        "dtype": dict.fromkeys(text_columns, str),
        # per column, because a film may be called "None"
        "na_values": {c: [""] if c in text_columns else MISSING for c in columns},
        "keep_default_na": False,
    }
    if names is not None:
        options.update(header=None, names=list(names))
    try:
        with warnings.catch_warnings(), source.open(file) as stream:
            warnings.simplefilter("error", pd.errors.ParserWarning)
            if len(separator) > 1:  # the fast parser knows one-character separators only
                stream = io.BytesIO(stream.read().replace(separator.encode(), b"\t"))
            frame = pd.read_csv(stream, **options)
    except UnicodeDecodeError as error:
        raise DataError(_not_text(source, file, encoding)) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(
            f"{where}: the file is empty. Give a file with at least one row."
        ) from error
    except pd.errors.ParserWarning as error:
        raise DataError(_too_many_fields(where, 1 + (names is None), separator)) from error
    except pd.errors.ParserError as error:
        if "source failed" in str(error):  # pandas hides what the stream raised
            source.bytes(file)
        raise DataError(_parser_message(where, str(error), separator)) from error
    frame.columns = [str(c).strip().removeprefix("\ufeff") for c in frame.columns]
    table = Table(frame, where, source, file, header=names is None, quoted=quoted)
    blank = frame.iloc[:, 0].isna()
    if blank.any():
        blank &= frame.isna().all(axis=1)
    if blank.any():
        logger.warning("%s: %d blank lines were ignored.", where, int(blank.sum()))
        table = table.with_frame(frame[~blank])
    if table.frame.empty:
        raise DataError(f"{where}: there is a header and no row. Add at least one interaction.")
    return table


def read_parquet(source: Source, file: str) -> Table:
    """A Parquet file's columns (needs pyarrow: the extra ``recgym[parquet]``)."""
    where = source.where(file)
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise DataError(
            f"{where}: reading Parquet needs pyarrow. Install it with: "
            "pip install 'recgym[parquet]', or give a CSV."
        ) from error
    try:
        frame = pd.read_parquet(io.BytesIO(source.bytes(file)))
    except DataError:
        raise
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise DataError(
            f"{where}: not a readable Parquet file ({error}). Write it again."
        ) from error
    if frame.empty:
        raise DataError(f"{where}: there is no row. Add at least one interaction.")
    return Table(frame.reset_index(drop=True), where)


def numbers(table: Table, column: str, *, whole: bool = False) -> np.ndarray:
    """A column as float64 or, if ``whole``, int64; an error that names the first bad row."""
    values = table.frame[column]
    if whole and pd.api.types.is_integer_dtype(values) and not values.isna().any():
        return values.to_numpy(np.int64)
    parsed = floats(values)
    bad = ~np.isfinite(parsed)
    if bad.any():
        row = int(np.argmax(bad))
        found = values.iloc[row]
        what = "is missing" if pd.isna(found) else f"is {str(found)!r}, not a number"
        raise DataError(
            f"{table.place(int(values.index[row]))}: {column} {what}. "
            f"Fix or delete the row{_others(bad)}."
        )
    if not whole:
        return parsed
    fraction = parsed != np.floor(parsed)
    if fraction.any():
        row = int(np.argmax(fraction))
        raise DataError(
            f"{table.place(int(values.index[row]))}: {column} is {parsed[row]}, not a whole "
            f"number. Fix or delete the row{_others(fraction)}."
        )
    return parsed.astype(np.int64)


def floats(values: Any) -> np.ndarray:
    """(E,) float64, NaN where a value is missing or not a number."""
    parsed: Any = pd.to_numeric(values, errors="coerce")
    return parsed.to_numpy(np.float64, na_value=np.nan)


def _others(bad: np.ndarray) -> str:
    count = int(bad.sum()) - 1
    return f" ({count:,} more like it)" if count else ""


def _not_text(source: Source, file: str, encoding: str) -> str:
    with source.open(file) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                byte = line[error.start]
                return (
                    f"{source.where(file)}, line {number}: byte 0x{byte:02x} is not {encoding}. "
                    f"Save the file as UTF-8 (for example: iconv -f latin1 -t utf-8 {file} > NEW)."
                )
    return f"{source.where(file)}: not {encoding} text. Save the file as UTF-8."


def _too_many_fields(where: str, line: int, separator: str) -> str:
    return (
        f"{where}, line {line}: more fields than the header has columns. Quote fields that "
        f"contain the separator ({SEPARATORS.get(separator, separator)}), or fix the line."
    )


def _parser_message(where: str, message: str, separator: str) -> str:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if found:
        expected, line, saw = found.groups()
        return (
            f"{where}, line {line}: {saw} fields where the header has {expected}. Quote fields "
            f"that contain the separator ({SEPARATORS.get(separator, separator)}), or fix the line."
        )
    found = re.search(r"EOF inside string starting at row (\d+)", message)
    if found:
        return (
            f"{where}, line {int(found.group(1)) + 1}: a quotation mark is opened and never "
            "closed. Close or remove it."
        )
    return f"{where}: not a readable table ({message.strip()}). Write it again as UTF-8 CSV."
