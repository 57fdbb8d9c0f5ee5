"""What the platform tells users who ask what their items do to their loss."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from recgym.envs.data_selection.game import Game
from recgym.evaluators.influence import Anchors, Backend


class Told:
    """Entries of observations with ``show_influence``: of one anchor, or of all T of a backend.

    With T anchors a user's predicted loss of a selection o of her own items is that of the anchor
    nearest to it, ``anchor_loss[t] + Σ_k (o_k − anchor_selected[t, k]) influence[t, k]``; entries
    (T, K) come flat, the first anchor first.
    """

    def __init__(self, game: Game, backend: Backend):
        self.data, self.places = game.data, game.places
        self.parts = backend.parts if isinstance(backend, Anchors) else None
        anchors = [part.anchor for part in self.parts or (game.anchor(),)]
        padding = np.zeros((len(anchors), 1))
        own = np.concatenate([np.stack([a.own for a in anchors]), padding], axis=1)
        chosen = np.concatenate([np.stack([a.selected for a in anchors]), padding], axis=1)
        self._own, self._chosen = own.astype(np.float32), chosen.astype(np.int8)  # (T, Z + 1)
        entries = len(anchors) * self.places.shape[1]
        self.spaces: dict[str, spaces.Space] = {"influence": _box(self._own, entries)}
        if self.parts is not None:
            crossed = [np.abs(p.cross).sum(axis=1) for p in self.parts if p.cross is not None]
            reach = np.stack(crossed) + np.stack([a.losses for a in anchors])
            self.spaces["anchor_selected"] = spaces.MultiBinary(entries)
            self.spaces["anchor_loss"] = _box(reach, len(anchors))

    def __call__(self, selected: np.ndarray, user: np.ndarray) -> dict[str, np.ndarray]:
        """Entries for the acting users (B,) at selections (B, Z)."""
        places = self.places[user]
        found = {"influence": _flat(self._own[:, places])}
        if self.parts is None:
            return found
        others = self.data.training.user != user[:, None]
        losses = []
        for part in self.parts:
            assert part.cross is not None
            moved = np.where(others, selected - part.anchor.selected, 0.0)
            losses.append(part.anchor.losses[user] + np.einsum("bz,bz->b", moved, part.cross[user]))
        return {
            **found,
            "anchor_selected": _flat(self._chosen[:, places]),
            "anchor_loss": np.stack(losses, axis=1).astype(np.float32),
        }


def _flat(values: np.ndarray) -> np.ndarray:
    """(B, T·K) from (T, B, K)."""
    return values.transpose(1, 0, 2).reshape(values.shape[1], -1)


def _box(values: np.ndarray, entries: int) -> spaces.Box:
    """Entries within ± the largest of ``values``, rounding included."""
    bound = float(np.float32(1.001) * np.float32(np.abs(values).max(initial=0)) + 1e-6)
    return spaces.Box(-bound, bound, (entries,), np.float32)
