"""Stable-Baselines3 adapters; they need the extra ``pip install "recgym[sb3]"``.

Nothing of Stable-Baselines3 is imported until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recgym.agents.sb3.policies import (
        CandidateDQNPolicy,
        CandidatePolicy,
        ItemExtractor,
        MaskableCandidatePolicy,
    )
    from recgym.agents.sb3.vec_env import GymnasiumVecEnv, as_vec_env

__all__ = [
    "CandidateDQNPolicy",
    "CandidatePolicy",
    "GymnasiumVecEnv",
    "ItemExtractor",
    "MaskableCandidatePolicy",
    "as_vec_env",
]

_MODULE_OF = {
    "CandidateDQNPolicy": "policies",
    "CandidatePolicy": "policies",
    "GymnasiumVecEnv": "vec_env",
    "ItemExtractor": "policies",
    "MaskableCandidatePolicy": "policies",
    "as_vec_env": "vec_env",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_MODULE_OF[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in {"stable_baselines3", "sb3_contrib"}:
            raise
        raise ImportError(
            f"recgym.agents.sb3.{name} needs {error.name}, which is not installed: "
            'pip install "recgym[sb3]"'
        ) from error
    return getattr(module, name)
