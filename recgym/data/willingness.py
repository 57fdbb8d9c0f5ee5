"""How much users want their items kept out of training, for data that do not say it.

Willingness β is a number in [0, 1] for each event of a log: the larger, the more the user wants it
left out (data-selection paper, equation 1). On real data the paper draws it at random.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from recgym.data.log import DataError, InteractionLog


def uniform(log: InteractionLog, seed: int) -> np.ndarray:
    """(E,) float64: a uniform number from [0, 1) for each event."""
    return np.random.default_rng(seed).random(len(log))


def constant(log: InteractionLog, value: float = 0.5) -> np.ndarray:
    """(E,) float64: the same willingness for all events."""
    return check(np.full(len(log), value, dtype=np.float64), log)


def rarity(log: InteractionLog) -> np.ndarray:
    """(E,) float64 in [0.5, 1): rare categories are sensitive, common ones tell little.

    Category c with n_c events (an event counts in each of its item's categories) has rarity

        r_c = 1 − n_c / (2 · max n),

    so 0.5 for the most common one and nearly 1 for those that hardly occur. An item of several
    categories has the rarity of its rarest, which gives most away; an item of none has 0.5. The
    formula is ours.

    Raises:
        DataError: no item of the log has a category.
    """
    check_name("rarity", log)
    counts = log.popularity @ log.genres.astype(np.int64)
    rare = 1 - counts / (2 * counts.max())
    of_item = np.where(log.genres, rare, 0.5).max(axis=1, initial=0.5)
    return of_item[log.item]


def check(values: np.ndarray, log: InteractionLog) -> np.ndarray:
    """``values`` as (E,) float64 if they can be the willingness of a log.

    Raises:
        DataError: another length than the log's, a NaN, a number outside [0, 1].
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(log),):
        raise DataError(
            f"{log.name}: willingness has shape {values.shape}, expected ({len(log)},). Give one "
            "number for each event, in the order of the log."
        )
    bad = ~((values >= 0) & (values <= 1))  # NaN is bad, too
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{log.name}: willingness of event {row} is {values[row]}, not in 0..1 "
            f"({int(bad.sum()):,} such). Rescale the numbers, and fill in what is missing."
        )
    return values


# Functions of a log and a seed
WILLINGNESS: Mapping[str, Callable[[InteractionLog, int], np.ndarray]] = MappingProxyType(
    {
        "uniform": uniform,
        "constant": lambda log, seed: constant(log),
        "rarity": lambda log, seed: rarity(log),
    }
)


def check_name(name: str, log: InteractionLog) -> None:
    """
    Raises:
        DataError: unknown name; ``rarity`` for a log without categories.
    """
    if name not in WILLINGNESS:
        raise DataError(
            f"No model of willingness is called {name!r}. Known: {', '.join(WILLINGNESS)}."
        )
    if name == "rarity" and not log.genres[log.item].any():
        raise DataError(
            f"{log.name}: no item has a category, and willingness by rarity needs them. Give items "
            "genres, or choose 'uniform' or 'constant'."
        )


def draw(name: str, log: InteractionLog, seed: int) -> np.ndarray:
    """(E,) float64: the willingness of a log by a model's name, aligned with its rows.

    Raises:
        DataError: unknown name; ``rarity`` for a log without categories.
    """
    check_name(name, log)
    return check(WILLINGNESS[name](log, seed), log)
