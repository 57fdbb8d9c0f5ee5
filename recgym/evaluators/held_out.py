"""Held-out next-item evaluation of anything that scores histories, and its counting floors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recgym.data.log import InteractionLog
from recgym.data.splits import windows
from recgym.evaluators import ranking
from recgym.models.cooccurrence import cooccurrence_counts

if TYPE_CHECKING:
    from recgym.models.base import LogModel

Scorer = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Histories (B, L) int64 and whose they are, users (B,) int64 → (B, N) log-probabilities."""


def of_histories(score: Callable[[np.ndarray], np.ndarray]) -> Scorer:
    """What looks at histories alone, such as a simulated user's ``log_prob``, as a scorer."""
    return lambda histories, users: score(histories)


def network_scorer(model: LogModel) -> Scorer:
    """A model's log-probabilities."""
    import torch

    def score(histories: np.ndarray, users: np.ndarray) -> np.ndarray:
        tokens, whose = (torch.as_tensor(np.asarray(x, np.int64)) for x in (histories, users))
        with torch.inference_mode():
            return torch.log_softmax(model.user_scores(tokens, whose), dim=1).numpy()

    return score


@dataclass(frozen=True)
class HeldOut:
    """Single events of a log, each to be predicted from what its user did before."""

    log: InteractionLog
    row: np.ndarray  # (T,) int64, rows of the log
    length: int
    """Items of history given to the scorer."""

    @classmethod
    def of(
        cls,
        log: InteractionLog,
        length: int,
        *,
        from_end: Sequence[int] = (1,),
        most_users: int | None = None,
    ) -> HeldOut:
        """Each user's events at these places from the end (1 is the last); short users left out.

        ``most_users`` keeps a fixed random sample of that many users.
        """
        users = np.arange(log.n_users)
        if most_users is not None and most_users < log.n_users:
            users = np.sort(np.random.default_rng(0).permutation(users)[:most_users])
        counts = np.diff(log.offsets)[users]
        rows = [log.offsets[users[counts > k] + 1] - k for k in from_end]
        return cls(log, np.concatenate(rows), length)

    def __len__(self) -> int:
        return len(self.row)

    def batch(self, part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(histories (B, L), users (B,), targets (B,), seen items but the target (B, N) bool)."""
        row = self.row[part]
        user = self.log.user[row].astype(np.int64)
        first = self.log.offsets[user]
        seen = np.zeros((len(row), self.log.n_items), dtype=bool)
        events = np.concatenate([np.arange(a, b) for a, b in zip(first, row, strict=True)])
        seen[np.repeat(np.arange(len(row)), row - first), self.log.item[events]] = True
        target = self.log.item[row].astype(np.int64)
        seen[np.arange(len(row)), target] = False
        return windows(self.log, row, user, self.length), user, target, seen


METRICS = ("HR@10", "HR@20", "NDCG@10", "MRR", "log_prob")


def predictions(scorer: Scorer, held_out: HeldOut, *, batch: int = 256) -> dict[str, np.ndarray]:
    """Each of :data:`METRICS` of each held-out event, (T,) float64.

    Over the whole catalogue, seen items removed.
    """
    rank, log_prob = [], []
    for start in range(0, len(held_out), batch):
        histories, users, target, seen = held_out.batch(slice(start, start + batch))
        scores = scorer(histories, users)
        rank.append(ranking.ranks(scores, target, seen))
        log_prob.append(scores[np.arange(len(target)), target])
    r = np.concatenate(rank)
    values = (
        ranking.hits(r, 10),
        ranking.hits(r, 20),
        ranking.gains(r, 10),
        1.0 / r,
        np.concatenate(log_prob).astype(np.float64),
    )
    return dict(zip(METRICS, values, strict=True))


def evaluate(scorer: Scorer, held_out: HeldOut, *, batch: int = 256) -> dict[str, float]:
    """The means of :func:`predictions`."""
    found = predictions(scorer, held_out, batch=batch)
    return {name: float(values.mean()) for name, values in found.items()}


def popularity_scorer(log: InteractionLog) -> Scorer:
    """log of (count + 1), normalised: the same for every history."""
    log_prob = np.log(log.popularity + 1.0)
    log_prob -= np.log(np.exp(log_prob).sum())
    return of_histories(lambda histories: np.repeat(log_prob[None], len(histories), axis=0))


def markov_scorer(log: InteractionLog, *, prior: float = 100.0) -> Scorer:
    """First-order Markov counts, smoothed with ``prior`` pseudo-counts spread by popularity."""
    counts = cooccurrence_counts(log, 1, directed=True)
    popularity = (log.popularity + 1.0) / (log.popularity + 1.0).sum()
    total = np.asarray(counts.sum(axis=1)).ravel()

    def score(histories: np.ndarray) -> np.ndarray:
        last = histories[:, -1]
        known = last < log.n_items
        rows = np.zeros((len(last), log.n_items))
        rows[known] = counts[last[known]].toarray()
        mass = np.where(known, total[np.where(known, last, 0)], 0.0)[:, None]
        return np.log((rows + prior * popularity) / (mass + prior))

    return of_histories(score)
