"""The HTML page of an exhibit: its figures and its numbers in one file, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from recgym.benchmark.exhibits import Exhibit
from recgym.benchmark.page import document, picture, section
from recgym.benchmark.wording import METHOD

MOST_ROWS = 400


def exhibit_page(made: Exhibit, command: str, pictures: Sequence[Path]) -> str:
    """The whole page as text; the PNGs of ``pictures`` go into it."""
    parts = [section("Figure", picture(path, made.title)) for path in pictures]
    parts += [section(escape(stem), _table(frame)) for stem, frame in made.frames.items()]
    parts.append(section("How to read it", f"<p>{METHOD}</p>"))
    return document(made.title, command, "\n".join(parts))


def _table(frame: Any) -> str:
    heads = "".join(f"<th>{escape(str(column))}</th>" for column in frame.columns)
    rows = [
        "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>"
        for row in frame.head(MOST_ROWS).itertuples(index=False, name=None)
    ]
    more = len(frame) - len(rows)
    note = f'<p class="soft">{more} more rows are in the CSV.</p>' if more > 0 else ""
    return (
        f'<div class="scroll"><table>\n<tr>{heads}</tr>\n{chr(10).join(rows)}\n</table></div>{note}'
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.4g}".replace("-", "−")
    return escape(str(value))
