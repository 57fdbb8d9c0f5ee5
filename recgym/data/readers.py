"""``read``: find out which layout a directory, archive or file has, and read it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from recgym.data import adjacency, checkins, commerce, formats
from recgym.data.frames import build
from recgym.data.log import DataError, InteractionLog
from recgym.data.sources import Source
from recgym.data.tables import SEPARATORS, Table, first_line, read_parquet, read_text

logger = logging.getLogger("recgym.data")

TABLE_ENDINGS = (".parquet", ".csv", ".tsv", ".txt", ".dat")
ITEM_STEMS = ("items", "item", "movies", "artists")


def read(
    path: str | Path,
    *,
    format: str | None = None,
    items: str | Path | None = None,
    name: str | None = None,
) -> InteractionLog:
    """Read interactions from a directory, a zip archive or a single file.

    Args:
        path: MovieLens 100K (``u.data``), 1M (``ratings.dat``) or latest, 20M, 25M
            (``ratings.csv``); HetRec Last.fm 2K; Diginetica (``train-item-views.csv``);
            ``steam-200k.csv``; Amazon (``reviews_*.json[.gz]`` with ``meta_*.json[.gz]``, or
            ``ratings_*.csv[.gz]``); RecBole's atomic files (``.inter``, ``.item``); Gowalla's
            check-ins; LightGCN's ``train.txt`` and ``test.txt``; or a CSV, TSV or Parquet table of
            ``user_id, item_id[, rating][, timestamp]``, alone or as ``interactions.*`` with
            ``items.*`` (``item_id, title, genres``) beside it.
        format: ``ml-100k``, ``ml-1m``, ``ml-csv``, ``lastfm``, ``diginetica``, ``steam-200k``,
            ``amazon``, ``recbole``, ``gowalla``, ``lightgcn`` or ``plain``; found out from the
            files' names by default.
        items: a file of ``item_id[, title][, genres]`` to go with a plain table.
        name: what messages call the log; default the path's stem.

    Repairs are those of :func:`recgym.data.from_frame`.

    Raises:
        DataError: names the file, the line and the cure.
    """
    path = Path(path)
    source = source_of(path)
    format = format or detect(source)
    if format not in READERS:
        raise DataError(f"format {format!r} is not known. Known: {', '.join(READERS)}.")
    name = name or (path.stem if path.is_file() else path.resolve().name)
    if items is not None:
        if format != "plain":
            raise DataError(f"{path}: items= goes with a plain table, and this is {format}.")
        return plain(source, name, items=Path(items))
    return READERS[format](source, name)


def detect(source: Source) -> str:
    """The name of the layout that the files' names show."""
    names = source.names
    if "u.data" in names:
        return "ml-100k"
    if "ratings.dat" in names:
        return "ml-1m"
    if "ratings.csv" in names and "movies.csv" in names:
        return "ml-csv"
    if any(n in names for n in formats.TAGGINGS):
        return "lastfm"
    if commerce.VIEWS in names:
        return "diginetica"
    if commerce.STEAM in names:
        return "steam-200k"
    if any(n.endswith(".inter") for n in names):
        return "recbole"
    if commerce.amazon_files(source):
        return "amazon"
    if any(checkins.FILES.fullmatch(n) for n in names):
        return "gowalla"
    if set(adjacency.FILES) <= set(names):
        return "lightgcn"
    if any(n.lower().endswith(TABLE_ENDINGS) for n in names):
        return "plain"
    raise DataError(
        f"{source.path}: no layout that is known (found {', '.join(sorted(names)[:5]) or 'no file'}"
        f"). Give the folder, zip or file of a data set (`recgym data list`), or a "
        "CSV, TSV or Parquet file with the columns user_id, item_id[, rating][, timestamp]."
    )


def source_of(path: Path) -> Source:
    """One file of a known layout stands for the folder that it lies in."""
    if path.is_file():
        if path.name in ("u.data", "ratings.dat", commerce.VIEWS, *formats.TAGGINGS):
            return Source(path.parent)
        if beside := commerce.amazon_beside(path.name):
            return Source(path.parent, only=beside)
        if path.name in adjacency.FILES and all(
            (path.parent / f).is_file() for f in adjacency.FILES
        ):
            return Source(path.parent, only=adjacency.FILES)
        if path.suffix == ".inter":
            return Source(path.parent, only=(path.name, f"{path.stem}.item"))
        if path.stem == "interactions" or (
            path.name == "ratings.csv" and (path.parent / "movies.csv").exists()
        ):
            return Source(path.parent)
    return Source(path)


def plain(source: Source, name: str, *, items: Path | None = None) -> InteractionLog:
    """A CSV, TSV or Parquet table, with the catalogue of items beside it or given."""
    tables = [n for n in source.names if n.lower().endswith(TABLE_ENDINGS)]
    events = [n for n in tables if PurePosixPath(n).stem.lower() in ("interactions", "ratings")]
    if not events:
        events = [n for n in tables if PurePosixPath(n).stem.lower() not in ITEM_STEMS]
        events = [n for n in events if not n.lower().startswith(("readme", "license"))]
    if len(events) != 1:
        raise DataError(
            f"{source.path}: {len(events)} tables could hold the interactions "
            f"({', '.join(sorted(events)[:5])}). Give the path of one of them, or name it "
            "interactions.csv."
        )
    beside = [n for n in tables if PurePosixPath(n).stem.lower() in ITEM_STEMS and n not in events]
    catalogue: Table | None = None
    if items is not None:
        catalogue = plain_table(Source(items), items.name, catalogue=True)
    elif beside:
        catalogue = plain_table(source, beside[0], catalogue=True)
    return build(plain_table(source, events[0]), catalogue, name=name)


def parquet_folder(folder: Path, name: str) -> InteractionLog:
    """``interactions.parquet`` and ``items.parquet`` of a data set that the registry knows.

    A rating that is the same in every row is none: the official files of such data have none.
    """
    source = Source(folder)
    items = read_parquet(source, "items.parquet") if "items.parquet" in source else None
    table = read_parquet(source, "interactions.parquet")
    if "rating" in table.frame and table.frame["rating"].nunique() == 1:
        table = table.with_frame(table.frame.drop(columns="rating"))
    return build(table, items, name=name, known=True)


def plain_table(source: Source, file: str, *, catalogue: bool = False) -> Table:
    """One CSV, TSV or Parquet table; the separator is found out from the header."""
    if file.lower().endswith(".parquet"):
        return read_parquet(source, file)
    header = first_line(source, file)
    found = [s for s in SEPARATORS if s in header]
    if not found:
        raise DataError(
            f"{source.where(file)}, line 1: {header[:60]!r} has no separator. Separate the "
            "columns by commas, tabs, semicolons or '|'."
        )
    separator = max(found, key=lambda s: (header.count(s) + 1) * (2 if s == "::" else 1))
    if all(_is_number(field) for field in header.split(separator)):
        columns = "item_id,title,genres" if catalogue else "user_id,item_id,rating,timestamp"
        raise DataError(
            f"{source.where(file)}, line 1: {header[:60]!r} is data, a header is missing. "
            f"Write the columns' names in the first line, for example: {columns}"
        )
    text = [h.strip(' "') for h in header.split(separator)] if catalogue else []
    text = [h for h in text if any(word in h.lower() for word in ("title", "name", "genre"))]
    return read_text(source, file, separator, text_columns=text)


def _is_number(text: str) -> bool:
    try:
        float(text.strip().strip('"'))
    except ValueError:
        return False
    return True


READERS: dict[str, Callable[[Source, str], InteractionLog]] = {
    "ml-100k": formats.movielens_100k,
    "ml-1m": formats.movielens_1m,
    "ml-csv": formats.movielens_csv,
    "lastfm": formats.lastfm,
    "diginetica": commerce.diginetica,
    "steam-200k": commerce.steam,
    "amazon": commerce.amazon,
    "recbole": formats.recbole,
    "gowalla": checkins.gowalla,
    "lightgcn": adjacency.lightgcn,
    "plain": plain,
}
