"""A world with eight training triplets: every selection of two batches can be tried."""

from __future__ import annotations

import functools

import numpy as np

from recgym.data import InteractionLog
from recgym.envs.data_valuation.worlds import World
from recgym.evaluators.learner import Optimiser

# (user, item) of three users with two tastes; everybody's third item is for validation, her fourth
# for the test
LIKED = {0: (0, 1, 2, 3), 1: (1, 2, 0, 3), 2: (4, 5, 6, 7)}
NOISY = 2


@functools.cache
def tiny_world() -> World:
    """Six true training interactions and two that were planted; d = 2, and large steps."""
    user = np.repeat(list(LIKED), 4)
    item = np.concatenate(list(LIKED.values()))
    place = np.tile(np.arange(4), len(LIKED))
    log = InteractionLog.from_columns("tiny", user, item, order=place)
    rows = np.arange(len(log)).reshape(len(LIKED), 4)
    return World(
        "tiny",
        log,
        noise="uniform",
        noise_share=NOISY / (2 * len(LIKED)),
        width=2,
        optimiser=Optimiser(learning_rate=0.2, weight_decay=0.0),
        warm_epochs=0,
        held_out=(rows[:, 2], rows[:, 3]),
    )
