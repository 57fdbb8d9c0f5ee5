"""DataSelection to look at: a user's items, what each brings and costs her, what she keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.envs.data_selection.state import State
from recgym.envs.frame import FAINT, FONT, INK, PAPER, SOFT, cell, cut, new_frame, pixels, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recgym.envs.data_selection.dynamics import DataSelection


@dataclass(frozen=True)
class View:
    """One row of a state in the shape that both pictures need: the user who moved last."""

    user: int
    moves: int
    titles: list[str]
    gain: np.ndarray  # (k,) float64: by how much each item lowers her loss, predicted
    cost: np.ndarray  # (k,) float64: λ β
    willingness: np.ndarray  # (k,) float64
    kept: np.ndarray  # (k,) bool
    shares: np.ndarray  # (N,) float64: what share of their items users keep
    z: float  # of the user
    others: str  # what it takes the others to give
    mean_z: float


def view(problem: DataSelection, state: State, row: int) -> View:
    """What there is to see in one row; before the first move, of the first user."""
    moves, data = int(state.moves[row]), problem.game.data
    user = (max(moves, 1) - 1) % problem.n_users
    mine = np.arange(data.offsets[user], data.offsets[user + 1])
    selected = state.selected[row : row + 1].astype(np.float64)
    losses = problem.backend.losses(selected)
    z = problem.utilities(selected, state.willingness[row : row + 1], losses)[0]
    return View(
        user=user,
        moves=moves,
        titles=[problem.world.title(int(item)) for item in data.training.item[mine]],
        gain=-problem.game.anchor().anchor.own[mine],
        cost=problem.params.harm_of_disclosure * state.willingness[row, mine],
        willingness=state.willingness[row, mine],
        kept=state.selected[row, mine],
        shares=data.by_user(state.selected[row].astype(np.float64)) / data.lengths,
        z=float(z[user]),
        others="" if problem.backend.follows_others else "the others giving all",
        mean_z=float(problem.mean_utility(state)[row]),
    )


def _place(problem: DataSelection, v: View) -> str:
    if v.moves == 0:
        return "before the first move"
    number = (v.moves - 1) // problem.n_users + 1
    return f"round {number} of {problem.params.rounds}, move {v.moves}"


# --- text -----------------------------------------------------------------------------------------


def ansi(problem: DataSelection, state: State, row: int) -> str:
    """The user's items as lines of at most 100 columns, without colour."""
    v = view(problem, state, row)
    lines = [
        f"User {v.user + 1} of {problem.n_users}, {problem.world.name}: {_place(problem, v)}, "
        f"λ = {problem.params.harm_of_disclosure:g}",
        "",
        f"  {'':4}  {'item':<56} {'willing':>8} {'brings':>8} {'costs':>8}",
    ]
    for title, beta, gain, cost, kept in zip(
        v.titles, v.willingness, v.gain, v.cost, v.kept, strict=True
    ):
        mark = "in  " if kept else "out "
        numbers = f"{beta:8.2f} {gain:+8.3f} {cost:8.3f}".replace("-", "−")
        lines.append(f"  {mark}  {cell(title, 56)} {numbers}")
    of_others = f" ({v.others})" if v.others else ""
    lines += [
        "",
        f"She keeps {int(v.kept.sum())} of {len(v.kept)}, z = {v.z:.3f}{of_others}.".replace(
            "-", "−"
        ),
        f"All users keep {v.shares.mean():.0%} on average, mean z = {v.mean_z:.3f}.".replace(
            "-", "−"
        ),
    ]
    return "\n".join(lines)


# --- picture --------------------------------------------------------------------------------------

HELPS, HURTS, COSTS = "#2f6fb3", "#c8452f", "#9aa1ab"


def rgb_array(problem: DataSelection, state: State, row: int) -> np.ndarray:
    """(600, 1200, 3) uint8: her items with what they bring and cost, and what everybody keeps.

    Raises:
        gymnasium.error.DependencyNotInstalled: without matplotlib.
    """
    figure, canvas = new_frame()
    v = view(problem, state, row)
    head = f"User {v.user + 1} of {problem.n_users}: what she lets the recommender learn from"
    write(figure, 0.02, 0.955, head, 15, weight="bold")
    about = f"{problem.world.name}, λ = {problem.params.harm_of_disclosure:g}"
    write(figure, 0.02, 0.905, about, 10, color=SOFT)
    write(figure, 0.985, 0.955, _place(problem, v), 11, ha="right", color=SOFT)
    _items(figure.add_axes((0.02, 0.08, 0.70, 0.755)), v)
    _everybody(figure, v)
    return pixels(canvas)


def _items(ax: Axes, v: View) -> None:
    """A line for each item: its mark, its title, and two bars on one scale."""
    count = len(v.titles)
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(max(count, 8) - 0.4, -1.0)
    middle, half = 0.79, 0.19
    scale = half / max(float(np.abs(v.gain).max(initial=0)), float(v.cost.max(initial=0)), 1e-9)
    write(ax, 0.0, -0.8, "kept", 8.5, color=SOFT)
    write(ax, 0.055, -0.8, "item, the oldest first", 8.5, color=SOFT)
    write(ax, 0.58, -0.8, "willing to exclude", 8.5, color=SOFT, ha="right")
    write(ax, middle - 0.01, -0.8, "worsens", 8.5, color=HURTS, ha="right")
    write(ax, middle + 0.01, -0.8, "serves her", 8.5, color=HELPS)
    write(ax, 1.0, -0.8, "costs her", 8.5, color=COSTS, ha="right")
    for place in range(count):
        kept, gain, cost = bool(v.kept[place]), float(v.gain[place]), float(v.cost[place])
        style = {"ms": 8, "mec": INK, "mew": 1.2}
        ax.plot(0.014, place, "o", color=INK if kept else PAPER, **style)
        colour = INK if kept else SOFT
        write(ax, 0.055, place, cut(v.titles[place], 46), 9, color=colour)
        write(ax, 0.58, place, f"{v.willingness[place]:.2f}", 9, ha="right", color=colour)
        strength = 1.0 if kept else 0.35
        bar = HELPS if gain > 0 else HURTS
        ax.barh(place - 0.16, gain * scale, 0.34, left=middle, color=bar, alpha=strength)
        ax.barh(place + 0.22, cost * scale, 0.2, left=middle, color=COSTS, alpha=strength)
    ax.plot([middle, middle], [-0.45, count - 0.55], color=FAINT, lw=1, zorder=0)


def _everybody(figure: Any, v: View) -> None:
    write(figure, 0.765, 0.80, "z of this user", 9, color=SOFT)
    write(figure, 0.765, 0.70, v.others, 7.5, color=SOFT)
    write(figure, 0.765, 0.745, f"{v.z:.3f}".replace("-", "−"), 17, weight="bold")
    write(figure, 0.885, 0.80, "mean z of all", 9, color=SOFT)
    write(figure, 0.885, 0.745, f"{v.mean_z:.3f}".replace("-", "−"), 17, weight="bold")
    ax = figure.add_axes((0.765, 0.14, 0.215, 0.43))
    write(ax, 0, 1.11, "users by the share they keep", 9, transform=ax.transAxes)
    ax.hist(v.shares, bins=np.linspace(0, 1, 21).tolist(), color=HELPS, alpha=0.8)
    ax.axvline(float(v.shares.mean()), color=INK, lw=1.5)
    note = f"mean {v.shares.mean():.0%}"
    write(ax, 0, 1.04, note, 8.5, transform=ax.transAxes, color=SOFT)
    ax.set_xlim(0, 1)
    ax.tick_params(length=0, labelsize=7.5, labelcolor=SOFT, labelfontfamily=FONT)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    ax.grid(axis="y", color=FAINT, lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)
