"""A world on a line, small enough for exact answers."""

from __future__ import annotations

import functools

import numpy as np

from recgym.envs.harm_mitigation.worlds import World

PLACES = (-1.6, -0.8, 0.0, 1.2, 1.6, 2.0)
TITLES = ("calm", "mild", "plain", "gateway", "harsh", "harsher")
HARMFUL = (4, 5)
USERS = (0.05, 0.15, 0.25, 0.4, 0.1, 0.35, 0.2, 0.3, 0.5)


@functools.cache
def tiny_world() -> World:
    """Six items from calm to harsh on a line (d = 1), two of them harmful, and nine users.

    `gateway` is the harmless item that all users like best at first; it holds their attention and
    draws them toward harm. Users who lean to the harmful side a little (u_0 up to about .25) can be
    led to `calm` instead, and are then safe; those who lean further would only be bored by it, and
    `gateway` is the lesser evil.
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
        c=1.0,
    )
