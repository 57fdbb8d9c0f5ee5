"""Rules for the environments' arguments that are the same in all of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np


def whole(name: str, value: Any, least: int = 1) -> None:
    """
    Raises:
        ValueError: not a whole number, or less than ``least``. True is no number.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")


def number(name: str, value: Any) -> None:
    """
    Raises:
        ValueError: not a finite number. True is no number.
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not np.isfinite(float(value)):
        raise ValueError(f"{name} must be a finite number, got {value!r}.")


def flag(name: str, value: Any) -> None:
    """
    Raises:
        ValueError: neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}.")


def single(**given: Any) -> None:
    """
    Raises:
        ValueError: one of them is a list or the like.
    """
    for name, value in given.items():
        if not isinstance(value, Hashable):
            raise ValueError(f"{name} must be a single value, got {value!r}.")


def term_weights(given: Any) -> dict[str, float]:
    """Of named reward terms; None is none.

    Raises:
        ValueError: not a mapping of names to finite numbers.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ValueError(f"weights must be a mapping of terms to numbers, got {given!r}.")
    for name, value in given.items():
        number(f"The weight of {name!r}", value)
    return {name: float(value) for name, value in given.items()}
