"""``recgym bench``, ``recgym report`` and ``recgym demo``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from recgym.benchmark import making, suites
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.runner import RunSpec, bench, specs_of

DEMO_SUITE = "influence-path"


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
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if name not in suites.SUITES:
        raise BenchmarkError(making.unknown("suite", name, suites.SUITES, "recgym bench SUITE"))
    if jobs is not None and jobs < 1:
        raise BenchmarkError(f"--jobs must be at least 1, got {jobs}")
    suite = suites.get(name, quick=quick, dataset=dataset, variant=variant)
    making.check_env_id(suite.env_id)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(suite.name, total=len(specs_of(suite)))

        def tell(event: str, spec: RunSpec, path: Path) -> None:
            progress.advance(bar)
            mark = {"finished": "done", "skipped": "kept", "failed": "FAILED"}[event]
            progress.console.print(
                f"{mark}  {spec.label}, seed {spec.seed}  {path}", markup=False, highlight=False
            )

        result = bench(suite, out, jobs=jobs, on_event=tell)
    if result.interrupted:
        kept = len(result.finished) + len(result.skipped)
        again = shlex.join(["recgym", *sys.argv[1:]])
        console.print(
            f"Stopped: {kept} of {len(specs_of(suite))} runs are finished and kept in {out}. "
            f"To go on: {again}",
            markup=False,
            highlight=False,
        )
        return 130
    if result.finished or result.skipped:
        print_report(out)
    for path in result.failed:
        last = path.read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
        console.print(f"FAILED  {path}: {last}", markup=False, style="red", highlight=False)
    return 1 if result.failed else 0


def print_report(folder: Path) -> None:
    """The table on the terminal, and where the files are."""
    from rich.console import Console

    from recgym.benchmark.report import report

    console = Console()
    made = report(folder, console=console)
    console.print(f"\n{made.markdown}\n{made.html}", markup=False, highlight=False)


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
