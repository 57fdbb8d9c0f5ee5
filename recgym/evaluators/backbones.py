"""What may be known of users from the log alone: next-item scorers and item vectors by name.

Recommendation agents and wrappers build on these. None of them reads the simulated user.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from recgym import models
from recgym.data.log import InteractionLog
from recgym.data.splits import windows
from recgym.evaluators import find_trained, held_out, load, load_trained, parts
from recgym.evaluators import names as user_names
from recgym.evaluators.held_out import Scorer
from recgym.evaluators.pool import OpinionPool
from recgym.evaluators.sequence import SequenceEvaluator
from recgym.models.cooccurrence import cooccurrence_counts, ppmi_vectors
from recgym.models.item2vec import item2vec

WINDOW, DECAY = 10, 0.8


def names() -> list[str]:
    """The names that :func:`scorer` knows; those of networks may be joined by ``+``."""
    return sorted({*_COUNTS, *models.user_item_names(), *user_names()})


def scorer(name: str, log: InteractionLog) -> Scorer:
    """Log-probabilities (B, N) of the next item for histories (B, L) of users (B,), from ``log``.

    ``popularity``: counts. ``markov``: smoothed first-order counts. ``cooccurrence``: counts of
    pairs at most ten events apart, decayed with distance, summed over the latest items.
    ``sasrec``, ``gru4rec``, ``caser``, ``bert4rec``: networks that are shipped, or trained by
    ``recgym train evaluator``. ``bpr``, ``transrec``: models that know the users, trained by
    ``recgym train backbone``; they learn to rank, and their probabilities are flat. Networks
    joined by ``+``: their pooled opinions (:class:`recgym.evaluators.pool.OpinionPool`).

    Raises:
        ValueError: an unknown name.
        DataError: a network that has not been trained on this log; the message says how to.
    """
    if name in _COUNTS:
        return _counted(name, _Key(log))
    if name in models.user_item_names():
        return _user_item(name, _Key(log), find_trained(name, log)[1].get("weights_sha256", ""))
    if set(parts(name)) <= set(user_names()):
        return user_scorer(name, log)
    raise ValueError(
        f"There is no backbone {name!r}. Known: {', '.join(names())}, and networks joined by +."
    )


def user_scorer(name: str, log: InteractionLog) -> Scorer:
    """What a simulated user by that name (:func:`recgym.evaluators.load`) would take next."""
    return held_out.of_histories(load(name, log).log_prob)


def refuse_the_user(
    name: str,
    log: InteractionLog,
    user: SequenceEvaluator,
    error: type[ValueError] = ValueError,
    *,
    read: Callable[[str, InteractionLog], Scorer] = scorer,
    setting: str = "backbone",
) -> None:
    """Raise ``error`` if a backbone scores as this simulated user does: agents must not read it.

    Judged by scores, so that equal networks or counts are found under any name. Of pools, each
    model is held against each of the user's. ``read`` is how the agent reads a name, ``setting``
    where it was given.
    """
    users = np.arange(min(8, log.n_users))
    histories = windows(log, log.offsets[1:][:8], users, 50)
    hers = [each.log_prob(histories) for each in _members(user)]
    for each in dict.fromkeys((name, *parts(name))):
        mine = read(each, log)(histories, users)
        if any(np.allclose(mine, own, atol=1e-3) for own in hers):
            raise error(
                f"{setting}: {each!r} is this environment's simulated user itself, or part of it. "
                f"Choose another {setting} or another evaluator."
            )


def _members(user: SequenceEvaluator) -> list[SequenceEvaluator]:
    """The user and, of a pool, its models."""
    models = user.models if isinstance(user, OpinionPool) else ()
    return [user, *(member for model in models for member in _members(model))]


@functools.lru_cache(maxsize=4)
def _vectors(key: _Key, width: int) -> np.ndarray:
    vectors = ppmi_vectors(key.log, min(width, key.log.n_items - 1))
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(norm, 1e-12)
    unit.flags.writeable = False
    return unit


def item_vectors(log: InteractionLog, width: int = 64) -> np.ndarray:
    """(N, width) float32 unit vectors of items from co-occurrence (PPMI, a closed-form item2vec).

    An item that co-occurs with none has the zero vector.
    """
    return _vectors(_Key(log), width)


@functools.lru_cache(maxsize=8)
def _skip_gram(key: _Key, epochs: int, seed: int) -> np.ndarray:
    vectors = item2vec(key.log, epochs=epochs, seed=seed)
    vectors.flags.writeable = False
    return vectors


def skip_gram_vectors(log: InteractionLog, epochs: int, seed: int) -> np.ndarray:
    """(N, 40) float32: :func:`recgym.models.item2vec.item2vec`, trained once for each seed."""
    return _skip_gram(_Key(log), epochs, seed)


class _Key:
    """A log as a cache key, by fingerprint."""

    def __init__(self, log: InteractionLog):
        self.log = log

    def __hash__(self) -> int:
        return hash(self.log.fingerprint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.log.fingerprint == self.log.fingerprint


@functools.lru_cache(maxsize=16)
def _counted(name: str, key: _Key) -> Scorer:
    return _COUNTS[name](key.log)


@functools.lru_cache(maxsize=16)
def _user_item(name: str, key: _Key, weights: str) -> Scorer:
    return held_out.network_scorer(load_trained(name, key.log)[0])


def _cooccurrence(log: InteractionLog) -> Scorer:
    counts = cooccurrence_counts(log, WINDOW, decay=DECAY)
    mass = np.asarray(counts.sum(axis=1)).ravel()
    profile = sp.csr_matrix(sp.diags(1 / np.maximum(mass, 1.0)) @ counts)  # P(j near i)
    tiny = log.popularity / log.popularity.sum() * 1e-6  # breaks ties by popularity

    def score(histories: np.ndarray) -> np.ndarray:
        recent = histories[:, -WINDOW:]
        weight = DECAY ** np.arange(recent.shape[1])[::-1]
        row, column = np.nonzero(recent < log.n_items)
        values = (weight[column], (row, recent[row, column]))
        weights = sp.csr_matrix(values, shape=(len(recent), log.n_items))
        mass = sp.csr_matrix(weights @ profile).toarray() + tiny
        with np.errstate(divide="ignore"):  # an item without interactions has probability 0
            return np.log(mass / mass.sum(axis=1, keepdims=True))

    return held_out.of_histories(score)


_COUNTS: dict[str, Callable[[InteractionLog], Scorer]] = {
    "popularity": held_out.popularity_scorer,
    "markov": held_out.markov_scorer,
    "cooccurrence": _cooccurrence,
}
