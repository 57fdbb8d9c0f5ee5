"""Runs: one agent, one seed, one environment, one CSV; and the bench that makes many of them."""

from __future__ import annotations

import json
import os
import platform
import shlex
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from recgym.benchmark import files, making
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.provenance import PeakMemory, versions
from recgym.benchmark.suites import Suite, slug

TRAIN_SPLIT = "train"
EVALUATION_SPLITS = ("test", "validation")


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides a run, as JSON values."""

    env_id: str
    agent: str
    seed: int
    label: str
    config: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    timesteps: int | None = None
    tasks: int | None = None
    split: str = "test"
    suite: str = ""
    train_seed: int | None = None
    train_env: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "split" in {**self.env_kwargs, **self.train_env}:
            split = {**self.env_kwargs, **self.train_env}["split"]
            raise BenchmarkError(
                f"{self.env_id} with split={split!r}: agents train on the "
                f"{TRAIN_SPLIT!r} split only, never on the test split; choose what they are judged "
                'on with the option split ("test" or "validation") instead'
            )
        if self.split not in EVALUATION_SPLITS:
            raise BenchmarkError(
                f"split {self.split!r} cannot be evaluated on: choose one of "
                f"{', '.join(EVALUATION_SPLITS)}"
            )
        least_of = (("seed", 0), ("tasks", 1), ("timesteps", 1), ("train_seed", 0))
        for what, least in least_of:
            value = getattr(self, what)
            if value is not None and value < least:
                raise BenchmarkError(f"{what} must be at least {least}, got {value}")
        for what in ("config", "env_kwargs", "train_env"):
            try:
                json.dumps(getattr(self, what), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise BenchmarkError(f"{what} of {self.label} is not JSON: {error}") from None

    @property
    def identity(self) -> dict[str, Any]:
        """What makes this run this run; see :data:`recgym.benchmark.files.IDENTITY`."""
        return {key: getattr(self, key) for key in files.IDENTITY} | {
            "config": dict(self.config),
            "env_kwargs": dict(self.env_kwargs),
            "train_env": dict(self.train_env),
        }

    def path(self, out: Path) -> Path:
        return out / f"{slug(self.label)}-seed{self.seed}.csv"

    def command(self, out: Path) -> str:
        """The command line that repeats exactly this run."""
        parts = ["recgym", "run", self.env_id, "--agent", self.agent, "--seed", str(self.seed)]
        parts += ["--out", str(out)]
        if self.label != self.agent:
            parts += ["--label", self.label]
        if self.suite:
            parts += ["--suite", self.suite]
        numbers = (("timesteps", self.timesteps), ("tasks", self.tasks))
        for name, value in (*numbers, ("train-seed", self.train_seed)):
            flag = f"--{name}"
            parts += [] if value is None else [flag, str(value)]
        if self.split != "test":
            parts += ["--split", self.split]
        settings = (("--set", self.config), ("--env", self.env_kwargs))
        for flag, values in (*settings, ("--train-env", self.train_env)):
            for key, value in values.items():
                parts += [flag, f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
        return shlex.join(parts)


def run(
    env_id: str,
    agent: str,
    seed: int,
    out: str | os.PathLike[str],
    *,
    config: Mapping[str, Any] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    label: str | None = None,
    timesteps: int | None = None,
    tasks: int | None = None,
    split: str = "test",
    suite: str = "",
    train_seed: int | None = None,
    train_env: Mapping[str, Any] | None = None,
    rows: int = 128,
    progress: Callable[[str, float], None] | None = None,
) -> Path:
    """Train an agent on the training split, evaluate it, write one CSV into ``out``.

    Args:
        env_id: a registered environment.
        agent: a name from ``recgym.agents.names(env_id)``.
        seed: of learning, of the evaluation tasks, and of the evaluation's randomness.
        out: folder of the file ``<label>-seed<seed>.csv``.
        config: of the agent, JSON values.
        env_kwargs: of the environment, JSON values, without ``split``.
        label: name in tables; the agent's name where it is None.
        timesteps: environment steps of training; None is the agent's own default.
        tasks: number of evaluation tasks, the first ones; None is all.
        split: what the agent is judged on, ``"test"`` or ``"validation"``.
        suite: name of the suite the run belongs to.
        train_seed: of learning alone, where it is not ``seed``.
        train_env: arguments of the environment that differ where the agent is made and trained,
            e.g. another simulated user.
        rows: episodes evaluated at a time.
        progress: called with a stage (``"train"``, ``"evaluate"``) and the share done.

    Returns:
        The file. One that exists already and is this very run is left alone.

    Raises:
        BenchmarkError: another run is in its place, or the run would train on the test split.
    """
    spec = RunSpec(
        env_id=env_id,
        agent=agent,
        seed=seed,
        label=label or agent,
        config=dict(config or {}),
        env_kwargs=dict(env_kwargs or {}),
        timesteps=timesteps,
        tasks=tasks,
        split=split,
        suite=suite,
        train_seed=train_seed,
        train_env=dict(train_env or {}),
    )
    return execute(spec, Path(out), rows=rows, progress=progress)


def execute(
    spec: RunSpec,
    out: Path,
    *,
    rows: int = 128,
    progress: Callable[[str, float], None] | None = None,
) -> Path:
    """:func:`run` from a spec: what a worker, here or on another machine, is given."""
    from recgym.benchmark.evaluation import evaluate

    path = spec.path(out)
    if files.finished(path, spec.identity):
        return path
    tell = progress or (lambda stage, share: None)
    memory = PeakMemory()
    making.check_agent(spec.env_id, spec.agent)
    train_kwargs = {**spec.env_kwargs, **spec.train_env}
    train = making.vector_env(spec.env_id, 8, TRAIN_SPLIT, "SameStep", train_kwargs)
    test = None
    try:
        started = time.perf_counter()
        agent = making.agent(spec.agent, train, {"seed": spec.seed, **spec.config})
        tell("train", 0.0)
        learning = spec.seed if spec.train_seed is None else spec.train_seed
        agent.learn(spec.timesteps, seed=learning)
        tell("train", 1.0)
        trained = time.perf_counter()
        tasks = _tasks(spec)
        count_rows = min(rows, len(tasks))
        test = making.vector_env(spec.env_id, count_rows, spec.split, "Disabled", spec.env_kwargs)
        done = 0

        def count(episodes: int) -> None:
            nonlocal done
            done += episodes
            tell("evaluate", done / len(tasks))

        # Training consumes seeds 0, 1, ...; evaluation draws far away from them.
        base = int(np.random.SeedSequence([spec.seed, 2_026]).generate_state(1)[0]) // 2
        episodes = evaluate(agent, test, tasks, base, deterministic=True, progress=count)
        header = {
            **spec.identity,
            "suite": spec.suite,
            "sees": agent.sees,
            "task_keys": list(tasks[0]),
            "metric_keys": [key for key in episodes.columns if key not in tasks[0]],
            "rows": count_rows,
            "deterministic": True,
            "fingerprint": str(test.unwrapped.fingerprint),  # type: ignore[attr-defined]
            "versions": versions(),
            "command": spec.command(out),
            "train_seconds": round(trained - started, 3),
            "training": agent.training_record,
            "evaluate_seconds": round(time.perf_counter() - trained, 3),
            "peak_memory_mb": memory.megabytes(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    finally:
        train.close()
        if test is not None:
            test.close()
    files.write(path, header, episodes)
    return path


def _tasks(spec: RunSpec) -> list[dict[str, int]]:
    def of(split: str) -> list[dict[str, int]]:
        env: Any = making.vector_env(spec.env_id, 1, split, "Disabled", spec.env_kwargs)
        try:
            return env.unwrapped.evaluation_tasks(spec.seed)
        finally:
            env.close()

    tasks = of(spec.split)
    if spec.split != "test" and tasks == of("test"):
        raise BenchmarkError(
            f"{spec.env_id} has no evaluation tasks of its own for split {spec.split!r}: they are "
            "those of the test split, which must not be used to choose anything"
        )
    return tasks[: spec.tasks]


@dataclass(frozen=True)
class BenchResult:
    """What a bench did."""

    finished: tuple[Path, ...]
    skipped: tuple[Path, ...]
    failed: tuple[Path, ...]
    """The ``*.error.txt`` files."""
    interrupted: bool = False


def specs_of(suite: Suite) -> list[RunSpec]:
    """The runs of a suite: all agents on the first seed, then all on the second, ..."""
    return [
        RunSpec(
            env_id=suite.env_id,
            agent=entry.agent,
            seed=seed,
            label=entry.label,
            config=dict(entry.config),
            env_kwargs=dict(suite.env_kwargs),
            timesteps=entry.timesteps,
            tasks=suite.tasks,
            split=suite.split,
            suite=suite.name,
            train_seed=entry.train_seed,
            train_env=dict(entry.train_env),
        )
        for seed in suite.seeds
        for entry in suite.entries
    ]


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
        on_event: called with ``"skipped"``, ``"finished"`` or ``"failed"``, the run and its file.
        on_prepare: called while what all runs need is made, with what, the stage, the share done.

    Returns:
        What was done. After Ctrl-C, ``interrupted`` is true and finished runs are kept.

    Raises:
        BenchmarkError: ``out`` holds other runs under these names, or another bench works there.
    """
    from filelock import FileLock, Timeout

    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    tell = on_event or (lambda event, spec, path: None)
    specs = specs_of(suite)
    try:
        with FileLock(folder / ".bench.lock", timeout=0):
            files.remove_leftovers(folder)
            done = {spec.path(folder) for spec in specs if _finished(spec, folder)}
            for spec in specs:
                if spec.path(folder) in done:
                    tell("skipped", spec, spec.path(folder))
            todo = [spec for spec in specs if spec.path(folder) not in done]
            if todo and suite.prepare is not None:
                suite.prepare(suite, on_prepare or (lambda what, stage, share: None))
            finished, failed, interrupted = _all(todo, folder, jobs, executor, tell)
    except Timeout:
        raise BenchmarkError(
            f"another bench is at work in {folder}: wait for it, or choose another --out"
        ) from None
    skipped = tuple(sorted(done))
    return BenchResult(tuple(finished), skipped, tuple(failed), interrupted)


def _all(
    specs: list[RunSpec],
    folder: Path,
    jobs: int | None,
    executor: Executor | None,
    tell: Callable[[str, RunSpec, Path], None],
) -> tuple[list[Path], list[Path], bool]:
    from recgym.benchmark.processes import ProcessPerTask

    finished: list[Path] = []
    failed: list[Path] = []
    if not specs:
        return finished, failed, False
    own = executor is None
    pool = executor or ProcessPerTask(min(jobs or os.cpu_count() or 1, len(specs)))
    futures: dict[Future, RunSpec] = {}
    try:
        futures.update((pool.submit(execute, spec, folder), spec) for spec in specs)
        waiting = set(futures)
        while waiting:
            ready, waiting = wait(waiting, timeout=0.5, return_when="FIRST_COMPLETED")
            for future in ready:
                spec = futures[future]
                report = _error_file(spec, folder)
                error = future.exception()
                if error is None:
                    report.unlink(missing_ok=True)
                    finished.append(spec.path(folder))
                    tell("finished", spec, spec.path(folder))
                else:
                    report.write_text(_describe(spec, folder, error), encoding="utf-8")
                    failed.append(report)
                    tell("failed", spec, report)
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        if own:
            pool.shutdown(wait=True, cancel_futures=True)
        return finished, failed, True
    if own:
        pool.shutdown()
    return finished, failed, False


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
