"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Call ``write(temporary_path)`` beside ``path``, then move the result into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(Path(temporary))
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only the owner reads
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> Path:
    """Write it as UTF-8; the path."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path


def write_csv(path: Path, frame: pd.DataFrame, float_format: str | None = None) -> Path:
    """Write it without its index; the path."""
    return write_text(
        path, frame.to_csv(index=False, float_format=float_format, lineterminator="\n")
    )
