"""The file of one run: a line ``# {json}``, then a CSV with one row per evaluation episode.

A file appears whole or not at all, is never overwritten, and carries a digest of its rows.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2
TEMPORARY = ".unfinished"
# What makes two runs the same run; everything else in the header is about how it went.
IDENTITY = (
    "env_id",
    "env_kwargs",
    "agent",
    "label",
    "config",
    "seed",
    "timesteps",
    "tasks",
    "every",
    "split",
    "train_seed",
    "train_env",
)
REQUIRED = (
    *IDENTITY,
    "sees",
    "suite",
    "episodes",
    "task_keys",
    "metric_keys",
    "fingerprint",
    "versions",
    "command",
    "sha256",
)


class BenchmarkError(Exception):
    """Something the user can put right; the message is one sentence with the cure."""


@dataclass(frozen=True)
class RunFile:
    """A finished run, read back."""

    path: Path
    header: dict[str, Any]
    episodes: pd.DataFrame
    """Task keys and metrics, one row per evaluation episode."""


def write(path: Path, header: Mapping[str, Any], episodes: pd.DataFrame) -> None:
    """Write the run's file whole or not at all (temporary file, then rename).

    Raises:
        BenchmarkError: the file exists already.
    """
    body = episodes.to_csv(index=False, lineterminator="\n")
    digest = hashlib.sha256(body.encode()).hexdigest()
    full = {"schema": SCHEMA, **header, "episodes": len(episodes), "sha256": digest}
    line = json.dumps(full, ensure_ascii=False, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=TEMPORARY)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(f"# {line}\n{body}")
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        try:
            # A link never replaces what is there: of two processes one wins, the other is told.
            os.link(name, path)
        except FileExistsError:
            raise BenchmarkError(f"{path} exists already: recgym never overwrites a run") from None
        except OSError:  # a file system without links
            os.replace(name, path)
            return
    finally:
        Path(name).unlink(missing_ok=True)


def read(path: Path) -> RunFile:
    """Read and check one run.

    Raises:
        BenchmarkError: not a run of recgym, another schema, or damaged; names file and reason.
    """
    import pandas as pd

    header, body = _split(path)
    if hashlib.sha256(body.encode()).hexdigest() != header["sha256"]:
        raise _refusal(path, "its rows do not match the digest in its first line", damaged=True)
    try:
        episodes = pd.read_csv(io.StringIO(body))
    except (ValueError, pd.errors.ParserError) as error:
        raise _refusal(path, f"its rows are not CSV ({error})", damaged=True) from None
    wanted = [*header["task_keys"], *header["metric_keys"]]
    if missing := [key for key in wanted if key not in episodes.columns]:
        raise _refusal(path, f"columns are missing: {', '.join(missing)}", damaged=True)
    if len(episodes) != header["episodes"]:
        raise _refusal(
            path, f"{len(episodes)} rows, its first line says {header['episodes']}", damaged=True
        )
    return RunFile(path, header, episodes.loc[:, wanted])


def read_header(path: Path) -> dict[str, Any]:
    """The first line of a run's file, checked as in :func:`read`, and its digest as well."""
    header, body = _split(path)
    if hashlib.sha256(body.encode()).hexdigest() != header["sha256"]:
        raise _refusal(path, "its rows do not match the digest in its first line", damaged=True)
    return header


def finished(path: Path, identity: Mapping[str, Any]) -> bool:
    """Whether this very run is already in ``path``.

    Raises:
        BenchmarkError: another run is there, or something that is no run.
    """
    if not path.exists():
        return False
    header = read_header(path)
    plain = json.loads(json.dumps(dict(identity)))
    differing = [key for key in IDENTITY if header[key] != plain[key]]
    if differing:
        what = "; ".join(f"{key} is {header[key]!r} there, {plain[key]!r} now" for key in differing)
        raise BenchmarkError(
            f"{path} holds a different run ({what}): choose another --out, or move the file away"
        )
    return True


def remove_leftovers(folder: Path, older_than: float = 60.0) -> None:
    """Delete temporary files of runs that were killed while writing (seconds old)."""
    now = time.time()
    for path in folder.glob(f".*{TEMPORARY}"):
        try:
            if now - path.stat().st_mtime > older_than:
                path.unlink()
        except FileNotFoundError:
            continue


def _split(path: Path) -> tuple[dict[str, Any], str]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise _refusal(path, "it is not UTF-8 text") from None
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be read: {error.strerror}") from None
    first, _, body = text.partition("\n")
    if not first.startswith("# {"):
        raise _refusal(path, "its first line is not a '# {…}' header")
    try:
        header = json.loads(first[2:])
    except json.JSONDecodeError as error:
        raise _refusal(path, f"its first line is not JSON ({error})", damaged=True) from None
    if header.get("schema") != SCHEMA:
        raise _refusal(
            path,
            f"schema {header.get('schema')!r}, this recgym reads {SCHEMA}; run the bench again",
        )
    header.setdefault("every", 1)  # files from before there was a choice
    if missing := [key for key in REQUIRED if key not in header]:
        raise _refusal(path, f"its first line lacks {', '.join(missing)}", damaged=True)
    return header, body


def _refusal(path: Path, reason: str, damaged: bool = False) -> BenchmarkError:
    what = "is damaged" if damaged else "is not a run of recgym"
    cure = "delete it and run the bench again" if damaged else "move it out of this folder"
    return BenchmarkError(f"{path} {what}: {reason}; {cure}")
