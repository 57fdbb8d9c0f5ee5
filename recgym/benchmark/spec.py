"""What decides a run: one agent, one seed, one environment."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recgym.benchmark import files
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.suites import Suite, slug

TRAIN_SPLIT = "train"
EVALUATION_SPLITS = ("test", "validation")


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides a run, as JSON values."""

    env_id: str
    agent: str
    seed: int
    label: str
    config: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    timesteps: int | None = None
    tasks: int | None = None
    every: int = 1
    split: str = "test"
    suite: str = ""
    train_seed: int | None = None
    train_env: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "split" in {**self.env_kwargs, **self.train_env}:
            split = {**self.env_kwargs, **self.train_env}["split"]
            raise BenchmarkError(
                f"{self.env_id} with split={split!r}: agents train on the "
                f"{TRAIN_SPLIT!r} split only, never on the test split; choose what they are judged "
                'on with the option split ("test" or "validation") instead'
            )
        if self.split not in EVALUATION_SPLITS:
            raise BenchmarkError(
                f"split {self.split!r} cannot be evaluated on: choose one of "
                f"{', '.join(EVALUATION_SPLITS)}"
            )
        least_of = (("seed", 0), ("tasks", 1), ("every", 1), ("timesteps", 1), ("train_seed", 0))
        for what, least in least_of:
            value = getattr(self, what)
            if value is not None and value < least:
                raise BenchmarkError(f"{what} must be at least {least}, got {value}")
        for what in ("config", "env_kwargs", "train_env"):
            try:
                json.dumps(getattr(self, what), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise BenchmarkError(f"{what} of {self.label} is not JSON: {error}") from None

    @property
    def identity(self) -> dict[str, Any]:
        """What makes this run this run; see :data:`recgym.benchmark.files.IDENTITY`."""
        return {key: getattr(self, key) for key in files.IDENTITY} | {
            "config": dict(self.config),
            "env_kwargs": dict(self.env_kwargs),
            "train_env": dict(self.train_env),
        }

    @property
    def train_kwargs(self) -> dict[str, Any]:
        """Arguments of the environment in which the agent is made and trained."""
        return {**self.env_kwargs, **self.train_env}

    @property
    def learning_seed(self) -> int:
        """The seed that the agent is made and trained with."""
        return self.seed if self.train_seed is None else self.train_seed

    @property
    def training(self) -> dict[str, Any]:
        """What makes two runs judge one and the same trained agent."""
        learned = ("env_id", "agent", "timesteps", "learning_seed")
        return {key: getattr(self, key) for key in learned} | {
            "config": dict(self.config),
            "train_kwargs": self.train_kwargs,
        }

    def path(self, out: Path) -> Path:
        return out / f"{slug(self.label)}-seed{self.seed}.csv"

    def command(self, out: Path) -> str:
        """The command line that repeats exactly this run."""
        parts = ["recgym", "run", self.env_id, "--agent", self.agent, "--seed", str(self.seed)]
        parts += ["--out", str(out)]
        if self.label != self.agent:
            parts += ["--label", self.label]
        if self.suite:
            parts += ["--suite", self.suite]
        every = None if self.every == 1 else self.every
        numbers = (("timesteps", self.timesteps), ("tasks", self.tasks), ("every", every))
        for name, value in (*numbers, ("train-seed", self.train_seed)):
            flag = f"--{name}"
            parts += [] if value is None else [flag, str(value)]
        if self.split != "test":
            parts += ["--split", self.split]
        settings = (("--set", self.config), ("--env", self.env_kwargs))
        for flag, values in (*settings, ("--train-env", self.train_env)):
            for key, value in values.items():
                parts += [flag, f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
        return shlex.join(parts)


def specs_of(suite: Suite) -> list[RunSpec]:
    """The runs of a suite: all agents on the first seed, then all on the second, ..."""
    return [
        RunSpec(
            env_id=suite.env_id,
            agent=entry.agent,
            seed=seed,
            label=entry.label,
            config=dict(entry.config),
            env_kwargs=dict(suite.env_kwargs),
            timesteps=entry.timesteps,
            tasks=suite.tasks,
            every=suite.every,
            split=suite.split,
            suite=suite.name,
            train_seed=entry.train_seed,
            train_env=dict(entry.train_env),
        )
        for seed in suite.seeds
        for entry in suite.entries
    ]
