"""From the files of a folder to the numbers of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recgym.benchmark import files, over, scoring, suites
from recgym.benchmark.files import BenchmarkError, RunFile
from recgym.benchmark.scoring import Estimate
from recgym.benchmark.suites import Metric

SEES = {
    "log": "log",
    "simulator": "simulator",
    "privileged": "privileged",
}
SEES_TEXT = {
    "log": "learned from the logged data only",
    "simulator": "trained in the simulator, on the training tasks",
    "privileged": "reads the simulated user itself: a reference, not a competitor",
}
# Headers that differ between the files of one table would make it compare unlike things.
_SAME = ("env_id", "env_kwargs", "fingerprint", "tasks", "every", "split")


@dataclass(frozen=True)
class Row:
    """One agent: all its seeds together."""

    label: str
    sees: str
    seeds: tuple[int, ...]
    means: dict[str, Estimate]
    """Mean of every metric."""
    iqm: Estimate
    """Interquartile mean of the main metric."""
    per_seed: np.ndarray
    """(S,) mean of the main metric in each seed."""
    episodes: np.ndarray
    """The main metric of every episode."""
    difference: Estimate | None
    """Main metric minus the reference agent's on the same tasks; None without common tasks."""
    headers: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Table:
    """A report's numbers; rows are sorted, best first."""

    title: str
    env_id: str
    env_kwargs: dict[str, Any]
    metrics: tuple[Metric, ...]
    main: Metric
    rows: tuple[Row, ...]
    reference: str
    """Label of the best agent that is not privileged."""
    notes: tuple[str, ...]
    over: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    """(seed, minutes) of runs that were stopped because they took longer, by label."""

    @property
    def others(self) -> tuple[Metric, ...]:
        return tuple(metric for metric in self.metrics if metric.key != self.main.key)


def load(folder: Path) -> list[RunFile]:
    """All runs of a folder.

    Raises:
        BenchmarkError: no folder, no runs, a foreign or damaged file, or files that do not
            belong into one table; names the file and the reason.
    """
    if not folder.is_dir():
        raise BenchmarkError(f"{folder} is not a folder: give the --out of a bench or run")
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise BenchmarkError(f"{folder} holds no runs (*.csv): make some with recgym bench or run")
    runs = [files.read(path) for path in paths]
    first = runs[0].header
    for run in runs[1:]:
        for key in _SAME:
            if run.header[key] != first[key]:
                raise BenchmarkError(
                    f"{run.path} does not belong into one table with {runs[0].path.name}: {key} is "
                    f"{run.header[key]!r} here and {first[key]!r} there; keep them in two folders"
                )
    return runs


def build(folder: Path, resamples: int = scoring.RESAMPLES) -> Table:
    """Score all runs of a folder.

    Raises:
        BenchmarkError: see :func:`load`.
    """
    runs = load(folder)
    first = runs[0].header
    metrics, main, unit = _metrics(first)
    samples = _by_label(runs, unit)
    means = {
        label: {
            metric.key: sample.estimate(metric.key, "mean", resamples)
            for metric in metrics
            if metric.key in sample.metric_keys
        }
        for label, sample in samples.items()
    }

    def rank(label: str) -> float:
        value = means[label][main.key].value
        return -np.inf if np.isnan(value) else value * (main.direction or 1)

    order = sorted(samples, key=rank, reverse=True)
    fair = [label for label in order if samples[label].sees != "privileged"]
    reference = (fair or order)[0]
    rows = tuple(
        Row(
            label=label,
            sees=samples[label].sees,
            seeds=samples[label].seeds,
            means=means[label],
            iqm=samples[label].estimate(main.key, "iqm", resamples),
            per_seed=np.array([np.nanmean(v) for v in samples[label].values(main.key)]),
            episodes=np.concatenate(samples[label].values(main.key)),
            difference=samples[label].minus(samples[reference], main.key, resamples),
            headers=samples[label].headers,
        )
        for label in order
    )
    suite = first["suite"]
    title = suites.get(suite).title if suite in suites.SUITES else first["env_id"]
    return Table(
        title=title,
        env_id=first["env_id"],
        env_kwargs=first["env_kwargs"],
        metrics=metrics,
        main=main,
        rows=rows,
        reference=reference,
        notes=tuple(_notes(rows, folder)),
        over=over.notes(folder),
    )


def samples_of(folder: Path) -> tuple[tuple[Metric, ...], dict[str, Samples]]:
    """The metrics of a folder of runs, and the episodes of each agent by its label.

    Raises:
        BenchmarkError: see :func:`load`.
    """
    runs = load(folder)
    metrics, _, unit = _metrics(runs[0].header)
    return metrics, _by_label(runs, unit)


def _by_label(runs: Sequence[RunFile], unit: str) -> dict[str, Samples]:
    found: dict[str, list[RunFile]] = {}
    for run in sorted(runs, key=lambda run: run.header["seed"]):
        found.setdefault(run.header["label"], []).append(run)
    return {label: Samples(group, unit) for label, group in found.items()}


class Samples:
    """Episodes of one agent, aligned over its seeds."""

    def __init__(self, runs: Sequence[RunFile], unit: str) -> None:
        self.headers = tuple(run.header for run in runs)
        self.seeds = tuple(header["seed"] for header in self.headers)
        self.sees = str(runs[0].header["sees"])
        self.metric_keys = list(runs[0].header["metric_keys"])
        self.task_keys = list(runs[0].header["task_keys"])
        if len(set(self.seeds)) < len(self.seeds):
            names = ", ".join(run.path.name for run in runs)
            raise BenchmarkError(f"a seed of {runs[0].header['label']} appears twice in: {names}")
        order = [unit] if unit in self.task_keys else []
        order += [key for key in self.task_keys if key not in order]
        self.frames = [run.episodes.sort_values(order, kind="stable") for run in runs]
        units = [frame[order[0]].to_numpy() for frame in self.frames]
        self.crossed = all(
            np.array_equal(units[0], other) and len(np.unique(other)) == len(other)
            for other in units
        )

    def values(self, key: str) -> list[np.ndarray]:
        return [frame[key].to_numpy(dtype=float) for frame in self.frames]

    def estimate(self, key: str, statistic: scoring.Statistic, resamples: int) -> Estimate:
        return scoring.estimate(
            self.values(key), statistic, crossed=self.crossed, resamples=resamples
        )

    def minus(self, other: Samples, key: str, resamples: int) -> Estimate | None:
        """Paired on the seeds that both have, where these had the same tasks."""
        common = [seed for seed in self.seeds if seed in other.seeds]
        mine = [self.frames[self.seeds.index(seed)] for seed in common]
        theirs = [other.frames[other.seeds.index(seed)] for seed in common]
        same = self.task_keys == other.task_keys and all(
            np.array_equal(a[self.task_keys].to_numpy(), b[self.task_keys].to_numpy())
            for a, b in zip(mine, theirs, strict=True)
        )
        if not common or not same:
            return None
        left = [frame[key].to_numpy(dtype=float) for frame in mine]
        right = [frame[key].to_numpy(dtype=float) for frame in theirs]
        return scoring.paired_difference(left, right, crossed=self.crossed, resamples=resamples)


def _metrics(header: dict[str, Any]) -> tuple[tuple[Metric, ...], Metric, str]:
    """The suite's metrics in its order; where there is no suite, all that the files hold."""
    present = list(header["metric_keys"])
    everything = tuple(Metric(key, key, 0) for key in present)
    known = suites.metrics_of(header["env_id"])
    listed, main, unit = known or (everything, "return", header["task_keys"][0])
    metrics = [metric for metric in listed if metric.key in present] or list(everything)
    chosen = next((metric for metric in metrics if metric.key == main), metrics[0])
    return tuple(metrics), chosen, unit


def _notes(rows: Sequence[Row], folder: Path) -> list[str]:
    notes = []
    every = sorted({seed for row in rows for seed in row.seeds})
    for row in rows:
        if missing := sorted(set(every) - set(row.seeds)):
            notes.append(f"{row.label}: seeds {', '.join(map(str, missing))} are missing.")
    if len(every) == 1:
        notes.append("One seed: the intervals hold the variance over users, nothing of training.")
    elif len(every) < 5:
        notes.append(f"{len(every)} seeds are few: the intervals understate how training varies.")
    used = {str(sorted(header["versions"].items())) for row in rows for header in row.headers}
    core = {header["versions"].get("recgym") for row in rows for header in row.headers}
    if len(core) > 1:
        notes.append(f"The runs come from several versions of recgym: {', '.join(sorted(core))}.")
    elif len(used) > 1 and len({h["versions"].get("torch") for r in rows for h in r.headers}) > 1:
        notes.append("The runs come from several versions of torch.")
    failed = sorted(path.name for path in folder.glob("*.error.txt"))
    if failed:
        notes.append(f"{len(failed)} runs failed and are not in the table: {', '.join(failed)}.")
    for label, stopped in over.notes(folder).items():
        seeds = ", ".join(str(seed) for seed, _ in stopped)
        minutes = max(minutes for _, minutes in stopped)
        notes.append(f"{label}: stopped after {minutes:g} minutes with seeds {seeds}.")
    return notes
