"""Suites are data: which agents play which environment, with which seeds, judged by what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Metric:
    """One column of a table."""

    key: str
    """Name in ``info["metrics"]``."""
    label: str
    direction: int
    """+1 more is better, −1 less is better, 0 neither."""
    description: str = ""
    decimals: int = 2

    @property
    def arrow(self) -> str:
        return {1: "↑", -1: "↓"}.get(self.direction, "")


@dataclass(frozen=True)
class Entry:
    """One agent of a suite, under the label that tables show."""

    label: str
    agent: str
    config: Mapping[str, Any] = field(default_factory=dict)
    """JSON values for ``recgym.agents.make``."""
    timesteps: int | None = None
    """Environment steps of training; None is the agent's own default."""

    @property
    def slug(self) -> str:
        return slug(self.label)


@dataclass(frozen=True)
class Suite:
    """Agents × seeds on one environment. Immutable; ``seeds × entries`` runs of one CSV each."""

    name: str
    title: str
    env_id: str
    entries: tuple[Entry, ...]
    seeds: tuple[int, ...]
    metrics: tuple[Metric, ...]
    main: str
    """Key of the metric that sorts the table."""
    unit: str
    """Task key of what is sampled from a population: the same units are met in every run."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    tasks: int | None = None
    """Evaluation tasks per run, the first of ``evaluation_tasks(seed)``; None is all."""

    def __post_init__(self) -> None:
        labels = [entry.slug for entry in self.entries]
        if len(set(labels)) != len(labels):
            raise ValueError(f"suite {self.name}: two agents share a file name among {labels}")
        if self.main not in {metric.key for metric in self.metrics}:
            raise ValueError(f"suite {self.name}: main metric {self.main!r} is not in its metrics")


def slug(label: str) -> str:
    """A label as the stem of a file name: ``rec2inf[sasrec]`` → ``rec2inf-sasrec``."""
    return re.sub(r"[^a-z0-9._]+", "-", label.lower()).strip("-")


def get(name: str, *, quick: bool = False) -> Suite:
    """The suite of that name, or its quick variant.

    Raises:
        KeyError: no such suite; the message lists those that exist.
    """
    table = QUICK if quick else SUITES
    if name not in table:
        raise KeyError(f"unknown suite {name!r}: choose one of {', '.join(sorted(SUITES))}")
    return table[name]


def metrics_of(env_id: str) -> tuple[tuple[Metric, ...], str, str] | None:
    """Metrics, main metric and unit of the suite on that environment; None where there is none."""
    for suite in SUITES.values():
        if suite.env_id == env_id or suite.env_id.replace("-v", "Tiny-v") == env_id:
            return suite.metrics, suite.main, suite.unit
    return None


def _rec2inf(backbone: str, distance: str, final_offer: bool = False) -> Entry:
    label = f"rec2inf[{backbone}, {distance}{', final offer' if final_offer else ''}]"
    config = {"backbone": backbone, "distance": distance, "final_offer": final_offer}
    return Entry(label, "rec2inf", config)


INFLUENCE_PATH = Suite(
    name="influence-path",
    title="Influence path",
    env_id="recgym/InfluencePath-v0",
    entries=(
        Entry("maskable_ppo", "maskable_ppo"),  # first, because it takes longest
        Entry("random", "random"),
        Entry("popularity", "popularity"),
        Entry("jump", "jump"),
        _rec2inf("popularity", "genre"),
        _rec2inf("popularity", "embedding"),
        _rec2inf("cooccurrence", "genre"),
        _rec2inf("cooccurrence", "embedding"),
        _rec2inf("sasrec", "genre"),
        _rec2inf("sasrec", "embedding"),
        _rec2inf("cooccurrence", "embedding", True),
        _rec2inf("sasrec", "embedding", True),
        Entry("random_candidates", "random_candidates"),
        Entry("lookahead", "lookahead"),
    ),
    seeds=(0, 1, 2, 3, 4),
    metrics=(
        Metric("return", "Return", +1, "sum of rewards of the episode"),
        Metric("SR", "SR", +1, "share of paths that reach the objective", 3),
        Metric("SR_acc", "SR acc", +1, "success, counted by how likely it is accepted", 3),
        Metric("SR@1", "SR@1", 0, "share that offers the objective at once", 3),
        Metric("IoI", "IoI", +1, "increase of interest: gain of log P(objective) over the path"),
        Metric("IoR", "IoR", +1, "increase of rank of the objective", 0),
        Metric("log_ppl", "log PPL", -1, "how unnatural the path is to the user"),
        Metric("length", "Length", 0, "items of the path", 1),
    ),
    main="return",
    unit="user",
)

SUITES: Mapping[str, Suite] = {suite.name: suite for suite in (INFLUENCE_PATH,)}

QUICK: Mapping[str, Suite] = {
    "influence-path": replace(
        INFLUENCE_PATH,
        entries=(
            Entry("maskable_ppo", "maskable_ppo", timesteps=30_000),
            Entry("random", "random"),
            Entry("popularity", "popularity"),
            Entry("jump", "jump"),
            _rec2inf("sasrec", "embedding", True),
            Entry("lookahead", "lookahead"),
        ),
        seeds=(0,),
        tasks=100,
    ),
}
