"""Validation losses of every user for any selection: retrained, or predicted from anchors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from recgym.evaluators.influence.effects import Anchor, newton
from recgym.evaluators.influence.game import SelectionGame
from recgym.evaluators.influence.solve import Solver
from recgym.evaluators.influence.training import Recommender, fit, user_losses

REMEMBERED = 4_096  # selections whose losses a backend that trains keeps


class Backend(ABC):
    """Losses of selections. ``name`` is what environments call it.

    Raises:
        ValueError: selections of another shape than (B, Z), or numbers outside [0, 1].
    """

    name: str
    game: SelectionGame

    @property
    def follows_others(self) -> bool:
        """Whether a user's loss in :meth:`losses` follows what the others select."""
        return True

    @abstractmethod
    def losses(self, selected: np.ndarray) -> np.ndarray:
        """(B, N): L_u for selections (B, Z)."""

    def mean_losses(self, selected: np.ndarray) -> np.ndarray:
        """(B,): the mean over users of their losses."""
        return self.losses(selected).mean(axis=1)

    def own_change(self, before: np.ndarray, after: np.ndarray, user: np.ndarray) -> np.ndarray:
        """(B,): change of each acting user's loss.

        ``before`` and ``after`` (B, Z) differ only in the pairs of ``user`` (B,).
        """
        difference = self.losses(after) - self.losses(before)
        return difference[np.arange(len(user)), user]

    def mean_change(self, before: np.ndarray, after: np.ndarray, user: np.ndarray) -> np.ndarray:
        """(B,): change of the mean loss of all users, by the same moves."""
        return (self.losses(after) - self.losses(before)).mean(axis=1)

    def nearest(
        self, selected: np.ndarray, user: np.ndarray, row: np.ndarray | None = None
    ) -> np.ndarray:
        """(V,) int64: the anchor that the losses of users (V,) are predicted from.

        Args:
            row: (V,), of ``selected`` (B, Z) for each of them; 0, 1, … by default.
        """
        return np.zeros(len(user), dtype=np.int64)


class Influence(Backend):
    """One anchor: every user's loss is linear in the selection (the paper's IFRQE).

    Without ``cross`` effects (:func:`recgym.evaluators.influence.effects.effects`), other users'
    selections do not enter a user's loss in :meth:`losses`; :meth:`mean_losses` and changes
    are the same either way, since they need the own and the total effects only.
    """

    name = "influence"

    def __init__(self, game: SelectionGame, anchor: Anchor, cross: np.ndarray | None = None):
        self.game, self.anchor, self.cross = game, anchor, cross

    @property
    def follows_others(self) -> bool:
        return self.cross is not None

    def losses(self, selected: np.ndarray) -> np.ndarray:
        moved = self.game.selections(selected) - self.anchor.selected
        if self.cross is not None:
            return self.anchor.losses + moved @ self.cross.T
        return self.anchor.losses + self.game.by_user(moved * self.anchor.own)

    def mean_losses(self, selected: np.ndarray) -> np.ndarray:
        moved = self.game.selections(selected) - self.anchor.selected
        return self.anchor.losses.mean() + moved @ self.anchor.total / self.game.n_users

    def own_change(self, before: np.ndarray, after: np.ndarray, user: np.ndarray) -> np.ndarray:
        return (after - before) @ self.anchor.own

    def mean_change(self, before: np.ndarray, after: np.ndarray, user: np.ndarray) -> np.ndarray:
        return (after - before) @ self.anchor.total / self.game.n_users


class Anchors(Backend):
    """T anchors: each user's loss follows the one nearest to the selection of *her own* pairs.

    The paper measures nearness on all users' pairs together. Such distances concentrate: all
    anchors are about as far.
    """

    name = "anchors"

    def __init__(self, game: SelectionGame, anchors: Sequence[Influence]):
        if not anchors:
            raise ValueError("anchors needs at least one anchor.")
        self.game, self.parts = game, tuple(anchors)

    def _distances(self, selected: np.ndarray) -> np.ndarray:
        """(B, N, T): Hamming distances on each user's own pairs."""
        parts = [self.game.by_user(np.abs(selected - p.anchor.selected)) for p in self.parts]
        return np.stack(parts, axis=2)

    def losses(self, selected: np.ndarray) -> np.ndarray:
        which = self._distances(self.game.selections(selected)).argmin(axis=2)
        each = np.stack([part.losses(selected) for part in self.parts], axis=2)
        return np.take_along_axis(each, which[:, :, None], axis=2)[:, :, 0]

    def own_change(self, before: np.ndarray, after: np.ndarray, user: np.ndarray) -> np.ndarray:
        if not self._crosses:
            return super().own_change(before, after, user)
        return self._of_user(after, user) - self._of_user(before, user)

    def mean_change(self, before: np.ndarray, after: np.ndarray, user: np.ndarray) -> np.ndarray:
        """See :meth:`Backend.mean_change`; only the acting user can come nearer to another."""
        if not self._crosses:
            return super().mean_change(before, after, user)
        pairs, inside = self._pairs(user)
        moved = np.where(inside, np.take_along_axis(after - before, pairs, axis=1), 0.0)
        which = self._distances(before).argmin(axis=2)
        each = [np.einsum("nbk,bk->bn", cross[:, pairs], moved) for cross in self._crosses]
        change = np.take_along_axis(np.stack(each, axis=2), which[:, :, None], axis=2)[:, :, 0]
        change[np.arange(len(user)), user] = self.own_change(before, after, user)
        return change.mean(axis=1)

    @property
    def _crosses(self) -> list[np.ndarray]:
        """Cross effects (N, Z) of all anchors; empty unless all have them."""
        found = [part.cross for part in self.parts if part.cross is not None]
        return found if len(found) == len(self.parts) else []

    def _pairs(self, user: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(V, K) the pairs of users (V,), and which of them are theirs; the others are pair 0."""
        k = np.arange(self.game.lengths[user].max(initial=0))
        inside = k < self.game.lengths[user, None]
        return np.where(inside, self.game.offsets[user, None] + k, 0), inside

    def _of_user(self, selected: np.ndarray, user: np.ndarray) -> np.ndarray:
        """(B,): the loss of one user under each selection (B, Z)."""
        found = np.empty(len(user))
        which = self.nearest(selected, user)
        for t, part in enumerate(self.parts):
            rows = np.flatnonzero(which == t)
            if part.cross is not None and len(rows):
                apart = selected[rows] - part.anchor.selected
                effect = np.einsum("bz,bz->b", part.cross[user[rows]], apart)
                found[rows] = part.anchor.losses[user[rows]] + effect
        return found

    def nearest(
        self, selected: np.ndarray, user: np.ndarray, row: np.ndarray | None = None
    ) -> np.ndarray:
        row = np.arange(len(user)) if row is None else row
        pairs, inside = self._pairs(user)
        mine = selected[row[:, None], pairs]
        apart = [np.abs(mine - part.anchor.selected[pairs]) * inside for part in self.parts]
        return np.stack([each.sum(axis=1) for each in apart], axis=1).argmin(axis=1)


class Retrain(Backend):
    """The truth: train on each selection, from the saved initialisation."""

    name = "retrain"

    def __init__(self, model: Recommender):
        self.model, self.game = model, model.game
        self.trainings = 0
        self._known: dict[bytes, np.ndarray] = {}

    def losses(self, selected: np.ndarray) -> np.ndarray:
        return np.stack([self._losses(row) for row in self.game.selections(selected)])

    def _losses(self, selected: np.ndarray) -> np.ndarray:
        key = np.asarray(selected, dtype=np.float64).tobytes()
        if key not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self.trainings += 1
            theta = fit(self.model, selected)
            self._known[key] = user_losses(self.model, theta, self.game.validation, selected)
        return self._known[key]


class Newton(Backend):
    """One Newton step from an anchor for each selection: between influence and retraining."""

    name = "newton"

    def __init__(self, model: Recommender, anchor: Anchor, solver: Solver = Solver()):
        self.model, self.game, self.anchor, self.solver = model, model.game, anchor, solver

    def losses(self, selected: np.ndarray) -> np.ndarray:
        model, at, valid = self.model, self.anchor.theta, self.game.validation
        rows = self.game.selections(selected)
        found = [(newton(model, at, s, solver=self.solver), s) for s in rows]
        return np.stack([user_losses(model, theta, valid, s) for theta, s in found])
