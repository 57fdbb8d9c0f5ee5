"""Readers of the official layouts: MovieLens, HetRec Last.fm, RecBole's atomic files."""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
import pandas as pd

from recgym.data.frames import build
from recgym.data.log import DataError, InteractionLog
from recgym.data.sources import Source
from recgym.data.tables import Table, first_line, numbers, read_text

logger = logging.getLogger("recgym.data")

RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
# u.genre, in the order of u.item's flags
# fmt: off
ML100K_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)
# fmt: on
TAGGINGS = ("user_taggedartists-timestamps.dat", "user_taggedartists.dat")
TAGS_PER_ARTIST = 5


def movielens_100k(source: Source, name: str) -> InteractionLog:
    """``u.data`` (tab separated) and ``u.item`` (``|`` separated, Latin-1, 19 genre flags)."""
    ratings = read_text(source, "u.data", "\t", names=RATING_COLUMNS, quoted=False)
    items = None
    if "u.item" in source:
        columns = ["item_id", "title", "released", "video", "url", *ML100K_GENRES]
        raw = read_text(
            source,
            "u.item",
            "|",
            names=columns,
            encoding="latin-1",
            quoted=False,
            text_columns=("title",),
        )
        flags = np.stack([numbers(raw, g) == 1 for g in ML100K_GENRES], axis=1)
        items = raw.with_frame(raw.frame[["item_id", "title"]].assign(genres=_joined(flags)))
    return build(ratings, items, name=name, known=True)


def _joined(flags: np.ndarray) -> list[str]:
    return [
        "|".join(g for g, on in zip(ML100K_GENRES, row, strict=True) if on)
        for row in flags.tolist()
    ]


def movielens_1m(source: Source, name: str) -> InteractionLog:
    """``ratings.dat`` and ``movies.dat``, separated by ``::``, Latin-1 titles (1M and 10M)."""
    ratings = read_text(source, "ratings.dat", "::", names=RATING_COLUMNS, quoted=False)
    items = None
    if "movies.dat" in source:
        items = read_text(
            source,
            "movies.dat",
            "::",
            names=("item_id", "title", "genres"),
            encoding=_titles_encoding(source, "movies.dat"),
            quoted=False,
            text_columns=("title", "genres"),
        )
    return build(ratings, items, name=name, known=True)


def movielens_csv(source: Source, name: str) -> InteractionLog:
    """``ratings.csv`` and ``movies.csv``: latest, latest-small, 20M, 25M, 32M."""
    ratings = read_text(source, "ratings.csv", ",")
    items = None
    if "movies.csv" in source:
        items = read_text(source, "movies.csv", ",", text_columns=("title", "genres"))
    return build(ratings, items, name=name, known=True)


def lastfm(source: Source, name: str) -> InteractionLog:
    """HetRec 2011 Last.fm: distinct (user, artist) pairs with the time of the first tag's row.

    Genres are each artist's five most frequent tags. ``user_taggedartists.dat`` alone has days
    instead of milliseconds; they are read as midnight UTC.
    """
    taggings = lastfm_taggings(source)
    pairs = taggings.frame.drop_duplicates(["user_id", "item_id"])
    items = lastfm_items(source, taggings)
    return build(taggings.with_frame(pairs.drop(columns="tag_id")), items, name=name, known=True)


def lastfm_items(source: Source, taggings: Table) -> Table | None:
    """``item_id, title, genres`` of all artists, ``None`` without ``artists.dat``."""
    if "artists.dat" not in source:
        return None
    artists = read_text(
        source,
        "artists.dat",
        "\t",
        encoding=_titles_encoding(source, "artists.dat"),
        quoted=False,
        text_columns=("name",),
    )
    frame = artists.frame.rename(columns={"id": "item_id", "name": "title"})
    if not {"item_id", "title"} <= set(frame.columns):
        raise DataError(
            f"{artists.where}, line 1: expected the columns id and name. "
            "Get the official archive again."
        )
    frame = frame[["item_id", "title"]]
    if "tags.dat" in source:
        frame = frame.merge(_frequent_tags(source, taggings.frame), on="item_id", how="outer")
    return artists.with_frame(frame)


def lastfm_taggings(source: Source) -> Table:
    """All tag assignments in the order of the file: ``user_id, item_id, tag_id, timestamp`` (s)."""
    file = next((f for f in TAGGINGS if f in source), None)
    if file is None:
        raise DataError(f"{source.path}: neither {TAGGINGS[0]} nor {TAGGINGS[1]} is there.")
    table = read_text(source, file, "\t", quoted=False)
    expected = ["userID", "artistID", "tagID"]
    expected += ["timestamp"] if file == TAGGINGS[0] else ["day", "month", "year"]
    if list(table.frame.columns) != expected:
        raise DataError(
            f"{table.where}, line 1: expected the columns {', '.join(expected)}, found "
            f"{', '.join(table.frame.columns)}. Get the official archive again."
        )
    whole = {column: numbers(table, column, whole=True) for column in expected}
    if file == TAGGINGS[0]:
        stamp = whole["timestamp"] // 1000
    else:
        dates = pd.to_datetime(
            pd.DataFrame({k: whole[k] for k in ("year", "month", "day")}), errors="coerce"
        )
        bad = dates.isna().to_numpy()
        if bad.any():
            raise DataError(
                f"{table.place(int(table.frame.index[int(np.argmax(bad))]))}: day, month and year "
                "are not a date. Get the official archive again."
            )
        stamp = dates.to_numpy().astype("M8[s]").astype(np.int64)
    return table.with_frame(
        pd.DataFrame(
            {
                "user_id": whole["userID"],
                "item_id": whole["artistID"],
                "tag_id": whole["tagID"],
                "timestamp": stamp,
            },
            index=table.frame.index,
        )
    )


def _frequent_tags(source: Source, taggings: pd.DataFrame) -> pd.DataFrame:
    """``item_id, genres``: the most frequent tags of each artist, ties by tag id."""
    tags = read_text(
        source,
        "tags.dat",
        "\t",
        encoding=_titles_encoding(source, "tags.dat"),
        quoted=False,
        text_columns=("tagValue",),
    ).frame.set_index("tagID")["tagValue"]
    counts: Any = taggings.groupby(["item_id", "tag_id"]).agg(n=("user_id", "size")).reset_index()
    counts = counts.sort_values(["item_id", "n", "tag_id"], ascending=[True, False, True])
    top = counts.groupby("item_id").head(TAGS_PER_ARTIST)
    text = tags.reindex(top["tag_id"]).fillna("").str.replace("|", "/").to_numpy()
    joined = top.assign(genres=text).groupby("item_id")["genres"].agg("|".join)
    return joined.reset_index()


def _titles_encoding(source: Source, file: str) -> str:
    """UTF-8 where the bytes allow it, otherwise Latin-1 (GroupLens' older files)."""
    try:
        io.TextIOWrapper(io.BytesIO(source.bytes(file)), "utf-8").read()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def recbole(source: Source, name: str) -> InteractionLog:
    """RecBole's atomic files: ``NAME.inter`` and, if there, ``NAME.item``; tab, typed headers."""
    stems = [n.removesuffix(".inter") for n in source.names if n.endswith(".inter")]
    if len(stems) != 1:
        raise DataError(
            f"{source.path}: {len(stems)} .inter files ({', '.join(sorted(stems))}). "
            "Give the path of one of them."
        )
    (stem,) = stems
    ratings = _typed(source, f"{stem}.inter")
    items = _typed(source, f"{stem}.item") if f"{stem}.item" in source else None
    if items is not None:
        genres = [c for c in items.frame.columns if c in ("genres", "genre", "class", "categories")]
        # token_seq fields are separated by blanks
        joined = {c: items.frame[c].astype("string").str.replace(" ", "|") for c in genres}
        items = items.with_frame(items.frame.assign(**joined))
    return build(ratings, items, name=name)


def _typed(source: Source, file: str) -> Table:
    header = first_line(source, file).split("\t")
    untyped = [h for h in header if ":" not in h]
    if untyped:
        raise DataError(
            f"{source.where(file)}, line 1: {untyped[0]!r} has no type. RecBole's columns read "
            "'user_id:token', 'timestamp:float', separated by tabs."
        )
    text = [h for h in header if h.endswith((":token_seq",)) or "title" in h or "name" in h]
    table = read_text(source, file, "\t", quoted=False, text_columns=text)
    return table.with_frame(table.frame.rename(columns=lambda c: c.split(":")[0]))
