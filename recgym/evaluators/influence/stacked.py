"""Retraining many selections at once: the stacked batch of worlds with a handful of pairs."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit

from recgym.evaluators.influence.matrix_factorisation import MatrixFactorisation
from recgym.evaluators.influence.training import TrainingFailed

NUMBERS = 2**24  # of Hessians held at a time


def fit_stacked(
    model: MatrixFactorisation,
    selected: np.ndarray,
    *,
    tolerance: float = 1e-9,
    iterations: int = 200,
) -> np.ndarray:
    """(J, n): θ̂(o) for selections (J, Z), each trained from the saved initialisation.

    Newton's method with Levenberg's damping in every row, with dense Hessians: for tiny worlds,
    where it ends in the same optimum as :func:`recgym.evaluators.influence.fit`.

    Args:
        tolerance: of the largest entry of each row's gradient.

    Raises:
        ValueError: selections of another width.
        TrainingFailed: rows that did not reach the tolerance.
    """
    selected = np.asarray(selected, dtype=np.float64)
    if selected.ndim != 2 or selected.shape[1] != model.game.size:
        raise ValueError(f"Selections have shape (J, {model.game.size}), got {selected.shape}.")
    size = max(1, NUMBERS // model.n_params**2)
    starts = range(0, len(selected), size)
    parts = [_fit(model, selected[s : s + size], tolerance, iterations) for s in starts]
    return np.concatenate(parts) if parts else np.zeros((0, model.n_params))


def losses_stacked(model: MatrixFactorisation, thetas: np.ndarray) -> np.ndarray:
    """(J, N): every user's validation loss at each θ of (J, n)."""
    pairs, n_users = model.game.validation, model.game.n_users
    entries = _Entries(model, pairs.user, pairs.item, pairs.negative)
    each = entries.terms(thetas)[0]
    of_user = np.zeros((len(pairs), n_users))
    of_user[np.arange(len(pairs)), pairs.user] = 1.0
    return each @ of_user


def _fit(
    model: MatrixFactorisation, weight: np.ndarray, tolerance: float, iterations: int
) -> np.ndarray:
    pairs = model.game.training
    entries = _Entries(model, pairs.user, pairs.item, pairs.negative)
    a, b = model.game.terms(weight)
    rows = len(weight)
    theta = np.tile(model.start, (rows, 1))
    damping = np.ones(rows)
    active = np.arange(rows)

    def value(theta: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        away = theta - model.centre
        loss, score = entries.terms(theta)
        return (a * loss).sum(axis=1) + (b * score).sum(axis=1) + 0.5 * away**2 @ model.pull

    for _ in range(iterations):
        at, of = theta[active], (a[active], b[active])
        slope, hessian = entries.derivatives(at, *of)
        left = np.abs(slope).max(axis=1) > tolerance
        active, at, slope, hessian = (x[left] for x in (active, at, slope, hessian))
        of = of[0][left], of[1][left]
        if len(active) == 0:
            return theta
        hessian += damping[active, None, None] * np.eye(model.n_params)
        trial = at - np.linalg.solve(hessian, slope[..., None])[..., 0]
        before = value(at, *of)
        better = value(trial, *of) <= before + 1e-12 * np.maximum(np.abs(before), 1.0)
        theta[active] = np.where(better[:, None], trial, at)
        damping[active] *= np.where(better, 0.1, 10.0)
    raise TrainingFailed(
        f"{model.name} on {model.game.name}: {len(active)} of {rows} selections did not reach a "
        f"gradient of {tolerance:.2g} in {iterations} iterations. Use a stronger prior."
    )


class _Entries:
    """Scores s = p_u·q_i of pairs and their negatives, for a stack of θ (J, n)."""

    def __init__(
        self, model: MatrixFactorisation, user: np.ndarray, item: np.ndarray, negative: np.ndarray
    ):
        self.model = model
        self.user = np.concatenate([user, user])
        self.item = np.concatenate([item, negative])
        # σ(s) should be 1 for items and 0 for negatives
        self.sign = np.repeat([1.0, -1.0], len(user))
        self.n_users, self.n_items = model.game.n_users, model.game.n_items

    def _vectors(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p and q of every entry, (J, E, d) each."""
        vectors = theta.reshape(len(theta), self.n_users + self.n_items, -1)
        return vectors[:, self.user], vectors[:, self.n_users + self.item]

    def terms(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """l, s (J, pairs): −log σ(s_item) − log σ(−s_negative), and s_item."""
        p, q = self._vectors(theta)
        scores = (p * q).sum(axis=2)
        each = -log_expit(self.sign * scores)
        return each.reshape(len(theta), 2, -1).sum(axis=1), np.split(scores, 2, axis=1)[0]

    def derivatives(
        self, theta: np.ndarray, a: np.ndarray, b: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradients (J, n) and Hessians (J, n, n) of F for terms a, b (J, Z)."""
        p, q = self._vectors(theta)
        (j, e, d), u, both = p.shape, self.n_users, self.n_users + self.n_items
        scores, weight = (p * q).sum(axis=2), np.tile(a, 2)
        slope = weight * (expit(scores) - (self.sign > 0))
        slope += np.concatenate([b, np.zeros_like(b)], axis=1)
        curvature = weight * expit(scores) * expit(-scores)
        jacobian = np.zeros((j, e, both, d))
        entry = np.arange(e)
        jacobian[:, entry, self.user] = q
        jacobian[:, entry, u + self.item] = p
        jacobian = jacobian.reshape(j, e, both * d)
        gradient = np.einsum("jen,je->jn", jacobian, slope)
        gradient += self.model.pull * (theta - self.model.centre)
        hessian = jacobian.transpose(0, 2, 1) @ (curvature[..., None] * jacobian)
        pair = np.zeros((e, u * self.n_items))
        pair[entry, self.user * self.n_items + self.item] = 1.0
        slopes = (slope @ pair).reshape(j, u, self.n_items)
        blocks = hessian.reshape(j, both, d, both, d)
        for k in range(d):
            blocks[:, :u, k, u:, k] += slopes
            blocks[:, u:, k, :u, k] += slopes.transpose(0, 2, 1)
        return gradient, hessian + np.diag(self.model.pull)
