"""How fast HarmMitigation steps: the native vector environment, its arithmetic, SyncVectorEnv.

    python benchmarks/throughput_harm.py [--rows 1024] [--repeats 5] [--out FILE.csv]

All are measured in turn in one run. A random policy, whose actions are drawn in one batch before
the clock starts. ``arithmetic`` is the least that a step needs: scores of all items, a choice, and
the move of the profile.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from measuring import measure, show

import recgym  # noqa: F401  (registers the environments)

ENV_ID = "recgym/HarmMitigation-v0"
STEPS = 100


def episodes(venv: gym.vector.VectorEnv, items: np.ndarray) -> Callable[[], None]:
    """A reset and an episode of the given items (steps, rows)."""
    venv.reset(seed=0)

    def work() -> None:
        venv.reset()
        for action in items:
            venv.step(action)

    return work


def arithmetic(problem: Any, items: np.ndarray) -> Callable[[], None]:
    """The same users and items without an environment around them."""
    model, steps, rows = problem.model, *items.shape
    inherent = problem.world.inherent[np.resize(problem.users, rows)]
    draws = np.random.default_rng(0).random((steps, rows, 2))

    def work() -> None:
        profile = inherent.copy()
        for action, draw in zip(items, draws, strict=True):
            score = np.exp(profile @ model.items.T)
            held = score[np.arange(rows), action]
            clicked = draw[:, 0] < held / (held + model.c)
            running = np.cumsum(score[~clicked], axis=1)
            organic = (running > draw[~clicked, 1:] * running[:, -1:]).argmax(axis=1)
            consumed = action.copy()
            consumed[~clicked] = organic
            alpha = model.alpha[consumed][:, None]
            profile *= 1 - alpha - model.beta
            profile += model.beta * inherent + alpha * model.items[consumed]

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sync-rows", type=int, default=16)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    kind: dict[str, Any] = {"vectorization_mode": "vector_entry_point"}
    native = gym.make_vec(ENV_ID, arguments.rows, autoreset_mode="Disabled", **kind)
    sync = gym.make_vec(ENV_ID, arguments.sync_rows, vectorization_mode="sync")
    problem: Any = native.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
    rng = np.random.default_rng(0)
    items = rng.choice(problem.model.recommendable, size=(STEPS, arguments.rows))
    work = {
        "native": (episodes(native, items), items.size),
        "arithmetic": (arithmetic(problem, items), items.size),
        "sync": (episodes(sync, items[:, : arguments.sync_rows]), STEPS * arguments.sync_rows),
    }
    ratios = {f"native / {other}": ("native", other) for other in ("arithmetic", "sync")}
    table = measure(work, ratios, arguments.repeats, "steps/s")
    print(f"{arguments.rows} rows × {problem.model.n_items} items, {arguments.repeats} repeats")
    show(table, arguments.out)


if __name__ == "__main__":
    main()
