"""The influence-path paper's versions of its two data sets, with the authors' two slips in them.

H. Zhu et al., "Influential Recommender System", ICDE 2023, Table I. Offered as ``variant="paper"``
for comparison with its numbers; ``variant="clean"`` is the plain 5-core.
"""

from __future__ import annotations

import numpy as np

from recgym.data.frames import build
from recgym.data.log import DataError, InteractionLog
from recgym.data.tables import Table

# The header was read as a row, so pandas' first chunk of 131,072 rows became text and the rest
# numbers: "52" and 52 are two artists from there on.
TEXT_ROWS = 131_072 - 1


def capped_core(user: np.ndarray, item: np.ndarray, k: int = 5) -> np.ndarray:
    """(E,) mask: the authors' k-core, whose exclusive upper bound is the largest count itself.

    As long as some user (then item) has fewer than ``k`` interactions, those go, and with them
    the users (items) of the largest count.
    """
    keep = np.ones(len(user), dtype=bool)
    changed = True
    while changed:
        changed = False
        for column in (user, item):
            counts = np.bincount(column[keep], minlength=int(column.max()) + 1)
            if ((counts > 0) & (counts < k)).any():
                keep &= ((counts >= k) & (counts < counts.max()))[column]
                changed = True
        if not keep.any():
            raise DataError(f"The capped {k}-core is empty. Choose a smaller k.")
    return keep


def capped(log: InteractionLog) -> InteractionLog:
    """The capped 5-core of a log: 6,040 / 3,415 / 996,183 for MovieLens 1M."""
    return log.keep(capped_core(log.user, log.item)).compact()


def lastfm(taggings: Table, items: Table | None, *, name: str) -> InteractionLog:
    """Last.fm as in Table I (896 / 2,682 / 28,220) from all tag assignments in the file's order.

    Identifiers are the source's, after ``s`` (rows read as text) or ``i`` (rows read as numbers).
    """
    frame = taggings.frame[["user_id", "item_id", "timestamp"]]
    text = np.arange(len(frame)) < TEXT_ROWS
    prefix = np.where(text, "s", "i")
    frame = frame.assign(
        user_id=np.char.add(prefix, frame["user_id"].to_numpy().astype(str)),
        item_id=np.char.add(prefix, frame["item_id"].to_numpy().astype(str)),
    ).drop_duplicates(["user_id", "item_id"])
    user, item = (frame[c].factorize()[0] for c in ("user_id", "item_id"))
    frame = frame[capped_core(user, item)]
    if items is not None:
        import pandas as pd

        catalogue = items.frame
        ids = catalogue["item_id"].astype(str)
        items = items.with_frame(
            pd.concat([catalogue.assign(item_id=letter + ids) for letter in "si"])
        )
    return build(taggings.with_frame(frame), items, name=name, known=True)
