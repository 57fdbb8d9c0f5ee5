"""From a folder of runs to what is committed, and from that to the tables in documents.

    recgym bench influence-path --dataset lastfm-2k --out runs/lastfm
    python scripts/publish_results.py take runs/lastfm benchmarks/results/influence-path/lastfm-2k
    python scripts/publish_results.py tables

``take`` writes agents.csv and runs.csv of a bench, or copies the CSVs and the picture of a study.
With ``--lead AGENT`` it writes leads.csv too, paired differences of that agent from every other; of
a study within each of its settings.
With ``--keep`` the agents of an earlier bench that the folder lacks stay, to add some to a table.
``tables`` fills every place of README.md and docs/ between two marks,

    <!-- table: source=benchmarks/results/…/agents.csv metrics=return,SR agents=irn*,jump -->
    <!-- table: end -->

from committed CSVs: :func:`table` where they have means and intervals, :func:`plain` (with
``columns=``) where they do not, :func:`beside` (with ``published=``) beside a paper's numbers,
:func:`standing` (with ``against=``) how many agents another one leads.
Nothing is typed by hand.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd

from recgym.benchmark import leads, suites, summary
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.studies import Study
from recgym.benchmark.table import build
from recgym.data.writing import write_csv, write_text

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"<!-- table: (?!end)(.*?) -->\n.*?<!-- table: end -->", re.DOTALL)
LABELS = {m.key: m for name in sorted(suites.SUITES) for m in suites.get(name).metrics}

DIFFERENCE = "difference from "
WHOLE = ("updates", "best_update", "seconds")  # shown without decimals


def take(runs: Path, target: Path, leaders: Sequence[str] = (), keep: bool = False) -> list[Path]:
    """The committed files of a folder of runs.

    Args:
        runs: of a bench, or of a study.
        target: for the committed files.
        leaders: agents of leads.csv.
        keep: rows of ``target`` whose agents ``runs`` lacks stay; differences from another
            reference agent than theirs are left out.

    Raises:
        BenchmarkError: nothing to take, what stays is of another world, an unknown leader, or
            keeping for a study, which is always taken whole.
    """
    if (runs / summary.RUNS).is_file() or not list(runs.glob("*-seed*.csv")):
        return _take_study(runs, target, leaders, keep)
    built = build(runs)
    ahead: Any = leads.leads(runs, leaders) if leaders else None
    agents, each = cast("tuple[Any, Any]", summary.frames(built))
    if keep and (target / summary.AGENTS).is_file():
        before: Any = pd.read_csv(target / summary.AGENTS)["statistic"]
        agents = agents[
            ~agents["statistic"].str.startswith(DIFFERENCE) | agents["statistic"].isin(before)
        ]
        agents = _joined(target / summary.AGENTS, agents, ["agent"])
        each = _joined(target / summary.RUNS, each, ["label"])
        if each["fingerprint"].nunique() > 1:
            raise BenchmarkError(f"{target} holds runs of another world than {runs}: do not keep")
        means = agents[(agents["metric"] == built.main.key) & (agents["statistic"] == "mean")]
        order = means.set_index("agent")["value"].rank(ascending=built.main.direction < 0)
        agents = agents.sort_values("agent", key=lambda a: a.map(order), kind="stable")
        each = each.sort_values("label", key=lambda a: a.map(order), kind="stable")
    made = list(summary.save(agents, each, target))
    if ahead is not None:
        path = target / leads.LEADS
        if keep:
            ahead = _joined(path, ahead, ["leader", "agent"])
            ranks = {label: number for number, label in enumerate(dict.fromkeys(agents["agent"]))}
            by = ["leader", "agent"]
            ahead = ahead.sort_values(by, key=lambda a: a.map(ranks), kind="stable")
        made.append(write_csv(path, ahead, "%.4f"))
    return made


def _take_study(runs: Path, target: Path, leaders: Sequence[str], keep: bool) -> list[Path]:
    if keep:
        raise BenchmarkError(f"{runs} holds a study: --keep is of a bench")
    found = sorted([*runs.glob("*.csv"), *runs.glob("*.png")])
    if not found:
        raise BenchmarkError(f"{runs} holds neither runs nor the CSVs of a study")
    ahead = _leads_by_setting(runs, leaders) if leaders else None
    target.mkdir(parents=True, exist_ok=True)
    made = [Path(shutil.copyfile(path, target / path.name)) for path in found]
    if ahead is not None:
        made.append(write_csv(target / leads.LEADS, ahead, "%.4f"))
    return made


def _leads_by_setting(runs: Path, leaders: Sequence[str]) -> Any:
    """:func:`recgym.benchmark.leads.leads` in every setting that has some of the leaders."""
    path = runs / summary.AGENTS
    agents: Any = pd.read_csv(path) if path.is_file() else pd.DataFrame()
    if "setting" not in agents:
        raise BenchmarkError(f"{runs} has no settings with agents: --lead has nothing to compare")
    if missing := set(leaders).difference(agents["agent"]):
        raise BenchmarkError(f"no setting of {runs} has {', '.join(sorted(missing))}: --lead")
    parts = []
    for setting, mine in agents.groupby("setting", sort=False)["agent"]:
        here = [label for label in leaders if label in set(mine)]
        if here:
            found: Any = leads.leads(Study.folder(runs, str(setting)), here)
            found.insert(0, "setting", setting)
            parts.append(found)
    return pd.concat(parts, ignore_index=True)


def _joined(path: Path, new: Any, keys: list[str]) -> Any:
    """``new``, and rows of the CSV ``path`` with other ``keys`` below it."""
    if not path.is_file():
        return new
    old: Any = pd.read_csv(path)
    known = pd.MultiIndex.from_frame(new[keys].drop_duplicates())
    return pd.concat([new, old[~pd.MultiIndex.from_frame(old[keys]).isin(known)]])


def fill(text: str) -> str:
    """A document with every table made anew."""
    return MARK.sub(lambda found: _filled(found.group(1)), text)


def _filled(arguments: str) -> str:
    given = dict(part.split("=", 1) for part in arguments.split())
    kinds = (("columns", plain), ("published", beside), ("against", standing))
    made = next((kind for key, kind in kinds if key in given), table)(**given)
    return f"<!-- table: {arguments} -->\n{made}\n<!-- table: end -->"


def table(
    source: str,
    metrics: str = "return,SR,SR_acc,IoI,IoR,log_ppl",
    agents: str = "*",
    setting: str = "",
    row: str = "agent",
    where: str = "",
    by: str = "",
    interval: str = "yes",
) -> str:
    """Markdown of a CSV with columns metric, value, low, high; rows as in the file.

    Args:
        source: from the root of the repository.
        metrics: columns.
        agents: patterns of labels, without blanks (``?`` stands for one), separated by ``;``.
        setting: of a study; empty for all.
        row: what makes a row: ``agent``, or other columns such as ``k,policy``; patterns are for
            the last of them.
        where: rows to keep, as ``column:value`` or ``column:value|value``, separated by ``;``;
            ``_`` stands for a blank.
        by: a column whose values become the columns, for a single metric.
        interval: ``no`` leaves it out.
    """
    frame: Any = pd.read_csv(ROOT / source)
    for key in set(row.split(",")) & set(frame.select_dtypes("float")):
        frame[key] = [_number(value) for value in frame[key]]
    if "statistic" in frame:
        frame = frame[frame["statistic"].isin(["mean", summary.OVER])]
        # of an agent whose runs were stopped with some seeds only, the others are shown
        frame = frame.drop_duplicates([k for k in frame if k in ("setting", "agent", "metric")])
        frame["saw"] = frame["saw"].fillna("") if "saw" in frame else ""
    frame = _kept(frame, f"{where};setting:{setting}" if setting else where)
    rows, patterns = row.split(","), agents.split(";")
    keep = [any(fnmatch.fnmatchcase(str(a), p) for p in patterns) for a in frame[rows[-1]]]
    frame = frame[keep]
    if frame.empty:
        raise BenchmarkError(f"{source}: no row fits agents={agents} setting={setting} {where}")
    keys = [key for key in ("setting", *rows, "saw") if key in frame]
    if "setting" in keys and (setting or by == "setting" or frame["setting"].nunique() == 1):
        keys.remove("setting")
    names = metrics.split(",")
    shown = {key: LABELS.get(key) for key in names}
    if by:
        (metric,) = names
        frame = frame[frame["metric"] == metric]
        columns = list(dict.fromkeys(frame[by]))
        heads = [str(column) for column in columns]
        frame = frame.assign(metric=frame[by])
        decimals = dict.fromkeys(columns, _decimals(shown[metric], metric))
    else:
        columns = names
        heads = [f"{m.label} {m.arrow}".strip() if m else key for key, m in shown.items()]
        decimals = {key: _decimals(m, key) for key, m in shown.items()}
    lines = ["| " + " | ".join([*keys, *heads]) + " |", "|" + "---|" * (len(keys) + len(heads))]
    for place in dict.fromkeys(frame[keys].itertuples(index=False, name=None)):
        mine = frame[(frame[keys] == pd.Series(place, index=keys)).all(axis=1)].set_index("metric")
        cells = []
        for key in columns:
            if key not in mine.index:
                cells.append("")
                continue
            value, low, high = (float(mine.loc[key, c]) for c in ("value", "low", "high"))
            if "statistic" in mine and mine.loc[key, "statistic"] == summary.OVER:
                cells.append(f"over {value:g} min")
                continue
            cells.append(_cell(value, low, high, decimals[key], interval == "yes"))
        lines.append("| " + " | ".join([*map(str, place), *cells]) + " |")
    return "\n".join(lines)


def _number(value: float) -> str:
    """A number of a column in which some rows have none, which makes pandas read it as a float."""
    if value != value:
        return ""
    return f"{value:.0f}" if value.is_integer() else f"{value:g}"


def _kept(frame: Any, where: str) -> Any:
    """The rows that fit ``where`` (:func:`table`)."""
    for column, value in (part.split(":", 1) for part in where.split(";") if part):
        values = [way for one in value.split("|") for way in (one, one.replace("_", " "))]
        frame = frame[frame[column].astype(str).isin(values)]
    return frame


def beside(
    source: str,
    published: str,
    table: str,
    dataset: str,
    metrics: str,
    row: str = "agent",
    rename: str = "",
) -> str:
    """Markdown of a paper's numbers, each beside the mean of ``source``; rows as in the paper.

    Args:
        source: a CSV as in :func:`table`.
        published: a CSV of columns table, dataset, agent (a label of ours), metric, value.
        table: which of its tables.
        dataset: on which data.
        metrics: columns; a cell that either lacks is left empty.
        row: the column of ``source`` that holds the labels.
        rename: part of the paper's labels, as ``part:ours``; only labels with it are shown.
    """
    theirs: Any = pd.read_csv(ROOT / published, dtype={"value": str})
    theirs = theirs[(theirs["table"] == table) & (theirs["dataset"] == dataset)]
    if rename:
        part, mine = rename.split(":")
        theirs = theirs[theirs["agent"].str.contains(part, regex=False)]
        theirs = theirs.assign(agent=theirs["agent"].str.replace(part, mine, regex=False))
    ours: Any = pd.read_csv(ROOT / source)
    if "statistic" in ours:
        ours = ours[ours["statistic"] == "mean"]
    names = metrics.split(",")
    heads = [LABELS[key].label if key in LABELS else key for key in names]
    lines = ["| " + " | ".join(["", *(f"{h}, paper | ours" for h in heads)]) + " |"]
    lines.append("|" + "---|" * (1 + 2 * len(heads)))
    for label in dict.fromkeys(theirs["agent"]):
        cells = [label]
        for key in names:
            paper = theirs[(theirs["agent"] == label) & (theirs["metric"] == key)]["value"]
            mine = ours[(ours[row] == label) & (ours["metric"] == key)]["value"]
            cells.append(paper.iloc[0].replace("-", "−") if len(paper) else "")
            decimals = _decimals(LABELS.get(key), key)
            cells.append(f"{mine.iloc[0]:.{decimals}f}".replace("-", "−") if len(mine) else "")
        lines.append("| " + " | ".join(cells) + " |")
    if len(lines) == 2:
        raise BenchmarkError(f"{published}: no table {table} on {dataset}")
    return "\n".join(lines)


def standing(source: str, leaders: str, against: str, metric: str = "return") -> str:
    """Markdown of how many agents each leader is ahead of, behind, or neither, by its intervals.

    Of a study within each setting.

    Args:
        source: a leads.csv.
        leaders: patterns of leaders, and ``against``: patterns of agents, one column for each; both
            without blanks (``?`` stands for one), separated by ``;``.
        metric: that of the leads, one of which more or less is better.
    """
    if not (better := LABELS[metric].direction):
        raise BenchmarkError(f"{metric}: neither more nor less of it is better")
    frame: Any = pd.read_csv(ROOT / source)
    frame = frame[frame["metric"] == metric]
    ends = frame[["low", "high"]] * better
    frame = frame.assign(low=ends.min(axis=1), high=ends.max(axis=1))
    patterns, groups = leaders.split(";"), against.split(";")
    frame = frame[[any(fnmatch.fnmatchcase(a, p) for p in patterns) for a in frame["leader"]]]
    if frame.empty:
        raise BenchmarkError(f"{source}: no leader fits {leaders}")
    for group in groups:
        if not any(fnmatch.fnmatchcase(a, group) for a in frame["agent"]):
            raise BenchmarkError(f"{source}: {leaders} is compared with nothing like {group}")
    words = [" ".join(re.sub(r"[?*]", " ", group).split()) for group in groups]
    heads = [f"{group}: ahead / neither / behind" for group in words]
    keys = [key for key in ("setting", "leader") if key in frame]
    titles = [*keys[:-1], "agent", *heads]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for place, mine in frame.groupby(keys, sort=False):
        cells = []
        for group in groups:
            chosen = mine[[fnmatch.fnmatchcase(a, group) for a in mine["agent"]]]
            ahead, behind = int((chosen["low"] > 0).sum()), int((chosen["high"] < 0).sum())
            neither = len(chosen) - ahead - behind
            cells.append(f"{ahead} / {neither} / {behind}" if len(chosen) else "")
        lines.append("| " + " | ".join([*place, *cells]) + " |")
    return "\n".join(lines)


def plain(source: str, columns: str, digits: str = "3", where: str = "") -> str:
    """Markdown of the columns of a CSV as they are, numbers with so many significant digits."""
    frame: Any = pd.read_csv(ROOT / source)
    frame = _kept(frame, where)
    if frame.empty:
        raise BenchmarkError(f"{source}: no row fits {where}")
    names = columns.split(",")
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for values in frame[names].itertuples(index=False, name=None):
        texts = [str(v).replace("|", ", ") for v in values]  # a bar would end the cell
        cells = [
            _rounded(v, digits) if isinstance(v, float) else text
            for v, text in zip(values, texts, strict=True)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rounded(value: float, digits: str) -> str:
    """So many significant digits; of large numbers all before the point."""
    if value != value:
        return "–"
    large = abs(value) >= 10 ** int(digits) - 0.5  # which "g" would write with an exponent
    shown = f"{value:,.0f}" if large else f"{value:,.{digits}g}"
    return shown.replace("-", "−")


def _decimals(metric: Any, key: str) -> int:
    if metric:
        return metric.decimals
    return 0 if key in WHOLE else 4


def _cell(value: float, low: float, high: float, decimals: int, interval: bool = True) -> str:
    text = f"{value:.{decimals}f}"
    text += f" [{low:.{decimals}f}, {high:.{decimals}f}]" if interval else ""
    return "–" if value != value else text.replace("-", "−")


def main() -> None:
    parser = argparse.ArgumentParser(description="Publish results; see the head of this file.")
    commands = parser.add_subparsers(required=True, dest="command")
    taking = commands.add_parser("take", help="write the committed files of a folder of runs")
    taking.add_argument("runs", type=Path)
    taking.add_argument("target", type=Path)
    taking.add_argument("--lead", action="append", default=[], help="an agent of leads.csv")
    taking.add_argument("--keep", action="store_true", help="keep agents that the runs lack")
    commands.add_parser("tables", help="fill the tables of README.md and docs/")
    arguments = parser.parse_args()
    if arguments.command == "take":
        for path in take(arguments.runs, arguments.target, arguments.lead, arguments.keep):
            print(path)
        return
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        before = path.read_text(encoding="utf-8")
        after = fill(before)
        if after != before:
            write_text(path, after)
            print(f"filled {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
