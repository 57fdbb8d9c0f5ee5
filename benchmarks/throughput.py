"""How fast InfluencePath steps: the native vector environment, its evaluator alone, SyncVectorEnv.

    python benchmarks/throughput.py [--rows 256] [--repeats 5] [--out FILE.csv]

All are measured in turn in one run, so that the ratios mean something on a noisy machine. Actions
are drawn before the clock starts. Also timed: BERT4Rec's scoring, which runs its last block for
the last position alone, beside the plain forward pass of the same weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from measuring import measure, show

import recgym  # noqa: F401  (registers the environments)

ENV_ID = "recgym/InfluencePath-v0"


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
    ratios = {
        "native / evaluator": ("native", "evaluator"),
        "native / sync": ("native", "sync"),
        "last position / full forward": ("scores", "scores_full"),
    }
    table = measure(work, ratios, arguments.repeats, "rows/s")
    print(f"{rows} rows, {arguments.threads} threads, {arguments.repeats} repeats")
    show(table, arguments.out)


if __name__ == "__main__":
    main()
