"""A map of a catalogue: where items stand in the plane, for pictures of any environment."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from recgym.data.log import InteractionLog

MUTED = ("#6f9fc8", "#d99a6c", "#7fb08a", "#c58bb0", "#a9a05c", "#8f8fc4", "#cf8080", "#6bb0ad")
OTHER = "#c3c6cc"
MOST_POINTS = 4_000


@dataclass(frozen=True)
class Map:
    """Where items stand in the plane."""

    at: np.ndarray  # (N, 2) float64, about [−1, 1]
    shown: np.ndarray  # (≤ MOST_POINTS,) int64: the items drawn as background
    colours: list[str]  # of those
    legend: list[tuple[str, str]]  # genre and its colour


@functools.lru_cache(maxsize=4)
def item_map(log: InteractionLog) -> Map:
    """A linear projection of the item vectors, computed once for each log.

    Of all planes, the one in which the mean vectors of the genres lie farthest apart; without
    genres, the first two principal components. Items without vectors (a log as small as the tiny
    world's) stand in a ring of genres instead.
    """
    from recgym.evaluators import backbones

    colour, legend = _dominant_genres(log)
    vectors = backbones.item_vectors(log).astype(np.float64)
    known = np.linalg.norm(vectors, axis=1) > 0.5
    if known.mean() > 0.5 and vectors.shape[1] >= 2:
        at = _project(vectors, known, colour, len(legend))
    else:
        at = _ring(colour, len(legend))
    shown = np.argsort(-log.popularity, kind="stable")[:MOST_POINTS]
    palette = [*(c for _, c in legend), OTHER]
    return Map(at, shown, [palette[g] for g in colour[shown]], legend)


def _dominant_genres(log: InteractionLog) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """(N,) int: the rarest of an item's genres among the eight largest, −1 for none; a legend."""
    order = np.argsort(-log.genres.sum(axis=0), kind="stable")[: len(MUTED)]
    colour = np.full(log.n_items, -1)
    for index, genre in enumerate(order):
        colour[log.genres[:, genre]] = index
    return colour, [(log.genre_names[g], MUTED[i]) for i, g in enumerate(order)]


def _project(vectors: np.ndarray, known: np.ndarray, colour: np.ndarray, n: int) -> np.ndarray:
    centred = vectors - vectors[known].mean(axis=0)
    groups = [known & (colour == g) for g in range(n)]
    means = [centred[group].mean(axis=0) for group in groups if group.any()]
    basis = np.stack(means) if len(means) >= 3 else centred[known]
    axes = np.linalg.svd(basis - basis.mean(axis=0), full_matrices=False)[2][:2]
    axes *= np.where(axes.sum(axis=1) < 0, -1, 1)[:, None]  # signs are arbitrary
    at = centred @ axes.T
    at[~known] = 0
    return at / np.quantile(np.abs(at[known]), 0.995, axis=0)


def _ring(colour: np.ndarray, n: int) -> np.ndarray:
    at = np.zeros((len(colour), 2))
    for group in np.unique(colour):
        members = np.flatnonzero(colour == group)
        angle = np.pi - 2 * np.pi * group / max(n, 1)
        centre = np.array([np.cos(angle), np.sin(angle)]) * (0.7 if group >= 0 else 0)
        turn = np.arange(len(members)) * 2.399963  # the golden angle: a sunflower
        radius = 0.25 * np.sqrt((np.arange(len(members)) + 0.5) / len(members))
        at[members] = centre + radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return at
