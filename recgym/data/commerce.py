"""Readers of shops' official layouts: Diginetica's views, Steam's purchases, Amazon's reviews."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import Any

import numpy as np
import pandas as pd

from recgym.data.frames import build
from recgym.data.log import DataError, InteractionLog
from recgym.data.sources import Source
from recgym.data.tables import Table, first_line, read_text

VIEWS, CATEGORIES = "train-item-views.csv", "product-categories.csv"
VIEW_COLUMNS = ("sessionId", "userId", "itemId", "timeframe", "eventdate")
STEAM = "steam-200k.csv"
STEAM_COLUMNS = ("user_id", "title", "behaviour", "value", "zero")
REVIEWS = re.compile(r"reviews_.*\.json(\.gz)?")  # reviews_Video_Games_5.json.gz
RATINGS = re.compile(r"ratings_.*\.csv")  # ratings_Video_Games.csv
REVIEW_KEYS = {
    "reviewerID": "user_id",
    "asin": "item_id",
    "overall": "rating",
    "unixReviewTime": "timestamp",
}
GZIP_ERRORS = (gzip.BadGzipFile, EOFError, zlib.error)


def diginetica(source: Source, name: str) -> InteractionLog:
    """``train-item-views.csv`` (CIKM Cup 2016): a session is a user, a view an event.

    Views are in order of ``timeframe``, the milliseconds since the session began. There is no
    ``time``, as in the usual tables of these data. Genres are the categories of
    ``product-categories.csv``, where it lies beside the views.
    """
    table = read_text(source, VIEWS, ";")
    _expect(table, VIEW_COLUMNS)
    names = {"sessionId": "user_id", "itemId": "item_id", "timeframe": "order"}
    views = table.with_frame(table.frame[list(names)].rename(columns=names))
    items = None
    if CATEGORIES in source:
        items = read_text(source, CATEGORIES, ";", text_columns=("categoryId",))
        _expect(items, ("itemId", "categoryId"))
        named = "category_" + items.frame["categoryId"].astype(str)
        items = items.with_frame(pd.DataFrame({"item_id": items.frame["itemId"], "genres": named}))
    return build(views, items, name=name, known=True)


def steam(source: Source, name: str) -> InteractionLog:
    """``steam-200k.csv`` (Kaggle, no header): purchases; a user's second purchase of a game is one.

    The file has no times: a user's games stand in order of the hours played, most played first.
    """
    table = read_text(source, STEAM, ",", names=STEAM_COLUMNS, text_columns=("title", "behaviour"))
    frame = table.frame
    odd = ~frame["behaviour"].isin(("purchase", "play")).to_numpy()
    if odd.any():
        row = int(np.argmax(odd))
        raise DataError(
            f"{table.place(int(frame.index[row]))}: {str(frame['behaviour'].iloc[row])!r} is "
            "neither purchase nor play. Get the official file again, or delete the line."
        )
    frame = frame[frame["behaviour"] == "purchase"].drop_duplicates(["user_id", "title"])
    games = pd.DataFrame({"item_id": frame["title"].unique()})
    bought = frame[["user_id"]].assign(item_id=frame["title"])
    items = Table(games.assign(title=games["item_id"]), table.where)
    return build(table.with_frame(bought), items, name=name, known=True)


def amazon(source: Source, name: str) -> InteractionLog:
    """Amazon reviews of 2014: ``reviews_*.json[.gz]`` (a JSON object a line) or ``ratings_*.csv``.

    The objects have ``reviewerID, asin, overall, unixReviewTime``; the CSV is user, item, rating,
    seconds without a header.
    """
    files = amazon_files(source)
    if len(files) != 1:
        found = ", ".join(files) or "none"
        raise DataError(
            f"{source.path}: expected one file reviews_*.json, reviews_*.json.gz or ratings_*.csv, "
            f"found {found}. Give the path of one file."
        )
    (file,) = files
    if REVIEWS.fullmatch(file):
        table = _reviews(source, file)
    else:
        columns = tuple(REVIEW_KEYS.values())
        table = read_text(source, file, ",", names=columns, quoted=False)
    return build(table, name=name, known=True)


def amazon_files(source: Source) -> list[str]:
    """The files that :func:`amazon` can read; a CSV with a header is somebody's own table."""
    return [
        file
        for file in source.names
        if REVIEWS.fullmatch(file) or (RATINGS.fullmatch(file) and _no_header(source, file))
    ]


def _no_header(source: Source, file: str) -> bool:
    fields = first_line(source, file).split(",")
    return len(fields) == 4 and all(re.fullmatch(r"[\d.]+", f.strip()) for f in fields[2:])


def _reviews(source: Source, file: str) -> Table:
    """Four values of each line, read one at a time: the texts are most of the file."""
    where = source.where(file)
    columns: dict[str, list[Any]] = {key: [] for key in REVIEW_KEYS}
    number = 0
    try:
        with source.open(file) as raw:
            lines = gzip.GzipFile(fileobj=raw) if file.endswith(".gz") else raw
            for line in lines:
                number += 1
                review = json.loads(line)
                for key, values in columns.items():
                    values.append(review[key])
    except GZIP_ERRORS as error:
        raise DataError(
            f"{where}: the gzip file is truncated or damaged ({error}). Download it again."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{where}, line {number}: not a JSON object with {', '.join(REVIEW_KEYS)}. "
            "Fix or delete the line, or download the file again."
        ) from error
    if not number:
        raise DataError(f"{where}: the file is empty. Download it again.")
    frame = pd.DataFrame(columns).rename(columns=REVIEW_KEYS)
    return Table(frame, where, source, file, header=False, quoted=False)


def _expect(table: Table, columns: tuple[str, ...]) -> None:
    if not set(columns) <= set(table.frame.columns):
        raise DataError(
            f"{table.where}, line 1: expected the columns {'; '.join(columns)}, found "
            f"{'; '.join(map(str, table.frame.columns))}. Get the official file again."
        )
