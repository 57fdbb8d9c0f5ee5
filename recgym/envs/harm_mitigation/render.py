"""HarmMitigation to look at: what was consumed as text, and a profile's drift on a map of items."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.envs.frame import FAINT, FONT, INK, PAPER, SOFT, cut, new_frame, pixels, write
from recgym.envs.harm_mitigation.state import State
from recgym.envs.harm_mitigation.worlds import World

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recgym.envs.harm_mitigation.dynamics import HarmMitigation

LATEST = 12  # steps listed in either picture
WINDOW = 10  # steps of the running means


@dataclass(frozen=True)
class Episode:
    """One row of a state in the shape that both pictures need; t steps so far."""

    user: int
    profiles: np.ndarray  # (t + 1, d) float64: u_0 first
    consumed: np.ndarray  # (t,) int64, N where there is none (mean_field)
    clicked: np.ndarray  # (t,) bool
    click: np.ndarray  # (t,) float64: 0 or 1, or the probability (mean_field)
    harm: np.ndarray  # (t,) float64
    horizon: int


def episode(problem: HarmMitigation, state: State, row: int) -> Episode:
    """What happened in one row so far."""
    t, inherent = int(state.steps[row]), state.inherent[row]
    if problem.params.response == "mean_field":
        profiles = state.path[row, : t + 1].astype(np.float64)
        click, harm = state.rates[row, :t].astype(np.float64).T
        consumed, clicked = np.full(t, problem.model.n_items), np.zeros(t, dtype=bool)
    else:
        consumed, clicked = state.consumed[row, :t].astype(np.int64), state.clicked[row, :t]
        profiles = np.empty((t + 1, len(inherent)))
        profiles[0] = inherent
        for step, item in enumerate(consumed):
            moved = problem.model.move(profiles[step : step + 1], inherent[None], item[None])
            profiles[step + 1] = moved[0]
        click, harm = clicked.astype(np.float64), problem.model.harm[consumed]
    return Episode(
        int(state.user[row]), profiles, consumed, clicked, click, harm, problem.params.horizon
    )


def _how(problem: HarmMitigation, e: Episode, step: int) -> str:
    item = int(e.consumed[step])
    if item == problem.model.n_items:
        return "on average"
    how = "clicked" if e.clicked[step] else "organic"
    return f"{how}, harmful" if problem.model.harmful[item] else how


def _title(problem: HarmMitigation, item: int) -> str:
    return "" if item == problem.model.n_items else problem.world.title(item)


# --- text -----------------------------------------------------------------------------------------


def ansi(problem: HarmMitigation, state: State, row: int) -> str:
    """One line for each step, at most 100 columns, without colour.

    A later text of the same episode begins with every earlier one.
    """
    e, model = episode(problem, state, row), problem.model
    lines = [
        f"User {e.user}, {e.horizon} steps, {problem.world.name}: {len(model.recommendable)} "
        f"harmless items, {int(model.harmful.sum())} harmful, λ = {problem.params.harm_weight:g}",
        "",
        f"{'step':>8}  {'consumed':<44}{'how':<18}{'click':>6}{'harm':>6}{'drift':>8}",
    ]
    for step in range(len(e.click)):
        drift = float(np.linalg.norm(e.profiles[step + 1] - e.profiles[0]))
        title = cut(_title(problem, int(e.consumed[step])), 42)
        lines.append(
            f"{f'{step + 1}/{e.horizon}':>8}  {title:<44}{_how(problem, e, step):<18}"
            f"{e.click[step]:6.2f}{e.harm[step]:6.2f}{drift:8.2f}"
        )
    if len(e.click) == e.horizon:
        one = state.rows(np.array([row]))
        assert isinstance(one, State)
        m = {name: float(value[0]) for name, value in problem.metrics(one).items()}
        lines += [
            "",
            f"{'end':>8}  objective {m['objective']:.3f}    p_CLK {m['p_CLK']:.3f}    "
            f"p_H {m['p_H']:.3f}    return {m['return']:.2f}",
        ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


# --- picture --------------------------------------------------------------------------------------

HARMLESS, HARMFUL, PATH = "#7ba3c9", "#c8452f", "#22355f"


@functools.lru_cache(maxsize=8)
def axes_of(world: World) -> tuple[np.ndarray, np.ndarray]:
    """(centre (d,), axes (2, d)): toward harm, and the widest direction across it.

    The first axis leads from the mean harmless to the mean harmful item. One coordinate alone has
    no second axis: items are then spread by their place in the catalogue.
    """
    items, harmful = world.items, world.harmful
    centre = items.mean(axis=0)
    centred = items - centre
    toward = np.zeros(items.shape[1])
    if harmful.any():
        toward = items[harmful].mean(axis=0) - items[~harmful].mean(axis=0)
    if np.linalg.norm(toward) < 1e-12:
        toward = np.linalg.svd(centred, full_matrices=False)[2][0]
    toward = toward / np.linalg.norm(toward)
    across = np.zeros_like(toward)
    if items.shape[1] > 1:
        rest = centred - (centred @ toward)[:, None] * toward
        across = np.linalg.svd(rest, full_matrices=False)[2][0]
        across *= 1.0 if across.sum() >= 0 else -1.0
    return centre, np.stack([toward, across])


def rgb_array(problem: HarmMitigation, state: State, row: int) -> np.ndarray:
    """(600, 1200, 3) uint8: the drift of the profile, what was consumed, click and harm over time.

    Raises:
        gymnasium.error.DependencyNotInstalled: without matplotlib.
    """
    figure, canvas = new_frame()
    e = episode(problem, state, row)
    write(figure, 0.02, 0.955, f"User {e.user}: how her taste drifts", 15, weight="bold")
    write(figure, 0.02, 0.905, cut(problem.world.name, 60), 10, color=SOFT)
    step = f"step {len(e.click)} of {e.horizon}"
    write(figure, 0.985, 0.955, step, 11, ha="right", color=SOFT)
    _map(figure.add_axes((0.015, 0.09, 0.46, 0.77)), problem, e)
    _list(figure.add_axes((0.49, 0.04, 0.235, 0.82)), problem, e)
    _curves(figure, e)
    return pixels(canvas)


def _places(problem: HarmMitigation, points: np.ndarray) -> np.ndarray:
    centre, axes = axes_of(problem.world)
    return (points - centre) @ axes.T


def _map(ax: Axes, problem: HarmMitigation, e: Episode) -> None:
    from matplotlib.collections import LineCollection

    model = problem.model
    at, trail = _places(problem, model.items), _places(problem, e.profiles)
    if model.width == 1:  # the other axis is time
        at[:, 1] = -0.75
        trail[:, 1] = -0.5 + 1.3 * np.arange(len(trail)) / e.horizon
    score = model.scores(e.profiles[-1:])[0]
    size = 25 + 330 * score / max(float(score.max()), 1e-300)
    for kind, colour, marker in ((False, HARMLESS, "o"), (True, HARMFUL, "X")):
        of = model.harmful == kind
        ax.scatter(*at[of].T, s=size[of], c=colour, marker=marker, alpha=0.55, linewidths=0)
    if model.n_items <= 12:
        for item, (x, y) in enumerate(at):
            write(ax, x, y - 0.11, problem.world.title(item), 8, ha="center")
    if len(trail) > 1:
        hops = np.stack([trail[:-1], trail[1:]], axis=1)
        ax.add_collection(LineCollection(list(hops), colors=PATH, alpha=0.22, lw=0.9, zorder=4))
        smooth = np.stack([_running(column) for column in trail.T], axis=1)
        ax.plot(*smooth.T, color=PATH, lw=2.2, zorder=5)
    ax.scatter(*trail[0], s=120, c=PAPER, edgecolors=PATH, linewidths=2, zorder=6)
    ax.scatter(*trail[-1], s=130, c=PATH, edgecolors=PAPER, linewidths=1.2, zorder=7)
    inherent = _places(problem, problem.world.inherent)  # the same frame for all users and steps
    low = np.minimum(at.min(axis=0), np.quantile(inherent, 0.02, axis=0))
    high = np.maximum(at.max(axis=0), np.quantile(inherent, 0.98, axis=0))
    low, high = np.minimum(low, trail[0]), np.maximum(high, trail[0])
    if model.width == 1:
        low[1], high[1] = -0.9, 0.85
    room = 0.06 * (high - low) + 0.05
    ax.set_xlim(low[0] - room[0], high[0] + room[0])
    ax.set_ylim(low[1] - room[1], high[1] + room[1])
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_color(FAINT)
    write(ax, 1.0, -0.035, "toward harm →", 8.5, ha="right", color=HARMFUL, transform=ax.transAxes)
    marks = (
        (0.01, "o", HARMLESS, HARMLESS, "harmless"),
        (0.14, "X", HARMFUL, HARMFUL, "harmful"),
        (0.51, "o", PAPER, PATH, "at first"),
        (0.63, "o", PATH, PATH, "now"),
    )
    for x, marker, face, edge, name in marks:
        style = {"color": face, "mec": edge, "ms": 7, "clip_on": False}
        ax.plot(x, -0.035, marker, transform=ax.transAxes, **style)
        write(ax, x + 0.018, -0.035, name, 8, color=SOFT, transform=ax.transAxes)
    note = "larger: liked more now"
    write(ax, 0.255, -0.035, note, 8, color=SOFT, transform=ax.transAxes)


def _running(values: np.ndarray) -> np.ndarray:
    """The mean of the latest `WINDOW` values up to each."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - WINDOW, 0)
    return (total[stop] - total[start]) / (stop - start)


def _list(ax: Axes, problem: HarmMitigation, e: Episode) -> None:
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(LATEST + 0.6, -0.6)
    model = problem.model
    if problem.params.response == "mean_field":
        write(ax, 0.0, -0.25, "what she would find by herself", 9)
        score = model.scores(e.profiles[-1:])[0]
        for index, item in enumerate(np.argsort(-score)[:LATEST].tolist()):
            colour = HARMFUL if model.harmful[item] else INK
            write(ax, 0.12, index + 0.9, cut(_title(problem, item), 38), 8, color=colour)
            share = f"{score[item] / score.sum():.1%}"
            write(ax, 0.09, index + 0.9, share, 8, ha="right", color=colour)
        return
    write(ax, 0.0, -0.25, "consumed lately", 9)
    first = max(0, len(e.click) - LATEST)
    for index, step in enumerate(range(first, len(e.click))):
        item = int(e.consumed[step])
        colour = HARMFUL if model.harmful[item] else INK if e.clicked[step] else SOFT
        write(ax, 0.09, index + 0.75, str(step + 1), 8, ha="right", color=colour, weight="bold")
        write(ax, 0.12, index + 0.75, cut(_title(problem, item), 38), 8, color=colour)
        write(ax, 0.12, index + 1.15, _how(problem, e, step), 6.5, color=colour)


def _curves(figure: Any, e: Episode) -> None:
    ax: Any = None
    pairs = ((0.53, e.click, "clicks", PATH), (0.10, e.harm, "harm", HARMFUL))
    for bottom, values, title, colour in pairs:
        ax = figure.add_axes((0.76, bottom, 0.225, 0.30))
        steps = np.arange(1, len(values) + 1)
        ax.bar(steps, values, width=1.0, color=colour, alpha=0.18, linewidth=0)
        if len(values):
            ax.plot(steps, _running(values), color=colour, lw=2)
            mean = f"mean {values.mean():.2f}"
            write(ax, 1, 1.08, mean, 8.5, ha="right", color=colour, transform=ax.transAxes)
        write(ax, 0, 1.08, f"{title}, mean of {WINDOW} steps", 9, transform=ax.transAxes)
        ax.set_xlim(0, e.horizon + 0.5)
        ax.set_ylim(0, 1.02)
        ax.tick_params(length=0, labelsize=7.5, labelcolor=SOFT, labelfontfamily=FONT)
        ax.grid(axis="y", color=FAINT, lw=0.8)
        ax.set_axisbelow(True)
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
        ax.spines["bottom"].set_color(FAINT)
    write(ax, 1, -0.2, "steps", 7.5, color=SOFT, ha="right", transform=ax.transAxes)
