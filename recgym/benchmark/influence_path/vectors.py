"""What item vectors know after more or less training, and how far Rec2Inf leads by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recgym.benchmark import figures, scoring
from recgym.benchmark.exhibits import Exhibit
from recgym.benchmark.influence_path import suite as suites
from recgym.benchmark.influence_path.place import SEEDS, Place
from recgym.benchmark.suites import Entry, Metric
from recgym.evaluators import backbones
from recgym.models.cooccurrence import cooccurrence_counts

if TYPE_CHECKING:
    from recgym.data.log import InteractionLog

EPOCHS = (0, 1, 5, 10, 20, 50, 100)
USUAL = 5  # gensim's own
NEAR = 10
RELATED = Metric("related", f"Of the {NEAR} nearest, related", +1)
SHOWN = tuple(m for m in suites.METRICS if m.key in ("IoI", "SR"))


def vectors(place: Place) -> Exhibit:
    """Item2vec with ever more epochs, and Rec2Inf by its distances, beside co-occurrence.

    Two items are related if users take them within ten events more often than chance has it. Of
    such pairs the vectors of co-occurrence are made, so that theirs is a ceiling and no merit.
    """
    log, entries = place.log, _entries()
    place.need_for(entries)
    known = pd.DataFrame(list(_known(log, place)))
    rows: list[dict[str, Any]] = []
    for done, entry in enumerate(entries):
        saw, played = place.play(entry, "vectors", done, len(entries))
        who = {
            "agent": entry.label,
            "saw": saw,
            "recommender": entry.config.get("backbone", ""),
            "distance": entry.config.get("distance", ""),
            "epochs": _epochs(entry),
        }
        for metric in suites.METRICS:
            found = scoring.estimate([each[metric.key].to_numpy() for each in played])
            numbers = {**found.columns, "episodes": found.episodes}
            rows.append({**who, "metric": metric.key, **numbers})
    leading = pd.DataFrame(rows)
    return Exhibit(
        f"Item vectors of {place.title}",
        {"leading": leading, "vectors": known},
        {"vectors": _figure(leading, known)},
        place.settings(entries, SEEDS),
    )


def related(log: InteractionLog) -> np.ndarray:
    """(N, N) bool: pairs that stand within ten events of each other more often than chance."""
    counts = cooccurrence_counts(log, backbones.WINDOW).toarray()
    mass = counts.sum(axis=1)
    return counts * mass.sum() > np.outer(mass, mass)


def knowledge(
    features: np.ndarray, pairs: np.ndarray, near: int = NEAR
) -> tuple[np.ndarray, np.ndarray]:
    """Of each item (N,): its mean cosine with the others; the share of its nearest in ``pairs``.

    Args:
        features: (N, d).
        pairs: (N, N) bool, as :func:`related` has them.
        near: how many are the nearest.
    """
    n = len(features)
    square = np.square(features).sum(axis=1)
    unit = features / np.maximum(np.sqrt(square)[:, None], 1e-12)
    cosine = (unit @ unit.sum(axis=0) - np.square(unit).sum(axis=1)) / (n - 1)
    distance = square[:, None] + square - 2 * features @ features.T
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :near]
    return cosine, np.take_along_axis(pairs, nearest, axis=1).mean(axis=1)


def _known(log: InteractionLog, place: Place) -> Iterator[dict[str, Any]]:
    pairs = related(log)
    yield from _judged([backbones.item_vectors(log)], pairs, "embedding", np.nan)
    for epochs in EPOCHS:
        place.tell("vectors", f"item2vec, {epochs} epochs", 0.0)
        trained = [backbones.skip_gram_vectors(log, epochs, seed) for seed in SEEDS]
        yield from _judged(trained, pairs, "item2vec", epochs)


def _judged(
    trained: Sequence[np.ndarray], pairs: np.ndarray, distance: str, epochs: float
) -> Iterator[dict[str, Any]]:
    of_seeds = zip(*(knowledge(features, pairs) for features in trained), strict=True)
    for metric, values in zip(("cosine", "related"), of_seeds, strict=True):
        row = {"distance": distance, "epochs": epochs, "metric": metric}
        found = scoring.estimate(list(values))
        yield {**row, **found.columns, "episodes": found.episodes}


def _entries() -> tuple[Entry, ...]:
    """By training, so that each is kept in memory for all recommenders."""
    return (
        *(suites.rec2inf(backbone, "embedding") for backbone in suites.BACKBONES),
        *(_by_item2vec(backbone, epochs) for epochs in EPOCHS for backbone in suites.BACKBONES),
        Entry("jump", "jump"),
    )


def _by_item2vec(backbone: str, epochs: int) -> Entry:
    entry = suites.rec2inf(backbone, "item2vec")
    if epochs == USUAL:
        return entry
    label = entry.label.replace("]", f", {epochs} epochs]")
    return replace(entry, label=label, config={**entry.config, "item2vec_epochs": epochs})


def _epochs(entry: Entry) -> float:
    by_item2vec = entry.config.get("distance") == "item2vec"
    return entry.config.get("item2vec_epochs", USUAL) if by_item2vec else np.nan


def _figure(leading: pd.DataFrame, known: pd.DataFrame) -> Any:
    led = leading[leading["distance"] == "item2vec"]
    led = led.assign(x=led["epochs"], line=led["recommender"])
    mine = known[(known["distance"] == "item2vec") & (known["metric"] == "related")]
    mine = mine.assign(x=mine["epochs"], line="item2vec")
    return figures.lines(pd.concat([led, mine]), (*SHOWN, RELATED), "epochs of item2vec")
