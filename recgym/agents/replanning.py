"""Not offering again what was just refused: a memory that `predict` carries in its ``state``.

A refusal changes nothing that most agents look at, so a deterministic one would offer the same item
until the horizon. Instead, refused items leave the ``action_mask`` that the agent sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Refusals:
    """What each of B rows refused in its episode, of A actions. Never changed in place."""

    refused: np.ndarray  # (B, A) bool
    offered: np.ndarray  # (B,) int64: the latest offer, −1 before the first

    @classmethod
    def recall(cls, state: Any, episode_start: Any, rows: int, actions: int) -> Refusals:
        """The memory in a ``state`` of `predict`, without the rows that start an episode.

        Raises:
            ValueError: a state that is not one of these, or of another number of rows.
        """
        fresh = cls(np.zeros((rows, actions), dtype=bool), np.full(rows, -1))
        if state is None:
            return fresh
        if not isinstance(state, cls) or state.refused.shape != fresh.refused.shape:
            what = state.refused.shape if isinstance(state, cls) else f"a {type(state).__name__}"
            raise ValueError(
                f"state must be what predict returned for {rows} rows of {actions} actions, "
                f"got {what}. Pass None where new episodes begin."
            )
        start = np.asarray(False if episode_start is None else episode_start, dtype=bool)
        if start.shape not in ((), (rows,)):
            raise ValueError(f"episode_start must have shape ({rows},), got {start.shape}.")
        start = np.broadcast_to(start, rows)
        return cls(state.refused & ~start[:, None], np.where(start, -1, state.offered))

    def told(self, accepted: np.ndarray, targets: np.ndarray) -> Refusals:
        """With the answer to the latest offers: ``accepted`` (B,) bool.

        What was refused stays so, but the episode's ``targets`` (B, A) only until something else
        is accepted: their chance may have grown, and they are what it is all for.
        """
        refused = self.refused.copy()
        answered = self.offered >= 0
        no, yes = np.flatnonzero(answered & ~accepted), answered & accepted
        refused[no, self.offered[no]] = True
        refused[yes] &= ~targets[yes]
        return Refusals(refused, self.offered)

    def offering(self, action: np.ndarray) -> Refusals:
        """With the offers (B,) that wait for an answer."""
        return Refusals(self.refused, np.array(action, dtype=np.int64))

    def mask(self, legal: np.ndarray) -> np.ndarray:
        """(B, A) bool: ``legal`` (B, A) without what was refused.

        Where nothing else is left, all but the latest offer; where that is all, that.
        """
        rows, offered = np.flatnonzero(self.offered >= 0), self.offered
        others = legal.copy()
        others[rows, offered[rows]] &= ~self.refused[rows, offered[rows]]
        mask = legal & ~self.refused
        for instead in (others, legal):
            stuck = ~mask.any(axis=1)
            mask[stuck] = instead[stuck]
        return mask
