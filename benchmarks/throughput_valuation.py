"""What a step of DataValuation costs beside the optimiser step in it, and what a valuation costs.

    python benchmarks/throughput_valuation.py [--batch 512] [--dataset amazon-beauty]
        [--repeats 7] [--out FILE.csv]

All are measured in turn in one run. ``environment`` plays the first 49 batches of an episode, which
end before the metric is measured, of a stream whose order and negatives are drawn already;
``environment, new streams`` draws those of another stream each time, as training does.
``optimiser`` learns from the same batches without an environment around them; ``torch`` does that
with ``torch.optim.Adam`` on two ``nn.Embedding``, as it comes and with ``fused=True``, its fastest.
``valuation`` is the Shapley values of a batch of 4,096 by HarsanyiNet in its two layouts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from measuring import measure, show
from torch.nn.functional import logsigmoid

import recgym  # noqa: F401  (registers the environments)
from recgym.envs.data_valuation.streams import batch_of
from recgym.evaluators.learner import Triplets, Weights
from recgym.models.harsanyi import HarsanyiNet

ENV_ID = "recgym/DataValuation-v0"
STEPS = 49
PLAYERS = 4_096


def environment(env: gym.Env, streams: Iterator[int]) -> Callable[[], None]:
    everything = np.ones(env.action_space.shape or 1, dtype=np.int8)

    def work() -> None:
        env.reset(options={"stream": next(streams)})
        for _ in range(STEPS):
            env.step(everything)

    return work


def optimiser(problem: Any, batches: list[Triplets]) -> Callable[[], None]:
    weights = np.ones((1, problem.params.batch), dtype=np.float32)

    def work() -> None:
        warm = problem.world.warm
        at = Weights(*(array.copy() for array in vars(warm).values()))
        for triplets in batches:
            at = problem.world.learner.step(at, triplets, weights, reuse=True)

    return work


def plain_torch(problem: Any, batches: list[Triplets], fused: bool) -> Callable[[], None]:
    learner = problem.world.learner
    config, settings = learner.model.config, learner.optimiser
    tensors = [
        [torch.from_numpy(np.array(column[0])) for column in (t.user, t.item, t.negative)]
        for t in batches
    ]

    def work() -> None:
        users = torch.nn.Embedding(config.n_users, config.width)
        items = torch.nn.Embedding(config.n_items, config.width)
        adam = torch.optim.Adam(
            [users.weight, items.weight],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=fused or None,
        )
        for user, item, negative in tensors:
            margin = (users(user) * (items(item) - items(negative))).sum(dim=1)
            adam.zero_grad()
            (-logsigmoid(margin)).mean().backward()
            adam.step()

    return work


def valuation(layout: Any) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    network = HarsanyiNet(PLAYERS, layout=layout, generator=generator).eval()
    h = torch.randn(1, PLAYERS, generator=generator)

    def work() -> None:
        with torch.no_grad():
            network.shapley(h)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--dataset", help="of recgym data list; the default world without it")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    world = {"dataset": arguments.dataset, "noise": None} if arguments.dataset else {}
    env = gym.make(ENV_ID, batch=arguments.batch, steps=STEPS + 1, measure_every=STEPS + 1, **world)
    core: Any = env.unwrapped
    problem = core.problem
    batches = [batch_of([problem.stream(0).batch(step)[0]]) for step in range(STEPS)]
    work = {
        "environment": (environment(env, repeat(0)), STEPS),
        "environment, new streams": (environment(env, count(1)), STEPS),
        "optimiser": (optimiser(problem, batches), STEPS),
        "torch": (plain_torch(problem, batches, fused=False), STEPS),
        "torch, fused": (plain_torch(problem, batches, fused=True), STEPS),
        "valuation of 4,096, equivariant": (valuation("equivariant"), 1),
        "valuation of 4,096, paper": (valuation("paper"), 1),
    }
    ratios = {
        "seconds, environment / optimiser": ("optimiser", "environment"),
        "seconds, environment, new streams / optimiser": ("optimiser", "environment, new streams"),
        "seconds, environment / torch": ("torch", "environment"),
        "seconds, environment / torch, fused": ("torch, fused", "environment"),
        "seconds, optimiser / torch": ("torch", "optimiser"),
    }
    table = measure(work, ratios, arguments.repeats, "1/s")
    show(table, arguments.out)


if __name__ == "__main__":
    main()
