"""InfluencePath to look at: the paper's Table VII as text, and a path on a map of items."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.data.log import InteractionLog
from recgym.envs.frame import FONT, INK, PAPER, SOFT, cell, cut, new_frame, pixels, write
from recgym.envs.influence_path.rewards import log_acceptance
from recgym.envs.influence_path.state import State
from recgym.envs.item_map import OTHER, item_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recgym.envs.influence_path.dynamics import InfluencePath

ACCEPTED, REFUSED, ILLEGAL, REACHED = "", "refused", "illegal", "objective"
HISTORY = 3  # items of the history in a text
TAIL = 5  # and on the map


@dataclass(frozen=True)
class Episode:
    """One row of a state in the shape that both pictures need; k recommendations so far."""

    user: int
    objective: int  # of a set the member that was reached, or one that stands for it
    members: np.ndarray  # (m,) int64: of a set, the unseen items; none for an item
    title: str  # of the objective; of a set its name and how many members it has
    kind: str  # genres of the objective
    horizon: int
    history: np.ndarray  # (≤ TAIL,) int64: the latest items before the path
    path: np.ndarray  # (k,) int64
    marks: list[str]  # k of ACCEPTED, REFUSED, ILLEGAL, REACHED
    log_prob: np.ndarray  # (k + 1,) float64: log P(objective | s), start first
    acceptance: np.ndarray  # (k,) float64: a of each item; NaN where illegal
    ended: bool


def episode(problem: InfluencePath, state: State, row: int) -> Episode:
    """What happened in one row so far."""
    user, objective, log = int(state.user[row]), int(state.objective[row]), problem.log
    members, title, kind = np.flatnonzero(state.members[row]), "", ""
    if problem.sets is None:
        title, kind = log.item_label(objective), log.genre_label(objective)
    else:
        title = f"{problem.sets.names[state.target[row]]} ({len(members)} items)"
    goals, steps = {objective, *members.tolist()}, int(state.steps[row])
    before = log.items_of(user)[: int(state.cut[row])]
    path, accepted = state.path[row, :steps], state.accepted[row, :steps]
    seen, marks, repeats = set(before.tolist()), [], problem.params.repeats == "allowed"
    for item, taken in zip(path.tolist(), accepted, strict=True):
        if not taken:
            marks.append(ILLEGAL if item in seen and not repeats else REFUSED)
        else:
            marks.append(REACHED if item in goals else ACCEPTED)
            seen.add(item)
    if REACHED in marks:
        objective = int(path[marks.index(REACHED)])
    illegal = np.array([mark == ILLEGAL for mark in marks], dtype=bool)
    return Episode(
        user=user,
        objective=objective,
        members=members,
        title=title,
        kind=kind,
        horizon=problem.params.horizon,
        history=before[-TAIL:].astype(np.int64),
        path=path,
        marks=marks,
        log_prob=state.objective_curve[row, : steps + 1].astype(np.float64),
        acceptance=np.where(illegal, np.nan, np.exp(state.follow_curve[row, :steps])),
        ended=steps >= problem.params.horizon or REACHED in marks,
    )


# --- text -----------------------------------------------------------------------------------------

TITLE, GENRES = 33, 20  # columns; a line has 100


def ansi(problem: InfluencePath, state: State, row: int) -> str:
    """The path so far, one line for each recommendation, at most 100 columns, without colour.

    A later text of the same episode begins with every earlier one. ``a`` is the acceptance of the
    recommended item, P(objective) that of the user after it, and how many times the first one.
    """
    e, log = episode(problem, state, row), problem.log
    lines = [
        f"User {e.user}, {e.horizon} recommendations at most, {log.name}, "
        f"simulated by {problem.evaluator.name}",
        _line("lead to", e.title, e.kind, f"{'':5}{np.exp(e.log_prob[0]):13.1e}{'1':>7}×"),
    ]
    for index, item in enumerate(e.history[-HISTORY:]):
        lines.append(_item("after" if index == 0 else "", log, int(item)))
    if len(e.history) == 0:
        lines.append(f"{'after':>6}  (no history)")
    heads = f"{'a':>5}{'P(objective)':>13}{'× start':>8}"
    lines += ["", f"{'step':>6}  {cell('recommended', TITLE)}  {cell('genres', GENRES)}{heads}"]
    for index, item in enumerate(e.path.tolist()):
        mark, a = e.marks[index], e.acceptance[index]
        shown = "-" if np.isnan(a) else f"{a:.2f}"
        log_prob = e.log_prob[index + 1]
        gain = f"{_times(float(np.exp(log_prob - e.log_prob[0]))):>7}×"
        numbers = f"{shown:>5}{np.exp(log_prob):13.1e}{gain}  {mark}"
        lines.append(_item(f"{index + 1}/{e.horizon}", log, item, numbers))
    if e.ended:
        m = {name: float(v[0]) for name, v in problem.metrics(_one(state, row)).items()}
        lines += [
            "",
            f"{'end':>6}  {'objective reached' if m['SR'] else 'objective not reached'}    "
            f"SR_acc {m['SR_acc']:.2f}    IoI {m['IoI']:+.2f}    log PPL {m['log_ppl']:.2f}    "
            f"return {m['return']:.2f}",
        ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _one(state: State, row: int) -> State:
    one = state.rows(np.array([row]))
    assert isinstance(one, State)
    return one


def _item(head: str, log: InteractionLog, item: int, numbers: str = "") -> str:
    return _line(head, log.item_label(item), log.genre_label(item), numbers)


def _line(head: str, title: str, kind: str, numbers: str) -> str:
    return f"{head:>6}  {cell(title, TITLE)}  {cell(kind, GENRES)}{numbers}"


def _times(ratio: float) -> str:
    if ratio >= 99_999.5:
        return f"{ratio:.0e}"
    return (
        f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 0.095 else f"{ratio:.1g}"
    )


# --- picture --------------------------------------------------------------------------------------

PATH, STAR, WARN = "#2b4c9b", "#e0a100", "#c8452f"
EDGE, CLEAR, LETTER = 0.06, 0.062, 0.029  # of the map, whose width is about 2


def rgb_array(problem: InfluencePath, state: State, row: int) -> np.ndarray:
    """(600, 1200, 3) uint8: the path on a map of items, its titles, and two curves over the steps.

    Raises:
        gymnasium.error.DependencyNotInstalled: without matplotlib.
    """
    figure, canvas = new_frame()
    e, log = episode(problem, state, row), problem.log
    _head(figure, e)
    figure.figimage(_background(log), zorder=-1)
    _draw_path(_map_axes(figure, log), log, e)
    _list(figure.add_axes((0.482, 0.03, 0.228, 0.85)), log, e)
    _curves(figure, problem, e)
    return pixels(canvas)


def _head(figure: Any, e: Episode) -> None:
    title = cut(e.title, 60)
    write(figure, 0.02, 0.955, f"User {e.user}  →  {title}", 15, weight="bold")
    write(figure, 0.02, 0.905, cut(e.kind.replace("|", ", "), 60), 10, color=SOFT)
    step = f"step {len(e.path)} of {e.horizon}"
    if e.ended:
        step += "  ·  objective reached" if REACHED in e.marks else "  ·  not reached"
    write(figure, 0.985, 0.955, step, 11, ha="right", color=SOFT)


@functools.lru_cache(maxsize=4)
def _background(log: InteractionLog) -> np.ndarray:
    """(600, 1200, 4) uint8: all items and the legend, which no step changes."""
    figure, canvas = new_frame()
    ax = _map_axes(figure, log)
    world = item_map(log)
    few = len(world.shown) < 100
    size = 3 + 60 * log.popularity[world.shown] / max(1, log.popularity.max())
    size = np.full(len(size), 150.0) if few else size
    x, y = world.at[world.shown].T
    ax.scatter(x, y, s=size, c=world.colours, alpha=0.42, linewidths=0)
    columns = np.linspace(0.0, 1.0, len(world.legend) + 1)[:-1]
    for (name, colour), place in zip(world.legend, columns, strict=True):
        ax.plot(place, -0.045, "o", color=colour, ms=6, transform=ax.transAxes, clip_on=False)
        write(ax, place + 0.014, -0.045, cut(name, 12), 7.5, color=SOFT, transform=ax.transAxes)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def _map_axes(figure: Any, log: InteractionLog) -> Axes:
    ax = figure.add_axes((0.012, 0.085, 0.455, 0.785))
    at = item_map(log).at
    low, high = np.minimum(at.min(axis=0), -1) - EDGE, np.maximum(at.max(axis=0), 1) + EDGE
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_axis_off()
    return ax


def _draw_path(ax: Axes, log: InteractionLog, e: Episode) -> None:
    from matplotlib import patheffects
    from matplotlib.collections import LineCollection

    at = item_map(log).at
    tail, goal = at[e.history], at[e.objective]
    ax.plot(*tail.T, color=SOFT, lw=1.2, ls=(0, (3, 2)), zorder=2)
    ax.scatter(*tail.T, s=26, c=SOFT, edgecolors=PAPER, linewidths=0.8, zorder=3)
    places = _apart(at[e.path], goal)
    places[[mark == REACHED for mark in e.marks]] = goal
    taken = [i for i, mark in enumerate(e.marks) if mark in (ACCEPTED, REACHED)]
    route = np.concatenate([tail[-1:], places[taken]])
    if len(route) > 1:
        hops = np.stack([route[:-1], route[1:]], axis=1)
        fade = np.linspace(1, 0.35, len(hops))[::-1]  # the latest hop is the darkest
        ax.add_collection(LineCollection(list(hops), colors=PATH, alpha=fade, lw=1.7, zorder=4))
    ax.scatter(*at[e.members].T, s=26, c="none", edgecolors=STAR, linewidths=0.9, zorder=2)
    ax.scatter(*goal, s=330, marker="*", c=STAR, edgecolors=INK, linewidths=0.9, zorder=7)
    faces = [PATH if mark == ACCEPTED else PAPER for mark in e.marks]
    colours = {ACCEPTED: PAPER, REACHED: "none", REFUSED: WARN, ILLEGAL: SOFT}
    edges = [colours[mark] for mark in e.marks]
    ax.scatter(*places.T, s=105, c=faces, edgecolors=edges, zorder=5)
    for index, (place, colour) in enumerate(zip(places, edges, strict=True)):
        if colour != "none":
            x, y = place
            write(ax, x, y, f"{index + 1}", 6.5, ha="center", color=colour, zorder=6)
    label = cut(e.title, 30)
    x, y = _beside(goal, len(label) * LETTER, np.concatenate([tail, places]))
    halo = [patheffects.withStroke(linewidth=2.5, foreground=PAPER)]
    write(ax, x, y, label, 9, zorder=8, ha="center", weight="bold", path_effects=halo)


def _beside(goal: np.ndarray, width: float, points: np.ndarray) -> tuple[float, float]:
    """Where a label of this width, centred, covers the fewest points near the objective."""
    x, y = 0.07 + width / 2, 0.06
    places = goal + np.array([[x, y], [x, -y], [-x, y], [-x, -y], [0, 0.1], [0, -0.1]])
    covered = []
    for place in places:
        outside = abs(place[0]) + width / 2 > 1 + EDGE
        inside = np.abs(points - place) < [width / 2 + CLEAR / 2, CLEAR]
        covered.append(np.count_nonzero(inside.all(axis=1)) + 100 * outside)
    best = places[int(np.argmin(covered))]
    return float(best[0]), float(best[1])


def _apart(points: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """(k, 2): each point in turn beside those before it, where it would have covered one.

    Points stay where they are as the path grows.
    """
    turn = np.arange(200)
    spiral = 0.3 * CLEAR * np.sqrt(turn)[:, None]
    spiral = spiral * np.stack([np.cos(2.399963 * turn), np.sin(2.399963 * turn)], axis=1)
    placed = np.concatenate([goal[None], np.zeros_like(points)])
    for index, point in enumerate(points):
        tries = point + spiral
        gaps = np.linalg.norm(tries[:, None] - placed[None, : index + 1], axis=2).min(axis=1)
        placed[index + 1] = tries[np.argmax(gaps >= CLEAR)]
    return placed[1:]


def _list(ax: Axes, log: InteractionLog, e: Episode) -> None:
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    rows = max(e.horizon, 20)
    ax.set_ylim(rows + HISTORY + 1.2, -0.8)
    recent = e.history[-HISTORY:].tolist()
    for index, item in enumerate(recent):
        write(ax, 0.09, index, cut(log.item_label(item), 40), 8, color=SOFT)
        write(ax, 0.06, index, "•", 8, color=SOFT, ha="right")
    for index, (item, mark) in enumerate(zip(e.path.tolist(), e.marks, strict=True)):
        y = len(recent) + 0.6 + index
        colour = {ACCEPTED: INK, REACHED: INK, REFUSED: WARN, ILLEGAL: SOFT}[mark]
        title = cut(log.item_label(item), 40 if mark == ACCEPTED else 30)
        title += {REACHED: "  ★", REFUSED: " (refused)", ILLEGAL: " (illegal)"}.get(mark, "")
        weight = "bold" if mark == REACHED else "normal"
        write(ax, 0.06, y, str(index + 1), 8, ha="right", color=colour, weight="bold")
        write(ax, 0.09, y, title, 8, color=colour, weight=weight)


def _curves(figure: Any, problem: InfluencePath, e: Episode) -> None:
    tau, steps = problem.evaluator.tau, np.arange(len(e.log_prob))
    top = figure.add_axes((0.755, 0.53, 0.232, 0.30))
    is_item = len(e.members) == 0  # τ and acceptance are about single items
    low, high = e.log_prob.min(), e.log_prob.max()
    if is_item:
        low, high = min(low, tau), max(high, tau)
        top.axhline(tau, color=STAR, lw=1.1, ls=(0, (4, 2)))
        write(top, 0.3, tau, "as likely as real choices", 7, color=STAR, va="bottom")
    room = 0.08 * (high - low) + 0.2
    top.set_ylim(low - room, high + room)
    top.plot(steps, e.log_prob, color=PATH, lw=1.8, marker="o", ms=3.5)
    _frame(top, e.horizon, "log P(objective | s)")

    below = figure.add_axes((0.755, 0.10, 0.232, 0.30))
    colours = {ACCEPTED: PATH, REACHED: STAR, REFUSED: WARN, ILLEGAL: SOFT}
    height = np.nan_to_num(e.acceptance)
    below.bar(steps[1:], height, width=0.62, color=[colours[m] for m in e.marks], alpha=0.8)
    for index in np.flatnonzero(np.isnan(e.acceptance)).tolist():
        write(below, index + 1, 0.04, "×", 9, ha="center", color=SOFT)
    below.set_ylim(0, 1.06)
    _frame(below, e.horizon, "acceptance")
    write(below, 0.42, 1.08, "■ each item", 7.5, color=PATH, transform=below.transAxes)
    if is_item:
        below.plot(steps, np.exp(log_acceptance(e.log_prob, tau)), color=STAR, lw=1.8)
        write(below, 1, 1.08, "● objective", 7.5, color=STAR, ha="right", transform=below.transAxes)
    write(below, 1, -0.2, "recommendations", 7.5, color=SOFT, ha="right", transform=below.transAxes)


def _frame(ax: Axes, horizon: int, title: str) -> None:
    write(ax, 0, 1.08, title, 9, transform=ax.transAxes)
    ax.set_xlim(-0.3, horizon + 0.6)
    ax.set_xticks(range(0, horizon + 1, max(1, horizon // 4)))
    ax.tick_params(length=0, labelsize=7.5, labelcolor=SOFT, labelfontfamily=FONT)
    ax.grid(axis="y", color="#e7e8eb", lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(OTHER)
