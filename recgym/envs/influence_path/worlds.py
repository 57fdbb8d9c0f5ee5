"""The data and the simulated user behind an InfluencePath, from names or objects."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recgym.data.log import InteractionLog
from recgym.data.own import resolve_log
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.instances import Instances
from recgym.envs.influence_path.sets import SetInstances, genre_sets, own_sets
from recgym.envs.influence_path.state import Params
from recgym.evaluators import load as load_evaluator
from recgym.evaluators.sequence import MarkovEvaluator, SequenceEvaluator

TINY = "tiny"


def build(
    dataset: str | Path | InteractionLog,
    evaluator: str | SequenceEvaluator | None,
    variant: str,
    split: str,
    params: Params,
) -> InfluencePath:
    """The rules over a data set and a simulated user.

    Args:
        dataset: a name, the path of a user's own file, or a log.
        evaluator: a name, an object, or ``None`` for the data set's default: the true chain for
            ``synthetic`` and ``tiny``, BERT4Rec elsewhere.
    """
    if isinstance(dataset, str) and dataset == TINY:
        world = tiny_world()
        judge = world.evaluator if evaluator is None else evaluator
        if not isinstance(judge, SequenceEvaluator):
            raise ValueError("The tiny world has its own exact user: leave evaluator out.")
        if variant != "clean":
            raise ValueError(f"The tiny world has no variant {variant!r}: leave it out.")
        instances = _instances(world.log, split, params, world.objectives)
        return InfluencePath(world.log, judge, instances, params)
    log = resolve_log(dataset, variant)
    evaluator = default_user(log.name) if evaluator is None else evaluator
    judge = load_evaluator(evaluator, log) if isinstance(evaluator, str) else evaluator
    if not isinstance(judge, SequenceEvaluator):
        raise ValueError(f"evaluator must be a name or a SequenceEvaluator, got {judge!r}.")
    return InfluencePath(log, judge, _instances(log, split, params), params)


def default_user(dataset: str) -> str:
    """Name of the simulated user of a data set, where none is asked for."""
    return "markov" if dataset == "synthetic" else "bert4rec"


def _instances(
    log: InteractionLog,
    split: str,
    params: Params,
    objectives: Mapping[str, tuple[int, ...]] | None = None,
) -> Instances:
    if params.objective == "item":
        return Instances(log, split, objectives)
    if isinstance(params.objective, str):
        return SetInstances(log, split, genre_sets(log))
    return SetInstances(log, split, own_sets(log, params.objective))


@dataclass(frozen=True)
class TinyWorld:
    """A world small enough for exact answers."""

    log: InteractionLog
    evaluator: MarkovEvaluator
    objectives: dict[str, tuple[int, ...]]


GENRES = ("Comedy", "Romance", "Drama", "Horror")
PER_GENRE = 3
BY_DISTANCE = (0.60, 0.30, 0.07, 0.03)  # how readily taste moves so many genres along the chain
WITHIN_GENRE = (0.5, 0.3, 0.2)


@functools.cache
def tiny_world() -> TinyWorld:
    """Twelve items of four genres on a chain; three users who have each seen one comedy.

    The user follows a first-order Markov chain: genre by distance on the chain, item by
    popularity within the genre. With one objective a state is (last item, set of visited items):
    12 · 2^11 = 24,576 of them, and the steps left. Objectives are horror films, one each for
    training, validation and test.
    """
    n = len(GENRES) * PER_GENRE
    genre = np.repeat(np.arange(len(GENRES)), PER_GENRE)
    move = np.array(BY_DISTANCE)[np.abs(np.arange(4)[:, None] - np.arange(4))]
    move /= move.sum(axis=1, keepdims=True)
    table = np.empty((n + 1, n))
    table[:n] = move[genre][:, genre] * np.tile(WITHIN_GENRE, len(GENRES))
    table[n] = np.tile(WITHIN_GENRE, len(GENRES)) / len(GENRES)
    chain = table[:n]
    stationary = np.linalg.matrix_power(chain, 1_000)[0]
    tau = float(np.sum(stationary[:, None] * chain * np.log(chain)))  # minus the entropy rate
    log = InteractionLog.from_columns(
        TINY,
        np.arange(PER_GENRE),
        np.arange(PER_GENRE),
        item_ids=np.arange(n),
        titles=[f"{GENRES[g]} {'ABC'[i % PER_GENRE]}" for i, g in enumerate(genre)],
        genres=np.eye(len(GENRES), dtype=bool)[genre],
        genre_names=GENRES,
    )
    objectives = {"train": (10,), "validation": (9,), "test": (11,)}
    return TinyWorld(log, MarkovEvaluator(np.log(table), tau=tau), objectives)
