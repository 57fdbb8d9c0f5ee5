"""Reader of Gowalla's check-ins, as SNAP publishes them."""

from __future__ import annotations

import re

from recgym.data.frames import build
from recgym.data.log import DataError, InteractionLog
from recgym.data.sources import Source, Unpacked
from recgym.data.tables import read_text

FILES = re.compile(r"loc-gowalla_totalCheckins\.txt(\.gz)?")
COLUMNS = ("user_id", "timestamp", "latitude", "longitude", "item_id")


def gowalla(source: Source, name: str) -> InteractionLog:
    """``loc-gowalla_totalCheckins.txt[.gz]``: user, time, latitude, longitude, place; tabs."""
    source = Unpacked(source)
    file = next((n for n in source.names if FILES.fullmatch(n)), None)
    if file is None:
        raise DataError(
            f"{source.path}: loc-gowalla_totalCheckins.txt.gz is missing. Get the file from SNAP."
        )
    table = read_text(source, file, "\t", names=COLUMNS, quoted=False, text_columns=("timestamp",))
    events = table.with_frame(table.frame[["user_id", "item_id", "timestamp"]])
    return build(events, name=name, known=True)
