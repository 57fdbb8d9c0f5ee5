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


def signal(
    world: World, metric: str, measure_every: int, *, streams: int = STREAMS, seed: int = 0
) -> dict[str, float]:
    """Mean rewards of K batches without planted samples and with as many left out at random.

    Returns:
        ``oracle``, ``random``, ``deviation`` of the reward of selections by coin, and ``signal``,
        (oracle − random) / deviation.
    """
    params = Params(metric=metric, steps=measure_every, measure_every=measure_every)
    problem = DataValuation(world, params, "validation")
    share = float(world.rows[2].mean())
    rng = np.random.default_rng(seed)
    rewards = {
        "oracle": _rewards(problem, streams, lambda planted: ~planted),
        "random": _rewards(problem, streams, lambda planted: rng.random(planted.shape) >= share),
        "coin": _rewards(problem, streams, lambda planted: rng.random(planted.shape) < 0.5),
    }
    deviation = float(rewards["coin"].std(ddof=1))
    oracle, by_chance = (float(rewards[name].mean()) for name in ("oracle", "random"))
    found = (oracle - by_chance) / max(deviation, 1e-12)
    return {"oracle": oracle, "random": by_chance, "deviation": deviation, "signal": found}


def _rewards(problem: DataValuation, streams: int, select: Any) -> np.ndarray:
    """(streams,) of an episode of K batches, the same streams each time."""
    tasks = [{"stream": stream, "report_test": 0} for stream in range(streams)]
    state, total = problem.start(tasks, []), np.zeros(streams)
    for _ in range(problem.params.steps):
        planted = problem.world.rows[2][problem.batch(state)[1]]
        moved = problem.step(state, select(planted).astype(np.int8), [])
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
                keys = {"noise": noise, "epochs": epochs, "metric": metric, "K": every}
                rows.append({**keys, **found})
        tell("signal", f"{noise}, after {epochs} epochs", (at + 1) / of)
    return Exhibit("What rewards can teach", {"signal": pd.DataFrame(rows)})
