"""``recgym bench``, ``recgym study``, ``recgym report`` and ``recgym demo``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recgym.benchmark import exhibits, figures, making, studies, suites, summary
from recgym.benchmark.bench import BenchResult, bench
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.spec import RunSpec, specs_of
from recgym.benchmark.study_page import study_page

DEMO_SUITE = "influence-path"
MARKS = {"finished": "done", "skipped": "kept", "failed": "FAILED", "over": "OVER TIME"}
LEAD_WIDTH = 28  # of a metric with its interval


def run_bench(
    name: str,
    out: Path,
    *,
    quick: bool = False,
    jobs: int | None = None,
    dataset: str | None = None,
    variant: str = "clean",
) -> int:
    """Run a suite with progress and print its report; the exit code."""
    if name not in suites.SUITES:
        raise BenchmarkError(making.unknown("suite", name, suites.SUITES, "recgym bench SUITE"))
    _check(jobs, dataset, variant, suites.SUITES[name])
    suite = suites.get(name, quick=quick, dataset=dataset, variant=variant)
    making.check_env_id(suite.env_id)
    total = len(specs_of(suite))
    result = _with_progress(
        suite.name, total, out, lambda **tell: bench(suite, out, jobs=jobs, **tell)
    )
    if not result.interrupted and (result.finished or result.skipped):
        print_report(out)
    return _exit_code(result)


def run_study(
    name: str,
    out: Path,
    *,
    jobs: int | None = None,
    dataset: str | None = None,
    variant: str = "clean",
) -> int:
    """Run every setting of a study with progress; write its CSVs; the exit code."""
    from recgym.data.writing import write_text

    known = (*studies.STUDIES, *exhibits.EXHIBITS)
    if name not in known:
        raise BenchmarkError(making.unknown("study", name, known, "recgym study STUDY"))
    _check(jobs, dataset, variant, {**studies.STUDIES, **exhibits.EXHIBITS}[name])
    if name in exhibits.EXHIBITS:
        return _make_exhibit(name, out, dataset, variant)
    study = studies.get(name, dataset, variant)
    total = sum(len(specs_of(suite)) for suite in study.suites.values())
    result = _with_progress(
        study.name, total, out, lambda **tell: studies.run(study, out, jobs=jobs, **tell)
    )
    if not result.interrupted and (result.finished or result.skipped):
        agents, runs = studies.frames(study, out)
        picture = figures.save(figures.study_figure(study, agents), out / "figure.png")
        page = write_text(out / "report.html", study_page(study, agents, picture))
        for path in (*summary.save(agents, runs, out), picture, page):
            print(path)
    return _exit_code(result)


def _make_exhibit(name: str, out: Path, dataset: str | None, variant: str) -> int:
    from rich.console import Console

    with Console(stderr=True).status(name) as status:

        def tell(what: str, stage: str, share: float) -> None:
            status.update(f"{name}: {what} {stage}, {share:.0%}")

        paths = exhibits.write(name, out, dataset, variant, tell)
    for path in paths:
        print(path)
    return 0


def _check(jobs: int | None, dataset: str | None, variant: str, module: str) -> None:
    from recgym import data
    from recgym.data.own import is_path

    if jobs is not None and jobs < 1:
        raise BenchmarkError(f"--jobs must be at least 1, got {jobs}")
    worlds = suites.worlds(module)
    if dataset is None or dataset in worlds:
        return
    if dataset not in data.names() and worlds:
        raise BenchmarkError(
            f"unknown dataset {dataset!r}: choose one of {', '.join((*worlds, *data.names()))}"
        )
    if is_path(dataset):
        if suites.takes_paths(module):
            return
        raise BenchmarkError(
            f"{dataset}: this suite takes data sets by their names, not your own files. With them "
            "run its agents one by one: recgym run ENV --agent NAME --env dataset=PATH"
        )
    data.load(dataset, variant)  # tells what is wrong with the name, or how to get the data


def _with_progress(name: str, total: int, out: Path, work: Callable[..., BenchResult]):
    """Call ``work`` with the two functions that tell of its progress; say where it stopped."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(name, total=total)
        made: dict[str, Any] = {}

        def tell(event: str, spec: RunSpec, path: Path) -> None:
            progress.advance(bar)
            mark = MARKS[event]
            progress.console.print(
                f"{mark}  {spec.label}, seed {spec.seed}  {path}", markup=False, highlight=False
            )

        def prepare(what: str, stage: str, share: float) -> None:
            if what not in made:
                made[what] = progress.add_task(what, total=100)
                progress.console.print(f"train {what}", markup=False, highlight=False)
            done = min(100, round(100 * share))
            progress.update(made[what], description=f"{what}, {stage}", completed=done)

        result = work(on_event=tell, on_prepare=prepare)
    if result.interrupted:
        kept = len(result.finished) + len(result.skipped)
        again = shlex.join(["recgym", *sys.argv[1:]])
        console.print(
            f"Stopped: {kept} of {total} runs are finished and kept in {out}. To go on: {again}",
            markup=False,
            highlight=False,
        )
    for path in result.failed:
        last = path.read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
        console.print(f"FAILED  {path}: {last}", markup=False, style="red", highlight=False)
    return result


def _exit_code(result: BenchResult) -> int:
    return 130 if result.interrupted else 1 if result.failed else 0


def print_report(folder: Path) -> None:
    """The table on the terminal, and where the files are."""
    from rich.console import Console

    from recgym.benchmark.report import report

    console = Console()
    made = report(folder, console=console)
    console.print(f"\n{made.markdown}\n{made.html}", markup=False, highlight=False)


def print_leads(folder: Path, agents: list[str]) -> None:
    """By how much each of some agents is ahead of every other, with intervals."""
    from rich.console import Console
    from rich.table import Table

    from recgym.benchmark.leads import leads

    console = Console()
    found = leads(folder, agents)
    for leader, mine in found.groupby("leader", sort=False):
        metrics = list(dict.fromkeys(mine["metric"]))
        longest = max(len(str(agent)) for agent in mine["agent"])
        fitting = metrics[: max(1, (console.width - longest - 4) // LEAD_WIDTH)]
        shown = Table(title=f"{leader} minus …, on the same tasks", title_justify="left")
        for head in ("agent", *fitting):
            shown.add_column(head, justify="left" if head == "agent" else "right", no_wrap=True)
        for agent, theirs in mine.groupby("agent", sort=False):
            by = theirs.set_index("metric")
            cells = [
                f"{by.at[m, 'value']:.3f} \\[{by.at[m, 'low']:.3f}, {by.at[m, 'high']:.3f}]"
                if m in by.index
                else "–"
                for m in fitting
            ]
            shown.add_row(str(agent), *cells)
        console.print(shown)
        if len(fitting) < len(metrics):
            left = ", ".join(metrics[len(fitting) :])
            console.print(f"A wider terminal shows {left} too.", highlight=False)


def run_demo(out: Path, *, jobs: int | None = None) -> int:
    """The quick bench, then one episode of its best agent that is not privileged."""
    from recgym.cli.play import play_episode

    code = run_bench(DEMO_SUITE, out, quick=True, jobs=jobs)
    if code:
        return code
    suite = suites.get(DEMO_SUITE, quick=True)
    entry = next(entry for entry in suite.entries if entry.agent == "rec2inf")
    print(f"\nOne path of {entry.label}, step by step:\n")
    play_episode(
        suite.env_id, entry.agent, config=dict(entry.config), env_kwargs=dict(suite.env_kwargs)
    )
    return 0
