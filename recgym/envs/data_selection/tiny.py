"""A world of four players and at most twelve interactions: every selection can be trained on."""

from __future__ import annotations

import functools

import numpy as np

from recgym.envs.data_selection.worlds import World

PLAYERS = 4
ITEMS_EACH = 3


@functools.cache
def tiny_world() -> World:
    """The paper's simulator with twenty users and ten items, five of them for each user.

    Eight users are public; train, validation and test are games of four players, who may each
    select among three items, in training one of them among two: at most 2^12 joint selections.
    """
    from recgym.data.selection_world import simulate

    held_out = 2  # one item to validate and one to test
    each = ITEMS_EACH + held_out
    made = simulate(4, 20, 10, per_user=(each, each), eta=0.3)
    users = np.arange(20)
    parts: dict[str, np.ndarray] = {
        "public": users[:8],
        "train": users[8:12],
        "validation": users[12:16],
        "test": users[16:],
    }
    return World("tiny", made.log, parts, width=2, simulated=made, one_draw=True)
