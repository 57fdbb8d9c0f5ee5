"""Held-out next-item evaluation of anything that scores histories, and its counting floors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recgym.data.log import InteractionLog
from recgym.data.splits import windows
from recgym.evaluators import ranking
from recgym.models.cooccurrence import cooccurrence_counts

Scorer = Callable[[np.ndarray], np.ndarray]  # (B, L) int64 → (B, N) log-probabilities


@dataclass(frozen=True)
class HeldOut:
    """Each user's item at one place from the end, and what stands before it."""

    histories: np.ndarray  # (U, L) int64, pre-padded
    target: np.ndarray  # (U,) int64
    seen: np.ndarray  # (U, N) bool: in the history, unless it is the target

    @classmethod
    def of(cls, log: InteractionLog, length: int, *, from_end: int = 1) -> HeldOut:
        """The last item (``from_end=1``), the one before (2); users too short are left out."""
        users = np.flatnonzero(np.diff(log.offsets) > from_end)
        stops = log.offsets[users + 1] - from_end
        seen = np.zeros((len(users), log.n_items), dtype=bool)
        row = np.repeat(np.arange(len(users)), stops - log.offsets[users])
        index = np.concatenate(
            [np.arange(a, b) for a, b in zip(log.offsets[users], stops, strict=True)]
        )
        seen[row, log.item[index]] = True
        target = log.item[stops].astype(np.int64)
        seen[np.arange(len(users)), target] = False
        return cls(windows(log, stops, users, length), target, seen)


def evaluate(scorer: Scorer, held_out: HeldOut, *, batch: int = 256) -> dict[str, float]:
    """HR@10, HR@20, NDCG@10, MRR over the whole catalogue, seen items removed, and mean log P."""
    rank, log_prob = [], []
    for start in range(0, len(held_out.target), batch):
        part = slice(start, start + batch)
        scores = scorer(held_out.histories[part])
        target = held_out.target[part]
        rank.append(ranking.ranks(scores, target, held_out.seen[part]))
        log_prob.append(scores[np.arange(len(target)), target])
    r = np.concatenate(rank)
    return {
        "HR@10": ranking.hit_rate(r, 10),
        "HR@20": ranking.hit_rate(r, 20),
        "NDCG@10": ranking.ndcg(r, 10),
        "MRR": ranking.mrr(r),
        "log_prob": float(np.concatenate(log_prob).mean()),
    }


def popularity_scorer(log: InteractionLog) -> Scorer:
    """log of (count + 1), normalised: the same for every history."""
    log_prob = np.log(log.popularity + 1.0)
    log_prob -= np.log(np.exp(log_prob).sum())
    return lambda histories: np.repeat(log_prob[None], len(histories), axis=0)


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

    return score
