"""Registers environments with Gymnasium, once; imports nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import gymnasium as gym

if TYPE_CHECKING:
    from recgym.envs.parallel import RecParallelEnv

NAMESPACE = "recgym"
_PARALLEL: dict[str, tuple[str, str, dict[str, Any]]] = {}  # id → module, class, arguments


def register_problem(
    name: str,
    *,
    module: str,
    tiny: dict[str, Any],
    version: int = 0,
    parallel: str | None = None,
) -> None:
    """Register ``recgym/<name>-v<version>`` and ``recgym/<name>Tiny-v<version>``.

    ``module`` holds the classes ``<name>Env`` and ``<name>VectorEnv``; ``tiny`` are the keyword
    arguments of the small world with known answers. The module ``parallel`` holds
    ``<name>ParallelEnv``, if the problem has players who can act at once.
    """
    for suffix, kwargs in (("", {}), ("Tiny", tiny)):
        env_id = f"{NAMESPACE}/{name}{suffix}-v{version}"
        if parallel is not None:
            _PARALLEL[env_id] = parallel, f"{name}ParallelEnv", kwargs
        if env_id in gym.registry:
            continue
        gym.register(
            env_id,
            entry_point=f"{module}:{name}Env",
            vector_entry_point=f"{module}:{name}VectorEnv",
            kwargs=kwargs,
        )


def env_ids() -> list[str]:
    """The ids of all environments of this package."""
    return sorted(i for i in gym.registry if i.startswith(f"{NAMESPACE}/"))


def parallel_env(env_id: str, **kwargs: Any) -> RecParallelEnv:
    """A PettingZoo ``ParallelEnv`` in which all players of a game act at once.

    >>> env = recgym.parallel_env("recgym/DataSelection-v0")

    Args:
        env_id: of a game; the same id that ``gym.make`` takes.
        kwargs: the environment's arguments, in place of those it is registered with.

    Raises:
        ValueError: there is no such game.
        gymnasium.error.DependencyNotInstalled: without PettingZoo.
    """
    if env_id not in _PARALLEL:
        known = ", ".join(sorted(_PARALLEL))
        raise ValueError(f"{env_id!r} has no players who act at once. Games: {known}.")
    module, name, registered = _PARALLEL[env_id]
    try:
        import pettingzoo  # noqa: F401
    except ImportError:
        raise gym.error.DependencyNotInstalled(
            'recgym.parallel_env needs PettingZoo. Run: pip install "recgym[multiagent]"'
        ) from None
    return getattr(import_module(module), name)(**{**registered, **kwargs})
