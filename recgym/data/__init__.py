"""Interaction logs: load, read, split, make up.

>>> from recgym import data
>>> log = data.load("ml-latest-small")
>>> train, held_out = data.leave_last_out(log)
"""

from typing import TYPE_CHECKING

from recgym.data.log import DataError, InteractionLog
from recgym.data.registry import Dataset, info, load, locate, names
from recgym.data.selection_split import LeaveTwoOut, subsample
from recgym.data.splits import (
    Segments,
    drop_most_popular,
    k_core,
    leave_last_out,
    ratio,
    segments,
    sequences,
    windows,
)

if TYPE_CHECKING:
    from recgym.data.download import fetch, import_path
    from recgym.data.frames import from_frame
    from recgym.data.readers import read

__all__ = [
    "DataError",
    "Dataset",
    "InteractionLog",
    "LeaveTwoOut",
    "Segments",
    "drop_most_popular",
    "fetch",
    "from_frame",
    "import_path",
    "info",
    "k_core",
    "leave_last_out",
    "load",
    "locate",
    "names",
    "ratio",
    "read",
    "segments",
    "sequences",
    "subsample",
    "windows",
]

# These need pandas, which takes longer to import than the rest of the package together.
_LAZY = {
    "fetch": "recgym.data.download",
    "import_path": "recgym.data.download",
    "from_frame": "recgym.data.frames",
    "read": "recgym.data.readers",
}


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
