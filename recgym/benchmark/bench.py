"""The bench: every run of a suite, or of many suites, that is not in its folder yet."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from recgym.benchmark import files, over
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.runner import execute_together
from recgym.benchmark.spec import RunSpec, specs_of
from recgym.benchmark.suites import Suite


@dataclass(frozen=True)
class BenchResult:
    """What a bench did."""

    finished: tuple[Path, ...]
    skipped: tuple[Path, ...]
    failed: tuple[Path, ...]
    """The ``*.error.txt`` files."""
    over: tuple[Path, ...] = ()
    """The ``*.over.json`` files of runs that took longer than their suite allows."""
    interrupted: bool = False


def bench(
    suite: Suite,
    out: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    executor: Executor | None = None,
    on_event: Callable[[str, RunSpec, Path], None] | None = None,
    on_prepare: Callable[[str, str, float], None] | None = None,
) -> BenchResult:
    """Make every run of a suite that ``out`` does not hold yet.

    Args:
        suite: from :func:`recgym.benchmark.suites.get`, or your own.
        out: folder of the CSVs, one per run; started again it continues.
        jobs: processes at a time; None is the number of CPUs, at most the number of runs.
        executor: anything with ``submit`` of ``concurrent.futures``, instead of local processes.
        on_event: called with ``"skipped"``, ``"finished"``, ``"over"`` or ``"failed"``, the run and
            its file.
        on_prepare: called while what all runs need is made, with what, the stage, the share done.

    Returns:
        What was done. After Ctrl-C, ``interrupted`` is true and finished runs are kept.

    Raises:
        BenchmarkError: ``out`` holds other runs under these names, or another bench works there.
    """
    return bench_all(
        {Path(out): suite}, jobs=jobs, executor=executor, on_event=on_event, on_prepare=on_prepare
    )


def bench_all(
    suites: Mapping[Path, Suite],
    *,
    jobs: int | None = None,
    executor: Executor | None = None,
    on_event: Callable[[str, RunSpec, Path], None] | None = None,
    on_prepare: Callable[[str, str, float], None] | None = None,
) -> BenchResult:
    """:func:`bench` of several suites by their folders; an agent that several judge trains once."""
    from filelock import FileLock, Timeout

    tell = on_event or (lambda event, spec, path: None)
    with ExitStack() as locks:
        for folder in suites:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                locks.enter_context(FileLock(folder / ".bench.lock", timeout=0))
            except Timeout:
                raise BenchmarkError(
                    f"another bench is at work in {folder}: wait for it, or choose another --out"
                ) from None
            files.remove_leftovers(folder)
        runs = [(spec, folder) for folder, suite in suites.items() for spec in specs_of(suite)]
        done = {spec.path(folder) for spec, folder in runs if _finished(spec, folder)}
        given_up = {
            spec.path(folder): over.path(spec, folder)
            for spec, folder in runs
            if spec.path(folder) not in done and over.stopped(spec, folder, suites[folder].minutes)
        }
        for spec, folder in runs:
            if spec.path(folder) in done:
                tell("skipped", spec, spec.path(folder))
            elif spec.path(folder) in given_up:
                tell("over", spec, given_up[spec.path(folder)])
        todo = [run for run in runs if run[0].path(run[1]) not in done | given_up.keys()]
        for folder in {folder: None for _, folder in todo}:
            if (prepare := suites[folder].prepare) is not None:
                hear = on_prepare or (lambda what, stage, share: None)
                prepare(suites[folder], hear, jobs or os.cpu_count() or 1)
        minutes = {folder: suite.minutes for folder, suite in suites.items()}
        result = _all(_by_training(todo), minutes, jobs, executor, tell)
    stopped = (*given_up.values(), *result.over)
    return replace(result, skipped=tuple(sorted(done)), over=stopped)


Run = tuple[RunSpec, Path]


def _by_training(runs: list[Run]) -> list[list[Run]]:
    """Runs of one training together, in the order of the first of each."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(run[0].training, sort_keys=True), []).append(run)
    return list(groups.values())


def _all(
    groups: list[list[Run]],
    minutes: Mapping[Path, float | None],
    jobs: int | None,
    executor: Executor | None,
    tell: Callable[[str, RunSpec, Path], None],
) -> BenchResult:
    from recgym.benchmark.processes import OverTime, ProcessPerTask

    finished: list[Path] = []
    failed: list[Path] = []
    stopped: list[Path] = []
    if not groups:
        return BenchResult((), (), ())
    own = executor is None
    pool = executor or ProcessPerTask(min(jobs or os.cpu_count() or 1, len(groups)))
    futures: dict[Future, list[Run]] = {}
    interrupted = False
    try:
        for group in groups:
            seconds = over.seconds([minutes[folder] for _, folder in group])
            if isinstance(pool, ProcessPerTask):
                futures[pool.submit_within(seconds, execute_together, group)] = group
            else:
                futures[pool.submit(execute_together, group)] = group
        waiting = set(futures)
        while waiting:
            ready, waiting = wait(waiting, timeout=0.5, return_when="FIRST_COMPLETED")
            for future in ready:
                error = future.exception()
                for spec, folder in futures[future]:
                    path, report = spec.path(folder), _error_file(spec, folder)
                    if error is None or _finished(spec, folder):
                        for old in (report, over.path(spec, folder)):
                            old.unlink(missing_ok=True)
                        finished.append(path)
                        tell("finished", spec, path)
                    elif isinstance(error, OverTime) and (cap := minutes[folder]) is not None:
                        stopped.append(over.write(spec, folder, cap))
                        tell("over", spec, stopped[-1])
                    else:
                        report.write_text(_describe(spec, folder, error), encoding="utf-8")
                        failed.append(report)
                        tell("failed", spec, report)
    except KeyboardInterrupt:
        interrupted = True
        for future in futures:
            future.cancel()
    if own:
        pool.shutdown(wait=True, cancel_futures=interrupted)
    return BenchResult(tuple(finished), (), tuple(failed), tuple(stopped), interrupted)


def _finished(spec: RunSpec, folder: Path) -> bool:
    return files.finished(spec.path(folder), spec.identity)


def _error_file(spec: RunSpec, folder: Path) -> Path:
    return spec.path(folder).with_suffix(".error.txt")


def _describe(spec: RunSpec, folder: Path, error: BaseException) -> str:
    import recgym

    lines = traceback.format_exception(error)
    return (
        f"{spec.label}, seed {spec.seed} failed with recgym {recgym.__version__}.\n"
        f"Repeat it alone: {spec.command(folder)}\n\n{asdict(spec)}\n\n{''.join(lines)}"
    )
