"""From a table somebody wrote to an :class:`InteractionLog`: columns, checks, logged repairs."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import pandas as pd

from recgym.data.embedded import genre_matrix
from recgym.data.log import DataError, InteractionLog
from recgym.data.tables import SEPARATORS, Table, floats, numbers

logger = logging.getLogger("recgym.data")

# Normalised column names (lower case, letters and digits only); the first is the name we write.
ALIASES = {
    "user_id": ("userid", "user", "uid", "customerid", "visitorid", "sessionid", "reviewerid"),
    "item_id": ("itemid", "item", "iid", "movieid", "artistid", "productid", "asin", "trackid"),
    "rating": ("rating", "ratings", "score", "stars", "ratingvalue"),
    "timestamp": ("timestamp", "time", "ts", "datetime", "date", "unixreviewtime"),
    "order": ("order",),
    "irs_order": ("irsorder",),
}
ITEM_ALIASES = {
    "item_id": ALIASES["item_id"] + ("id",),
    "title": ("title", "name", "itemname", "movietitle", "itemtitle"),
    "genres": ("genres", "genre", "categories", "category", "tags", "class"),
}
LONGEST_TITLE = 200  # characters; titles are a rectangular array
MOST_GENRES = 256  # genres are an (N, G) array; free-form tags can run to thousands
NO_GENRES = "(no genres listed)"


def from_frame(
    df: pd.DataFrame, items: pd.DataFrame | None = None, *, name: str = "frame"
) -> InteractionLog:
    """A log from a data frame of ``user_id, item_id[, rating][, timestamp]``.

    Args:
        df: one row per interaction. Identifiers are whole numbers ≥ 0 or text. ``timestamp`` is
            seconds since 1970 (UTC), or dates; milliseconds and finer are recognised by their size.
            Without it the order of rows counts, or that of a column ``order``. Usual spellings
            (``userId``, ``movieId``, ``time``) are understood; other columns are ignored.
        items: ``item_id[, title][, genres]``, genres separated by ``|``.
        name: what messages and files call the log.

    Repairs, each reported to the logger ``recgym.data``: events are sorted by user and time; rows
    with the same user, item and time are dropped but for the first; negative times (before 1970)
    are kept. Without times, repeated pairs are kept as repeated events.

    Raises:
        DataError: a column is missing, or an identifier, rating or time is missing or unusable;
            the message names the row (of the frame, from 0).
    """
    if not isinstance(df, pd.DataFrame):
        raise DataError(f"{name}: expected a pandas DataFrame, got {type(df).__name__}.")
    table = Table(df.reset_index(drop=True), name)
    catalogue = None if items is None else Table(items.reset_index(drop=True), f"{name} (items)")
    return build(table, catalogue, name=name)


def build(
    table: Table, items: Table | None = None, *, name: str, known: bool = False
) -> InteractionLog:
    """Check a table and make it a log; ``known`` data sets report their repairs at INFO."""
    level = logging.INFO if known else logging.WARNING
    table = recognise(table, ALIASES, required=("user_id", "item_id"))
    if table.frame.empty:
        raise DataError(f"{table.where}: there is no row. Add at least one interaction.")
    user, user_ids = identifiers(table, "user_id")
    item, item_ids = identifiers(table, "item_id")
    columns = table.frame.columns
    rating = None
    if "rating" in columns and table.frame["rating"].notna().any():
        rating = numbers(table, "rating").astype(np.float32)
    order = time = None
    if "irs_order" in columns:
        order = irs_order(table, user)
    elif "timestamp" in columns and table.frame["timestamp"].notna().any():
        time, order = seconds(table, level)
    elif "order" in columns:
        order = numbers(table, "order")

    if time is not None:
        before_1970 = int((time < 0).sum())
        if before_1970:
            logger.log(level, "%s: %d times lie before 1970; kept.", table.where, before_1970)
        backwards = int(((np.diff(time) < 0) & (np.diff(user) == 0)).sum())
        if backwards:
            logger.info("%s: %d rows out of order of time; sorted.", table.where, backwards)
        stamp = time if order is None else order
        repeated = pd.DataFrame({"u": user, "i": item, "t": stamp}).duplicated().to_numpy()
        if repeated.any():
            logger.log(
                level,
                "%s: %d rows repeat a user, item and time (the first at %s); dropped.",
                table.where,
                int(repeated.sum()),
                table.place(int(table.frame.index[int(np.argmax(repeated))])),
            )
            kept = ~repeated
            user, item, time = user[kept], item[kept], time[kept]
            rating = None if rating is None else rating[kept]
            order = None if order is None else order[kept]
    titles, genres, genre_names = catalogue(items, item_ids, name)
    return InteractionLog.from_columns(
        name,
        user,
        item,
        time=time,
        rating=rating,
        order=order,
        user_ids=user_ids,
        item_ids=item_ids,
        titles=titles,
        genres=genres,
        genre_names=genre_names,
    )


def recognise(table: Table, aliases: dict[str, tuple[str, ...]], required: tuple) -> Table:
    """Rename the columns we know to our names and drop the others."""
    plain = {c: re.sub(r"[^a-z0-9]", "", str(c).split(":")[0].lower()) for c in table.frame.columns}
    chosen: dict[str, str] = {}
    for ours, spellings in aliases.items():
        found = [c for c, p in plain.items() if p in spellings]
        exact = [c for c in found if str(c).split(":")[0] == ours]
        if len(found) > 1 and len(exact) != 1:
            raise DataError(
                f"{table.header_place}: {' and '.join(map(repr, found))} could both be {ours}. "
                f"Rename the right one to {ours!r}."
            )
        if found:
            chosen[(exact or found)[0]] = ours
    missing = [r for r in required if r not in chosen.values()]
    if missing:
        optional = [a for a in aliases if a not in required and a != "irs_order"]
        raise DataError(
            f"{table.header_place}: no column {' and '.join(map(repr, missing))}; found "
            f"{', '.join(map(repr, map(str, plain))) or 'none'}. Name the columns "
            f"{', '.join(required)} (and, if you have them, {', '.join(optional)})."
        )
    ignored = [str(c) for c in plain if c not in chosen]
    if ignored:
        logger.info("%s: columns ignored: %s.", table.where, ", ".join(ignored))
    return table.with_frame(table.frame[list(chosen)].rename(columns=chosen))


def identifiers(table: Table, column: str) -> tuple[np.ndarray, np.ndarray]:
    """(E,) int64 codes and the (n,) sorted identifiers, whole numbers >= 0 or text."""
    values = table.frame[column]
    missing = values.isna().to_numpy()
    if missing.any():
        what, cure = f"{column} is missing", "Fill it in or delete the row"
        texts = [t for t in table.frame.iloc[int(np.argmax(missing))] if isinstance(t, str)]
        if other := next((s for s in SEPARATORS for t in texts if s in t), None):
            what = f"{column} is missing, {texts[0]!r} is one field"
            cure = f"Separate this line as the header is separated, not by {SEPARATORS[other]}"
        _bad_row(table, values, missing, what, cure)
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        whole = numbers(table, column, whole=True)
        if (whole < 0).any():
            row = whole < 0
            what = f"{column} is {whole[int(np.argmax(row))]}, but identifiers start at 0"
            _bad_row(table, values, row, what, "Renumber them or delete the row")
        codes, ids = pd.factorize(whole, sort=True)
        return codes.astype(np.int64), np.asarray(ids)
    codes, ids = pd.factorize(values.astype(str).str.strip(), sort=True)
    ids = np.asarray(ids, dtype=str)
    _check_text_ids(table, column, codes, ids)
    return codes.astype(np.int64), ids


def _check_text_ids(table: Table, column: str, codes: np.ndarray, ids: np.ndarray) -> None:
    """Refuse empty text, a header repeated between the rows, and a few odd ones among numbers."""
    values = table.frame[column]
    lowered = np.char.lower(ids)
    header = np.isin(lowered, [column, column.replace("_", ""), "movieid", "artistid"])
    for bad, what, cure in (
        (ids == "", f"{column} is empty", "Fill it in or delete the row"),
        (header, f"the header is repeated ({column} is a name)", "Delete the line"),
    ):
        if bad.any():
            _bad_row(table, values, bad[codes], what, cure)
    numeric = np.char.isdigit(np.char.lstrip(ids, "-"))
    odd = ~numeric[codes]
    if 0 < odd.sum() <= len(odd) // 100:
        row = int(np.argmax(odd))
        what = f"{column} is {str(values.iloc[row])!r} where nearly all are numbers"
        _bad_row(table, values, odd, what, "Fix or delete the row, or make all of them text")


def _bad_row(table: Table, values: Any, bad: np.ndarray, what: str, cure: str) -> None:
    row, count = int(np.argmax(bad)), int(bad.sum()) - 1
    more = f" ({count:,} more like it)" if count else ""
    raise DataError(f"{table.place(int(values.index[row]))}: {what}. {cure}{more}.")


def seconds(table: Table, level: int) -> tuple[np.ndarray, np.ndarray | None]:
    """(E,) int64 seconds since 1970, and a finer sort key where the source is finer."""
    values = table.frame["timestamp"]
    if not pd.api.types.is_numeric_dtype(values):
        if pd.api.types.is_datetime64_any_dtype(values):
            return _split_seconds(table, values)
        if np.isfinite(floats(values)).mean() <= 0.5:  # otherwise numbers, a few of them bad
            logger.info("%s: timestamp read as dates, in UTC.", table.where)
            return _split_seconds(table, values)
    stamps = numbers(table, "timestamp")
    typical = float(np.median(np.abs(stamps)))
    # Seconds reach 1e11 in the year 5138, milliseconds pass it in 1973.
    scale = next((s for bound, s in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)) if typical > bound), 1)
    if scale > 1:
        unit = {1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}[scale]
        logger.log(level, "%s: timestamp is in %s; made seconds.", table.where, unit)
    if scale == 1 and not (stamps % 1).any():
        return stamps.astype(np.int64), None
    return np.floor(stamps / scale).astype(np.int64), stamps


def _split_seconds(table: Table, values: Any) -> tuple[np.ndarray, np.ndarray | None]:
    dates: Any = pd.to_datetime(values, utc=True, errors="coerce", format="mixed")
    bad = dates.isna().to_numpy()
    if bad.any():
        found = values.iloc[int(np.argmax(bad))]
        what = "is missing" if pd.isna(found) else f"{str(found)!r} is not a date or a number"
        cure = "Write seconds since 1970 or 2026-01-31 12:00:00, or leave the column out"
        _bad_row(table, values, bad, f"timestamp {what}", cure)
    nanos = dates.dt.tz_localize(None).dt.as_unit("ns").to_numpy().astype(np.int64)
    return nanos // 1_000_000_000, nanos if (nanos % 1_000_000_000).any() else None


def irs_order(table: Table, user: np.ndarray) -> np.ndarray:
    """(E,) float64 sort key of MovieLens 1M as the influence-path paper's authors used it.

    Rows without an order (film 2858 and films of fewer than five ratings) take their place by
    timestamp where it is known, otherwise a place drawn once and for all from the user's history:
    "last" would make the most popular film the held-out item of half of the users.
    """
    order = floats(table.frame["irs_order"])
    known = np.isfinite(order)
    if known.all():
        return order
    counts = np.bincount(user[known], minlength=int(user.max()) + 1)
    place = np.random.default_rng(2858).integers(0, counts[user] + 1).astype(np.float64)
    if "timestamp" in table.frame:
        time = floats(table.frame["timestamp"])
        timed = np.isfinite(time)
        key = user * 2.0**32 + np.where(timed, time, 0)
        base = np.sort(key[known & timed])
        first = np.searchsorted(base, user * 2.0**32)
        by_time = np.searchsorted(base, key, side="right") - first
        place = np.where(timed, by_time, place)
    logger.info(
        "%s: %d rows have no irs_order; placed by timestamp, or at random where it is unknown.",
        table.where,
        int((~known).sum()),
    )
    return np.where(known, order, place - 0.5)


def catalogue(
    items: Table | None, item_ids: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Titles (N,) str, genres (N, G) bool and genre names (G,) of the items in ``item_ids``."""
    empty = np.full(len(item_ids), "", dtype="U1"), np.zeros((len(item_ids), 0), bool), ()
    if items is None:
        return empty
    items = recognise(items, ITEM_ALIASES, required=("item_id",))
    frame = items.frame
    identifiers(items, "item_id")
    wanted = item_ids
    if pd.api.types.is_numeric_dtype(frame["item_id"]) != (item_ids.dtype.kind in "iu"):
        wanted, frame = item_ids.astype(str), frame.assign(item_id=frame["item_id"].astype(str))
    elif item_ids.dtype.kind == "U":
        frame = frame.assign(item_id=frame["item_id"].astype(str).str.strip())
    repeated = frame["item_id"].duplicated()
    if repeated.any():
        logger.warning(
            "%s: %d items are described twice (the first at %s); the first description counts.",
            items.where,
            int(repeated.sum()),
            items.place(int(frame.index[int(np.argmax(repeated))])),
        )
        frame = frame[~repeated]
    frame = frame.set_index("item_id").reindex(wanted)
    for column in ("title", "genres"):
        if column not in frame:
            frame[column] = ""
    unknown = int(frame["title"].isna().sum())
    if unknown:
        logger.info("%s: %d of %d items have no title.", name, unknown, len(wanted))
    titles = frame["title"].fillna("").astype(str).str.strip().str.slice(0, LONGEST_TITLE)
    texts = frame["genres"].fillna("").astype(str).replace(NO_GENRES, "")
    genres, genre_names = genre_matrix(texts.tolist())
    if len(genre_names) > MOST_GENRES:
        common = np.sort(np.argsort(-genres.sum(axis=0), kind="stable")[:MOST_GENRES])
        logger.info(
            "%s: %d genres; the %d most common are kept.", name, len(genre_names), MOST_GENRES
        )
        genres, genre_names = genres[:, common], tuple(genre_names[g] for g in common)
    return np.asarray(titles.tolist(), dtype=str), genres, genre_names
