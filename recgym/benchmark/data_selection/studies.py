"""The studies of DataSelection: Table 1 with three recommenders, Figs. 2b and 3, λ and sparsity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from recgym.benchmark.data_selection.suite import STAND_INS, WORLDS, methods, suite
from recgym.benchmark.making import simulated
from recgym.benchmark.studies import Study
from recgym.benchmark.suites import Entry, Suite

__all__ = ["WORLDS", "study"]

RECOMMENDERS = ("mf", "neumf", "lightgcn")
ANCHORS = (1, 2, 4, 6, 8, 10)
CHARACTERS = ("A", "B", "C", "D")
HARMS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0)
"""λ; the paper's is 1, where giving nothing is best."""
SIZES = (5, 10, 15, 20)
"""Interactions of a user that may be selected."""
BUDGETS = {"tiny": (26, 128), "simulation-50": (128, 1_000)}
"""Retrainings; 26 are two passes of SCR over the pairs of the tiny world."""
SEEDS = range(5)
FEWER_USERS = 400
"""Of the stand-ins where NeuMF plays, whose influences take minutes for a hundred players."""
DRAWS = 10
"""Of users' willingness, for Table 1 with three recommenders: NeuMF trains for tens of seconds."""
MINUTES = 30.0
"""Of a run of Table 1 with three recommenders, training of the anchors apart."""
TABLE_1 = (
    "ppo",
    "ifrqe_plus",
    "ifrqe",
    "all",
    "none",
    "random",
    "dropout[0.1]",
    "threshold[0.5]",
)
CHOSEN = ("ifrqe", "all", "none", "random", "threshold[0.5]")


def study(name: str, dataset: str | None, variant: str) -> Study:
    """A study by its name in :data:`recgym.benchmark.studies.STUDIES`."""
    return _BUILD[name.removeprefix("data-selection-")](name, dataset, variant)


def _entries(labels: Iterable[str]) -> tuple[Entry, ...]:
    known = {entry.label: entry for entry in methods()}
    return tuple(known[label] for label in labels)


def _part(base: Suite, name: str, entries: Iterable[Entry], **env: Any) -> Suite:
    env_kwargs = {**base.env_kwargs, **env}
    seeds = tuple(SEEDS)[: len(base.seeds)]
    return replace(base, name=name, entries=tuple(entries), env_kwargs=env_kwargs, seeds=seeds)


def recommenders(name: str, dataset: str | None, variant: str) -> Study:
    """Table 1: every method under each recommender; the bench has more of MF.

    All seeds of the bench, about ``DRAWS`` draws in all, two anchors; stand-ins have
    ``FEWER_USERS``.
    """
    base = suite(dataset, variant)
    fewer: dict[str, Any] = {"most_users": FEWER_USERS} if dataset in STAND_INS else {}
    parts = {
        r: _part(base, name, _entries(TABLE_1), recommender=r, anchors=2, **fewer)
        for r in RECOMMENDERS
    }
    shared = {"seeds": base.seeds, "tasks": DRAWS // len(base.seeds), "minutes": MINUTES}
    suites = {r: replace(part, **shared) for r, part in parts.items()}
    return Study(name, "Three recommenders", "recommender", suites, ("z_retrained", "f1_sampled"))


def anchors(name: str, dataset: str | None, variant: str) -> Study:
    """Fig. 2b: IFRQE++ against the number of anchors."""
    base = suite(dataset, variant)
    entries = _entries(("ifrqe_plus", "ifrqe"))
    suites = {f"T = {t}": _part(base, name, entries, anchors=t) for t in ANCHORS}
    return Study(name, "Anchors", "T, anchors", suites, ("z_retrained", "z"))


def characters(name: str, dataset: str | None, variant: str) -> Study:
    """Fig. 3: users who differ in what they would rather exclude, simulated."""
    simulated(name, dataset, variant)
    base = suite("simulation")
    suites = {c: _part(base, name, _entries(CHOSEN), character=c) for c in CHARACTERS}
    return Study(name, "Characters", "character", suites, ("z_retrained", "kept"))


def harm(name: str, dataset: str | None, variant: str) -> Study:
    """What disclosure costs, from nothing to the paper's λ = 1."""
    base = suite(dataset, variant)
    suites = {
        f"λ = {weight:g}": _part(base, name, _entries(CHOSEN), harm_of_disclosure=weight)
        for weight in HARMS
    }
    return Study(name, "Cost of disclosure", "λ", suites, ("z_retrained", "kept"))


def sparsity(name: str, dataset: str | None, variant: str) -> Study:
    """Fewer interactions of each user."""
    base = suite(dataset, variant)
    suites = {f"{n} items": _part(base, name, _entries(CHOSEN), per_user=n) for n in SIZES}
    return Study(name, "Sparsity", "items that a user may give", suites, ("z_retrained", "kept"))


def retrainings(name: str, dataset: str | None, variant: str) -> Study:
    """SCR and Proactive within equal budgets of retrainings: the tiny world, and 50 players."""
    simulated(name, dataset, variant)
    suites = {
        f"{world}, {budget} retrainings": _within(name, suite(world), budget)
        for world, budgets in BUDGETS.items()
        for budget in budgets
    }
    return Study(name, "True retraining", "retrainings", suites, ("z_retrained", "kept"))


def _within(name: str, base: Suite, budget: int) -> Suite:
    trying = (Entry(a, a, {"retrainings": budget}) for a in ("scr", "proactive"))
    part = _part(base, name, (*trying, *_entries(("ifrqe", "all"))))
    return replace(part, seeds=part.seeds[:3])


_BUILD = {
    "recommenders": recommenders,
    "anchors": anchors,
    "characters": characters,
    "lambda": harm,
    "sparsity": sparsity,
    "retrainings": retrainings,
}
