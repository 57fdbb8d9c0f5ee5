"""What judges: simulated users P(i | s) and ranking metrics.

>>> from recgym import evaluators
>>> user = evaluators.load("bert4rec", dataset="ml-latest-small")
>>> user.log_prob(histories)  # (B, L) → (B, N)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym import data, models
from recgym.data.log import DataError, InteractionLog
from recgym.evaluators.sequence import MarkovEvaluator, NetworkEvaluator, SequenceEvaluator

if TYPE_CHECKING:
    from recgym.models.base import LogModel

SHIPPED = Path(__file__).parent / "weights"
_LOADED: dict[tuple[str, str], SequenceEvaluator] = {}
_FACTORIES: dict[str, Callable[[InteractionLog], SequenceEvaluator]] = {}


def register(name: str, factory: Callable[[InteractionLog], SequenceEvaluator]) -> None:
    """Make ``load(name, dataset)`` call ``factory(log)``; environments then take it by name."""
    if name in names():
        raise ValueError(f"There is an evaluator {name!r} already. Choose another name.")
    if not name or "+" in name:
        raise ValueError(f"A name must not be empty or hold +, which joins networks; got {name!r}.")
    _FACTORIES[name] = factory


def names() -> list[str]:
    """Names that :func:`load` knows; those of networks may be joined by ``+``."""
    return sorted({*models.names(), *_FACTORIES})


def parts(name: str) -> list[str]:
    """The models that a name stands for: of a pool, such as ``sasrec+caser``, each of them."""
    return name.split("+")


def folders(name: str, log: InteractionLog) -> list[Path]:
    """Where a trained model is looked for: the package, then the cache."""
    from recgym.data.paths import cache_dir

    own = f"{log.name}-{log.fingerprint[:12]}"  # users' files of one name are many
    return [SHIPPED / log.name / name, cache_dir() / "evaluators" / own / name]


def training_command(name: str, log: InteractionLog) -> str:
    """What trains ``name`` on these data, and not on another variant of them."""
    kind = "backbone" if name in models.user_item_names() else "evaluator"
    start = f"recgym train {kind} --model {name} --dataset"
    if log.name not in data.names():
        return f"{start} PATH (of the file that {log.name} comes from)"
    for variant in data.info(log.name).variants:
        if data.load(log.name, variant).fingerprint == log.fingerprint:
            return f"{start} {log.name}" + ("" if variant == "clean" else f" --variant {variant}")
    return f"{start} PATH (these are not the data that {log.name} names)"


def load(name: str, dataset: str | InteractionLog) -> SequenceEvaluator:
    """A simulated user by name.

    Args:
        name: a trained network (``bert4rec``, ``sasrec``, ``gru4rec``, ``caser``), ``markov``
            (counts of the log itself, or the true chain of the synthetic world), a name given
            to :func:`register`, or several networks joined by ``+``, whose opinions are pooled
            (:class:`recgym.evaluators.pool.OpinionPool`).
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

    if len(parts(name)) > 1:
        return _pool(name, log)
    if name in models.user_item_names():
        raise ValueError(
            f"{name!r} must know whose history it scores, and a simulated user is P(i | history). "
            "It serves agents: recgym.evaluators.backbones.scorer."
        )
    if name not in names():
        raise ValueError(f"There is no evaluator {name!r}. Known: {', '.join(names())}.")
    if name in _FACTORIES:
        return _FACTORIES[name](log)
    folder, card = find_trained(name, log)
    tau = card.get("tau")
    if not isinstance(tau, float) or not -np.inf < tau < 0:
        raise store.StoreError(
            f"{folder / store.CARD}: tau must be a negative number, got {tau!r}. "
            f"Train again: {training_command(name, log)}"
        )
    return NetworkEvaluator.read(folder, name=name)


def _pool(name: str, log: InteractionLog) -> SequenceEvaluator:
    from recgym.evaluators.pool import OpinionPool

    for part in parts(name):
        if part not in models.names():  # counts hold the last items, by which τ is measured
            raise ValueError(
                f"{name!r}: a pool is of trained networks ({', '.join(models.names())}) "
                f"joined by +, got {part!r}."
            )
    return OpinionPool([load(part, log) for part in parts(name)], log)


def find_trained(name: str, log: InteractionLog) -> tuple[Path, dict[str, Any]]:
    """(folder, card) of a model that was trained on this log.

    Raises:
        DataError: there is none on this machine; the message names the command that trains it.
    """
    from recgym.models import store

    others = ""
    for folder in folders(name, log):
        if not (folder / store.CARD).is_file():
            continue
        card = store.read_json(folder / store.CARD)
        if card.get("data_fingerprint") == log.fingerprint:
            return folder, card
        others = f" ({folder} was trained on another version or variant)"
    raise DataError(
        f"No {name} has been trained on {log!r} on this machine{others}. "
        f"Run: {training_command(name, log)}"
    )


def found(name: str, log: InteractionLog) -> Path | None:
    """The folder that a name stands for on this log; None where nothing has been trained."""
    try:
        return find_trained(name, log)[0]
    except data.DataError:
        return None


def forget(name: str, log: InteractionLog) -> None:
    """Read the evaluator again when it is asked for next, alone or in a pool: its files changed."""
    for loaded, fingerprint in list(_LOADED):
        if name in parts(loaded) and fingerprint == log.fingerprint:
            del _LOADED[loaded, fingerprint]


def load_trained(name: str, log: InteractionLog) -> tuple[LogModel, dict[str, Any]]:
    """(model, card) by the name of a model that was trained on this log; see `find_trained`."""
    from recgym.models import store

    return store.load_model(find_trained(name, log)[0])


def _markov(log: InteractionLog) -> MarkovEvaluator:
    from recgym.data import synthetic
    from recgym.evaluators import held_out

    last = np.arange(log.n_items + 1)
    made_up = log.name == "synthetic" and log.fingerprint == data.load("synthetic").fingerprint
    if made_up:
        table = synthetic.default_world().log_transition(last)
        unseen = held_out.of_histories(lambda histories: table[histories[:, -1]])
    else:
        table = held_out.markov_scorer(log)(last[:, None], np.zeros_like(last))
        # counts that hold the held-out items would make users look more predictable than they are
        unseen = held_out.markov_scorer(data.leave_last_out(log)[0])
    tau = held_out.evaluate(unseen, held_out.HeldOut.of(log, 1))["log_prob"]
    return MarkovEvaluator(table, tau=tau)


register("markov", _markov)

__all__ = ["MarkovEvaluator", "NetworkEvaluator", "SequenceEvaluator", "load", "names", "register"]
