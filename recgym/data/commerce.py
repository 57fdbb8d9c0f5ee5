"""Readers of shops' official layouts: Diginetica's views, Steam's purchases, Amazon's reviews."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from recgym.data.frames import build
from recgym.data.log import DataError, InteractionLog
from recgym.data.sources import Source, Unpacked
from recgym.data.tables import Table, first_line, read_text

VIEWS, CATEGORIES = "train-item-views.csv", "product-categories.csv"
VIEW_COLUMNS = ("sessionId", "userId", "itemId", "timeframe", "eventdate")
STEAM = "steam-200k.csv"
STEAM_COLUMNS = ("user_id", "title", "behaviour", "value", "zero")
# Amazon's edition of 2014: reviews_Video_Games_5.json.gz, ratings_Video_Games.csv
REVIEWS = re.compile(r"reviews_(?P<category>.+?)(_\d+)?\.json(\.gz)?")
RATINGS = re.compile(r"ratings_(?P<category>.+)\.csv(\.gz)?")
ASIN = 10  # characters of an item's identifier; reviewers' have 12 to 21
REVIEW_KEYS = {
    "reviewerID": "user_id",
    "asin": "item_id",
    "overall": "rating",
    "unixReviewTime": "timestamp",
}


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
    """Amazon's reviews or ratings of one category, as the edition of 2014 names the files.

    ``reviews_X.json[.gz]`` has an object a line (``reviewerID, asin, overall, unixReviewTime``);
    titles and categories come from ``meta_X.json[.gz]``, where it lies beside. Or
    ``ratings_X.csv[.gz]`` without a header: user, item, rating, seconds (2014) or item, user,
    rating, seconds (2018, renamed), told apart by the items' ten characters. An item's genres are
    the last, narrowest, of each of its chains of categories; the department alone is none.
    """
    files = amazon_files(source)
    if len(files) != 1:
        found = ", ".join(files) or "none"
        raise DataError(
            f"{source.path}: expected one file reviews_*.json[.gz] or ratings_*.csv[.gz], "
            f"found {found}. Give the path of one file."
        )
    (file,) = files
    source = Unpacked(source)
    if RATINGS.fullmatch(file):
        return build(_ratings(source, file), name=name, known=True)
    meta = next((n for n in amazon_beside(file)[1:] if n in source), None)
    items = None if meta is None else _catalogue(source, meta)
    return build(_reviews(source, file), items, name=name, known=True)


def amazon_files(source: Source) -> list[str]:
    """The files that :func:`amazon` can read; a CSV with a header is somebody's own table."""
    return [
        file
        for file in source.names
        if REVIEWS.fullmatch(file) or (RATINGS.fullmatch(file) and _no_header(source, file))
    ]


def category(file: str) -> str | None:
    """``Video_Games`` of ``reviews_Video_Games_5.json.gz``; ``None`` of other files."""
    match = REVIEWS.fullmatch(file) or RATINGS.fullmatch(file)
    return None if match is None else match["category"]


def amazon_beside(file: str) -> tuple[str, ...]:
    """A file of Amazon's and the names of its catalogue; empty for other files."""
    match = REVIEWS.fullmatch(file)
    if match is not None:
        return (file, *(f"meta_{match['category']}.json{end}" for end in ("", ".gz")))
    return (file,) if RATINGS.fullmatch(file) else ()


def _no_header(source: Source, file: str) -> bool:
    fields = first_line(Unpacked(source), file).split(",")
    return len(fields) == 4 and all(re.fullmatch(r"[\d.]+", f.strip()) for f in fields[2:])


def _ratings(source: Source, file: str) -> Table:
    columns = tuple(REVIEW_KEYS.values())
    ids = columns[:2]
    table = read_text(source, file, ",", names=columns, quoted=False, text_columns=ids)
    first, second = ((table.frame[c].str.len() == ASIN).mean() for c in ids)
    if first > second:
        swapped = dict(zip(ids, reversed(ids), strict=True))
        table = table.with_frame(table.frame.rename(columns=swapped))
    return table


def _reviews(source: Source, file: str) -> Table:
    frame = pd.DataFrame(_columns(source, file, tuple(REVIEW_KEYS))).rename(columns=REVIEW_KEYS)
    return Table(frame, source.where(file), source, file, header=False, quoted=False)


def _catalogue(source: Source, file: str) -> Table:
    """``item_id, title, genres``."""
    columns = _columns(source, file, ("asin",), ("title", "categories"))
    genres = []
    for chains in columns["categories"]:
        narrowest = sorted({chain[-1] for chain in chains or () if len(chain) > 1})
        genres.append("|".join(c.replace("|", "/") for c in narrowest))
    frame = pd.DataFrame({"item_id": columns["asin"], "title": columns["title"], "genres": genres})
    return Table(frame, source.where(file), source, file, header=False, quoted=False)


def _columns(
    source: Source, file: str, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """Values of each line's object, ``None`` where an optional one is absent.

    They are read a line at a time: the texts are most of the file.
    """
    where = source.where(file)
    columns: dict[str, list[Any]] = {key: [] for key in (*required, *optional)}
    number = 0
    with source.open(file) as lines:
        for number, line in enumerate(lines, 1):
            try:
                value = _object(line)
                row = [*(value[key] for key in required), *(value.get(key) for key in optional)]
            except (ValueError, SyntaxError, KeyError, TypeError) as error:
                raise DataError(
                    f"{where}, line {number}: not a JSON object with {', '.join(required)}. "
                    "Fix or delete the line, or download the file again."
                ) from error
            for values, found in zip(columns.values(), row, strict=True):
                values.append(found)
    if not number:
        raise DataError(f"{where}: the file is empty. Download it again.")
    return columns


def _object(line: bytes) -> dict[str, Any]:
    """One line; the edition of 2014 has Python's literals in places."""
    try:
        return json.loads(line)
    except ValueError:
        return ast.literal_eval(line.decode("utf-8").strip())


def _expect(table: Table, columns: tuple[str, ...]) -> None:
    if not set(columns) <= set(table.frame.columns):
        raise DataError(
            f"{table.where}, line 1: expected the columns {'; '.join(columns)}, found "
            f"{'; '.join(map(str, table.frame.columns))}. Get the official file again."
        )
