"""Rules for arguments that are the same in all environments and agents."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields
from inspect import signature
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
    if not isinstance(value, Real) or isinstance(value, bool) or not _finite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}.")


def _finite(value: Real) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except OverflowError:  # of a whole number
        return False


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


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """The mapping; None is an empty one.

    Raises:
        ValueError: something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a mapping, got {value!r}.")
    return value


def term_weights(given: Any) -> dict[str, float]:
    """Of named reward terms; None is none.

    Raises:
        ValueError: not a mapping of names to finite numbers.
    """
    given = mapping("weights", given)
    for name, value in given.items():
        number(f"The weight of {name!r}", value)
    return {name: float(value) for name, value in given.items()}


def plain(parameters: Any) -> None:
    """Make a frozen dataclass's checked values Python's own, as its annotations say.

    So that ``np.int64(2)`` is as good as ``2``, and 0 as 0.0: equal values, equal fingerprints.
    """
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        kind = _PLAIN.get(str(field.type))
        if kind is not None:
            value = kind(value)
        elif isinstance(value, np.generic):
            value = value.item()
        object.__setattr__(parameters, field.name, value)


_PLAIN = {"int": int, "float": float, "bool": bool, "str": str}  # annotations are strings


def beside_world(
    world: str, own: Mapping[str, Any], given: Mapping[str, Any], environment: Callable
) -> None:
    """Refuse what is asked for beside a ready-made world that is otherwise.

    Args:
        world: its name.
        own: what it has, by the names of the environment's arguments.
        given: the arguments.
        environment: whose defaults nobody has asked for.

    Raises:
        ValueError: an argument that is neither the default nor the world's own.
    """
    defaults = signature(environment).parameters
    for name, value in given.items():
        if value != defaults[name].default and value != own.get(name, defaults[name].default):
            has = f"has {name}={own[name]!r}" if name in own else f"takes no {name}"
            raise ValueError(
                f"The world {world!r} {has}, and {value!r} was asked for. Leave {name} out, or "
                "make another world (dataclasses.replace)."
            )
