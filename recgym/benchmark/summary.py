"""The numbers of a report as two small CSVs, fit to be committed beside a document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recgym.benchmark.scoring import Estimate
from recgym.benchmark.table import Table
from recgym.data.writing import write_csv

if TYPE_CHECKING:
    import pandas as pd

AGENTS, RUNS = "agents.csv", "runs.csv"
OVER = "stopped after minutes"


def write(table: Table, folder: Path) -> tuple[Path, Path]:
    """Write the frames of :func:`frames` as ``agents.csv`` and ``runs.csv``."""
    return save(*frames(table), folder)


def frames(table: Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(agents, runs): the estimates with intervals, and one line per run.

    ``agents`` has a row for each agent, metric and statistic: mean, interquartile mean
    (``iqm``) and, for the main metric, the paired difference from the reference agent
    (``difference``). Runs that were stopped for taking too long have a row of their own
    (:data:`OVER`; ``seeds`` is how many). ``runs`` has seconds, memory, versions, fingerprint and
    the command that repeats it, configuration included, of each run, with the mean of its main
    metric.
    """
    import pandas as pd

    def line(row, metric: str, statistic: str, e: Estimate) -> dict:
        return {
            "agent": row.label,
            "saw": row.sees,
            "seeds": len(row.seeds),
            "metric": metric,
            "statistic": statistic,
            **e.columns,
        }

    main = table.main.key
    agents, runs = [], []
    for row in table.rows:
        agents += [line(row, key, "mean", e) for key, e in row.means.items()]
        agents.append(line(row, main, "iqm", row.iqm))
        if row.difference is not None:
            against = f"difference from {table.reference}"
            agents.append(line(row, main, against, row.difference))
        for header, value in zip(row.headers, row.per_seed, strict=True):
            runs.append({main: float(np.round(value, 6)), **_flat(header)})
    for label, stopped in table.over.items():
        minutes = max(minutes for _, minutes in stopped)
        spent = {"agent": label, "seeds": len(stopped), "metric": main, "statistic": OVER}
        agents.append({**spent, "value": minutes})
    return pd.DataFrame(agents), pd.DataFrame(runs)


def save(agents: pd.DataFrame, runs: pd.DataFrame, folder: Path) -> tuple[Path, Path]:
    """Write both frames into ``folder``; the paths of ``agents.csv`` and ``runs.csv``."""
    paths = folder / AGENTS, folder / RUNS
    write_csv(paths[0], agents, "%.4f")
    write_csv(paths[1], runs)
    return paths


# What a run's command does not say.
_SHOWN = (
    "label",
    "seed",
    "split",
    "episodes",
    "train_seconds",
    "training",
    "evaluate_seconds",
    "peak_memory_mb",
    "fingerprint",
    "sha256",
    "versions",
    "machine",
    "finished",
    "command",
)
_DIGITS = 16  # of a digest are enough to tell runs apart


def _flat(header: dict) -> dict:
    """A run's header as columns; what is nested becomes JSON."""
    shown = {key: header.get(key) for key in _SHOWN}
    for key in ("fingerprint", "sha256"):
        shown[key] = str(shown[key])[:_DIGITS]
    return {
        key: json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
        for key, value in shown.items()
    }
