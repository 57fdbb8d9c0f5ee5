"""What judges: simulated users P(i | s) and ranking metrics.

>>> from recgym import evaluators
>>> user = evaluators.load("bert4rec", dataset="ml-latest-small")
>>> user.log_prob(histories)  # (B, L) → (B, N)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from recgym import data
from recgym.data.log import DataError, InteractionLog
from recgym.evaluators.sequence import MarkovEvaluator, NetworkEvaluator, SequenceEvaluator

SHIPPED = Path(__file__).parent / "weights"
_LOADED: dict[tuple[str, str], SequenceEvaluator] = {}
_FACTORIES: dict[str, Callable[[InteractionLog], SequenceEvaluator]] = {}


def register(name: str, factory: Callable[[InteractionLog], SequenceEvaluator]) -> None:
    """Make ``load(name, dataset)`` call ``factory(log)``; environments then take it by name."""
    if name in names():
        raise ValueError(f"There is an evaluator {name!r} already. Choose another name.")
    _FACTORIES[name] = factory


def names() -> list[str]:
    """Names that :func:`load` knows."""
    from recgym import models

    return sorted({*models.names(), *_FACTORIES})


def folders(name: str, log: InteractionLog) -> list[Path]:
    """Where a trained evaluator is looked for: the package, then the cache."""
    from recgym.data.paths import cache_dir

    return [SHIPPED / log.name / name, cache_dir() / "evaluators" / log.name / name]


def load(name: str, dataset: str | InteractionLog) -> SequenceEvaluator:
    """A simulated user by name.

    Args:
        name: a trained network (``bert4rec``, ``sasrec``), ``markov`` (counts of the log itself,
            or the true chain of the synthetic world), or a name given to :func:`register`.
        dataset: a name that :func:`recgym.data.load` knows, or a log.

    Raises:
        ValueError: an unknown name.
        DataError: no evaluator has been trained for these data; the message says how to.
    """
    log = data.load(dataset) if isinstance(dataset, str) else dataset
    key = (name, log.fingerprint)
    if key not in _LOADED:
        _LOADED[key] = _load(name, log)
    return _LOADED[key]


def _load(name: str, log: InteractionLog) -> SequenceEvaluator:
    from recgym.models import store

    if name not in names():
        raise ValueError(f"There is no evaluator {name!r}. Known: {', '.join(names())}.")
    if name in _FACTORIES:
        return _FACTORIES[name](log)
    command = f"recgym train evaluator --model {name} --dataset {log.name}"
    for folder in folders(name, log):
        if not (folder / store.CARD).is_file():
            continue
        evaluator = NetworkEvaluator(*store.load_model(folder), name=name)
        if evaluator.card.get("data_fingerprint") != log.fingerprint:
            raise DataError(
                f"{folder} was trained on other data than {log!r} (another version or variant). "
                f"Train one for these: {command}"
            )
        return evaluator
    raise DataError(f"No {name} has been trained on {log.name} on this machine. Run: {command}")


def _markov(log: InteractionLog) -> MarkovEvaluator:
    from recgym.data import synthetic
    from recgym.evaluators import held_out

    world = synthetic.default_world()
    last = np.arange(log.n_items + 1)
    if log.fingerprint == data.load("synthetic").fingerprint:
        table = world.log_transition(last)
    else:
        table = held_out.markov_scorer(log)(last[:, None])
    test = held_out.HeldOut.of(log, 1)
    tau = held_out.evaluate(lambda histories: table[histories[:, -1]], test)["log_prob"]
    return MarkovEvaluator(table, tau=tau)


register("markov", _markov)

__all__ = ["MarkovEvaluator", "NetworkEvaluator", "SequenceEvaluator", "load", "names", "register"]
