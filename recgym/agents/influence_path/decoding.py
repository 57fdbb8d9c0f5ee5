"""From scores of next items to a recommendation: the best, a sample, or a beam's first step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recgym.evaluators.top_k import best_first

Score = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""(rows (R,), histories (R, L), steps that these have grown by) → logits (R, N)."""


def sample(scores: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """(B,) int64: one item a row from softmax(scores / temperature); −inf has no chance."""
    noise = rng.gumbel(size=scores.shape)
    return (scores / temperature + noise).argmax(axis=1)


def beam(
    score: Score,
    history: np.ndarray,
    legal: np.ndarray,
    ends: np.ndarray,
    steps_left: np.ndarray,
    beams: int,
    depth: int,
) -> np.ndarray:
    """(B,) int64: the first item of the likeliest path of ``depth`` items.

    The log-probabilities of a path's items, each normalised over the legal ones, are summed. A
    path ends early at an item of the objective or with the last step.

    Args:
        score: the model.
        history: (B, L) int64.
        legal: (B, N) bool.
        ends: (B, N) bool, items that make the objective.
        steps_left: (B,) int64.
        beams: paths kept at each step.
        depth: steps looked ahead.
    """
    b, n = legal.shape
    width = min(beams, n)
    rows = np.arange(b)
    total = _log_softmax(np.where(legal, score(rows, history, 0), -np.inf))
    first = best_first(total, width)  # (B, W)
    total = np.take_along_axis(total, first, axis=1)
    histories = _append(history[:, None].repeat(width, axis=1), first)
    allowed = legal[:, None].repeat(width, axis=1)  # (B, W, N)
    np.put_along_axis(allowed, first[:, :, None], False, axis=2)
    over = np.take_along_axis(ends, first, axis=1)
    for step in range(1, depth):
        over |= (steps_left <= step)[:, None] | ~np.isfinite(total)
        if over.all():
            break
        grown = np.full((b, width, n), -np.inf)
        grown[over, 0] = total[over]  # a path that is over goes on as itself
        at, path = np.nonzero(~over)
        logits = np.where(allowed[at, path], score(at, histories[at, path], step), -np.inf)
        grown[at, path] = total[at, path, None] + _log_softmax(logits)
        best = best_first(grown.reshape(b, -1), width)
        parent, item = np.divmod(best, n)
        total = np.take_along_axis(grown.reshape(b, -1), best, axis=1)
        ended = np.take_along_axis(over, parent, axis=1)
        first = np.take_along_axis(first, parent, axis=1)
        kept = histories[rows[:, None], parent]
        histories = np.where(ended[:, :, None], kept, _append(kept, item))
        allowed = allowed[rows[:, None], parent]
        going = np.nonzero(~ended)
        allowed[(*going, item[going])] = False
        over = ended | np.take_along_axis(ends, item, axis=1)
    return first[:, 0]


def _append(histories: np.ndarray, items: np.ndarray) -> np.ndarray:
    return np.concatenate([histories[:, :, 1:], items[:, :, None]], axis=2)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    """(B, N) float64; a row of −inf alone stays so."""
    top = scores.max(axis=1, keepdims=True)
    shifted = scores - np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)).clip(min=0)
