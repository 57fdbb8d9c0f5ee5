"""MovieLens latest-small (October 2016), embedded in the package under GroupLens' terms.

Source: F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5,
4 (2015); taken from Debian's r-cran-dslabs by ``scripts/embed_movielens.py``. The terms stand in
``files/ml-latest-small/LICENSE-GROUPLENS.txt``: no commercial use.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recgym.data.log import DataError, InteractionLog

FILES = Path(__file__).parent / "files" / "ml-latest-small"
USERS, ITEMS, RATINGS = 671, 9_066, 100_004


def movielens_latest_small() -> InteractionLog:
    """All 100,004 ratings by 671 users of 9,066 films; time ties keep the source's file order."""
    with np.load(FILES / "ratings.npz", allow_pickle=False) as stored:
        data = {key: stored[key] for key in stored.files}
    names = bytes(data["titles"]).decode().split("\n")
    titles = [f"{t} ({y})" if t and y else t for t, y in zip(names, data["years"], strict=True)]
    genres, genre_names = genre_matrix(bytes(data["genres"]).decode().split("\n"))
    counts = data["events_per_user"]
    log = InteractionLog.from_columns(
        "ml-latest-small",
        np.repeat(np.arange(len(counts)), counts),
        data["item"],
        time=data["seconds"].astype(np.int64),
        rating=data["rating2"].astype(np.float32) / 2,
        user_ids=np.arange(1, len(counts) + 1),
        item_ids=data["item_ids"].astype(np.int64),
        titles=titles,
        genres=genres,
        genre_names=genre_names,
    )
    if (log.n_users, log.n_items, len(log)) != (USERS, ITEMS, RATINGS):
        raise DataError(
            f"{FILES / 'ratings.npz'}: expected {USERS:,} users, {ITEMS:,} items and {RATINGS:,} "
            f"ratings, found {log.n_users:,}, {log.n_items:,}, {len(log):,}. Reinstall recgym."
        )
    return log


def genre_matrix(texts: list[str], separator: str = "|") -> tuple[np.ndarray, tuple[str, ...]]:
    """(N, G) bool membership and the sorted genre names, from texts such as ``Comedy|Drama``."""
    split = [[g for g in text.split(separator) if g] for text in texts]
    names = tuple(sorted({g for genres in split for g in genres}))
    column = {name: index for index, name in enumerate(names)}
    matrix = np.zeros((len(texts), len(names)), dtype=bool)
    rows = np.repeat(np.arange(len(split)), [len(genres) for genres in split])
    matrix[rows, [column[g] for genres in split for g in genres]] = True
    return matrix, names
