"""Logs by name, by path, or as they are."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from recgym.data.log import InteractionLog
from recgym.data.registry import load, names
from recgym.data.splits import k_core


def resolve_log(dataset: str | Path | InteractionLog, variant: str) -> InteractionLog:
    """A log by name, by path (anything that :func:`recgym.data.read` reads), or as it is.

    A log is taken as it is: its variant is what its owner made it.

    Raises:
        ValueError: no name, path or log; a variant that a user's own log does not have.
        DataError: an unknown name, or files that cannot be read.
    """
    if isinstance(dataset, InteractionLog):
        if variant not in ("raw", "clean"):  # clean is the default
            raise ValueError(f"{dataset.name} is taken as it is: leave variant={variant!r} out.")
        return dataset
    if not isinstance(dataset, str | Path):
        raise ValueError(f"dataset must be a name, a path or an InteractionLog, got {dataset!r}.")
    if not is_path(dataset):
        return load(str(dataset), variant=variant)
    if variant not in ("raw", "clean"):
        raise ValueError(f"{dataset} has no variant {variant!r}. It has: raw, clean.")
    path = Path(dataset)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    states = tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files)
    return _read(path.resolve(), variant, states)


def is_path(dataset: Any) -> bool:
    """Whether that is a user's own file or folder, and not the name of a data set."""
    known = not isinstance(dataset, str | Path) or dataset in names()
    return not known and str(dataset) != "" and Path(dataset).exists()


@functools.lru_cache(maxsize=4)
def _read(path: Path, variant: str, states: tuple) -> InteractionLog:
    """A user's own log, read again when its files (``states``) have changed."""
    from recgym.data.readers import read

    log = read(path)
    return log if variant == "raw" else k_core(log)
