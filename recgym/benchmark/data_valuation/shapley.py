"""What DVR's Shapley values are: Fig. 2, and how well they could tell planted samples at best."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import binary_cross_entropy

from recgym.agents.data_valuation.dvr import DVR, DVRConfig, chances
from recgym.benchmark import figures, scoring
from recgym.benchmark.exhibits import Exhibit, Tell
from recgym.benchmark.suites import Metric
from recgym.envs.data_valuation.env import DataValuationEnv
from recgym.envs.data_valuation.measuring import separation
from recgym.envs.data_valuation.worlds import World, resolve
from recgym.models.arrays import kept
from recgym.models.harsanyi import HarsanyiNet, Layout

OWN_DATA = True  # ``dataset`` may be a path
LAYOUTS: tuple[Layout, ...] = ("paper", "equivariant")
SEEDS = (0, 1, 2, 3, 4)
EPOCHS, APART = 40, 2
"""Of the recommender, from its initialisation; Fig. 2 has a point for every two."""
BATCH = 512
SIZES = (64, 256, 512, 1_024, 4_096)
"""M, the samples of a batch."""
PLANTED = 0.23
STEPS, ROWS = 300, 4
"""Of supervised training; and batches in each."""
FRESH = 40
"""Batches that the AUC is measured on."""
KINDS = ("uniform", "spam")
"""Noise in which DVR learns: what any valuation finds first, and the environment's."""
EPISODES, BATCHES = 40, 50
"""That DVR learns from, and batches of each."""
FORMAT = 1  # of the AUCs that are cached; change it with what is computed
Row = dict[str, Any]


def exhibit(name: str, dataset: str | None, variant: str, tell: Tell) -> Exhibit:
    """The exhibit ``data-valuation-shapley``."""
    world = resolve(dataset or "ml-latest-small", variant, noise=None, warm_epochs=0)
    frames = {
        "cosine": pd.DataFrame(_likeness(world, tell)),
        "ceiling": pd.DataFrame(_ceilings(tell)),
        "faithful": pd.DataFrame(_beside(dataset, variant, tell)),
    }
    return Exhibit(f"Shapley values on {world.name}", frames, _pictures(frames))


def _pictures(frames: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Fig. 2, and the AUC by the size of the batch, at best and as learnt."""
    cosine = frames["cosine"].rename(columns={"layout": "line", "epochs": "x"})
    metrics = [
        Metric("cosine", "Cosine of φ and −loss", 0),
        Metric("correlation", "Correlation of φ and −loss", 0),
    ]
    ceiling = frames["ceiling"].rename(columns={"samples": "x"})
    faithful = frames["faithful"].rename(columns={"samples": "x"})
    when = np.where(ceiling["trained"], "trained on labels", "as drawn")
    auc = [Metric("AUC", "AUC where inputs are the labels", +1)]
    return {
        "cosine": figures.lines(cosine, metrics, "epochs"),
        "ceiling": figures.lines(
            ceiling.assign(line=ceiling["layout"] + ", " + when), auc, "samples of a batch"
        ),
        "faithful": figures.lines(
            faithful.assign(line=faithful["layout"] + ", " + faithful["noise"] + " noise"),
            [Metric("AUC", "AUC of what DVR has learnt", +1)],
            "samples of a batch",
        ),
    }


def _likeness(world: World, tell: Tell) -> Iterable[Row]:
    for layout in LAYOUTS:
        runs = []
        for at, seed in enumerate(SEEDS):
            tell("cosine", f"{layout}, seed {seed}", at / len(SEEDS))
            runs.append(likeness(world, layout, seed))
        for what in ("cosine", "correlation"):
            for point in range(len(runs[0][what])):
                e = scoring.estimate([run[what][point : point + 1] for run in runs])
                keys = {"layout": layout, "metric": what, "epochs": APART * (point + 1)}
                yield {**keys, **e.columns, "seeds": e.seeds}


def likeness(world: World, layout: Layout, seed: int) -> Mapping[str, np.ndarray]:
    """(P,) ``cosine`` of φ and −loss while DVR-Loss learns, and their ``correlation``.

    A mean over the batches of every ``APART`` epochs. The losses are all positive and φ adds up to
    what stands for their mean, so the cosine says much about signs; the correlation does not.
    """
    batch = min(BATCH, len(world.rows[0]))
    batches = EPOCHS * (len(world.rows[0]) // batch)
    env = DataValuationEnv(world, batch=batch, k=1, steps=batches, show_embeddings=True)
    found: dict[str, list[float]] = {"cosine": [], "correlation": []}

    def watch(shares: np.ndarray, losses: np.ndarray) -> None:
        for name, centre in (("cosine", 0.0), ("correlation", 1.0)):
            a = shares[0] - centre * shares[0].mean()
            b = -losses[0] + centre * losses[0].mean()
            found[name].append(float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30)))

    DVR(env, DVRConfig(layout=layout)).learn(batches, seed=seed, watch=watch)
    points = EPOCHS // APART
    return {n: np.array(v).reshape(points, -1).mean(axis=1) for n, v in found.items()}


def _ceilings(tell: Tell) -> Iterable[Row]:
    for layout in LAYOUTS:
        for size in SIZES:
            tell("ceiling", f"{layout}, {size} samples", SIZES.index(size) / len(SIZES))
            found = [ceiling(layout, size, seed) for seed in SEEDS]
            for trained, values in zip((False, True), zip(*found, strict=True), strict=True):
                e = scoring.estimate([np.array([value]) for value in values])
                keys = {"layout": layout, "samples": size, "trained": trained, "metric": "AUC"}
                yield {**keys, **e.columns, "seeds": e.seeds}


def _beside(dataset: str | None, variant: str, tell: Tell) -> Iterable[Row]:
    """The AUC that DVR reaches, for every size that the training data suffice for."""
    for kind in KINDS:
        world = resolve(dataset or "ml-latest-small", variant, noise=kind)
        for layout in LAYOUTS:
            for size in (size for size in SIZES if size <= len(world.rows[0])):
                told = f"{kind}, {layout}, {size} samples"
                found = []
                for at, seed in enumerate(SEEDS):
                    tell("faithful", f"{told}, seed {seed}", at / len(SEEDS))
                    found.append(_faithful(world, layout, size, seed))
                e = scoring.estimate([np.array([value]) for value in found])
                keys = {"noise": kind, "layout": layout, "samples": size, "metric": "AUC"}
                yield {**keys, **e.columns, "seeds": e.seeds}


def _faithful(world: World, layout: Layout, size: int, seed: int) -> float:
    key = json.dumps(["faithful", FORMAT, world.fingerprint, layout, size, seed])
    make = lambda: {"auc": np.array([faithful(world, layout, size, seed)])}  # noqa: E731
    return float(kept("valuation", key.encode(), make)["auc"][0])


def faithful(
    world: World, layout: Layout, size: int, seed: int, *, episodes: int = EPISODES
) -> float:
    """AUC of the φ of DVR-Loss as published within batches, while everything is learnt from.

    Within a batch, as :func:`ceiling` is; over a whole epoch the mean of a sample's values may
    tell more. The batches are those of the first stream that DVR learnt from, one of its episodes.
    """
    of = {"batch": size, "k": 1, "steps": BATCHES, "show_embeddings": True}
    agent = DVR(DataValuationEnv(world, **of), DVRConfig(layout=layout, episodes=episodes))
    agent.learn(seed=seed)
    env = DataValuationEnv(world, split="test", **of)
    everything = np.ones(size, dtype=np.int8)
    shares, planted = [], []
    seen, _ = env.reset(seed=seed)
    for _ in range(BATCHES):
        shares.append(agent.shapley({"embeddings": seen["embeddings"][None]})[0])
        seen, _, _, _, info = env.step(everything)
        planted.append(info["planted"])
    found, defined = separation(np.array(shares), np.array(planted, dtype=bool))
    return float(found[defined].mean())


def ceiling(layout: Layout, size: int, seed: int, *, steps: int = STEPS) -> tuple[float, float]:
    """AUC of φ where each player's input is her true label, before and after learning from labels.

    Inputs are 1 and −1. No encoder can tell more, and no reward as much as the labels: what is
    missing to 1 is the network's own.
    """
    generator = torch.Generator().manual_seed(seed)
    network = HarsanyiNet(size, layout=layout, generator=generator)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)

    def drawn(rows: int) -> torch.Tensor:
        return (torch.rand(rows, size, generator=generator) >= PLANTED).float()

    def auc() -> float:
        with torch.no_grad():
            true = torch.cat([drawn(1) for _ in range(FRESH)])
            shares = torch.cat([network.shapley(2 * row[None] - 1) for row in true])
        found, defined = separation(shares.numpy(), true.numpy() == 0)
        return float(found[defined].mean())

    before = auc()
    for _ in range(steps):
        true = drawn(ROWS)
        loss = binary_cross_entropy(chances(network(2 * true - 1)[1]), true)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return before, auc()
