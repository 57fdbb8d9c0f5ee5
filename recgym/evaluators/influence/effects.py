"""Influence functions: what a pair in the training set does to the users' validation losses.

At an optimum θ̃ of the selection õ, ∂θ̂/∂o_k = −H⁻¹∇l_k, so pair k changes the loss of user u by
e_uk = −∇L_uᵀ H⁻¹ ∇l_k for each unit of o_k. Losses of another selection follow as a difference,

    L_u(o) ≈ L_u(θ̃) + Σ_k (o_k − õ_k) e_uk,

which is exact to first order wherever θ̃ was trained to its optimum, with regularisation too (the
paper's Eq. 4 assumes that the data's gradients alone add up to zero). Where the selection is the
recommender's graph too, ∂∇F/∂o_k takes the place of ∇l_k and ∂L_u/∂o_k is added. Where deselected
pairs are relabelled, ∂∇F/∂o_k is −∇s_k, s_k the score of the pair's item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from recgym.evaluators.influence.solve import Solver, solve
from recgym.evaluators.influence.training import Recommender, fit, user_losses

CHUNK = 32  # right-hand sides at a time: more fall out of the cache
Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Anchor:
    """A selection õ, what was trained on it, and how each pair matters there."""

    selected: np.ndarray  # (Z,) float64, õ
    theta: np.ndarray  # (n,)
    losses: np.ndarray  # (N,) L_u(θ̃) on validation
    own: np.ndarray  # (Z,) e of each pair on the loss of its own user
    total: np.ndarray  # (Z,) e of each pair summed over all users

    def own_losses(self, selected: np.ndarray, by_user: Callable) -> np.ndarray:
        """(..., N): each user's loss if she alone changed her selection to o (..., Z)."""
        return self.losses + by_user((selected - self.selected) * self.own)


def anchor(
    model: Recommender,
    selected: np.ndarray | None = None,
    *,
    solver: Solver = Solver(),
    own_solver: Solver | None = None,
    damping: float = 0.0,
    theta: np.ndarray | None = None,
    progress: Progress = lambda share: None,
) -> Anchor:
    """Train on õ (default: everything) and compute every pair's own and total effect.

    One solve for each user, many side by side, and one for all users together.

    Args:
        own_solver: of the users' own solves, if another one.

    Raises:
        TrainingFailed: the training did not reach its optimum.
        NotConverged: a solve did not.
    """
    game = model.game
    weight = game.selection(selected)
    theta = fit(model, weight) if theta is None else theta
    hessian = model.hessian(theta, weight, damping)
    everyone = np.ones((game.n_users, 1))
    slope = model.loss_gradients(theta, game.validation, everyone, weight)
    solved = solve(hessian, slope, solver).astype(np.float64)
    total = model.pair_effects(theta, weight, everyone, solved)[0]
    own = np.zeros(game.size)
    for users in chunks(game.n_users):
        slope = model.loss_gradients(theta, game.validation, columns(users, game.n_users), weight)
        solved = solve(hessian, slope, own_solver or solver)
        own[game.pairs_of(users)] = model.own_effects(theta, weight, users, solved)
        progress((users[-1] + 1) / game.n_users)
    losses = user_losses(model, theta, game.validation, weight)
    return Anchor(weight, theta, losses, own, total)


def effects(
    model: Recommender,
    theta: np.ndarray,
    selected: np.ndarray,
    users: np.ndarray,
    *,
    solver: Solver = Solver(),
    damping: float = 0.0,
) -> np.ndarray:
    """(U, Z): e_uk of all training pairs on the losses of some users (U,)."""
    game = model.game
    weight = game.selection(selected)
    hessian = model.hessian(theta, weight, damping)
    parts = []
    for part in chunks(len(users)):
        which = columns(users[part], game.n_users)
        slope = model.loss_gradients(theta, game.validation, which, weight)
        solved = solve(hessian, slope, solver)
        parts.append(model.pair_effects(theta, weight, which, solved))
    return np.concatenate(parts)


def newton(
    model: Recommender,
    theta: np.ndarray,
    selected: np.ndarray,
    *,
    solver: Solver = Solver(),
    damping: float = 0.0,
) -> np.ndarray:
    """(n,): one Newton step from θ toward the optimum of a selection o (Z,), with its Hessian.

    For a joint change of many pairs it is nearer than the linear prediction, for one solve.
    """
    weight = model.game.selection(selected)
    slope = model.value_and_gradient(theta, weight)[1]
    step = solve(model.hessian(theta, weight, damping), slope[:, None], solver)
    return theta - step[:, 0].astype(np.float64)


def chunks(count: int, size: int = CHUNK) -> list[np.ndarray]:
    """Consecutive indices of 0..count−1, some at a time."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def columns(users: np.ndarray, n_users: int) -> np.ndarray:
    """(N, U): a 1 in each column, in the row of its user."""
    found = np.zeros((n_users, len(users)))
    found[users, np.arange(len(users))] = 1
    return found


def matched(sources: sp.csr_matrix, columns: np.ndarray, which: np.ndarray) -> np.ndarray:
    """(E,): row e of sparse (E, n) times column which[e] of (n, R), without the other products."""
    count = len(sources.indptr) - 1
    rows = np.repeat(np.arange(count), np.diff(sources.indptr))
    products = sources.data * columns[sources.indices, which[rows]]
    return np.bincount(rows, weights=products, minlength=count)
