"""The HTML page of a report: one file, no outside resources, light and dark."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from recgym.benchmark import plots
from recgym.benchmark.table import SEES, SEES_TEXT, Row, Table
from recgym.benchmark.wording import METHOD, difference, interval, number, plus_minus, subtitle

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1c2430;
  --soft: #5d6878; --faint: #e3e7ec; --log: #2f6fb3; --simulator: #b0418f; --privileged: #a67c00; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1a2029; --ink: #e8ecf1;
  --soft: #9aa6b5; --faint: #2c3540; --log: #6fb1f2; --simulator: #e58bcb;
  --privileged: #e0b84a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 14.5px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 17px; margin: 0 0 12px; }
p { margin: 0 0 10px; max-width: 78ch; }
.soft, .interval { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--faint); border-radius: 12px;
  padding: 22px 24px; margin-top: 22px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; font-size: 13px; color: var(--soft);
  padding: 4px 8px 8px; vertical-align: bottom; line-height: 1.25; }
td { text-align: right; padding: 7px 8px; border-top: 1px solid var(--faint);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:nth-child(2), td:nth-child(2) { text-align: left; }
td.main { font-size: 20px; font-weight: 650; }
td.name { font-weight: 600; white-space: normal; min-width: 150px; line-height: 1.3; }
.interval { font-size: 12.5px; font-weight: 400; display: block; line-height: 1.25; }
tr.privileged td.name, tr.privileged td.main { font-weight: 400; font-style: italic; }
.tag { display: inline-block; font-size: 12px; line-height: 18px; padding: 0 8px;
  border-radius: 9px; border: 1px solid currentColor; }
.tag.log { color: var(--log); } .tag.simulator { color: var(--simulator); }
.tag.privileged { color: var(--privileged); }
svg { width: 100%; height: auto; display: block; }
img.figure { width: 100%; height: auto; background: #fff; border-radius: 8px; }
svg text { font-family: inherit; }
svg + p { margin-top: 12px; }
ul { margin: 0; padding-left: 20px; } li { margin: 3px 0; }
ul.legend { list-style: none; padding: 12px 0 0; display: flex; flex-wrap: wrap; gap: 4px 22px; }
pre { overflow-x: auto; font-size: 12.5px; line-height: 1.6; margin: 8px 0 0; }
summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 8px 0 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
"""


def page(table: Table) -> str:
    """The whole page as text.

    Raises:
        ImportError: matplotlib is missing; names the extra.
    """
    kinds = dict.fromkeys(row.sees for row in table.rows)
    legend = "".join(f"<li>{tag(kind)} {SEES_TEXT.get(kind, kind)}</li>" for kind in kinds)
    small = plots.others(table)
    sections = [
        section("Ranking", _ranking(table) + f'<ul class="legend soft">{legend}</ul>'),
        section(
            "Main metric",
            plots.ranking(table)
            + '<p class="soft">Disc: mean; bar: 95 % interval; diamond: interquartile mean; small '
            "dots: means of the seeds. Right: density of all episodes, quartiles and the 5 to "
            "95 % range.</p>",
        ),
        section("Other metrics", small) if small else "",
        section("How to read it", _reading(table)),
        section("How it was made", _provenance(table)),
    ]
    body = "\n".join(part for part in sections if part)
    head, _, rest = subtitle(table).partition(" · ")
    return document(head, rest, body)


def document(title: str, about: str, body: str) -> str:
    """A whole page around ``body``; ``title`` and ``about`` are text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="soft">{escape(about)}</p>\n{body}\n'
        "</main>\n</body>\n</html>\n"
    )


def picture(path: Path, alt: str) -> str:
    """A PNG as a part of the page itself."""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img class="figure" alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>"


def tag(kind: str) -> str:
    return f'<span class="tag {escape(kind)}">{escape(SEES.get(kind, kind))}</span>'


def _ranking(table: Table) -> str:
    heads = ["agent", "saw", f"{table.main.label} {table.main.arrow}", "IQM"]
    heads += [f"minus {table.reference}"]
    heads += [f"{metric.label} {metric.arrow}".strip() for metric in table.others]
    # An arrow stays with its name where a head is broken into lines.
    head = "".join(f"<th>{escape(_kept(text))}</th>" for text in heads)
    rows = "\n".join(_row(row, table) for row in table.rows)
    return f'<div class="scroll"><table>\n<tr>{head}</tr>\n{rows}\n</table></div>'


def _kept(text: str) -> str:
    return text.replace(" ↑", "\u00a0↑").replace(" ↓", "\u00a0↓")


def _row(row: Row, table: Table) -> str:
    main = table.main
    mean = row.means[main.key]
    value, _, ends = difference(row, table).partition(" ")
    cells = [
        f'<td class="name">{escape(row.label)}</td>',
        f"<td>{tag(row.sees)}</td>",
        f'<td class="main">{number(mean.value, main)}{_small(interval(mean, main))}</td>',
        f"<td>{number(row.iqm.value, main)}{_small(interval(row.iqm, main))}</td>",
        f"<td>{value}{_small(ends)}</td>" if value else '<td class="soft">–</td>',
    ]
    for metric in table.others:
        found = row.means.get(metric.key)
        text, _, half = plus_minus(found, metric).partition(" ") if found else ("", "", "")
        cells.append(f"<td>{text}{_small(half)}</td>")
    return f'<tr class="{escape(row.sees)}">{"".join(cells)}</tr>'


def _small(text: str) -> str:
    return f'<span class="interval">{text}</span>' if text else ""


def _reading(table: Table) -> str:
    metrics = "".join(
        f"<li><b>{escape(m.label)}</b> {m.arrow} {escape(m.description)}</li>"
        for m in table.metrics
        if m.description
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    return f"<p>{METHOD}</p><ul>{metrics}</ul>" + (f"<p></p><ul>{notes}</ul>" if notes else "")


def _provenance(table: Table) -> str:
    headers = [header for row in table.rows for header in row.headers]
    first = headers[0]
    versions: dict[str, str] = {}
    for header in headers:
        versions |= header["versions"]
    finished = sorted(str(header.get("finished", "")) for header in headers)
    facts = {
        "environment": table.env_id,
        "arguments": ", ".join(f"{k}={v}" for k, v in table.env_kwargs.items()) or "defaults",
        "evaluated on": f"the {first['split']} split",
        "fingerprint": first["fingerprint"],
        "versions": ", ".join(f"{name} {found}" for name, found in versions.items()),
        "machine": first.get("machine", "unknown"),
        "finished": finished[-1],
    }
    listed = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items()
    )
    cost = "".join(_cost(row) for row in table.rows)
    commands = escape("\n".join(header["command"] for header in headers))
    return (
        f"<dl>{listed}</dl><p></p>"
        "<details><summary>Time and memory</summary>"
        '<div class="scroll"><table><tr><th>agent</th><th></th><th>training</th>'
        f"<th>evaluation</th><th>peak memory</th></tr>{cost}</table></div></details><p></p>"
        f"<details><summary>The exact commands</summary><pre>{commands}</pre></details>"
    )


def _cost(row: Row) -> str:
    def average(key: str, unit: str) -> str:
        found = [header[key] for header in row.headers if header.get(key) is not None]
        return f"{sum(found) / len(found):.1f} {unit}" if found else "–"

    return (
        f"<tr><td>{escape(row.label)}</td><td></td><td>{average('train_seconds', 's')}</td>"
        f"<td>{average('evaluate_seconds', 's')}</td>"
        f"<td>{average('peak_memory_mb', 'MB')}</td></tr>"
    )
