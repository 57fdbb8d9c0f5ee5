"""Wrappers for small policies, each for single and for vector environments.

>>> from recgym.wrappers import FlatEmbeddings, NearestItem
>>> env = NearestItem(FlatEmbeddings(gym.make("recgym/InfluencePath-v0")))

Nothing is imported until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recgym.wrappers.candidates import CandidateActions, VectorCandidateActions
    from recgym.wrappers.embeddings import (
        EmbeddedHistory,
        FlatEmbeddings,
        NearestItem,
        VectorEmbeddedHistory,
        VectorFlatEmbeddings,
        VectorNearestItem,
    )
    from recgym.wrappers.rewards import RewardTerms

__all__ = [
    "CandidateActions",
    "EmbeddedHistory",
    "FlatEmbeddings",
    "NearestItem",
    "RewardTerms",
    "VectorCandidateActions",
    "VectorEmbeddedHistory",
    "VectorFlatEmbeddings",
    "VectorNearestItem",
]

_MODULES = {"CandidateActions": "candidates", "RewardTerms": "rewards"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _MODULES.get(name.removeprefix("Vector"), "embeddings")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return __all__
