"""Figures of a report as SVG text whose colours are CSS variables, so that they follow the page."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np

from recgym.benchmark.scoring import Estimate
from recgym.benchmark.table import Row, Table

# matplotlib only knows fixed colours; each stands for a CSS one and is replaced in the SVG.
_COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--faint)",
    "#030303": "var(--card)",
    "#a10001": "var(--log)",
    "#a10002": "var(--simulator)",
    "#a10003": "var(--privileged)",
}
INK, FAINT, CARD = "#010101", "#020202", "#030303"
SEES_COLOUR = {"log": "#a10001", "simulator": "#a10002", "privileged": "#a10003"}


def ranking(table: Table) -> str:
    """Main metric: mean with interval, means of the seeds, IQM; beside it all episodes."""
    rows = table.rows
    figure = _figure(11.4, 1.05 + 0.42 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.15, 1))
    for place, row in enumerate(rows):
        colour = _colour(row)
        mean = row.means[table.main.key]
        _bar(left, place, mean, colour, width=7)
        if len(row.per_seed) > 1:
            below = np.full(len(row.per_seed), place + 0.27)
            left.scatter(row.per_seed, below, s=9, color=INK, alpha=0.5, lw=0, zorder=4)
        left.scatter(
            row.iqm.value, place, s=22, marker="D", facecolor=CARD, edgecolor=colour, zorder=5
        )
        left.scatter(mean.value, place, s=30, color=colour, lw=0, zorder=6)
        _distribution(right, place, row.episodes, colour)
    _rows_axis(left, [row.label for row in rows])
    _clean(left)
    _clean(right)
    _title(left, f"{table.main.label}: mean and 95 % interval")
    _title(right, f"{table.main.label}: all episodes")
    return _svg(figure, f"{table.main.label} of every agent with intervals and distribution")


def others(table: Table) -> str:
    """Small multiples of the other metrics, agents in the order of the table."""
    metrics = [m for m in table.others if any(m.key in row.means for row in table.rows)]
    if not metrics:
        return ""
    columns = 4 if len(metrics) in (4, 7, 8) else min(3, len(metrics))
    lines = -(-len(metrics) // columns)
    figure = _figure(11.4, lines * (0.85 + 0.26 * len(table.rows)))
    figure.get_layout_engine().set(h_pad=0.14, w_pad=0.1)
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for axis, metric in zip(grid.flat, metrics, strict=False):
        for place, row in enumerate(table.rows):
            if metric.key in row.means:
                estimate = row.means[metric.key]
                _bar(axis, place, estimate, _colour(row), width=3)
                axis.scatter(estimate.value, place, s=22, color=_colour(row), lw=0, zorder=5)
        _title(axis, f"{metric.label} {metric.arrow}".strip())
        _clean(axis)
    for axis in grid[:, 0]:
        _rows_axis(axis, [row.label for row in table.rows], size=8.5)
    for axis in grid.flat[len(metrics) :]:
        axis.set_visible(False)
    return _svg(figure, "The other metrics with intervals")


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ImportError(
            'the HTML report needs matplotlib, which is missing: pip install "recgym[plot]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _colour(row: Row) -> str:
    return SEES_COLOUR.get(row.sees, INK)


def _bar(axis: Any, place: int, estimate: Estimate, colour: str, width: float) -> None:
    ends = (estimate.low, estimate.high)
    axis.plot(ends, (place, place), color=colour, lw=width, alpha=0.35, solid_capstyle="round")


def _distribution(axis: Any, place: int, values: np.ndarray, colour: str) -> None:
    """A smoothed density above the row, quartiles and the 5 to 95 % range below it."""
    values = values[np.isfinite(values)]
    if not values.size:
        return
    q05, q25, q50, q75, q95 = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    if np.ptp(values) > 1e-9:
        x, density = _density(values)
        axis.fill_between(
            x, place - 0.02 - 0.62 * density, place - 0.02, color=colour, alpha=0.3, lw=0
        )
    axis.plot((q05, q95), (place + 0.12,) * 2, color=colour, lw=1.2)
    axis.plot((q25, q75), (place + 0.12,) * 2, color=colour, lw=4, solid_capstyle="butt")
    axis.scatter(q50, place + 0.12, s=18, facecolor=CARD, edgecolor=colour, lw=1.2, zorder=4)


def _density(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A kernel density over the range of the values, with maximum 1."""
    from scipy.ndimage import gaussian_filter1d

    counts, edges = np.histogram(values, bins=240)
    spread = min(values.std(), np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.34 or np.inf)
    width = 0.9 * spread * values.size ** (-0.2) / (edges[1] - edges[0])  # Silverman's rule
    density = gaussian_filter1d(counts.astype(float), max(width, 1.0), mode="constant")
    return (edges[1:] + edges[:-1]) / 2, density / density.max()


def _rows_axis(axis: Any, labels: list[str], size: float = 10) -> None:
    axis.set_yticks(range(len(labels)), labels, fontsize=size)
    axis.set_ylim(len(labels) - 0.4, -0.75)


def _title(axis: Any, text: str) -> None:
    axis.set_title(text, loc="left", color=INK, fontsize=11, pad=8)


def _clean(axis: Any) -> None:
    for side in ("top", "right", "left", "bottom"):
        axis.spines[side].set_visible(False)
    axis.grid(axis="x", color=FAINT, lw=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(bottom=False, left=False, colors=INK)
    low, high = axis.get_xlim()
    if low < 0 < high:
        axis.axvline(0, color=INK, lw=0.8, alpha=0.5)


def _svg(figure: Any, description: str) -> str:
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Text stays text: the page's font, selectable, and light.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "recgym"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        rf'<svg viewBox="\1" role="img" '
        rf'aria-label="{description}">',
        text,
        count=1,
    )
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    for fixed, variable in _COLOURS.items():
        text = text.replace(fixed, variable)
    return text
