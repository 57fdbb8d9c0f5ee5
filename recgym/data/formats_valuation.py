"""Readers of the data-valuation paper's sources: Amazon, Gowalla, LightGCN's adjacency lists."""

from __future__ import annotations

import ast
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from recgym.data.frames import build
from recgym.data.log import DataError, InteractionLog
from recgym.data.sources import Source
from recgym.data.tables import Table, read_text

REVIEWS = re.compile(r"reviews_(?P<category>\w+?)(_5)?\.json(\.gz)?")
RATINGS = re.compile(r"ratings_(?P<category>\w+)\.csv(\.gz)?")
CHECKINS = re.compile(r"loc-gowalla_totalCheckins\.txt(\.gz)?")
ADJACENCY = ("train.txt", "test.txt")
ASIN = 10  # characters of an item's identifier; reviewers' have 12 to 21


def detect(names: Iterable[str]) -> str | None:
    """The layout that the files' names show, if it is one of these."""
    names = tuple(names)
    if any(REVIEWS.fullmatch(n) or RATINGS.fullmatch(n) for n in names):
        return "amazon"
    if any(CHECKINS.fullmatch(n) for n in names):
        return "gowalla"
    return "lightgcn" if set(ADJACENCY) <= set(names) else None


def is_part(path: Path) -> bool:
    """Whether one file belongs to such a layout, and stands for the folder that it lies in."""
    pair = path.name in ADJACENCY and all((path.parent / file).is_file() for file in ADJACENCY)
    return pair or detect([path.name]) is not None


class Unpacked(Source):
    """A source whose ``.gz`` files are read as what they hold."""

    def __init__(self, source: Source):
        self.__dict__.update(source.__dict__)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with super().open(name) as stream:
            if not name.endswith(".gz"):
                yield stream
                return
            try:
                with gzip.open(stream) as text:
                    yield text  # pyright: ignore[reportReturnType]
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise DataError(
                    f"{self.where(name)}: the file is truncated or damaged ({error}). "
                    "Delete it and download it again."
                ) from error


def amazon(source: Source, name: str) -> InteractionLog:
    """Amazon's reviews or ratings of one category, as the edition of 2014 names the files.

    ``reviews_X.json[.gz]`` (an object a line: reviewerID, asin, overall, unixReviewTime) with, if
    there, titles and categories of ``meta_X.json[.gz]``; or ``ratings_X.csv[.gz]`` without a
    header: user, item, rating, time (2014) or item, user, rating, time (2018, once renamed), told
    apart by the items' ten characters. An item's genres are the last, narrowest, of each of its
    chains of categories, without chains that are the department alone.
    """
    source = Unpacked(source)
    found = [n for n in source.names if REVIEWS.fullmatch(n) or RATINGS.fullmatch(n)]
    if len(found) != 1:
        raise DataError(
            f"{source.path}: {len(found)} files could hold the interactions "
            f"({', '.join(sorted(found)[:5])}). Keep one of them in a folder of its own."
        )
    (file,) = found
    match = REVIEWS.fullmatch(file)
    if match is None:
        return build(_ratings(source, file), name=name, known=True)
    columns = {
        "reviewerID": "user_id",
        "asin": "item_id",
        "overall": "rating",
        "unixReviewTime": "timestamp",
    }
    rows = list(_objects(source, file, tuple(columns)))
    table = Table(_frame(rows, columns, source.where(file)), source.where(file))
    stem = f"meta_{match['category']}.json"
    meta = next((n for n in (stem, f"{stem}.gz") if n in source), None)
    items = None if meta is None else _meta(source, meta)
    return build(table, items, name=name, known=True)


def _ratings(source: Source, file: str) -> Table:
    names = ("user_id", "item_id", "rating", "timestamp")
    text = names[:2]
    table = read_text(source, file, ",", names=names, quoted=False, text_columns=text)
    first, second = ((table.frame[c].str.len() == ASIN).mean() for c in text)
    if first > second:
        swapped = {"user_id": "item_id", "item_id": "user_id"}
        table = table.with_frame(table.frame.rename(columns=swapped))
    return table


def _frame(rows: list[tuple], columns: dict[str, str], where: str) -> pd.DataFrame:
    if not rows:
        raise DataError(f"{where}: there is no review. Get the file again.")
    # from line 1, as people count
    index = pd.RangeIndex(1, len(rows) + 1)
    return pd.DataFrame(rows, columns=list(columns.values()), index=index)


def _objects(source: Source, file: str, keys: tuple[str, ...]) -> Iterator[tuple]:
    """The values of these keys, line by line; ``None`` where one is absent.

    The 2014 edition's metadata are Python literals rather than JSON.
    """
    with source.open(file) as stream:
        for number, line in enumerate(stream, 1):
            try:
                value = json.loads(line)
            except ValueError:
                try:
                    value = ast.literal_eval(line.decode("utf-8").strip())
                except (ValueError, SyntaxError) as error:
                    raise DataError(
                        f"{source.where(file)}, line {number}: not a JSON object. "
                        "Get the file again."
                    ) from error
            if not isinstance(value, dict):
                raise DataError(
                    f"{source.where(file)}, line {number}: {type(value).__name__}, expected an "
                    "object. Get the file again."
                )
            yield tuple(value.get(key) for key in keys)


def _meta(source: Source, file: str) -> Table:
    """``item_id, title, genres`` of the catalogue."""
    rows = []
    for asin, title, chains in _objects(source, file, ("asin", "title", "categories")):
        narrowest = sorted({chain[-1] for chain in chains or () if len(chain) > 1})
        rows.append((asin, title, "|".join(c.replace("|", "/") for c in narrowest)))
    where = source.where(file)
    return Table(_frame(rows, {c: c for c in ("item_id", "title", "genres")}, where), where)


def gowalla(source: Source, name: str) -> InteractionLog:
    """``loc-gowalla_totalCheckins.txt[.gz]``: user, time, latitude, longitude, place; tabs."""
    source = Unpacked(source)
    file = next((n for n in source.names if CHECKINS.fullmatch(n)), None)
    if file is None:
        raise DataError(f"{source.path}: loc-gowalla_totalCheckins.txt.gz is not there.")
    names = ("user_id", "timestamp", "latitude", "longitude", "item_id")
    table = read_text(source, file, "\t", names=names, quoted=False, text_columns=("timestamp",))
    return build(table.with_frame(table.frame[["user_id", "item_id", "timestamp"]]), name=name,
                 known=True)  # fmt: skip


def lightgcn(source: Source, name: str) -> InteractionLog:
    """LightGCN's ``train.txt`` and ``test.txt``: a line per user, ``user item item …``.

    The log is both, each user's training items first; :func:`adjacency` reads one of them.
    """
    parts = [adjacency(source, file) for file in ADJACENCY]
    user, item = (np.concatenate(column) for column in zip(*parts, strict=True))
    frame = pd.DataFrame({"user_id": user, "item_id": item})
    return build(Table(frame, str(source.path)), name=name, known=True)


def adjacency(source: Source, file: str) -> tuple[np.ndarray, np.ndarray]:
    """(users (E,), items (E,)), int64, of one adjacency list; users may have no item."""
    users, items, counts = [], [], []
    with source.open(file) as stream:
        for number, line in enumerate(stream, 1):
            try:
                row = [int(field) for field in line.split()]
            except ValueError:
                row = [-1]
            if row and min(row) < 0:
                raise DataError(
                    f"{source.where(file)}, line {number}: expected whole numbers ≥ 0, a user and "
                    "items, separated by blanks. Fix or delete the line."
                )
            if row:
                users.append(row[0])
                counts.append(len(row) - 1)
                items += row[1:]
    if not items:
        raise DataError(f"{source.where(file)}: there is no interaction. Get the file again.")
    return np.repeat(np.array(users, np.int64), counts), np.array(items, np.int64)


def of_paper(log: InteractionLog, *, prepared: bool) -> InteractionLog:
    """What the data-valuation paper trains on: ratings ≥ 4, pairs once, the 10-core.

    A ``prepared`` log is the paper's selection already. The paper's own Beauty has users and items
    with a single interaction, so no 10-core gives its counts (8,159 / 5,862 / 98,566).
    """
    from recgym.data.splits import k_core

    if prepared:
        return log
    if log.rating is not None:
        log = log.keep(log.rating >= 4)
    key: Any = log.user.astype(np.int64) * log.n_items + log.item
    return k_core(log.keep(np.unique(key, return_index=True)[1]), 10)
