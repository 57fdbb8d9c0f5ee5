"""Several models of users as one, for agents that plan: a step has to look good to all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from recgym.data.log import InteractionLog
from recgym.evaluators import held_out
from recgym.evaluators.sequence import SequenceEvaluator


class OpinionPool(SequenceEvaluator):
    """The logarithmic opinion pool P(i | s) ∝ Π_m P_m(i | s)^(1/M) of M models.

    An item is likely only if all of them find it so: one that thinks little of it has a veto,
    which the mean of probabilities would not give. (Genest and Zidek, *Combining probability
    distributions*, Statistical Science 1(1), 1986.)

    Args:
        models: at least two, of the same items.
        log: what τ is measured on: the last item of each history, as with a single model.

    Raises:
        ValueError: fewer than two models, the same one twice, models of other items, or a log
            without a second event of any user, on which τ cannot be measured.
    """

    def __init__(self, models: Sequence[SequenceEvaluator], log: InteractionLog):
        self.models = tuple(models)
        self.name = "+".join(model.name for model in models)
        marks = sorted(model.fingerprint for model in models)
        if len(models) < 2 or len(set(marks)) < len(marks):
            raise ValueError(f"A pool is of two models or more, each once; got {self.name!r}.")
        if any(model.n_items != log.n_items for model in models):
            known = ", ".join(f"{model.name} {model.n_items:,}" for model in models)
            raise ValueError(
                f"A pool is of models of the log's {log.n_items:,} items; got {known}."
            )
        self.n_items = log.n_items
        self.length = max(model.length for model in models)
        self.fingerprint = hashlib.sha256(" ".join(marks).encode()).hexdigest()
        last = held_out.HeldOut.of(log, self.length)
        if not len(last):
            raise ValueError(
                f"A pool measures how likely last items are, and {log.name!r} has no user with two "
                "events. Give it a log with longer histories."
            )
        self.tau = held_out.evaluate(held_out.of_histories(self.log_prob), last)["log_prob"]
        self.card = {"model": "pool", "models": [model.card for model in models], "tau": self.tau}

    def _log_prob(self, histories: np.ndarray) -> np.ndarray:
        return _pooled(model.log_prob(histories) for model in self.models)

    def _log_prob_after(self, histories: np.ndarray, items: np.ndarray) -> np.ndarray:
        return _pooled(model.log_prob_after(histories, items) for model in self.models)


def _pooled(opinions: Iterator[np.ndarray]) -> np.ndarray:
    """The normalised mean (..., N) of log-probabilities, of which one is held at a time."""
    import torch

    total, count = next(opinions).copy(), 1
    for opinion in opinions:
        total += opinion
        count += 1
    total /= count
    return torch.log_softmax(torch.from_numpy(total), dim=-1).numpy()
