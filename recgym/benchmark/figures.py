"""Figures of studies from their CSVs, as PNG: lines over settings, dots, a matrix of judges."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from recgym.benchmark.studies import Study
from recgym.benchmark.suites import Metric
from recgym.data.writing import write_atomically

INK, SOFT, FAINT = "#1c2430", "#5d6878", "#e3e7ec"
# Okabe and Ito's colours, which the colour-blind can tell apart, and greys for what is left
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1c2430", "#9aa6b5")
MARKERS = "osD^vPX*"
FEW = 6  # values of an axis that are all its ticks


def study_figure(study: Study, agents: Any) -> Any:
    """The study's figure from :func:`recgym.benchmark.studies.frames`, means with intervals."""
    means = agents[agents["statistic"] == "mean"]
    suite = next(iter(study.suites.values()))
    by_key = {metric.key: metric for metric in suite.metrics}
    metrics = [by_key[key] for key in study.shows]
    if study.matrix:
        return matrix(means, metrics[0], study.varies)
    if study.levels is not None:
        return levels(means, metrics, study.levels)
    places = [_number(setting) for setting in study.suites]
    if all(place is not None for place in places):
        numbers = dict(zip(study.suites, places, strict=True))
        placed = means.assign(x=means["setting"].map(numbers), line=means["agent"])
        return lines(placed, metrics, study.varies)
    return dots(means, metrics, list(study.suites))


def lines(frame: Any, metrics: Sequence[Metric], label: str) -> Any:
    """One panel for each metric: ``value`` over ``x`` for each ``line``, with bands."""
    names = list(dict.fromkeys(frame["line"]))
    figure = canvas(5.2 * len(metrics) + 0.9, 3.4 + 0.09 * len(names))
    axes = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        shown = frame[frame["metric"] == metric.key]
        for number, name in enumerate(names):
            line(axis, shown[shown["line"] == name], number, name)
        spread(axis, shown["x"].to_numpy())
        finish(axis, _titled(metric), label)
    legend(figure, axes[0], min(3, len(names)))
    return figure


def levels(
    means: Any, metrics: Sequence[Metric], places: dict[str, tuple[str, str, float]] | Any
) -> Any:
    """A row of panels for each metric, one for each thing varied; agents are points of lines.

    Agents without a place stand in the table alone.
    """
    means = means[means["agent"].isin(list(places))]
    place = means["agent"].map(places)
    frame = means.assign(
        facet=[p[0] for p in place], line=[p[1] for p in place], x=[p[2] for p in place]
    )
    facets = list(dict.fromkeys(frame["facet"]))
    names = list(dict.fromkeys(frame["line"]))
    columns = min(4, len(facets))
    blocks = -(-len(facets) // columns)
    figure = canvas(3.5 * columns + 0.6, (2.5 * len(metrics)) * blocks + 0.9)
    grid = figure.subplots(len(metrics) * blocks, columns, squeeze=False, sharey=False)
    for axis in grid.flat:
        axis.set_visible(False)
    for index, facet in enumerate(facets):
        block, column = divmod(index, columns)
        for row, metric in enumerate(metrics):
            axis = grid[block * len(metrics) + row, column]
            axis.set_visible(True)
            shown = frame[(frame["facet"] == facet) & (frame["metric"] == metric.key)]
            for number, name in enumerate(names):
                line(axis, shown[shown["line"] == name], number, name)
            spread(axis, shown["x"].to_numpy())
            finish(axis, _titled(metric), facet)
    if len(names) > 1:
        legend(figure, grid.flat, min(4, len(names)))
    return figure


def spread(axis: Any, values: np.ndarray) -> None:
    """A logarithmic axis for values of several magnitudes, linear up to the first beside 0.

    A few values are its ticks.
    """
    positive = values[values > 0]
    if values.min() >= 0 and len(positive) and positive.max() / positive.min() > 20:
        if values.min() > 0:
            axis.set_xscale("log")
            axis.xaxis.get_major_locator().set_params(subs=(1, 2, 5))
        else:
            axis.set_xscale("symlog", linthresh=positive.min())
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xticks([], minor=True)
    elif (values == np.round(values)).all():
        axis.locator_params(axis="x", integer=True)
    few = np.unique(values)
    if len(few) <= FEW:
        axis.set_xticks(few, _labels(few, axis.xaxis.get_transform()))


def _labels(values: np.ndarray, transform: Any) -> list[str]:
    """Of ticks; one that would stand in another's way has none."""
    places = transform.transform(values)
    least, last, labels = 0.1 * (places[-1] - places[0]), -np.inf, []
    for value, place in zip(values, places, strict=True):
        free = place - last >= least
        labels.append(f"{value:g}" if free else "")
        last = place if free else last
    return labels


def dots(means: Any, metrics: Sequence[Metric], settings: Sequence[str]) -> Any:
    """One panel for each metric: agents in rows, a dot with its interval for each setting."""
    main: Any = means[means["metric"] == metrics[0].key]
    order = main.groupby("agent")["value"].mean().sort_values(ascending=metrics[0].direction < 0)
    names = list(order.index)
    figure = canvas(3.3 + 3.3 * len(metrics), 1.2 + 0.34 * len(names))
    figure.get_layout_engine().set(wspace=0.12)
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        for number, setting in enumerate(settings):
            shown = means[(means["metric"] == metric.key) & (means["setting"] == setting)]
            shift = (number - (len(settings) - 1) / 2) * 0.22
            places = np.array([names.index(agent) for agent in shown["agent"]]) + shift
            colour = COLOURS[number % len(COLOURS)]
            axis.hlines(places, shown["low"], shown["high"], color=colour, lw=4, alpha=0.35)
            axis.scatter(shown["value"], places, s=24, color=colour, zorder=4, label=setting)
        finish(axis, _titled(metric), "")
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="x", color=FAINT)
        axis.grid(visible=False, axis="y")
        axis.set_ylim(len(names) - 0.4, -0.6)
    axes[0].set_yticks(range(len(names)), names, fontsize=9, color=INK)
    if len(settings) > 1:
        legend(figure, axes[0], len(settings))
    return figure


def matrix(means: Any, metric: Metric, label: str) -> Any:
    """Agents in rows, settings in columns; frames mark agents that are the setting's ``own``."""
    shown = means[means["metric"] == metric.key]
    table = shown.pivot(index="agent", columns="setting", values="value")
    framed = shown.pivot(index="agent", columns="setting", values="own") == 1  # False where none
    columns = list(dict.fromkeys(means["setting"]))
    table = table[columns].loc[table.mean(axis=1).sort_values(ascending=False).index]
    figure = canvas(3.6 + 1.15 * len(columns), 1.1 + 0.36 * len(table))
    axis = figure.subplots()
    values = table.to_numpy()
    picture = axis.imshow(values, cmap="YlGnBu", aspect="auto")
    middle = np.nanmean([np.nanmin(values), np.nanmax(values)])
    for row, agent in enumerate(table.index):
        for column, setting in enumerate(columns):
            value = values[row, column]
            colour = "white" if value > middle else INK
            text = "–" if np.isnan(value) else f"{value:.{metric.decimals}f}".replace("-", "−")
            own = bool(framed.loc[agent, setting])
            weight = "bold" if own else "normal"
            axis.text(
                column, row, text, ha="center", va="center", color=colour, fontsize=9, weight=weight
            )
            if own:
                frame = (column - 0.48, row - 0.46), 0.96, 0.92
                axis.add_patch(_patch(*frame))
    axis.set_xticks(range(len(columns)), columns, fontsize=9)
    axis.set_yticks(range(len(table)), list(table.index), fontsize=9)
    axis.set_xlabel(label, color=SOFT)
    axis.tick_params(length=0, colors=INK)
    for side in axis.spines.values():
        side.set_visible(False)
    figure.colorbar(picture, ax=axis, shrink=0.6).outline.set_visible(False)
    axis.set_title(f"{_titled(metric)}; framed: made with that model", loc="left", fontsize=10.5)
    return figure


def histograms(frame: Any, label: str) -> Any:
    """Steps of ``users`` from ``from`` to ``to``, one line for each ``seed``."""
    figure = canvas(6.1, 3.4)
    axis = figure.subplots()
    for number, (seed, mine) in enumerate(frame.groupby("seed")):
        edges = [*mine["from"], mine["to"].iloc[-1]]
        colour = COLOURS[number % len(COLOURS)]
        axis.stairs(mine["users"], edges, color=colour, lw=1.4, label=f"training seed {seed}")
    finish(axis, "Users", label)
    legend(figure, axis, 3)
    return figure


def save(figure: Any, path: Path) -> Path:
    """Write the figure as PNG, without a date, and return its path.

    In 255 colours it looks the same and takes a third of the space.
    """
    from PIL import Image

    drawn = BytesIO()
    figure.savefig(drawn, dpi=130, facecolor="white", metadata={"Software": None})
    picture = Image.open(drawn).convert("RGB").quantize(255)
    write_atomically(path, lambda temporary: picture.save(temporary, "PNG", optimize=True))
    return path


def _patch(corner: tuple[float, float], width: float, height: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, width, height, fill=False, edgecolor="#d55e00", lw=1.8)


def line(axis: Any, shown: Any, number: int, name: str) -> None:
    if shown.empty:
        return
    shown = shown.sort_values("x")
    colour = COLOURS[number % len(COLOURS)]
    style = "-" if number < len(COLOURS) else "--"
    marker = MARKERS[number % len(MARKERS)]
    axis.fill_between(shown["x"], shown["low"], shown["high"], color=colour, alpha=0.15, lw=0)
    axis.plot(shown["x"], shown["value"], style, color=colour, marker=marker, ms=4, label=name)


def canvas(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ImportError(
            'figures need matplotlib, which is missing: pip install "recgym[plot]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _titled(metric: Metric) -> str:
    return f"{metric.label} {metric.arrow}".strip()


def finish(axis: Any, title: str, label: str) -> None:
    axis.set_title(title, loc="left", fontsize=10.5, color=INK)
    axis.set_xlabel(label, color=SOFT, fontsize=9)
    axis.grid(axis="y", color=FAINT)
    axis.set_axisbelow(True)
    axis.tick_params(length=0, labelsize=8.5, colors=INK)
    for side in axis.spines.values():
        side.set_visible(False)


def legend(figure: Any, axes: Any, columns: int) -> None:
    handles: dict[str, Any] = {}
    for axis in np.atleast_1d(np.asarray(axes, dtype=object)).flat:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=8.5,
    )


def _number(setting: str) -> float | None:
    found = re.search(r"[-+]?\d+(\.\d+)?$", setting)
    return float(found.group()) if found else None
