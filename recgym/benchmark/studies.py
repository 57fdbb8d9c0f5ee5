"""Studies: one suite for each value of something that is varied, and one table of all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from recgym.benchmark import scoring, summary, table
from recgym.benchmark.bench import BenchResult, bench_all
from recgym.benchmark.spec import RunSpec
from recgym.benchmark.suites import Entry, Suite, slug

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Study:
    """Suites by the setting that makes them differ. Immutable."""

    name: str
    title: str
    varies: str
    """What a setting is a value of, for the axis of a figure."""
    suites: Mapping[str, Suite]
    shows: tuple[str, ...] = ("SR", "return")
    """Keys of the metrics that its figure shows."""
    levels: Mapping[str, tuple[str, str, float]] | None = None
    """Where agents and not settings vary: label → (panel, line, place on the panel's axis)."""
    matrix: bool = False
    """Whether the figure is a table of agents by settings."""

    @staticmethod
    def folder(out: Path, setting: str) -> Path:
        """Where the runs of a setting are."""
        return out / slug(setting)


def names() -> list[str]:
    """The studies that :func:`get` knows."""
    return sorted(STUDIES)


def get(name: str, dataset: str | None = None, variant: str = "clean") -> Study:
    """A study by name on a data set; None is its default world.

    Raises:
        KeyError: no such study; the message lists those that exist.
    """
    if name not in STUDIES:
        raise KeyError(f"unknown study {name!r}: choose one of {', '.join(names())}")
    return import_module(STUDIES[name]).study(name, dataset, variant)


def run(
    study: Study,
    out: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    on_event: Callable[[str, RunSpec, Path], None] | None = None,
    on_prepare: Callable[[str, str, float], None] | None = None,
) -> BenchResult:
    """Bench every setting into its own folder below ``out``; started again it continues."""
    folders = {study.folder(Path(out), setting): suite for setting, suite in study.suites.items()}
    return bench_all(folders, jobs=jobs, on_event=on_event, on_prepare=on_prepare)


def frames(
    study: Study, out: str | os.PathLike[str], resamples: int = scoring.RESAMPLES
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(agents, runs): :func:`recgym.benchmark.summary.frames` of all settings, one above another.

    In a matrix ``own`` marks agents that have, or were trained with, the model that judges them.

    Raises:
        BenchmarkError: a setting has no runs, or a damaged one.
    """
    import pandas as pd

    parts = []
    for setting in study.suites:
        pair = summary.frames(table.build(study.folder(Path(out), setting), resamples))
        for frame in pair:
            frame.insert(0, "setting", setting)
        parts.append(pair)
    agents, runs = (pd.concat(column, ignore_index=True) for column in zip(*parts, strict=True))
    if study.matrix:
        entries = {entry.label: entry for entry in next(iter(study.suites.values())).entries}
        rows = zip(agents["agent"], agents["setting"], agents["saw"], strict=True)
        own = [_made_with(entries[agent], model, saw) for agent, model, saw in rows]
        agents.insert(2, "own", own)
    return agents, runs


def _made_with(entry: Entry, model: str, saw: str) -> bool:
    """Whether an agent has that model, or learned from its replies.

    The first stands in a label such as ``rec2inf[sasrec, embedding]``, as a whole word; the second
    in the world where it was trained, if it ``saw`` more of that than the log.
    """
    named = re.search(rf"\b{re.escape(model)}\b", entry.label) is not None
    return named or (saw != "log" and entry.train_env.get("evaluator") == model)


_PATHS = "recgym.benchmark.influence_path.studies"
_HARM = "recgym.benchmark.harm_mitigation.studies"
_SELECTION = "recgym.benchmark.data_selection.studies"
STUDIES: Mapping[str, str] = {
    "influence-path-masks": _PATHS,
    "influence-path-horizon": _PATHS,
    "influence-path-aggressiveness": _PATHS,
    "influence-path-acceptance": _PATHS,
    "influence-path-planning": _PATHS,
    "influence-path-genre": _PATHS,
    "influence-path-graphs": _PATHS,
    "influence-path-transfer": _PATHS,
    "influence-path-search": _PATHS,
    "harm-mitigation-episodes": _HARM,
    "harm-mitigation-budget": _HARM,
    "harm-mitigation-probabilities": _HARM,
    "data-selection-recommenders": _SELECTION,
    "data-selection-anchors": _SELECTION,
    "data-selection-characters": _SELECTION,
    "data-selection-lambda": _SELECTION,
    "data-selection-sparsity": _SELECTION,
    "data-selection-retrainings": _SELECTION,
}
"""Modules that define ``study(name, dataset, variant)``, by the study's name."""
