"""Turn a folder of runs into what is committed: small CSVs and the README's table.

    recgym bench influence-path --out runs/influence-path
    python scripts/publish_results.py runs/influence-path benchmarks/results/influence-path

Writes agents.csv and runs.csv into the second folder and the ranking between the marks in
README.md. Nothing is typed by hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from recgym.benchmark import summary
from recgym.benchmark.scoring import Estimate
from recgym.benchmark.suites import Metric
from recgym.benchmark.table import Table, build
from recgym.benchmark.wording import interval, number

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- table:start -->", "<!-- table:end -->"
SHOWN = ("return", "SR_acc", "SR", "IoI", "log_ppl")


def cell(estimate: Estimate | None, metric: Metric) -> str:
    if estimate is None:
        return ""
    return f"{number(estimate.value, metric)} {interval(estimate, metric)}"


def to_markdown(table: Table, source: str) -> str:
    """The ranking as a Markdown table, with a line that says where it comes from."""
    metrics = [metric for metric in table.metrics if metric.key in SHOWN]
    heads = ["agent", "saw", *(f"{m.label} {m.arrow}".strip() for m in metrics)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in table.rows:
        cells = [cell(row.means.get(metric.key), metric) for metric in metrics]
        lines.append("| " + " | ".join([row.label, row.sees, *cells]) + " |")
    first = table.rows[0].headers[0]
    seeds = len(table.rows[0].seeds)
    lines += [
        "",
        f"`{table.env_id}`, test objectives, {seeds} seeds, every user once a seed; mean and 95 % "
        f"bootstrap interval over seeds and users. Numbers: `{source}/agents.csv`; settings, "
        f"versions and times of each run: `{source}/runs.csv`; made by "
        f"`recgym bench {first['suite']}` and `scripts/publish_results.py`.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    table = build(arguments.runs)
    summary.write(table, arguments.target)
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    body = to_markdown(table, arguments.target.as_posix())
    README.write_text(f"{before}{START}\n{body}\n{END}{after}", encoding="utf-8")
    print(body)


if __name__ == "__main__":
    main()
