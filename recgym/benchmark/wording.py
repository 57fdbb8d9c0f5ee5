"""How a report's numbers are written, the same in the terminal, in Markdown and in HTML."""

from __future__ import annotations

from recgym.benchmark.scoring import Estimate
from recgym.benchmark.suites import Metric
from recgym.benchmark.table import Row, Table

METHOD = (
    "Intervals are 95 % percentile bootstrap intervals; seeds and users are resampled "
    "independently, the same users for all seeds. Differences are paired task by task. "
    "IQM is the mean of the middle half of all episodes."
)


def subtitle(table: Table) -> str:
    """One line: environment, seeds, episodes."""
    seeds = max(len(row.seeds) for row in table.rows)
    episodes = max(len(row.episodes) // max(len(row.seeds), 1) for row in table.rows)
    kwargs = ", ".join(f"{key}={value}" for key, value in table.env_kwargs.items())
    return (
        f"{table.title} · {table.env_id}{f' ({kwargs})' if kwargs else ''} · "
        f"{seeds} seed{'s' if seeds > 1 else ''} × {episodes} tasks"
    )


def number(value: float, metric: Metric) -> str:
    """A value in the metric's decimals; a dash where it is undefined."""
    if value != value:
        return "–"
    text = f"{value:.{metric.decimals}f}"
    return text.replace("-", "−") if float(text) else text.replace("-", "")


def interval(estimate: Estimate, metric: Metric) -> str:
    return f"[{number(estimate.low, metric)}, {number(estimate.high, metric)}]"


def difference(row: Row, table: Table) -> str:
    """Paired difference to the reference with its interval; empty for the reference itself."""
    if row.label == table.reference or row.difference is None:
        return ""
    found = row.difference
    sign = "+" if found.value > 0 else ""
    return f"{sign}{number(found.value, table.main)} {interval(found, table.main)}"


def plus_minus(estimate: Estimate, metric: Metric) -> str:
    return f"{number(estimate.value, metric)} ± {number(estimate.half_width, metric)}"
