"""Worlds that no user joins: what can be reached in a log, and what agents do about the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from recgym.benchmark import scoring
from recgym.benchmark.exhibits import Exhibit
from recgym.benchmark.influence_path import suite as suites
from recgym.benchmark.influence_path.place import SEEDS, Place
from recgym.benchmark.suites import Entry

if TYPE_CHECKING:
    from recgym.data.log import InteractionLog


def worlds(place: Place) -> Exhibit:
    """How the log falls apart, and how agents fare when the objective is in another part of it.

    Users and the items that they took are a graph; its connected parts are worlds. From one to
    another leads no co-occurrence, and no model has seen an item of both in one history.
    """
    entries = _shown(place.name)
    place.need_for(entries)
    log = place.log
    of_user, of_item = parts(log)
    number = np.arange(of_user.max() + 1)
    sizes = pd.DataFrame(
        {
            "world": number,
            "users": np.bincount(of_user, minlength=len(number)),
            "items": np.bincount(of_item, minlength=len(number)),
            "interactions": np.bincount(of_item[log.item], minlength=len(number)),
        }
    )
    rows: list[dict[str, Any]] = []
    for done, entry in enumerate(entries):
        saw, played = place.play(entry, "worlds", done, len(entries))
        rows += _split(entry.label, saw, played, of_user, of_item)
    return Exhibit(
        f"Worlds of {place.title}",
        {"worlds": sizes, "reach": pd.DataFrame(rows)},
        settings=place.settings(entries, SEEDS),
    )


def parts(log: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
    """Worlds of users (U,) and of items (N,), numbered from the one with the most items."""
    users, n = log.n_users, log.n_users + log.n_items
    edges = (np.ones(len(log)), (log.user, users + log.item))
    count, label = connected_components(sp.coo_matrix(edges, shape=(n, n)), directed=False)
    size = np.bincount(label[users:], minlength=count)
    rank = np.empty(count, dtype=np.int64)
    rank[np.argsort(-size, kind="stable")] = np.arange(count)
    return rank[label[:users]], rank[label[users:]]


def _split(
    label: str, saw: str, played: list[pd.DataFrame], of_user: np.ndarray, of_item: np.ndarray
) -> list[dict[str, Any]]:
    """Rows of an agent: each metric over tasks in one world, and over those across."""
    rows = []
    together = [(of_user[p["user"]] == of_item[p["objective"]]) for p in played]
    for objective, wanted in (("in the user's world", True), ("in another", False)):
        for metric in suites.METRICS:
            values = [
                np.where(same == wanted, p[metric.key], np.nan)
                for p, same in zip(played, together, strict=True)
            ]
            e = scoring.estimate(values)
            row = {"agent": label, "saw": saw, "objective": objective, "metric": metric.key}
            row |= {**e.columns, "episodes": e.episodes}
            rows += [row] if e.episodes else []
    return rows


def _shown(dataset: str) -> tuple[Entry, ...]:
    """Agents that go by different things, of those that learn nothing from rewards."""
    return (
        Entry("planner", "planner"),
        Entry(f"planner[{suites.POOL}]", "planner", {"user": suites.POOL}),
        Entry("ipg", "ipg"),
        *(suites.rec2inf(b, "embedding", True) for b in ("sasrec", "caser", suites.OURS)),
        suites.rec2inf("sasrec", "embedding"),
        *(Entry(f"pf2inf[{m}]", "pf2inf", {"method": m}) for m in ("dijkstra", "mst")),
        suites.irn(dataset, "irn[gap left]"),
        suites.vanilla("sasrec"),
        Entry("jump", "jump"),
    )
