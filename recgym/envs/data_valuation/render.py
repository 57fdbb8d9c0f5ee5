"""DataValuation to look at: what the agent made of planted and true samples, and the metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.envs.data_valuation.state import DIRECTIONS, State
from recgym.envs.frame import FAINT, FONT, INK, SOFT, cell, new_frame, pixels, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from recgym.envs.data_valuation.dynamics import DataValuation

TRUE, PLANTED = "#0072b2", "#d55e00"
BINS = 10


@dataclass(frozen=True)
class View:
    """One row of a state in the shape that both pictures need."""

    step: int
    weights: np.ndarray | None  # (n,) of the last batch; None before the first
    planted: np.ndarray  # (n,) bool
    knows_noise: bool
    measured_at: np.ndarray  # (M,) steps
    measured: np.ndarray  # (M,) the metric there


def view(problem: DataValuation, state: State, row: int) -> View:
    """What there is to see in one row."""
    step, world = int(state.step[row]), problem.world
    planted = np.zeros(problem.params.batch, dtype=bool)
    if step:
        _, rows = problem.stream(int(state.stream[row])).batch(step - 1)
        planted = world.rows[2][rows]
    known = np.flatnonzero(~np.isnan(state.measured[row]))
    return View(
        step=step,
        weights=state.last_weights[row] if step else None,
        planted=planted,
        knows_noise=world.noise is not None,
        measured_at=known * problem.params.measure_every,
        measured=state.measured[row, known],
    )


def shares(v: View) -> dict[str, np.ndarray]:
    """Name of a group → (BINS,) share of its samples with weights from 0 to 1."""
    if v.weights is None:
        return {}
    groups = {"all": np.ones(len(v.weights), dtype=bool)}
    if v.knows_noise:
        groups = {"true": ~v.planted, "planted": v.planted}
    found = {}
    for name, members in groups.items():
        counts, _ = np.histogram(v.weights[members], bins=BINS, range=(0, 1))
        found[f"{name} ({int(members.sum())})"] = counts / max(1, members.sum())
    return found


def ansi(problem: DataValuation, state: State, row: int) -> str:
    """A few lines: the last batch's mean weights, and the metric."""
    v, p = view(problem, state, row), problem.params
    better = "more" if DIRECTIONS[p.metric] > 0 else "less"
    lines = [
        f"Batch {v.step} of {p.steps}, {p.batch} triplets; {p.metric} on validation "
        f"({better} is better): {v.measured[0]:.4f} at the start, {v.measured[-1]:.4f} "
        f"at step {v.measured_at[-1]}"
    ]
    if v.weights is None:
        return lines[0] + "\nNothing has been learnt yet."
    groups = {"all": np.ones(len(v.weights), dtype=bool)}
    if v.knows_noise:
        groups |= {"true": ~v.planted, "planted": v.planted}
    for name, members in groups.items():
        if not members.any():
            continue
        mean = float(v.weights[members].mean())
        bar = "█" * round(30 * mean)
        lines.append(f"  {cell(name, 8)} {members.sum():5d}   mean weight {mean:.2f}  {bar}")
    return "\n".join(lines)


def rgb_array(problem: DataValuation, state: State, row: int) -> np.ndarray:
    """(600, 1200, 3) uint8: weights of the last batch on the left, the metric on the right.

    Raises:
        gymnasium.error.DependencyNotInstalled: without matplotlib.
    """
    v, p = view(problem, state, row), problem.params
    figure, canvas = new_frame()
    title = f"{problem.world.name}: batch {v.step} of {p.steps}"
    write(figure, 0.05, 0.94, title, 17, weight="bold")
    noise = problem.world.noise
    said = f"{p.batch} triplets a batch, {problem.world.backbone}"
    if noise is not None:
        said += f"; {v.planted.mean():.0%} of the last batch planted ({noise})"
    write(figure, 0.05, 0.885, said, 11, color=SOFT)
    _weights(figure.add_axes((0.06, 0.13, 0.4, 0.66)), v)
    _metric(figure.add_axes((0.56, 0.13, 0.4, 0.66)), problem, v)
    return pixels(canvas)


def _weights(ax: Axes, v: View) -> None:
    _plain(ax, "What was learnt from", "weight", "share of samples")
    ax.set_xlim(-0.02, 1.02)
    groups = shares(v)
    ax.set_ylim(0, 1.3 * max((float(share.max()) for share in groups.values()), default=1.0))
    if not groups:
        write(ax, 0.5, 0.5, "no batch yet", 12, color=SOFT, ha="center")
        return
    width = 1 / BINS / len(groups)
    left = np.arange(BINS) / BINS
    for at, (name, share) in enumerate(groups.items()):
        color = PLANTED if name.startswith("planted") else TRUE
        ax.bar(left + (at + 0.5) * width, share, 0.86 * width, color=color, label=name)
    legend = ax.legend(frameon=False, loc="upper center", prop={"family": FONT, "size": 11})
    for text in legend.get_texts():
        text.set_color(INK)


def _metric(ax: Axes, problem: DataValuation, v: View) -> None:
    p = problem.params
    name = p.metric if p.metric == "Loss" else f"{p.metric}@{p.k}"
    better = "higher" if DIRECTIONS[p.metric] > 0 else "lower"
    _plain(ax, f"{name} on validation data, {better} is better", "batches", "")
    ax.set_xlim(0, p.steps)
    ax.axhline(v.measured[0], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    ax.plot(v.measured_at, v.measured, color=TRUE, linewidth=2.2)
    ax.plot(v.measured_at[-1], v.measured[-1], "o", color=TRUE, markersize=7)
    low, high = float(v.measured.min()), float(v.measured.max())
    room = max(high - low, 0.02 * abs(high), 1e-6)
    ax.set_ylim(low - 0.25 * room, high + 0.25 * room)


def _plain(ax: Any, title: str, x: str, y: str) -> None:
    ax.set_title(title, loc="left", fontsize=13, color=INK, family=FONT, pad=10)
    ax.set_xlabel(x, color=SOFT, family=FONT, fontsize=11)
    ax.set_ylabel(y, color=SOFT, family=FONT, fontsize=11)
    ax.grid(axis="y", color=FAINT)
    ax.set_axisbelow(True)
    ax.tick_params(colors=SOFT, length=0)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)
