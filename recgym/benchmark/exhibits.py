"""Exhibits: what a paper shows besides benches, each a folder of CSVs, figures and a page."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recgym.data.writing import write_csv, write_text

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[str, str, float], None]
"""Called with what is made, the stage, and the share done."""


@dataclass(frozen=True)
class Exhibit:
    """Numbers and pictures of them."""

    title: str
    frames: Mapping[str, pd.DataFrame]
    """CSVs by name; numbers have columns ``metric``, ``value``, ``low``, ``high``."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """matplotlib figures by name."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the command does not say, as JSON values: seeds, agents' configurations, the world."""


def names() -> list[str]:
    """The exhibits that :func:`write` knows."""
    return sorted(EXHIBITS)


def write(
    name: str,
    out: str | os.PathLike[str],
    dataset: str | None = None,
    variant: str = "clean",
    tell: Tell = lambda what, stage, share: None,
) -> list[Path]:
    """Make an exhibit by name and write its files into ``out``; their paths.

    What it needs and is not trained yet is trained first. Nothing is written before all is made.
    ``made.csv`` says how: the command, settings, versions, seconds and memory.

    Raises:
        KeyError: no such exhibit; the message lists those that exist.
        DataError: the data set is not on this machine, or is not one for this exhibit.
    """
    from recgym.benchmark import figures
    from recgym.benchmark.exhibit_page import exhibit_page
    from recgym.benchmark.provenance import PeakMemory

    if name not in EXHIBITS:
        raise KeyError(f"unknown exhibit {name!r}: choose one of {', '.join(names())}")
    started, memory = time.perf_counter(), PeakMemory()
    made: Exhibit = import_module(EXHIBITS[name]).exhibit(name, dataset, variant, tell)
    command = _command(name, dataset, variant, out)
    how = _how(made, command, time.perf_counter() - started, memory.megabytes())
    folder = Path(out)
    written = [
        write_csv(folder / f"{stem}.csv", frame, "%.5g")
        for stem, frame in {**made.frames, "made": how}.items()
    ]
    pictures = [figures.save(f, folder / f"{stem}.png") for stem, f in made.figures.items()]
    page = write_text(folder / "report.html", exhibit_page(made, command, pictures))
    return [*written, *pictures, page]


def _command(name: str, dataset: str | None, variant: str, out: str | os.PathLike[str]) -> str:
    parts = ["recgym", "study", name, "--out", os.fspath(out)]
    parts += ["--dataset", dataset] if dataset else []
    parts += ["--variant", variant] if variant != "clean" else []
    return shlex.join(parts)


def _how(made: Exhibit, command: str, seconds: float, memory: int | None) -> pd.DataFrame:
    """One row: what it takes to make the exhibit again, and what it took."""
    import pandas as pd

    from recgym.benchmark.provenance import machine, versions

    row = {
        "command": command,
        "settings": json.dumps(dict(made.settings), sort_keys=True),
        "versions": json.dumps(versions(), sort_keys=True),
        "machine": machine(),
        "seconds": round(seconds, 1),
        "peak_memory_mb": memory,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return pd.DataFrame([row])


_INFLUENCE = "recgym.benchmark.influence_path.exhibits"
_HARM = "recgym.benchmark.harm_mitigation.exhibits"
_SELECTION = "recgym.benchmark.data_selection.exhibits"
_VALUATION = "recgym.benchmark.data_valuation.exhibits"
EXHIBITS: Mapping[str, str] = {
    "influence-path-evaluators": _INFLUENCE,
    "influence-path-next-item": _INFLUENCE,
    "influence-path-impressionability": _INFLUENCE,
    "influence-path-evolution": _INFLUENCE,
    "influence-path-conditioning": _INFLUENCE,
    "influence-path-learning": _INFLUENCE,
    "influence-path-case": _INFLUENCE,
    "influence-path-worlds": _INFLUENCE,
    "influence-path-vectors": _INFLUENCE,
    "harm-mitigation-weights": _HARM,
    "harm-mitigation-solvers": _HARM,
    "harm-mitigation-implicit": _HARM,
    "harm-mitigation-dynamics": _HARM,
    "harm-mitigation-settling": _HARM,
    "harm-mitigation-scale": _HARM,
    "data-selection-accuracy": _SELECTION,
    "data-selection-losses": _SELECTION,
    "data-selection-speed": _SELECTION,
    "data-selection-theorems": _SELECTION,
    "data-valuation-signal": "recgym.benchmark.data_valuation.signal",
    "data-valuation-shapley": "recgym.benchmark.data_valuation.shapley",
    "data-valuation-methods": _VALUATION,
    "data-valuation-backbones": _VALUATION,
    "data-valuation-noise": _VALUATION,
    "data-valuation-search": _VALUATION,
}
"""Modules that define ``exhibit(name, dataset, variant, tell) -> Exhibit``, by name."""
