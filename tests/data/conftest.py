from __future__ import annotations

import pytest

from recgym.data import InteractionLog, load
from recgym.data.registry import _load


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test of this folder sees the user's cache, or data that are not its own."""
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")  # the servers of these tests are on loopback
    monkeypatch.delenv("RECGYM_SHARED_DATA", raising=False)
    _load.cache_clear()
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def small() -> InteractionLog:
    """The embedded set, whole."""
    return load("ml-latest-small", "raw")


@pytest.fixture(scope="session")
def few(small) -> InteractionLog:
    """Rows of the first twelve users: small enough to write in every layout."""
    return small.keep(small.user < 12).compact(name="few")
