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
from recgym.evaluators import held_out, load, load_trained, parts
from recgym.evaluators.held_out import Scorer
from recgym.evaluators.sequence import SequenceEvaluator
from recgym.models.cooccurrence import cooccurrence_counts, ppmi_vectors

WINDOW, DECAY = 10, 0.8


def names() -> list[str]:
    """The names that :func:`scorer` knows."""
    return sorted(_BACKBONES)


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
    if len(parts(name)) > 1:
        return held_out.of_histories(load(name, log).log_prob)
    if name not in _BACKBONES:
        raise ValueError(f"There is no backbone {name!r}. Known: {', '.join(names())}.")
    return _cached(name, _Key(log))


def refuse_the_user(
    name: str, log: InteractionLog, user: SequenceEvaluator, error: type[ValueError] = ValueError
) -> None:
    """Raise ``error`` if a backbone scores as this simulated user does: agents must not read it.

    Judged by scores, so that equal networks or counts are found under any name, and in any pool.
    """
    users = np.arange(min(8, log.n_users))
    histories = windows(log, log.offsets[1:][:8], users, 50)
    own = user.log_prob(histories)
    for each in {name, *parts(name)}:
        if np.allclose(scorer(each, log)(histories, users), own, atol=1e-3):
            raise error(
                f"Backbone {each!r} is this environment's simulated user itself. "
                "Choose another backbone or another evaluator."
            )


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


class _Key:
    """A log as a cache key, by fingerprint."""

    def __init__(self, log: InteractionLog):
        self.log = log

    def __hash__(self) -> int:
        return hash(self.log.fingerprint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.log.fingerprint == self.log.fingerprint


@functools.lru_cache(maxsize=16)
def _cached(name: str, key: _Key) -> Scorer:
    return _BACKBONES[name](key.log)


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
        return np.log(mass / mass.sum(axis=1, keepdims=True))

    return held_out.of_histories(score)


def _network(name: str) -> Callable[[InteractionLog], Scorer]:
    return lambda log: held_out.of_histories(load(name, log).log_prob)


def _user_item(name: str) -> Callable[[InteractionLog], Scorer]:
    return lambda log: held_out.network_scorer(load_trained(name, log)[0])


_BACKBONES: dict[str, Callable[[InteractionLog], Scorer]] = {
    "popularity": held_out.popularity_scorer,
    "markov": held_out.markov_scorer,
    "cooccurrence": _cooccurrence,
    **{name: _network(name) for name in models.names()},
    **{name: _user_item(name) for name in models.user_item_names()},
}
