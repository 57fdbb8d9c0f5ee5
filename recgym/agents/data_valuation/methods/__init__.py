"""Methods of the paper's Table 2, each a way to train a recommender, in one form.

>>> from recgym.agents.data_valuation.methods import METHODS, Settings
>>> outcome = METHODS["wbpr"](world, Settings(seed=1), None)
>>> outcome.test["NDCG"].mean(), outcome.updates
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from recgym.agents.data_valuation.methods.til import TILMI, TILUI, TILConfig
from recgym.agents.data_valuation.methods.training import (
    Batch,
    Outcome,
    Settings,
    Weighting,
    train,
)
from recgym.agents.data_valuation.methods.values import (
    STEPS,
    VALUATIONS,
    Valuation,
    dvr_agent,
    value,
)
from recgym.agents.data_valuation.methods.values import names as valuations
from recgym.agents.data_valuation.r_ce import RCEAgent
from recgym.agents.data_valuation.t_ce import TCEAgent, TCEConfig
from recgym.agents.data_valuation.valuing import ValuingAgent
from recgym.envs.data_valuation.env import DataValuationEnv
from recgym.envs.data_valuation.state import DIRECTIONS
from recgym.envs.data_valuation.worlds import World

Method = Callable[[World, Settings, Path | None], Outcome]
"""(world, settings, checkpoint or None) → what came out."""


class ByAgent(Weighting):
    """Weights that an agent of DataValuation gives, in training from the initialisation on.

    Args:
        horizon: updates after which ``progress`` is 1.
        draws: whether a weight is the chance of being learnt from.
        plain_epochs: before the agent is asked.
    """

    def __init__(
        self, agent: ValuingAgent, horizon: int, *, draws: bool = False, plain_epochs: int = 0
    ):
        self.agent, self.horizon, self.draws = agent, horizon, draws
        self.plain_epochs = plain_epochs
        told = agent.problem.params.metric, sorted(vars(agent.config).items()), horizon, draws
        self.name = f"{agent.name} {told} {plain_epochs}"

    def weigh(self, batch: Batch, rng: np.random.Generator) -> np.ndarray:
        learner, values = batch.learner, batch.values
        seen = {
            "loss": learner.losses(values, batch.triplets),
            "progress": np.array([[min(1.0, batch.update / self.horizon)]]),
        }
        if "show_embeddings" in self.agent.needs:
            seen["embeddings"] = learner.embeddings(values, batch.triplets).reshape(1, -1)
        weights = self.agent.weights(seen)[0]
        return (rng.random(len(weights)) < weights).astype(float) if self.draws else weights


class Longer(Weighting):
    """Weighs nothing; patience starts after so many epochs."""

    def __init__(self, epochs: int):
        self.plain_epochs = epochs
        self.name = f"plain for {epochs} epochs"


class Coin(Weighting):
    """Each triplet is learnt from with a chance of a half."""

    def __init__(self, plain_epochs: int):
        self.plain_epochs = plain_epochs
        self.name = f"coin after {plain_epochs} epochs"

    def weigh(self, batch: Batch, rng: np.random.Generator) -> np.ndarray:
        return (rng.random(len(batch.rows)) < 0.5).astype(float)


def sampled(world: World, s: Settings, checkpoint: Path | None, *, sampler: str) -> Outcome:
    """BPR with negatives from a sampler."""
    return train(world, s, sampler=sampler, checkpoint=checkpoint)


def untrained(world: World, s: Settings, checkpoint: Path | None) -> Outcome:
    """The initialisation: diversity and fairness can be won so."""
    return train(world, replace(s, most_updates=0))


def bpr_long(world: World, s: Settings, checkpoint: Path | None) -> Outcome:
    """Plain BPR for as many epochs at least as TIL-MI: what is due to longer training alone."""
    return train(world, s, weighting=Longer(s.plain_epochs), checkpoint=checkpoint)


def t_ce(world: World, s: Settings, checkpoint: Path | None) -> Outcome:
    """T-CE; drops ε_max after ``s.ramp_epochs`` (30,000 updates in the paper)."""
    agent = TCEAgent(_env(world, s), TCEConfig(ramp=1.0))
    weighting = ByAgent(agent, s.ramp_epochs * _per_epoch(world, s))
    return train(world, s, weighting=weighting, checkpoint=checkpoint)


def r_ce(world: World, s: Settings, checkpoint: Path | None) -> Outcome:
    """R-CE."""
    return train(world, s, weighting=ByAgent(RCEAgent(_env(world, s)), 1), checkpoint=checkpoint)


def til_ui(world: World, s: Settings, checkpoint: Path | None) -> Outcome:
    """TIL-UI."""
    weighting = TILUI(world, TILConfig(seed=s.seed))
    return train(world, s, weighting=weighting, checkpoint=checkpoint)


def til_mi(world: World, s: Settings, checkpoint: Path | None) -> Outcome:
    """TIL-MI."""
    weighting = TILMI(world, TILConfig(seed=s.seed, plain_epochs=s.plain_epochs))
    return train(world, s, weighting=weighting, checkpoint=checkpoint)


def coin(world: World, s: Settings, checkpoint: Path | None) -> Outcome:
    """A coin where DVR has its valuator: what is due to learning from about half of a batch."""
    return train(world, s, weighting=Coin(_before_dvr(world, s)), checkpoint=checkpoint)


def dvr(
    world: World, s: Settings, checkpoint: Path | None, *, metric: str, **config: Any
) -> Outcome:
    """DVR: each triplet is learnt from with the chance that the trained valuator gives it.

    As in the paper it takes over from a recommender that plain BPR has warmed up. The valuator
    learns on one with the same initialisation: vectors from another have other axes, of which it
    can tell nothing.
    """
    started = time.perf_counter()
    agent = dvr_agent(replace(world, init_seed=s.seed), s, metric, **config)
    weighting = ByAgent(agent, 1, draws=True, plain_epochs=_before_dvr(world, s))
    learning = time.perf_counter() - started
    made = train(world, s, weighting=weighting, checkpoint=checkpoint)
    return replace(made, updates=made.updates + s.episodes * STEPS, seconds=made.seconds + learning)


def dropped(world: World, s: Settings, checkpoint: Path | None, *, valuation: str) -> Outcome:
    """What is worth least is dropped, and a recommender learns from the rest.

    Each of ``s.shares`` is tried, and the validation NDCG chooses one; all of them are counted in
    the updates and seconds. The oracle drops exactly what was planted.
    """
    found = value(world, valuation, s)
    if valuation == "oracle":
        choices = [found.values]
    else:
        choices = [found.best(share, s.seed) for share in s.shares]
    tried = [
        train(world, s, row_weights=w, checkpoint=_numbered(checkpoint, at))
        for at, w in enumerate(choices)
    ]
    chosen = max(tried, key=lambda outcome: outcome.validation["NDCG"].mean())
    return replace(
        chosen,
        updates=found.updates + sum(outcome.updates for outcome in tried),
        seconds=found.seconds + sum(outcome.seconds for outcome in tried),
    )


METHODS: Mapping[str, Method] = {
    "untrained": untrained,
    "bpr": partial(sampled, sampler="uniform"),
    "bpr_long": bpr_long,
    "wbpr": partial(sampled, sampler="wbpr"),
    "aobpr": partial(sampled, sampler="aobpr"),
    "pris_uniform": partial(sampled, sampler="pris_uniform"),
    "pris_popularity": partial(sampled, sampler="pris_popularity"),
    "pris_cluster": partial(sampled, sampler="pris_cluster"),
    "pris_cluster_popularity": partial(sampled, sampler="pris_cluster_popularity"),
    "t_ce": t_ce,
    "r_ce": r_ce,
    "til_ui": til_ui,
    "til_mi": til_mi,
    "coin": coin,
    **{f"dvr_{metric.lower()}": partial(dvr, metric=metric) for metric in DIRECTIONS},
    "dvr_loss_paper": partial(dvr, metric="Loss", layout="paper"),
    "dvr_ndcg_paper": partial(dvr, metric="NDCG", layout="paper"),
    "dvr_alignment": partial(dvr, metric="Loss", advantage="alignment"),
    **{f"drop_{valuation}": partial(dropped, valuation=valuation) for valuation in VALUATIONS},
}
"""By name; ``drop_`` and a valuation drops by it and trains again."""


def names(world: World) -> list[str]:
    """The methods that have what they need in this world: labels, or categories."""
    valued = valuations(world)
    return [
        name
        for name in METHODS
        if name.removeprefix("drop_") not in VALUATIONS or name.removeprefix("drop_") in valued
    ]


def _numbered(checkpoint: Path | None, at: int) -> Path | None:
    """A file for each training of a method; the others' are not this one's."""
    return None if checkpoint is None else checkpoint.with_stem(f"{checkpoint.stem}-{at}")


def _env(world: World, s: Settings) -> DataValuationEnv:
    return DataValuationEnv(world, batch=min(s.batch, len(world.rows[0])), k=1)


def _before_dvr(world: World, s: Settings) -> int:
    """Plain epochs with as many updates as the environment's recommender has when it is warm."""
    return min(math.ceil(world.warm_updates / _per_epoch(world, s)), s.plain_epochs)


def _per_epoch(world: World, s: Settings) -> int:
    return max(1, len(world.rows[0]) // s.batch)


__all__ = [
    "METHODS",
    "VALUATIONS",
    "ByAgent",
    "Coin",
    "Outcome",
    "Settings",
    "Valuation",
    "Weighting",
    "dropped",
    "names",
    "train",
    "valuations",
    "value",
]
