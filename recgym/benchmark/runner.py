"""Runs: one agent, one seed, one environment, one CSV."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.benchmark import files, making
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.provenance import PeakMemory, machine, versions
from recgym.benchmark.remembering import remember
from recgym.benchmark.spec import TRAIN_SPLIT, RunSpec

if TYPE_CHECKING:
    from recgym.agents.base import Agent


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
    every: int = 1,
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
        every: only each so many-th evaluation task counts, the first, the ``every + 1``-th, ...
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
        every=every,
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
    """:func:`run` from a spec."""
    return execute_together([(spec, out)], rows=rows, progress=progress)[0]


def execute_together(
    runs: Sequence[tuple[RunSpec, Path]],
    *,
    rows: int = 128,
    progress: Callable[[str, float], None] | None = None,
) -> list[Path]:
    """Make runs of one training (:attr:`RunSpec.training`): train once, judge for each of them.

    What a worker, here or on another machine, is given. A run comes out the same whether it is
    made alone or with others.
    """
    paths = [spec.path(out) for spec, out in runs]
    todo = [(s, out) for s, out in runs if not files.finished(s.path(out), s.identity)]
    if not todo:
        return paths
    tell = progress or (lambda stage, share: None)
    memory = PeakMemory()
    first = todo[0][0]
    if any(spec.training != first.training for spec, _ in todo):
        raise ValueError("execute_together takes runs that share one training")
    making.check_agent(first.env_id, first.agent)
    train = making.vector_env(first.env_id, 8, TRAIN_SPLIT, "SameStep", first.train_kwargs)
    try:
        started = time.perf_counter()
        learning = first.learning_seed
        agent = making.agent(first.agent, train, {"seed": learning, **first.config})
        tell("train", 0.0)
        agent.learn(first.timesteps, seed=learning)
        tell("train", 1.0)
        seconds = round(time.perf_counter() - started, 3)
        if len(todo) > 1:
            remember(agent)
        for spec, out in todo:
            _judge(agent, spec, out, {"train_seconds": seconds}, rows, memory, tell)
    finally:
        train.close()
    return paths


def _judge(
    agent: Agent,
    spec: RunSpec,
    out: Path,
    story: dict[str, Any],
    rows: int,
    memory: PeakMemory,
    tell: Callable[[str, float], None],
) -> None:
    """Evaluate a trained agent and write the run's file."""
    from recgym.benchmark.evaluation import evaluate

    started = time.perf_counter()
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
    try:
        agent.reseed(spec.config.get("seed", spec.seed))
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
            **story,
            "training": agent.training_record,
            "evaluate_seconds": round(time.perf_counter() - started, 3),
            "peak_memory_mb": memory.megabytes(),
            "machine": machine(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    finally:
        test.close()
    files.write(spec.path(out), header, episodes)


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
    return tasks[:: spec.every][: spec.tasks]
