"""What users want: z_u = −L(T^u, θ̂(o)) − λ · what they gave away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from recgym.data.log import DataError
from recgym.evaluators.influence.game import SelectionGame


def linear(disclosed: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The paper's: Σ_k o_k β_k itself."""
    return disclosed


def saturating(disclosed: np.ndarray, size: np.ndarray) -> np.ndarray:
    """A user who has given much away minds the next item less: √(x · size) for x given away.

    Ours, for the paper's future work; equal to ``linear`` where x is the size.
    """
    return np.sqrt(np.maximum(disclosed, 0.0) * size)


def escalating(disclosed: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Each further item costs more: x² / size for x given away. Ours."""
    return disclosed**2 / np.maximum(size, 1e-12)


COSTS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "linear": linear,
    "saturating": saturating,
    "escalating": escalating,
}
"""Name → cost of (Σ_k o_k β_k, Σ_k β_k) of each user, element by element."""


@dataclass(frozen=True, eq=False)
class Utility:
    """z_u of every user for losses and a selection.

    Raises:
        DataError: willingness of another length than the training pairs, or outside [0, 1].
        ValueError: an unknown cost, or a weight below 0.
    """

    game: SelectionGame
    willingness: np.ndarray  # (Z,) in [0, 1], or (B, Z): more is rather out
    weight: float
    """λ."""
    cost: str = "linear"

    def __post_init__(self) -> None:
        check_willingness(self.willingness, self.game)
        if self.cost not in COSTS:
            raise ValueError(f"cost must be one of {sorted(COSTS)}, got {self.cost!r}.")
        if not 0 <= self.weight < np.inf:
            raise ValueError(f"λ must be at least 0 and finite, got {self.weight}.")

    def disclosure(self, selected: np.ndarray) -> np.ndarray:
        """(..., N): what selections (..., Z) cost each user, without λ."""
        disclosed = self.game.by_user(selected * self.willingness)
        return COSTS[self.cost](disclosed, self.game.by_user(self.willingness))

    def __call__(self, losses: np.ndarray, selected: np.ndarray) -> np.ndarray:
        """(..., N): z_u for validation losses (..., N) and selections (..., Z)."""
        return -losses - self.weight * self.disclosure(selected)


def check_willingness(values: np.ndarray, game: SelectionGame) -> None:
    """Raise ``DataError`` unless ``values`` are (..., Z) numbers in [0, 1]."""
    array = np.asarray(values)
    if array.shape[-1:] != (game.size,):
        raise DataError(
            f"{game.name}: willingness must have one number for each of the {game.size} training "
            f"pairs, got shape {array.shape}. Give them in the order of the pairs, user by user."
        )
    bad = np.argwhere(~((array >= 0) & (array <= 1)))
    if len(bad):
        where = tuple(bad[0].tolist())
        raise DataError(
            f"{game.name}: willingness must lie in [0, 1], got {array[where]} for pair {where[-1]} "
            f"of user {game.training.user[where[-1]]}. Rescale the numbers, and fill in what is "
            "missing."
        )
