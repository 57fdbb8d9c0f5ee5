"""A folder of runs as a terminal table, a Markdown file and a self-contained HTML page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recgym.benchmark import table as tables
from recgym.benchmark.page import page
from recgym.benchmark.scoring import RESAMPLES, Estimate
from recgym.benchmark.suites import Metric
from recgym.benchmark.table import SEES, SEES_TEXT, Row, Table
from recgym.benchmark.wording import METHOD, difference, interval, number, plus_minus, subtitle
from recgym.data.writing import write_text

if TYPE_CHECKING:
    from rich.console import Console

SEES_STYLE = {"log": "cyan", "simulator": "magenta", "privileged": "yellow"}


@dataclass(frozen=True)
class Report:
    """What a report wrote, and its numbers."""

    table: Table
    markdown: Path
    html: Path


def report(
    folder: str | os.PathLike[str],
    *,
    console: Console | None = None,
    resamples: int = RESAMPLES,
) -> Report:
    """Score the runs of a folder; print the table; write ``report.md`` and ``report.html``.

    Args:
        folder: the ``--out`` of a bench or of runs.
        console: where the table goes; None prints nothing.
        resamples: of the bootstrap.

    Raises:
        BenchmarkError: a foreign or damaged file, or no runs; names the file and the reason.
        ImportError: matplotlib is missing; names the extra.
    """
    out = Path(folder)
    table = tables.build(out, resamples)
    if console is not None:
        print_table(table, console)
    markdown, html = out / "report.md", out / "report.html"
    write_text(markdown, to_markdown(table))
    write_text(html, page(table))
    return Report(table, markdown, html)


def print_table(table: Table, console: Console) -> None:
    """The ranking, two lines per agent: values above, their 95 % intervals below.

    Columns that do not fit the terminal are left out, the last ones first.
    """
    from rich.table import Table as Grid
    from rich.text import Text

    columns = [c for c in _columns(table) if c[0] != "IQM" or console.width >= 100]
    room = console.width - sum(_width(column) for column in columns[:3])
    shown = columns[:3]
    for column in columns[3:]:
        room -= _width(column)
        if room < 0:
            break
        shown.append(column)
    grid = Grid(title=subtitle(table), title_justify="left", title_style="bold", box=None)
    for index, (head, _) in enumerate(shown):
        width = _AGENT_WIDTH if index == 0 else None
        grid.add_column(head, justify="left" if index < 2 else "right", max_width=width)
    for place, row in enumerate(table.rows):
        reference = "italic " if row.sees == "privileged" else ""
        cells = []
        for index, (_, found) in enumerate(shown):
            upper, _, lower = found[place].partition("\n")
            style = SEES_STYLE.get(row.sees, "") if index == 1 else "bold" if index == 2 else ""
            text = Text(upper, style=reference + style)
            cells.append(text.append("\n" + lower, style="not bold dim") if lower else text)
        grid.add_row(*cells)
    console.print(grid)
    for kind in dict.fromkeys(row.sees for row in table.rows):
        console.print(f"[{SEES_STYLE.get(kind, 'white')}]{kind}[/]: {SEES_TEXT.get(kind, kind)}")
    console.print("Below the values: 95 % bootstrap intervals over seeds and users.")
    for note in table.notes:
        console.print(f"Note: {note}", markup=False)


_AGENT_WIDTH = 30


def _columns(table: Table) -> list[tuple[str, list[str]]]:
    """Heads and cells; a cell is a value, a newline and its interval."""
    main, rows = table.main, table.rows
    columns = [
        ("agent", [row.label for row in rows]),
        ("saw", [SEES.get(row.sees, row.sees) for row in rows]),
        (f"{main.label} {main.arrow}", [_stacked(row.means[main.key], main) for row in rows]),
        ("IQM", [_stacked(row.iqm, main) for row in rows]),
    ]
    for metric in table.others:
        found = [row.means.get(metric.key) for row in rows]
        cells = ["" if e is None else plus_minus(e, metric).replace(" ", "\n", 1) for e in found]
        columns.append((f"{metric.label} {metric.arrow}".strip(), cells))
    return columns


def _stacked(estimate: Estimate, metric: Metric) -> str:
    return f"{number(estimate.value, metric)}\n{interval(estimate, metric)}"


def _width(column: tuple[str, list[str]]) -> int:
    head, cells = column
    widest = max(len(line) for cell in [head, *cells] for line in cell.split("\n"))
    return (min(widest, _AGENT_WIDTH) if head == "agent" else widest) + 2


def to_markdown(table: Table) -> str:
    """The table as Markdown, with how it came about and the commands that repeat it."""
    main = table.main
    heads = ["agent", "saw", f"{main.label} {main.arrow} (95 %)", "IQM (95 %)"]
    heads += [f"minus {table.reference}"]
    heads += [f"{metric.label} {metric.arrow}".strip() for metric in table.others]
    lines = [f"# {subtitle(table)}", "", _line(heads), _line(["---"] * len(heads))]
    lines += [_line(_markdown_cells(row, table)) for row in table.rows]
    lines += ["", "What an agent saw:"]
    lines += [f"- **{SEES[kind]}**: {text}" for kind, text in SEES_TEXT.items()]
    lines += ["", METHOD, ""]
    lines += [f"- {note}" for note in table.notes]
    lines += ["", "Metrics:"]
    lines += [f"- {m.label}: {m.description}" for m in table.metrics if m.description]
    lines += ["", "Commands:", "", "```"]
    lines += [header["command"] for row in table.rows for header in row.headers]
    header = table.rows[0].headers[0]
    versions = ", ".join(f"{name} {found}" for name, found in header["versions"].items())
    lines += ["```", "", f"Fingerprint {header['fingerprint']}. {versions}.", ""]
    return "\n".join(lines)


def _markdown_cells(row: Row, table: Table) -> list[str]:
    main = table.main
    cells = [f"`{row.label}`", SEES.get(row.sees, row.sees)]
    mean = row.means[main.key]
    cells += [f"**{number(mean.value, main)}** {interval(mean, main)}"]
    cells += [f"{number(row.iqm.value, main)} {interval(row.iqm, main)}", difference(row, table)]
    for metric in table.others:
        found = row.means.get(metric.key)
        cells.append("" if found is None else plus_minus(found, metric))
    return cells


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
