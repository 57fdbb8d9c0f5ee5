"""Reader of adjacency lists, the layout of LightGCN's data sets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recgym.data.frames import build
from recgym.data.log import DataError, InteractionLog
from recgym.data.sources import Source
from recgym.data.tables import Table

FILES = ("train.txt", "test.txt")


def lightgcn(source: Source, name: str) -> InteractionLog:
    """LightGCN's ``train.txt`` and ``test.txt``: a line per user, ``user item item …``.

    The log is both, each user's training items first; :func:`edges` reads one of them.
    """
    parts = [edges(source, file) for file in FILES]
    user, item = (np.concatenate(column) for column in zip(*parts, strict=True))
    frame = pd.DataFrame({"user_id": user, "item_id": item})
    return build(Table(frame, str(source.path)), name=name, known=True)


def edges(source: Source, file: str) -> tuple[np.ndarray, np.ndarray]:
    """(users (E,), items (E,)), int64, of one adjacency list; users may have no item."""
    users, items, counts = [], [], []
    with source.open(file) as stream:
        for number, line in enumerate(stream, 1):
            try:
                row = [int(field) for field in line.split()]
            except ValueError:
                row = [-1]
            if (row and not 0 <= min(row) <= max(row) < 2**63) or b"_" in line:
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
