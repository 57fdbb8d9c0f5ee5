from __future__ import annotations

import numpy as np
import pytest

from recgym.data import InteractionLog, load
from recgym.data.registry import _load


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test of this folder sees the user's cache, or data that are not its own."""
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path / "cache"))
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
