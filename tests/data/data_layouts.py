"""Writers of the official layouts, from rows of a log: what the readers must give back."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from recgym.data import InteractionLog
from recgym.data.formats import ML100K_GENRES


def rows(log: InteractionLog) -> list[tuple]:
    """user id, item id, rating, time; shuffled between users, in order within each."""
    assert log.time is not None
    assert log.rating is not None
    order = np.argsort(np.random.default_rng(0).random(log.n_users)[log.user], kind="stable")
    return [
        (log.user_ids[log.user[e]], log.item_ids[log.item[e]], log.rating[e], log.time[e])
        for e in order
    ]


def items(log: InteractionLog) -> list[tuple]:
    return [(log.item_ids[i], str(log.titles[i]), log.genre_label(i)) for i in range(log.n_items)]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


def ml_csv(log: InteractionLog) -> dict[str, bytes]:
    ratings = ["userId,movieId,rating,timestamp", *(f"{u},{i},{r},{t}" for u, i, r, t in rows(log))]
    movies = ["movieId,title,genres"]
    movies += [f"{i},{quoted(t)},{g or '(no genres listed)'}" for i, t, g in items(log)]
    return {
        "ml-latest-small/ratings.csv": text(ratings),
        "ml-latest-small/movies.csv": text(movies),
        "ml-latest-small/tags.csv": b"userId,movieId,tag,timestamp\n",
        "ml-latest-small/README.txt": b"terms\n",
    }


def ml_1m(log: InteractionLog) -> dict[str, bytes]:
    ratings = [f"{u}::{i}::{r:.0f}::{t}" for u, i, r, t in rows(log)]
    movies = [f"{i}::{t}::{g}" for i, t, g in items(log)]
    return {
        "ml-1m/ratings.dat": text(ratings),
        "ml-1m/movies.dat": text(movies, "latin-1"),
        "ml-1m/users.dat": b"1::F::1::10::48067\n",
    }


def ml_100k(log: InteractionLog) -> dict[str, bytes]:
    """``log`` has genres of MovieLens 100K only."""
    ratings = [f"{u}\t{i}\t{r:.0f}\t{t}" for u, i, r, t in rows(log)]
    lines = []
    for i, title, genres in items(log):
        flags = "|".join(str(int(g in genres.split("|"))) for g in ML100K_GENRES)
        lines.append(f"{i}|{title}|01-Jan-1995||http://example.org|{flags}")
    return {
        "ml-100k/u.data": text(ratings),
        "ml-100k/u.item": text(lines, "latin-1"),
        "ml-100k/u1.base": b"1\t1\t5\t874965758\n",
    }


def recbole(log: InteractionLog) -> dict[str, bytes]:
    ratings = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    ratings += [f"{u}\t{i}\t{r}\t{t}" for u, i, r, t in rows(log)]
    movies = ["item_id:token\tmovie_title:token_seq\tclass:token_seq"]
    movies += [f"{i}\t{t}\t{g.replace('|', ' ')}" for i, t, g in items(log)]
    return {"few.inter": text(ratings), "few.item": text(movies)}


def plain(log: InteractionLog, separator: str = ",") -> dict[str, bytes]:
    s = separator
    ratings = [s.join(("user_id", "item_id", "rating", "timestamp"))]
    ratings += [s.join(map(str, row)) for row in rows(log)]
    movies = [s.join(("item_id", "title", "genres"))]
    movies += [s.join((str(i), f'"{t}"', f'"{g}"')) for i, t, g in items(log)]
    return {"interactions.csv": text(ratings), "items.csv": text(movies)}


LASTFM_TAGGINGS = [
    # user, artist, tag, milliseconds; the time of the first row of a pair counts
    (2, 52, 13, 1238536800000),
    (2, 52, 15, 1238536800000),
    (2, 51, 13, 1230764400000),
    (2, 73, 15, 1243807200000),
    (4, 52, 13, 1241128800000),
    (4, 51, 18, -428720400000),
    (4, 52, 18, 1230764400000),
    (9, 73, 13, 1243807200000),
]


def lastfm(*, stamps: bool = True) -> dict[str, bytes]:
    days = {1238536800000: (31, 3, 2009), 1230764400000: (31, 12, 2008)}
    days |= {1243807200000: (31, 5, 2009), 1241128800000: (30, 4, 2009)}
    days |= {-428720400000: (1, 6, 1956)}
    dated = [(u, a, t, *days[ms]) for u, a, t, ms in LASTFM_TAGGINGS]
    files = {
        "user_taggedartists.dat": table("userID artistID tagID day month year", dated),
        "artists.dat": text(
            [
                "id\tname\turl\tpictureURL",
                '51\tDuran "Duran\thttp://x\thttp://y',
                "52\tMorcheeba\thttp://x\thttp://y",
                "73\tTiësto\thttp://x\t",
                "99\tNobody\thttp://x\t",
            ]
        ),
        "tags.dat": text(["tagID\ttagValue", "13\tchillout", "15\tdowntempo", "18\tfran\xe7ais"],
                         "latin-1"),
    }  # fmt: skip
    if stamps:
        files["user_taggedartists-timestamps.dat"] = table(
            "userID artistID tagID timestamp", LASTFM_TAGGINGS
        )
    return files


def table(header: str, values: list[tuple]) -> bytes:
    return text(
        [header.replace(" ", "\t"), *("\t".join(map(str, row)) for row in values)], end="\r\n"
    )


def text(lines: list[str], encoding: str = "utf-8", end: str = "\n") -> bytes:
    return (end.join(lines) + end).encode(encoding)


def as_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def as_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def same_events(a: InteractionLog, b: InteractionLog) -> None:
    """Both logs hold the same events, titles and genres, whatever they are called."""
    np.testing.assert_array_equal(a.user_ids, b.user_ids)
    np.testing.assert_array_equal(a.item_ids, b.item_ids)
    np.testing.assert_array_equal(a.user, b.user)
    np.testing.assert_array_equal(a.item, b.item)
    np.testing.assert_array_equal(a.time, b.time)
    if a.rating is not None and b.rating is not None:
        np.testing.assert_array_equal(a.rating, b.rating)
    np.testing.assert_array_equal(a.titles, b.titles)
    assert [a.genre_label(i) for i in range(a.n_items)] == [
        b.genre_label(i) for i in range(b.n_items)
    ]
