"""Environments and agents by name, where a wrong name or argument is one clear sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium as gym

from recgym.benchmark.files import BenchmarkError

# What constructors raise about their arguments.
_REFUSALS = (TypeError, ValueError, KeyError, ImportError, OSError, gym.error.Error)


def env_ids() -> list[str]:
    """The registered environments of recgym."""
    from recgym.envs import env_ids as registered

    return registered()


def check_env_id(env_id: str) -> None:
    """Raises BenchmarkError for an environment that is not registered."""
    if env_id not in env_ids():
        raise BenchmarkError(unknown("environment", env_id, env_ids(), "see recgym list"))


def check_agent(env_id: str, agent: str) -> None:
    """Raises BenchmarkError for an agent that this environment does not have."""
    from recgym import agents

    check_env_id(env_id)
    known = agents.names(env_id)
    if agent not in known:
        raise BenchmarkError(unknown(f"agent for {env_id}", agent, known, "see recgym list"))


def vector_env(
    env_id: str, rows: int, split: str, autoreset_mode: str, kwargs: Mapping[str, Any]
) -> gym.vector.VectorEnv:
    """A native vector environment; raises BenchmarkError for arguments it does not take."""
    check_env_id(env_id)
    try:
        return gym.make_vec(
            env_id,
            num_envs=rows,
            vectorization_mode="vector_entry_point",
            split=split,
            autoreset_mode=autoreset_mode,
            **kwargs,
        )
    except _REFUSALS as error:
        raise BenchmarkError(_refused(env_id, kwargs, error)) from error


def single_env(env_id: str, kwargs: Mapping[str, Any]) -> gym.Env:
    """A single environment; raises BenchmarkError for arguments it does not take."""
    check_env_id(env_id)
    try:
        return gym.make(env_id, **kwargs)
    except _REFUSALS as error:
        raise BenchmarkError(_refused(env_id, kwargs, error)) from error


def agent(name: str, env: Any, config: Mapping[str, Any]) -> Any:
    """An agent; raises BenchmarkError for a configuration it does not take."""
    from recgym import agents

    try:
        return agents.make(name, env, **config)
    except _REFUSALS as error:
        raise BenchmarkError(_refused(f"agent {name}", config, error)) from error


def simulated(name: str, dataset: str | None, variant: str) -> None:
    """Raises BenchmarkError where data are asked for that a study of made-up worlds ignores."""
    if dataset is not None or variant != "clean":
        raise BenchmarkError(
            f"{name} is of worlds that it makes itself: leave data set and variant out"
        )


def unknown(what: str, name: str, known: Iterable[str], otherwise: str) -> str:
    """``unknown <what> '<name>': did you mean ...?``"""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"unknown {what} {name!r}: did you mean {' or '.join(close)}? ({otherwise})"
    return f"unknown {what} {name!r}: choose one of {', '.join(names) or 'none'} ({otherwise})"


def _refused(what: str, arguments: Mapping[str, Any], error: BaseException) -> str:
    given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return f"{what} cannot be made{f' with {given}' if given else ''}: {message}"
