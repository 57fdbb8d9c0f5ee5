"""How far one agent is ahead of every other, task by task."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recgym.benchmark import making, scoring
from recgym.benchmark import table as tables
from recgym.benchmark.files import BenchmarkError

if TYPE_CHECKING:
    import pandas as pd

LEADS = "leads.csv"


def leads(
    folder: str | os.PathLike[str],
    agents: Sequence[str],
    *,
    resamples: int = scoring.RESAMPLES,
) -> pd.DataFrame:
    """The paired difference of each of some agents from every other, in every metric.

    Args:
        folder: the ``--out`` of a bench or of runs.
        agents: labels of the agents that are compared with the rest.
        resamples: of the bootstrap.

    Returns:
        Columns leader, agent, saw, seeds, metric, value, low, high: leader minus agent, on the
        tasks and seeds of both, with a 95 % interval. An agent without common tasks has no row.

    Raises:
        BenchmarkError: a foreign or damaged file, no runs, or an agent that has none.
    """
    import pandas as pd

    metrics, samples = tables.samples_of(Path(folder))
    for label in agents:
        if label not in samples:
            raise BenchmarkError(
                making.unknown("agent", label, sorted(samples), f"the runs of {folder}")
            )
    rows = []
    for leader in agents:
        for label, sample in samples.items():
            if label == leader:
                continue
            for metric in metrics:
                if metric.key not in sample.metric_keys:
                    continue
                found = samples[leader].minus(sample, metric.key, resamples)
                if found is not None:
                    rows.append(
                        {
                            "leader": leader,
                            "agent": label,
                            "saw": sample.sees,
                            "seeds": found.seeds,
                            "metric": metric.key,
                            **found.columns,
                        }
                    )
    return pd.DataFrame(rows)
