"""Registers environments with Gymnasium, once; imports nothing heavy."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

NAMESPACE = "recgym"


def register_problem(name: str, *, module: str, tiny: dict[str, Any], version: int = 0) -> None:
    """Register ``recgym/<name>-v<version>`` and ``recgym/<name>Tiny-v<version>``.

    ``module`` holds the classes ``<name>Env`` and ``<name>VectorEnv``; ``tiny`` are the keyword
    arguments of the small world with known answers.
    """
    for suffix, kwargs in (("", {}), ("Tiny", tiny)):
        env_id = f"{NAMESPACE}/{name}{suffix}-v{version}"
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
