"""One choice of each user of a batch: drawn, or as probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.evaluators.choice.model import ChoiceModel


@dataclass(frozen=True)
class Choices:
    """What B users do with what they are offered."""

    consumed: np.ndarray  # (B,) int64
    clicked: np.ndarray  # (B,) bool: whether it was consumed by a click
    click: np.ndarray  # (B,) float64: the probability of a click
    harm: np.ndarray  # (B,) float64: the expected harm of what is consumed


def choose(
    model: ChoiceModel, scores: np.ndarray, offered: np.ndarray, draws: np.ndarray
) -> Choices:
    """Draw what each user consumes.

    What she would choose organically does not depend on what is offered: with equal draws, one
    more item in the slate can only turn an organic choice into a click.

    Args:
        scores: (B, N) of :meth:`ChoiceModel.scores`.
        offered: (B, k) items, N where a place is empty, none twice; or (B, N) bool.
        draws: (B, 2 or 3) uniform numbers: whether she clicks, which item, and, where
            ``model.explore`` is positive, whether she explores.
    """
    rows = np.arange(len(scores))
    places, worth = _slate(scores, offered)
    held = worth.sum(axis=1)
    rate = held / (held + model.c)
    organic_harm = (scores @ model.harm) / scores.sum(axis=1)
    clicked = draws[:, 0] < rate
    consumed = np.empty(len(scores), dtype=np.int64)
    if worth.shape[1] == 1:
        consumed[:] = places[:, 0]
    else:
        consumed[clicked] = places[clicked, _pick(worth[clicked], draws[clicked, 1])]
    others = np.flatnonzero(~clicked)
    consumed[others] = _pick(scores[others], draws[others, 1])
    click, harm = rate, (1 - rate) * organic_harm
    if model.harm[model.recommendable].any():
        per_place = np.append(model.harm, 0.0)[places]
        harm = harm + (worth * per_place).sum(axis=1) / (held + model.c)
    if model.explore > 0:
        exploring = draws[:, 2] < model.explore
        anything = (draws[rows, 1] * model.n_items).astype(np.int64)
        consumed, clicked = np.where(exploring, anything, consumed), clicked & ~exploring
        click = (1 - model.explore) * click
        harm = (1 - model.explore) * harm + model.explore * model.harm.mean()
    return Choices(consumed, clicked, click, harm)


def clicks_of(model: ChoiceModel, scores: np.ndarray, offered: np.ndarray) -> np.ndarray:
    """(B, N): the probability of clicking each item of what is ``offered``, as in `choose`."""
    places, worth = _slate(scores, offered)
    found = np.zeros((len(scores), model.n_items + 1))
    np.put_along_axis(found, places, worth / (worth.sum(axis=1, keepdims=True) + model.c), axis=1)
    return found[:, :-1]


def _slate(scores: np.ndarray, offered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(items, scores) of the places of each slate, (B, k) both; the score of none is 0."""
    n = scores.shape[1]
    if offered.dtype == bool:
        return np.broadcast_to(np.arange(n), scores.shape), scores * offered
    worth = np.take_along_axis(scores, np.minimum(offered, n - 1), axis=1)
    return offered, worth * (offered < n)


def _pick(weights: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(B,) the column in which the running sum of ``weights`` (B, n) passes ``share`` of it."""
    running = np.cumsum(weights, axis=1)
    passed = running > share[:, None] * running[:, -1:]
    found = passed.argmax(axis=1)
    missed = np.flatnonzero(~passed[:, -1])  # a share that was rounded up to the whole
    found[missed] = running[missed].argmax(axis=1)
    return found
