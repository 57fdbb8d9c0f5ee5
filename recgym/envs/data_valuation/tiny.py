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


@functools.lru_cache(maxsize=8)
def tiny_world(
    noise: str | None = "uniform",
    noise_share: float = 1 / 3,
    noise_draw: int = 0,
    backbone: str = "mf",
    width: int = 2,
    learning_rate: float = 0.2,
    weight_decay: float = 0.0,
    warm_epochs: int = 0,
    validation_users: int | None = None,
) -> World:
    """Six true training interactions and two that were planted; d = 2, and large steps.

    The arguments are those of the environment; a smaller ``noise_share`` leaves fewer than eight.
    """
    user = np.repeat(list(LIKED), 4)
    item = np.concatenate(list(LIKED.values()))
    place = np.tile(np.arange(4), len(LIKED))
    log = InteractionLog.from_columns("tiny", user, item, order=place)
    rows = np.arange(len(log)).reshape(len(LIKED), 4)
    return World(
        "tiny",
        log,
        noise=noise,
        noise_share=noise_share,
        noise_draw=noise_draw,
        backbone=backbone,
        width=width,
        optimiser=Optimiser(learning_rate, weight_decay),
        warm_epochs=warm_epochs,
        held_out=(rows[:, 2], rows[:, 3]),
        validation_users=validation_users,
    )
