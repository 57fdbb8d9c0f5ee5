"""Where a table of InfluencePath is made: a data set, its models, its tasks, its agents."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.benchmark import making
from recgym.benchmark.evaluation import evaluate
from recgym.benchmark.exhibits import Tell
from recgym.benchmark.influence_path import missing
from recgym.benchmark.influence_path import suite as suites
from recgym.benchmark.suites import Entry

if TYPE_CHECKING:
    import pandas as pd

    from recgym.data.log import InteractionLog

Task = Mapping[str, int]
SEEDS = (0, 1, 2, 3, 4)
CHUNK = 256  # users at a time


@dataclass(frozen=True)
class Place:
    """A data set, and what tells of progress."""

    dataset: str | None
    variant: str
    tell: Tell

    @property
    def name(self) -> str:
        return self.dataset or suites.DEFAULT

    @property
    def title(self) -> str:
        """For headings."""
        return self.name if self.variant == "clean" else f"{self.name}, variant {self.variant}"

    def settings(self, entries: Sequence[Entry], seeds: Sequence[int]) -> dict[str, Any]:
        """What an exhibit's command does not say (:class:`recgym.benchmark.exhibits.Exhibit`)."""
        return {
            "fingerprint": self.log.fingerprint,
            "seeds": list(seeds),
            "agents": {entry.label: dict(entry.config) for entry in entries},
        }

    @property
    def log(self) -> InteractionLog:
        from recgym import data

        return data.load(self.name, self.variant)

    @property
    def kwargs(self) -> dict[str, Any]:
        return suites.where(self.dataset, self.variant)

    def need(self, models: Sequence[str]) -> None:
        """Train those of these models that have not been trained on the data set."""
        missing.train(models, self.log, self.tell, os.cpu_count() or 1)

    def need_for(self, entries: Sequence[Entry]) -> None:
        """Train what these agents and the simulated user need and that has not been trained."""
        from recgym.envs.influence_path.worlds import default_user

        self.need(suites.needed(entries, default_user(self.name)))

    def venv(self, rows: int, split: str = "test", **more: Any) -> Any:
        kwargs = {**self.kwargs, **more}
        return making.vector_env(suites.ENV_ID, rows, split, "Disabled", kwargs)

    def agent(self, entry: Entry, seed: int) -> Any:
        """The entry's agent, trained on the training split with that seed."""
        env = making.vector_env(suites.ENV_ID, 8, "train", "SameStep", self.kwargs)
        agent = making.agent(entry.agent, env, {"seed": seed, **entry.config})
        return agent.learn(
            entry.timesteps, seed=seed if entry.train_seed is None else entry.train_seed
        )

    def agents(self, entry: Entry, what: str, done: float, of: int) -> Iterator[tuple[int, Any]]:
        """(seed, the entry's agent) for each of :data:`SEEDS`; what has one training has it once.

        Tells of ``what``, as the ``done``-th of so many entries.
        """
        agent = None
        for seed in SEEDS:
            self.tell(what, f"{entry.label}, seed {seed}", (done + seed / len(SEEDS)) / of)
            if agent is None or entry.train_seed is None:
                agent = self.agent(entry, seed)
            yield seed, agent

    def play(self, entry: Entry, what: str, done: float, of: int) -> tuple[str, list[pd.DataFrame]]:
        """(what the entry's agent sees, its test tasks played: a frame for each seed)."""
        sees, played = "", []
        for seed, agent in self.agents(entry, what, done, of):
            sees = agent.sees
            tasks = [task for part in self.parts(seed) for task in part]
            played.append(evaluate(agent, self.venv(min(128, len(tasks))), tasks, seed))
        return sees, played

    def tasks(self, seed: int) -> list[dict[str, int]]:
        """The test tasks of a seed: every user once."""
        return self.venv(1).unwrapped.evaluation_tasks(seed)

    def parts(self, seed: int) -> Iterator[list[dict[str, int]]]:
        """The :meth:`tasks` that a bench judges (:data:`suite.EVERY`), some hundred at a time."""
        tasks = self.tasks(seed)[:: suites.EVERY.get(self.name, 1)]
        for start in range(0, len(tasks), CHUNK):
            yield tasks[start : start + CHUNK]

    def starts(
        self, tasks: Sequence[Task]
    ) -> Iterator[tuple[dict[str, np.ndarray], Sequence[Task]]]:
        """(observations at the start, their tasks), some hundred users at a time."""
        for start in range(0, len(tasks), CHUNK):
            part = tasks[start : start + CHUNK]
            observation, _ = self.venv(len(part)).reset(seed=0, options=options(part))
            yield observation, part

    def training_seeds(self, entry: Entry) -> tuple[int, ...]:
        """Seeds of learning: the entry's only one, or all."""
        return SEEDS if entry.train_seed is None else (entry.train_seed,)


def options(tasks: Sequence[Task]) -> dict[str, np.ndarray]:
    """Reset options of a vector environment with one row for each task."""
    return {key: np.array([t[key] for t in tasks]) for key in ("user", "objective", "cut")}
