"""Exhibits: what a paper shows besides benches, each a folder of CSVs, figures and a page."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

    Raises:
        KeyError: no such exhibit; the message lists those that exist.
        DataError: the data set is not on this machine, or is not one for this exhibit.
    """
    from recgym.benchmark import figures
    from recgym.benchmark.exhibit_page import exhibit_page

    if name not in EXHIBITS:
        raise KeyError(f"unknown exhibit {name!r}: choose one of {', '.join(names())}")
    made: Exhibit = import_module(EXHIBITS[name]).exhibit(name, dataset, variant, tell)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for stem, frame in made.frames.items():
        written.append(folder / f"{stem}.csv")
        frame.to_csv(written[-1], index=False, float_format="%.5g", lineterminator="\n")
    pictures = [figures.save(f, folder / f"{stem}.png") for stem, f in made.figures.items()]
    page = folder / "report.html"
    page.write_text(exhibit_page(made, name, dataset, pictures), encoding="utf-8")
    return [*written, *pictures, page]


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
    "influence-path-case": _INFLUENCE,
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
