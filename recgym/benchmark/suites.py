"""Suites are data: which agents play which environment, with which seeds, judged by what."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
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
    train_seed: int | None = None
    """One seed of learning for all runs; None: each run's own."""
    train_env: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the environment that differ where the agent is made and trained."""

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
    every: int = 1
    """Only each so many-th evaluation task counts: users come in the order of their numbers."""
    split: str = "test"
    """What agents are judged on; settings are chosen on ``validation``."""
    minutes: float | None = None
    """Time that a run may take on this machine; one that takes longer is stopped, and its table
    says so. It holds where the bench has processes of its own."""
    prepare: Callable[[Suite, Callable[[str, str, float], None], int], None] | None = None
    """Makes what all runs need, e.g. trains their models where that was not done yet.

    It is given the suite, a function to call with what is made, the stage and the share done, and
    how many processes it may have at a time.
    """

    def __post_init__(self) -> None:
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"suite {self.name}: minutes must be above 0, got {self.minutes}")
        labels = [entry.slug for entry in self.entries]
        if len(set(labels)) != len(labels):
            raise ValueError(f"suite {self.name}: two agents share a file name among {labels}")
        if self.main not in {metric.key for metric in self.metrics}:
            raise ValueError(f"suite {self.name}: main metric {self.main!r} is not in its metrics")


def slug(label: str) -> str:
    """A label as the stem of a file name: ``rec2inf[sasrec]`` → ``rec2inf-sasrec``."""
    return re.sub(r"[^a-z0-9._]+", "-", label.lower()).strip("-")


def get(
    name: str, *, quick: bool = False, dataset: str | None = None, variant: str = "clean"
) -> Suite:
    """The suite of that name on a data set (None: its default world), or its quick variant.

    Raises:
        KeyError: no such suite; the message lists those that exist.
    """
    if name not in SUITES:
        raise KeyError(f"unknown suite {name!r}: choose one of {', '.join(sorted(SUITES))}")
    build = import_module(SUITES[name])
    return build.suite(dataset, variant, quick=quick)


def worlds(module: str) -> tuple[str, ...]:
    """Simulated worlds that a suite or study, by its module, knows beside data sets."""
    return getattr(import_module(module), "WORLDS", ())


def takes_paths(module: str) -> bool:
    """Whether ``dataset`` may be the path of a user's own data, for a suite or study."""
    return getattr(import_module(module), "OWN_DATA", False)


def metrics_of(env_id: str) -> tuple[tuple[Metric, ...], str, str] | None:
    """Metrics, main metric and unit of the suite on that environment; None where there is none."""
    for name in SUITES:
        suite = get(name)
        if suite.env_id == env_id or suite.env_id.replace("-v", "Tiny-v") == env_id:
            return suite.metrics, suite.main, suite.unit
    return None


SUITES: Mapping[str, str] = {
    "influence-path": "recgym.benchmark.influence_path.suite",
    "harm-mitigation": "recgym.benchmark.harm_mitigation.suite",
    "data-selection": "recgym.benchmark.data_selection.suite",
    "data-valuation": "recgym.benchmark.data_valuation.suite",
}
"""Modules that define ``suite(dataset, variant, quick=...)``, by the suite's name."""
