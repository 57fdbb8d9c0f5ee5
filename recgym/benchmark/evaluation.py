"""Play evaluation tasks with an agent, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium as gym
import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class Predictor(Protocol):
    """What :func:`evaluate` asks of an agent: Stable-Baselines3's ``predict``."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]: ...


def evaluate(
    agent: Predictor,
    venv: gym.vector.VectorEnv,
    tasks: Sequence[Mapping[str, int]],
    seed: int,
    *,
    deterministic: bool = True,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """One episode per task.

    Tasks are taken B at a time, B the rows of ``venv``; a row idles after its end until its batch
    is over, and rows without a task are played and dropped. Task t is seeded with ``seed + t``,
    so that the environment's part of the result does not depend on B.

    Args:
        agent: ``predict`` receives observations of B rows.
        venv: vector environment in autoreset mode Disabled, whose infos carry ``metrics`` (a
            dict of arrays (B,)) and the mask ``_metrics`` when episodes end.
        tasks: options for ``reset``, e.g. ``{"user": 3, "objective": 77}``; all of one set of keys.
        seed: of the environment's randomness.
        deterministic: passed to ``predict``.
        progress: called with the number of episodes that ended.

    Returns:
        One row per task, in order: its keys, then the metrics.

    Raises:
        ValueError: another autoreset mode, no tasks, or an episode that ends without metrics.
    """
    import pandas as pd

    mode = gym.vector.AutoresetMode(venv.metadata.get("autoreset_mode"))
    if mode is not gym.vector.AutoresetMode.DISABLED:
        raise ValueError(
            f"evaluate needs autoreset mode Disabled, {venv} has {mode.value}: "
            'gym.make_vec(..., autoreset_mode="Disabled")'
        )
    if not tasks:
        raise ValueError("evaluate needs at least one task")
    keys = list(tasks[0])
    table = {key: np.array([task[key] for task in tasks]) for key in keys}
    metrics: list[dict[str, float]] = []
    for start in range(0, len(tasks), venv.num_envs):
        count = min(venv.num_envs, len(tasks) - start)
        index = np.minimum(start + np.arange(venv.num_envs), len(tasks) - 1)
        options = {key: values[index] for key, values in table.items()}
        metrics += _play(agent, venv, options, seed + start, deterministic)[:count]
        if progress is not None:
            progress(count)
    return pd.concat([pd.DataFrame(table), pd.DataFrame(metrics)], axis=1)


def _play(
    agent: Predictor,
    venv: gym.vector.VectorEnv,
    options: dict[str, np.ndarray],
    seed: int,
    deterministic: bool,
) -> list[dict[str, float]]:
    """Metrics (B dicts) of one episode per row."""
    observation, _ = venv.reset(seed=seed, options=options)
    over = np.zeros(venv.num_envs, dtype=bool)
    found: list[dict[str, float]] = [{} for _ in range(venv.num_envs)]
    state, episode_start = None, np.ones(venv.num_envs, dtype=bool)
    while not over.all():
        action, state = agent.predict(
            observation, state=state, episode_start=episode_start, deterministic=deterministic
        )
        observation, _, terminated, truncated, infos = venv.step(action)
        ended = np.logical_or(terminated, truncated) & ~over
        if ended.any():
            reported = np.asarray(infos.get("_metrics", np.zeros_like(over)), dtype=bool)
            if (ended & ~reported).any():
                row = int(np.flatnonzero(ended & ~reported)[0])
                raise ValueError(f'{venv}: row {row} ended without infos["metrics"]')
            for row in np.flatnonzero(ended).tolist():
                found[row] = _row(infos["metrics"], row)
        over |= ended
        episode_start = np.zeros(venv.num_envs, dtype=bool)
    return found


def _row(metrics: Mapping[str, np.ndarray], row: int) -> dict[str, float]:
    """The metrics of one row; NaN where its mask says that one is not defined."""
    return {
        key: float(values[row]) if metrics.get(f"_{key}", values == values)[row] else float("nan")
        for key, values in metrics.items()
        if not key.startswith("_")
    }
