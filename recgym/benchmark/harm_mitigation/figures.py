"""Pictures of the exhibits on harm mitigation."""

from __future__ import annotations

from typing import Any

from recgym.benchmark.figures import COLOURS, MARKERS, canvas, finish, legend


def weights(frame: Any) -> Any:
    """For each k: clicks against harm, and how far each policy stays behind as λ grows.

    ``frame``: rows of :func:`recgym.benchmark.harm_mitigation.exhibits.weights` for one genre.
    """
    slates = list(dict.fromkeys(frame["k"]))
    names = [name for name in dict.fromkeys(frame["policy"]) if name != "none"]  # far from all
    figure = canvas(9.6, 3.5 * len(slates) + 0.5)
    grid = figure.subplots(len(slates), 2, squeeze=False)
    for (front, behind), k in zip(grid, slates, strict=True):
        mine = frame[frame["k"] == k]
        for number, name in enumerate(names):
            policy = mine[mine["policy"] == name]
            style = {"color": COLOURS[number], "marker": MARKERS[number], "ms": 5}
            place = policy.pivot(index="harm_weight", columns="metric", values="value")
            front.plot(place["p_H"], place["p_CLK"], label=_words(name), **style)
            if number:
                lead = policy[policy["metric"] == "lead"]
                spread = (lead["value"] - lead["low"], lead["high"] - lead["value"])
                at = range(len(lead))
                behind.errorbar(at, lead["value"], yerr=spread, **style, lw=1.4, capsize=2)
                behind.set_xticks(at, [f"{w:g}" for w in lead["harm_weight"]])
        finish(front, f"k = {k}: p_CLK ↑ against p_H ↓", "p_H")
        behind.set_yscale("log")
        finish(behind, f"k = {k}: f of the projected gradient less f", "λ")
    legend(figure, grid[0][0], len(names))
    return figure


def _words(name: str) -> str:
    return name.replace("_", " ")
