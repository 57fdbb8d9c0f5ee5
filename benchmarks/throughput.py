"""How fast InfluencePath steps: the native vector environment, its evaluator alone, SyncVectorEnv.

    python benchmarks/throughput.py [--rows 256] [--repeats 5] [--out FILE.csv]

All are measured in turn in one run, so that the ratios mean something on a noisy machine. Actions
are drawn before the clock starts. Also timed: BERT4Rec's scoring, which runs its last block for
the last position alone, beside the plain forward pass of the same weights.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import recgym  # noqa: F401  (registers the environments)

ENV_ID = "recgym/InfluencePath-v0"


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def episodes(venv: gym.vector.VectorEnv, steps: int) -> Callable[[], None]:
    """A reset and ``steps`` steps of legal random items, never the objective."""
    rng = np.random.default_rng(0)
    obs, _ = venv.reset(seed=0)
    keys = rng.random(obs["action_mask"].shape) * obs["action_mask"]
    keys[np.arange(len(keys)), obs["objective"]] = 0
    actions = np.argsort(-keys, axis=1)[:, :steps].T.copy()  # (steps, rows), distinct in a row

    def work() -> None:
        venv.reset(seed=0)
        for action in actions:
            venv.step(action)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sync-rows", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows, horizon = arguments.rows, 20

    native = gym.make_vec(
        ENV_ID, num_envs=rows, vectorization_mode="vector_entry_point", autoreset_mode="Disabled"
    )
    sync = gym.make_vec(ENV_ID, num_envs=arguments.sync_rows, vectorization_mode="sync")
    problem: Any = native.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
    user, model = problem.evaluator, problem.evaluator.model
    obs, _ = native.reset(seed=0)
    history = obs["history"]
    tokens = torch.as_tensor(history)
    # one episode is `horizon` steps and the evaluator is needed once more, for the reset
    work = {
        "native": (episodes(native, horizon), rows * horizon),
        "evaluator": (
            lambda: [user.log_prob(history) for _ in range(horizon)] and None,
            rows * horizon,
        ),
        "sync": (episodes(sync, horizon), arguments.sync_rows * horizon),
    }

    def forward(kind: str) -> Callable[[], None]:
        def run() -> None:
            with torch.inference_mode():
                getattr(model, kind)(tokens)

        return run

    work["scores"] = (forward("scores"), rows)
    work["scores_full"] = (forward("scores_full"), rows)
    for run, _ in work.values():
        run()
    rates: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(arguments.repeats):
        for name, (run, count) in work.items():
            rates[name].append(count / seconds(run))
    ratios = {
        "native / evaluator": ("native", "evaluator"),
        "native / sync": ("native", "sync"),
        "last position / full forward": ("scores", "scores_full"),
    }
    table = [(name, statistics.median(r), min(r), max(r), "rows/s") for name, r in rates.items()]
    for name, (a, b) in ratios.items():
        r = [x / y for x, y in zip(rates[a], rates[b], strict=True)]
        table.append((name, statistics.median(r), min(r), max(r), "ratio"))
    header = ("what", "median", "min", "max", "unit")
    print(f"{rows} rows, {arguments.threads} threads, {arguments.repeats} repeats")
    for line in table:
        print(f"{line[0]:<32}{line[1]:>12.2f}{line[2]:>12.2f}{line[3]:>12.2f}  {line[4]}")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        with arguments.out.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *table])


if __name__ == "__main__":
    main()
