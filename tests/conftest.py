"""What all tests share: the folder of real data sets, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder named by ``RECGYM_SHARED_DATA``, default the sibling ``../shared/data``."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RECGYM_SHARED_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent (set RECGYM_SHARED_DATA)")
    pytest.importorskip("pyarrow", reason="the real data are Parquet: pip install pyarrow")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of the tests' own: what was trained on this machine makes no difference to them."""
    os.environ["RECGYM_CACHE"] = str(tmp_path_factory.mktemp("cache"))
