"""Where data lives on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """``RECGYM_CACHE``, or the platform's folder for caches of the user."""
    if value := os.environ.get("RECGYM_CACHE"):
        return Path(value).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("recgym", appauthor=False)


def dataset_dir(name: str, cache: str | Path | None = None) -> Path:
    """The folder of one data set below the cache."""
    return Path(cache_dir() if cache is None else cache) / "datasets" / name


def shared_dir() -> Path | None:
    """The read-only folder of data sets that ``RECGYM_SHARED_DATA`` names, if it is set."""
    value = os.environ.get("RECGYM_SHARED_DATA")
    return Path(value).expanduser() if value else None
