"""What the IRS paper shows besides benches and studies, by name; each fills one folder with CSVs.

All train what is missing first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recgym.benchmark.influence_path import paths, predictions
from recgym.benchmark.influence_path.place import Place, Tell

TABLES: Mapping[str, Callable[[Place], Mapping[str, Any]]] = {
    "influence-path-evaluators": predictions.evaluators,
    "influence-path-next-item": predictions.next_item,
    "influence-path-impressionability": predictions.impressionability,
    "influence-path-evolution": paths.evolution,
    "influence-path-conditioning": predictions.conditioning,
    "influence-path-case": paths.case,
}


def write(name: str, out: Path, dataset: str | None, variant: str, tell: Tell) -> list[Path]:
    """Make a table by name and write its CSVs into ``out``; their paths."""
    frames = TABLES[name](Place(dataset, variant, tell))
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for stem, frame in frames.items():
        written.append(out / f"{stem}.csv")
        frame.to_csv(written[-1], index=False, float_format="%.5g", lineterminator="\n")
    return written
