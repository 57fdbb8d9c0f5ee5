"""What can be learnt: how much of a reward is due to what was selected, by metric, K and world.

In each world, from the warm recommender and from a converged one: the reward of K batches with the
planted samples left out, less that with as many left out at random, in standard deviations of the
reward of selections by coin. Below about .1, no policy learns from thousands of steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from recgym.benchmark.exhibits import Exhibit, Tell
from recgym.data.planted import NOISES
from recgym.envs.data_valuation.dynamics import DataValuation
from recgym.envs.data_valuation.measuring import NEED_CATEGORIES
from recgym.envs.data_valuation.state import DIRECTIONS, Params
from recgym.envs.data_valuation.worlds import World, resolve

OWN_DATA = True  # ``dataset`` may be a path
EVERY = (1, 10, 50)
EPOCHS = (10, 40)
"""Of plain BPR before: the default's, and near convergence."""
STREAMS = 24
RESAMPLES = 2_000


def signal(
    world: World, metric: str, measure_every: int, *, streams: int = STREAMS, seed: int = 0
) -> dict[str, float]:
    """Mean rewards of K batches without planted samples and with as many left out at random.

    Returns:
        ``oracle``, ``random``, ``deviation`` of the reward of selections by coin, and ``value``,
        (oracle − random) / deviation, with its 95 % bootstrap interval over streams.
    """
    batch, k = min(Params.batch, len(world.rows[0])), min(Params.k, world.log.n_items)
    params = Params(metric, k, measure_every, steps=measure_every, batch=batch)
    problem = DataValuation(world, params, "validation")
    share = float(world.rows[2].mean())
    rng = np.random.default_rng(seed)
    rewards = {
        "oracle": _rewards(problem, streams, lambda planted: ~planted),
        "random": _rewards(problem, streams, lambda planted: rng.random(planted.shape) >= share),
        "coin": _rewards(problem, streams, lambda planted: rng.random(planted.shape) < 0.5),
    }
    apart, coin = rewards["oracle"] - rewards["random"], rewards["coin"]
    drawn = np.random.default_rng([seed, 1]).integers(0, streams, (RESAMPLES, streams))
    low, high = np.quantile(_in_deviations(apart[drawn], coin[drawn]), (0.025, 0.975))
    return {
        "value": float(_in_deviations(apart, coin)),
        "low": float(low),
        "high": float(high),
        "oracle": float(rewards["oracle"].mean()),
        "random": float(rewards["random"].mean()),
        "deviation": float(coin.std(ddof=1)),
    }


def _in_deviations(apart: np.ndarray, coin: np.ndarray) -> np.ndarray:
    """Mean of the last axis, in standard deviations of the reward by coin."""
    return apart.mean(axis=-1) / np.maximum(coin.std(axis=-1, ddof=1), 1e-12)


def _rewards(problem: DataValuation, streams: int, select: Any) -> np.ndarray:
    """(streams,) of an episode of K batches, the same streams each time."""
    tasks = [{"stream": stream, "report_test": 0} for stream in range(streams)]
    state, total = problem.start(tasks, []), np.zeros(streams)
    for _ in range(problem.params.steps):
        planted = problem.world.rows[2][problem.batch(state)[1]]
        moved = problem.step_over(state, select(planted).astype(np.int8), [])
        state, total = moved.state, total + problem.reward(moved.terms)
    return total


def _metrics(world: World) -> list[str]:
    lacking = () if world.log.genres.any() else NEED_CATEGORIES
    return [metric for metric in DIRECTIONS if metric not in lacking]


def exhibit(name: str, dataset: str | None, variant: str, tell: Tell) -> Exhibit:
    """The exhibit ``data-valuation-signal``."""
    rows: list[Mapping[str, Any]] = []
    of = len(NOISES) * len(EPOCHS)
    for at, (noise, epochs) in enumerate((n, e) for n in NOISES for e in EPOCHS):
        world = resolve(dataset or "ml-latest-small", variant, noise=noise, warm_epochs=epochs)
        for metric in _metrics(world):
            for every in EVERY:
                found = signal(world, metric, every)
                keys = {"noise": noise, "epochs": epochs, "reward": metric, "K": every}
                rows.append({**keys, "metric": "signal", **found, "streams": STREAMS})
        tell("signal", f"{noise}, after {epochs} epochs", (at + 1) / of)
    return Exhibit("What rewards can teach", {"signal": pd.DataFrame(rows)})
