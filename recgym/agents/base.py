"""What every agent is: Stable-Baselines3's language, a typed configuration, and what it saw."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
from gymnasium import spaces

from recgym.agents.replanning import Refusals
from recgym.envs.arguments import plain, whole
from recgym.envs.core import Problem

Sees = Literal["log", "simulator", "privileged"]


class AgentError(ValueError):
    """An agent that cannot be made, loaded or used so; the message says why and what to do."""


@dataclass(frozen=True)
class AgentConfig:
    """Base of all configurations: frozen, and unknown keys are refused."""

    seed: int = 0
    """Of the agent's own random choices."""
    replan: bool = True
    """Do not offer what was refused, where users may refuse (:mod:`recgym.agents.replanning`)."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]):
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise AgentError(
                f"Unknown settings {unknown}. This agent takes: {', '.join(sorted(known))}."
            )
        return cls(**values)

    def __post_init__(self) -> None:
        """
        Raises:
            AgentError: a setting of another type than its annotation, or not among its choices.
        """
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if not _is_a(value, kind):
                raise AgentError(f"{name} must be {_wanted(kind)}, got {value!r}.")
        plain(self)
        if self.seed < 0:
            raise AgentError(f"seed must be at least 0, got {self.seed}.")


def _is_a(value: Any, kind: Any) -> bool:
    """Whether a setting is what its annotation says; a whole number will do for a float."""
    if get_origin(kind) is Literal:
        return value in get_args(kind) and not isinstance(value, bool)  # True equals 1
    if kinds := get_args(kind):  # a union
        return any(_is_a(value, each) for each in kinds)
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, int | np.integer):
        return kind in (int, float)
    return isinstance(value, kind)


def _wanted(kind: Any) -> str:
    """An annotation in words: ``of type int or one of ('left',)``."""
    if get_origin(kind) is Literal:
        return f"one of {get_args(kind)}"
    if kinds := get_args(kind):
        return " or ".join(map(_wanted, kinds))
    return "None" if kind is NoneType else f"of type {kind.__name__}"


def at_least(config: Any, least: int, *names: str) -> None:
    """
    Raises:
        AgentError: one of these settings is smaller.
    """
    for name in names:
        if getattr(config, name) < least:
            raise AgentError(f"{name} must be at least {least}, got {getattr(config, name)}.")


def some_items(k: int, n_items: int) -> None:
    """
    Raises:
        AgentError: ``k`` is not a number of items that a catalogue of ``n_items`` has.
    """
    if not 1 <= k <= n_items:
        raise AgentError(f"k must be in 1..{n_items} (the items), got {k}.")


def steps_to_learn(total_timesteps: int | None, usual: int) -> int:
    """``total_timesteps``, or what is usual where it is None.

    Raises:
        AgentError: not a whole number of at least 1.
    """
    return usual if total_timesteps is None else _whole("total_timesteps", total_timesteps, 1)


def _whole(name: str, value: Any, least: int) -> int:
    try:
        whole(name, value, least)
    except ValueError as error:
        raise AgentError(str(error)) from None
    return int(value)


def problem_of(env: Any) -> Problem:
    """The rules behind a single or vector environment, wrapped or not."""
    problem = getattr(env.unwrapped, "problem", None)
    if not isinstance(problem, Problem):
        raise AgentError(f"{env} is not an environment of recgym.")
    return problem


class Agent(ABC):
    """Predicts actions for one observation or a batch of them.

    An agent learns from the logged data (``problem.log``) and the environment's public interface.
    ``sees`` says what it used: ``log``, ``simulator`` (trained on rewards of the simulated user)
    or ``privileged`` (reads the simulated user itself).
    """

    name: ClassVar[str]
    sees: ClassVar[Sees] = "log"
    Config: ClassVar[type[AgentConfig]] = AgentConfig
    repeatable: ClassVar[bool] = False
    """Whether `act` depends on the observation alone once it has learned, and draws nothing."""

    def __init__(self, env: Any, config: AgentConfig | None = None):
        self.config = config or self.Config()
        self.problem = problem_of(env)
        self.reseed()
        self.training_record: dict[str, Any] = {}
        """What :meth:`learn` tells of itself, for the header of a run: epochs, seconds, …"""

    def reseed(self, seed: int | None = None) -> None:
        """Start the agent's own randomness again, from ``config.seed`` by default."""
        self.rng = np.random.default_rng(self.seed_of(seed))

    def seed_of(self, seed: int | None) -> int:
        """The seed that is asked for, or the agent's own.

        Raises:
            AgentError: not a whole number of at least 0.
        """
        return self.config.seed if seed is None else _whole("seed", seed, 0)

    @property
    def privileged(self) -> bool:
        """Whether it reads the simulated user's internals."""
        return self.sees == "privileged"

    @abstractmethod
    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        """Actions (B, ...) for a batch of observations (B, ...)."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """(actions, state) for one observation or a batch, as Stable-Baselines3's models do.

        Where users may refuse and ``config.replan`` is set, ``state`` remembers what they refused:
        hand it back with the next observation of the same rows, and mark new episodes in
        ``episode_start``. Without it, each call plans as if nothing had been refused.

        Raises:
            AgentError: a state of other rows, or of another kind; an observation of another world,
                or with a user or item that this one does not have.
        """
        space = self.problem.observation_space
        _check_keys(observation, set(space))
        key = next(key for key in space if space[key].shape)
        single = np.ndim(observation[key]) == len(space[key].shape or ())
        # Stable-Baselines3 hands Discrete entries over as (B, 1) or (B,)
        batch = {
            key: np.asarray(value)[None] if single else np.asarray(value)
            for key, value in observation.items()
        }
        for key, value in batch.items():
            batch[key] = _fitting(key, value, space[key])
        memory = None
        if self.config.replan and self.problem.may_refuse:
            memory = self._remember(batch, state, episode_start)
            batch["action_mask"] = memory.mask(batch["action_mask"] > 0).view(np.int8)
        action = self.act(batch, deterministic=deterministic)
        if memory is not None:
            state = memory.offering(action)
        return (action[0] if single else action), state

    def _remember(self, batch: dict[str, np.ndarray], state: Any, episode_start: Any) -> Refusals:
        """The memory of ``state`` with the answers that a batch of observations brings."""
        try:
            memory = Refusals.recall(state, episode_start, *batch["action_mask"].shape)
        except ValueError as error:
            raise AgentError(str(error)) from None
        return memory.told(batch["last_accepted"] > 0, self.problem.targets(batch))

    def learn(
        self, total_timesteps: int | None = None, *, seed: int | None = None, progress: bool = False
    ) -> Agent:
        """Train, where there is something to train; returns the agent."""
        return self

    def save(self, path: str | Path) -> None:
        """Write the agent to a folder, safe to load on another machine."""
        from recgym.models.store import write_json

        write_json(Path(path) / "agent.json", self._card())

    @classmethod
    def load(cls, path: str | Path, env: Any) -> Agent:
        """Read an agent that :meth:`save` wrote, for ``env``.

        Raises:
            AgentError: another agent's folder, or one for other data.
            StoreError: a missing or damaged file.
        """
        from recgym.models.store import StoreError, read_json

        if not (Path(path) / "agent.json").exists():
            raise StoreError(
                f"{path} holds no agent: agent.json does not exist. Give what save() wrote."
            )
        card = read_json(Path(path) / "agent.json")
        if card.get("agent") != cls.name:
            raise AgentError(f"{path} holds agent {card.get('agent')!r}, not {cls.name!r}.")
        if not isinstance(card.get("config"), dict):
            raise AgentError(f"{path}: agent.json holds no configuration. Save the agent again.")
        if card.get("data") != _data_fingerprint(problem_of(env)):
            here = getattr(problem_of(env).action_space, "n", None)
            raise AgentError(
                f"{path} was made for other data ({card.get('n_actions')} actions) or another "
                f"recommender than this environment's{f' ({here} actions)' if here else ''}. "
                "Train the agent again on them."
            )
        return cls(env, cls.Config.from_dict(card["config"]))

    def _card(self) -> dict[str, Any]:
        return {
            "agent": self.name,
            "config": json.loads(json.dumps(asdict(self.config))),
            "data": _data_fingerprint(self.problem),
            "n_actions": int(getattr(self.problem.action_space, "n", 0)),
        }


def _check_keys(observation: Any, wanted: set[str]) -> None:
    if not isinstance(observation, Mapping):
        raise AgentError(
            f"an observation is a dict of {', '.join(sorted(wanted))}, "
            f"got {type(observation).__name__}."
        )
    if observation.keys() == wanted:
        return
    found = [("lacks", wanted - observation.keys()), ("holds besides", observation.keys() - wanted)]
    what = [f"{verb} {_some(keys)}" for verb, keys in found if keys]
    raise AgentError(
        f"the observation {' and '.join(what)}. Give the agent one batch of observations, or a "
        "single one, of the environment that it was made for."
    )


def _some(keys: Iterable[Any]) -> str:
    names = sorted(map(str, keys))
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _fitting(key: str, value: np.ndarray, space: Any) -> np.ndarray:
    """(B, ...) of one entry of an observation, which its space of single ones can hold."""
    shape = space.shape or ()
    if value.ndim == 0:
        raise AgentError(
            f"observation[{key!r}] is a single value among batches of observations. Give each "
            "entry as many rows."
        )
    if value.size != len(value) * int(np.prod(shape)):
        raise AgentError(
            f"observation[{key!r}] has rows of shape {value.shape[1:]}, in the agent's world it is "
            f"{shape}. Give it observations of the environment that it was made for."
        )
    if not len(value):
        raise AgentError(f"observation[{key!r}] has no rows. Give at least one observation.")
    value = value.reshape(len(value), *shape)
    counts = np.issubdtype(space.dtype, np.integer)
    if value.dtype.kind not in ("biu" if counts else "biuf"):
        what = "whole numbers" if counts else "numbers"
        raise AgentError(f"observation[{key!r}] must hold {what}, got {value.dtype}.")
    low, high = _range(space)
    if key == "steps_left":  # agents may play another horizon than the one they were made for
        low, high = 0, np.inf
    if value.size and not (low <= value.min() and value.max() <= high):
        raise AgentError(
            f"observation[{key!r}] must be in {low:g}..{high:g}, got {value.min()}..{value.max()}."
        )
    return value


def _range(space: Any) -> tuple[float, float]:
    """Least and greatest of what counts or numbers something; infinite for measured values."""
    if isinstance(space, spaces.Discrete):
        return int(space.start), int(space.start + space.n) - 1
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.integer):
        return int(space.low.min()), int(space.high.max())
    return -np.inf, np.inf


def _data_fingerprint(problem: Problem) -> str:
    data = getattr(problem, "log", None) or getattr(problem, "world", None)
    return "" if data is None else data.fingerprint


def choose_uniformly(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B,) int64: one of the true entries of each row of ``mask`` (B, A), uniformly."""
    return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
