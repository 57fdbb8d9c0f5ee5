"""Runs that were never played, with known numbers, for tests of files, scoring and report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recgym.benchmark import files
from recgym.benchmark.spec import RunSpec

AGENTS = (
    ("random", "random", "log", -12.3, 0.01),
    ("popularity", "popularity", "log", -2.5, 0.05),
    ("jump", "jump", "log", -0.28, 1.0),
    ("rec2inf[popularity, genre]", "rec2inf", "log", 0.4, 0.08),
    ("rec2inf[sasrec, genre]", "rec2inf", "log", 1.28, 0.11),
    ("rec2inf[sasrec, embedding]", "rec2inf", "log", 6.4, 0.58),
    ("rec2inf[sasrec, embedding, final offer]", "rec2inf", "log", 7.2, 1.0),
    ("random_candidates", "random_candidates", "log", 2.7, 0.35),
    ("maskable_ppo", "maskable_ppo", "simulator", 9.5, 0.94),
    ("lookahead", "lookahead", "privileged", 11.0, 1.0),
)


def header(spec: RunSpec, out: Path, **changes: Any) -> dict[str, Any]:
    return {
        **spec.identity,
        "suite": spec.suite,
        "sees": "log",
        "task_keys": ["user", "objective"],
        "metric_keys": ["return", "SR"],
        "fingerprint": "made up",
        "versions": {"recgym": "0.1.0", "python": "3.11"},
        "command": spec.command(out),
        "train_seconds": 1.0,
        "evaluate_seconds": 2.0,
        "peak_memory_mb": 300,
        "finished": "2026-11-21T12:00:00+00:00",
        **changes,
    }


def spec(label: str = "jump", agent: str | None = None, seed: int = 0, **changes: Any) -> RunSpec:
    defaults = {"env_id": "recgym/InfluencePath-v0", "suite": "influence-path"}
    return RunSpec(agent=agent or label, seed=seed, label=label, **{**defaults, **changes})


def write_run(out: Path, run: RunSpec, frame: pd.DataFrame, **changes: Any) -> Path:
    keys = [key for key in frame.columns if key not in ("user", "objective")]
    files.write(run.path(out), header(run, out, metric_keys=keys, **changes), frame)
    return run.path(out)


def write_bench(out: Path, seeds: int = 5, users: int = 200) -> None:
    rng = np.random.default_rng(0)
    taste = rng.normal(size=users)
    for label, agent, sees, level, rate in AGENTS:
        for seed in range(seeds):
            success = rng.random(users) < rate
            frame = pd.DataFrame(
                {
                    "user": np.arange(users),
                    "objective": np.random.default_rng(seed).integers(3000, size=users),
                    "return": level + taste + rng.gumbel(0, 2, size=users) + 0.3 * rng.normal(),
                    "length": np.where(success, rng.integers(1, 20, users), 20).astype(float),
                    "SR": success.astype(float),
                    "SR@1": success * float(agent == "jump"),
                    "SR_acc": success * rng.random(users),
                    "IoI": level / 3 + rng.normal(size=users),
                    "IoR": level * 60 + 100 * rng.normal(size=users),
                    "log_ppl": 5 + rng.normal(size=users),
                }
            )
            write_run(out, spec(label, agent, seed), frame, sees=sees)
