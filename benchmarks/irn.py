"""IRN at the paper's size: a step of training beside its bare products, paths for all users.

    python benchmarks/irn.py [--dataset ml-1m] [--repeats 3] [--out FILE.csv]

The network is untrained: what it computes costs the same. The floor of a step is the matrix
products of the linear layers and of the projection to the items, forward and for both gradients;
a step adds attention, dropout, normalisation, the softmax over items and the optimiser. Paths are
the agent's own, 20 steps for every user, without the simulated user's replies.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from measuring import measure, show

import recgym  # noqa: F401  (registers the environments)
from recgym.agents.influence_path.irn import IRNAgent, IRNAgentConfig
from recgym.benchmark.influence_path.suite import ENV_ID, IRN
from recgym.data.splits import leave_last_out, segments, sequences
from recgym.models.irn_training import batches

HORIZON, ROWS, BATCHES = 20, 128, 10


def stepping(agent: IRNAgent, drawn: list) -> Callable[[], None]:
    """Training steps of these batches, as in :func:`recgym.models.irn_training.fit_irn`."""
    network = agent.network
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9)

    def work() -> None:
        network.train()
        for tokens, user in drawn:
            loss = network.loss(tokens, user)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        network.eval()

    return work


def products(agent: IRNAgent, drawn: list) -> Callable[[], None]:
    """The linear layers' products of the same steps alone, forward and for both gradients."""
    c, shapes = agent.architecture, []  # of (rows, inputs, outputs)
    for tokens, _ in drawn:
        d, places = c.width, tokens.numel()
        layer = [(places, d, 3 * d), (places, d, d)]
        layer += [(places, d, c.feed_forward), (places, c.feed_forward, d)]
        targets = int((tokens[:, 1:] != agent.network.pad).sum())
        shapes += layer * c.layers + [(targets, d, c.n_items)]
    largest = max(max(n * a, a * b, n * b) for n, a, b in shapes)
    store = [torch.zeros(largest) for _ in range(3)]

    def work() -> None:
        for n, a, b in shapes:
            x, y, w = (
                kept[: rows * columns].view(rows, columns)
                for kept, rows, columns in zip(store, (n, n, a), (a, b, b), strict=True)
            )
            torch.mm(x, w, out=y)
            torch.mm(y, w.T, out=x)
            torch.mm(x.T, y, out=w)

    return work


def paths(agent: IRNAgent, n_users: int) -> Callable[[], None]:
    """20 recommendations for every user, ROWS at a time, as if each was followed."""
    log, rng = agent.problem.log, np.random.default_rng(0)
    objective = rng.integers(0, log.n_items, n_users)
    histories = sequences(log, agent.architecture.length)

    def work() -> None:
        for start in range(0, n_users, ROWS):
            user = np.arange(start, min(start + ROWS, n_users))
            history, mask = histories[user], np.ones((len(user), log.n_items), dtype=np.int8)
            for step in range(HORIZON):
                seen: dict[str, Any] = {
                    "history": history,
                    "objective": objective[user],
                    "user": user,
                    "steps_left": np.full(len(user), HORIZON - step),
                    "action_mask": mask,
                }
                item = agent.act(seen, deterministic=True)
                mask[np.arange(len(user)), item] = 0
                history = np.concatenate([history[:, 1:], item[:, None]], axis=1)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=list(IRN), default="ml-1m")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--users", type=int, help="paths for so many users, not for all")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = IRN[arguments.dataset]
    env = gym.make(ENV_ID, dataset=arguments.dataset, evaluator="markov")
    agent = IRNAgent(env, IRNAgentConfig(**config))
    log = agent.problem.log
    train, _ = segments(leave_last_out(log)[0], config["shortest"], config["longest"], seed=0)
    rng = np.random.default_rng(0)
    several = batches(log, train, agent.architecture.length, config["batch"], rng)
    drawn = [batch for batch, _ in zip(several, range(BATCHES), strict=False)]
    n_users = min(arguments.users or log.n_users, log.n_users)
    names = "training step", "its products alone", f"{HORIZON} items for a user"
    work = {
        names[0]: (stepping(agent, drawn), BATCHES),
        names[1]: (products(agent, drawn), BATCHES),
    }
    ratios = {f"{names[0]} / {names[1]}": names[:2]}
    table = measure(work, ratios, arguments.repeats, "steps/s")
    started = time.perf_counter()
    paths(agent, n_users)()
    seconds = time.perf_counter() - started
    table.append((f"{names[2]}, {n_users} users", seconds, seconds, seconds, "s"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    table.append(("peak of the process", peak, peak, peak, "GB"))
    steps = len(train) / config["batch"]
    epoch = steps / table[0][1]
    table.append((f"an epoch, {steps:.0f} steps", epoch, epoch, epoch, "s"))
    print(f"{arguments.dataset}, one thread, {arguments.repeats} repeats")
    show(table, arguments.out)


if __name__ == "__main__":
    main()
