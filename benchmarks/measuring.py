"""Rates of several pieces of work, measured in turn in one run, and the ratios between them."""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Work = Mapping[str, tuple[Callable[[], None], int]]
"""name → (what to run, how many units one run is)."""
HEADER = ("what", "median", "min", "max", "unit")


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(work: Work, ratios: Mapping[str, tuple[str, str]], repeats: int, unit: str) -> list:
    """Lines of a table: the rate of each work, then the ratios, taken repeat by repeat.

    Each is run once before the clock starts.
    """
    for run, _ in work.values():
        run()
    rates: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, (run, count) in work.items():
            rates[name].append(count / seconds(run))
    table = [(name, statistics.median(r), min(r), max(r), unit) for name, r in rates.items()]
    for name, (a, b) in ratios.items():
        r = [x / y for x, y in zip(rates[a], rates[b], strict=True)]
        table.append((name, statistics.median(r), min(r), max(r), "ratio"))
    return table


def show(table: list, out: Path | None) -> None:
    """Print the lines, and write them to ``out`` as CSV."""
    for line in table:
        print(f"{line[0]:<32}{line[1]:>14.2f}{line[2]:>14.2f}{line[3]:>14.2f}  {line[4]}")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *table])
