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

    own = f"{log.name}-{log.fingerprint[:12]}"  # users' files of one name are many
    return [SHIPPED / log.name / name, cache_dir() / "evaluators" / own / name]


def _training_command(name: str, log: InteractionLog) -> str:
    """What trains ``name`` on these data, and not on another variant of them."""
    start = f"recgym train evaluator --model {name} --dataset"
    if log.name not in data.names():
        return f"{start} PATH (of the file that {log.name} comes from)"
    for variant in data.info(log.name).variants:
        if data.load(log.name, variant).fingerprint == log.fingerprint:
            return f"{start} {log.name}" + ("" if variant == "clean" else f" --variant {variant}")
    return f"{start} PATH (these are not the data that {log.name} names)"


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
    others = ""
    for folder in folders(name, log):
        if not (folder / store.CARD).is_file():
            continue
        card = store.read_json(folder / store.CARD)
        if card.get("data_fingerprint") == log.fingerprint:
            tau = card.get("tau")
            if not isinstance(tau, float) or not -np.inf < tau < 0:
                raise store.StoreError(
                    f"{folder / store.CARD}: tau must be a negative number, got {tau!r}. "
                    f"Train again: {_training_command(name, log)}"
                )
            return NetworkEvaluator(*store.load_model(folder), name=name)
        others = f" ({folder} was trained on another version or variant)"
    raise DataError(
        f"No {name} has been trained on {log!r} on this machine{others}. "
        f"Run: {_training_command(name, log)}"
    )


def _markov(log: InteractionLog) -> MarkovEvaluator:
    from recgym.data import synthetic
    from recgym.evaluators import held_out

    last = np.arange(log.n_items + 1)
    made_up = log.name == "synthetic" and log.fingerprint == data.load("synthetic").fingerprint
    if made_up:
        table = synthetic.default_world().log_transition(last)
        unseen = lambda histories: table[histories[:, -1]]  # noqa: E731
    else:
        table = held_out.markov_scorer(log)(last[:, None])
        # counts that hold the held-out items would make users look more predictable than they are
        unseen = held_out.markov_scorer(data.leave_last_out(log)[0])
    tau = held_out.evaluate(unseen, held_out.HeldOut.of(log, 1))["log_prob"]
    return MarkovEvaluator(table, tau=tau)


register("markov", _markov)

__all__ = ["MarkovEvaluator", "NetworkEvaluator", "SequenceEvaluator", "load", "names", "register"]
