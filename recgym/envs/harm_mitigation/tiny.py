"""A world on a line, small enough for exact answers."""

from __future__ import annotations

import functools

import numpy as np

from recgym.envs.harm_mitigation.worlds import World

PLACES = (-1.6, -0.8, 0.0, 1.2, 1.6, 2.0)
TITLES = ("calm", "mild", "plain", "gateway", "harsh", "harsher")
HARMFUL = (4, 5)
USERS = (0.2, 0.5, 0.8, 1.0, 0.4, 0.9, 0.3, 0.7, 0.6)


@functools.cache
def tiny_world() -> World:
    """Six items from calm to harsh on a line (d = 1), two of them harmful, and nine users.

    All users lean to the harmful side. `gateway` is the harmless item that they like best; it
    holds their attention and draws them toward harm. `mild` holds less and leads away from it.
    """
    harmful = np.isin(np.arange(len(PLACES)), HARMFUL)
    severity = (np.array(PLACES) - min(PLACES)) / (max(PLACES) - min(PLACES))
    return World(
        "tiny",
        np.array(USERS)[:, None],
        np.array(PLACES)[:, None],
        harmful,
        severity,
        TITLES,
        {"train": (0, 1, 2, 3), "validation": (4, 5), "test": (6, 7, 8)},
        c=2.0,
    )
