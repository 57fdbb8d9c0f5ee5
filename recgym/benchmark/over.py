"""Runs that took longer than their suite allows: a small file in the place of each.

``<label>-seed<seed>.over.json`` keeps a bench from trying such a run again and tells the table of
it. With a larger cap, or none, the run is made after all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.spec import RunSpec
from recgym.data.writing import write_text

SUFFIX = ".over.json"


def path(spec: RunSpec, folder: Path) -> Path:
    """The file of a run."""
    return spec.path(folder).with_suffix(SUFFIX)


def write(spec: RunSpec, folder: Path, minutes: float) -> Path:
    """Note that the run was stopped after so many minutes."""
    return write_text(path(spec, folder), json.dumps({**spec.identity, "minutes": minutes}))


def stopped(spec: RunSpec, folder: Path, minutes: float | None) -> bool:
    """Whether this very run was stopped before, with as many minutes as it would have now."""
    made = path(spec, folder)
    if minutes is None or not made.exists():
        return False
    found = _read(made)
    identity = json.loads(json.dumps(spec.identity))
    return {key: found.get(key) for key in identity} == identity and found["minutes"] >= minutes


def notes(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(seed, minutes) of the stopped runs in a folder, by label."""
    found: dict[str, list[tuple[int, float]]] = {}
    for each in sorted(folder.glob(f"*{SUFFIX}")):
        content = _read(each)
        found.setdefault(content["label"], []).append((content["seed"], content["minutes"]))
    return found


def seconds(minutes: Sequence[float | None]) -> float | None:
    """What runs of one training may take together; None where one has no cap."""
    given = [each for each in minutes if each is not None]
    return 60 * sum(given) if len(given) == len(minutes) else None


def _read(made: Path) -> dict[str, Any]:
    try:
        found = json.loads(made.read_text(encoding="utf-8"))
        if {"label", "seed", "minutes"} <= set(found):
            return found
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError):
        pass
    raise BenchmarkError(f"{made} is damaged: delete it and run the bench again")
