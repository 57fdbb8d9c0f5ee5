"""Training to the optimum: what a selection is judged by in the end."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from recgym.evaluators.influence.game import Pairs, SelectionGame
from recgym.evaluators.influence.solve import NotConverged, Solver, solve

POLISH = 3  # Newton steps after L-BFGS
OUT_OF_ITERATIONS = 1  # status of L-BFGS; of others it is at the end of what it can tell


class Recommender(Protocol):
    """A differentiable recommender over a game: its objective F and its losses at θ (n,).

    ``weight`` (Z,) is the selection that the recommender was trained on, everything by default.
    Only recommenders with a graph read it where it is optional: their scores follow the graph.
    What a weight means in training is said by ``game.terms``.
    """

    name: str
    game: SelectionGame
    n_params: int

    @property
    def start(self) -> np.ndarray:
        """(n,): the saved initialisation; every training starts there."""
        ...

    @property
    def pull(self) -> np.ndarray:
        """(n,): ρ of each parameter."""
        ...

    def value_and_gradient(self, theta: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
        """F and ∇F (n,) for weights (Z,)."""
        ...

    def losses(
        self, theta: np.ndarray, pairs: Pairs, weight: np.ndarray | None = None
    ) -> np.ndarray:
        """(E,): the loss of each pair."""
        ...

    def scores(
        self, theta: np.ndarray, pairs: Pairs, weight: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (E,) of the items and (E,) of their negatives."""
        ...

    def all_scores(self, theta: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """(N, I)."""
        ...

    def loss_gradients(
        self,
        theta: np.ndarray,
        pairs: Pairs,
        which: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> np.ndarray:
        """(n, R): the gradients of Σ_u which_ur L_u over ``pairs``, for ``which`` (N, R)."""
        ...

    def pair_effects(
        self, theta: np.ndarray, weight: np.ndarray, which: np.ndarray, solved: np.ndarray
    ) -> np.ndarray:
        """(R, Z): ∂/∂o_k of Σ_u which_ur L_u on validation, for solved (n, R) = H⁻¹ its gradient.

        That is −⟨∂∇F/∂o_k, solved⟩, and what the graph changes in L_u itself.
        """
        ...

    def own_effects(
        self, theta: np.ndarray, weight: np.ndarray, users: np.ndarray, solved: np.ndarray
    ) -> np.ndarray:
        """(K,): of consecutive ``users``, each one's own pairs on her loss; one column each."""
        ...

    def hessian(self, theta: np.ndarray, weight: np.ndarray, damping: float = 0.0) -> Any:
        """∇²F, with ``@``, ``preconditioner(dtype)`` and ``dense()``."""
        ...


class TrainingFailed(ArithmeticError):
    """A training that did not end in a stationary point; the message has the gradient's size."""


def fit(
    model: Recommender,
    selected: np.ndarray | None = None,
    *,
    tolerance: float = 1e-6,
    iterations: int = 5_000,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """θ̂(o) (n,): the minimum of F that L-BFGS reaches from the saved initialisation.

    Where F is too large for its values to tell the last steps apart, Newton's follow. If nothing is
    selected it is the prior; where deselected pairs are relabelled
    (:class:`recgym.evaluators.influence.game.SelectionGame`), what everything as disliked teaches.

    Args:
        selected: (Z,) o; None is everything.
        tolerance: of the largest entry of the gradient.
        start: another start, for the study of approximation errors only.

    Raises:
        TrainingFailed: the tolerance was not reached.
    """
    weight = model.game.selection(selected)
    begin = model.start if start is None else start
    found = descend(model, weight, begin, tolerance, iterations, _units(model))
    theta, size = found.x, float(np.abs(found.jac).max())
    bound = max(tolerance, 1e-12) * 10
    for _ in range(POLISH if found.status != OUT_OF_ITERATIONS else 0):
        # values of F no longer tell steps apart; gradients still do
        if size <= bound:
            break
        theta, size = _newton(model, theta, weight, size)
    if not size <= bound:
        raise TrainingFailed(
            f"{model.name} on {model.game.name}: after {found.nit} iterations the gradient is "
            f"still {size:.2g}, the tolerance is {tolerance:.2g} ({found.message}). Use a stronger "
            "prior, more iterations or a larger tolerance."
        )
    return theta


def _newton(
    model: Recommender, theta: np.ndarray, weight: np.ndarray, size: float
) -> tuple[np.ndarray, float]:
    """θ and the gradient's size after a Newton step, or before one that does not help."""
    slope = model.value_and_gradient(theta, weight)[1]
    try:
        step = solve(model.hessian(theta, weight), slope[:, None], Solver(single=False))[:, 0]
    except NotConverged:
        return theta, size
    after = float(np.abs(model.value_and_gradient(theta - step, weight)[1]).max())
    return (theta - step, after) if after < size else (theta, size)


def descend(
    model: Recommender,
    weight: np.ndarray,
    start: np.ndarray,
    tolerance: float,
    iterations: int,
    units: np.ndarray | float = 1.0,
) -> Any:
    """What L-BFGS reaches in so many iterations (``x``, ``jac``, ``nit``, ``message``).

    Args:
        units: (n,), what a step of 1 in each parameter is; the closer 1 / units² is to the
            curvature, the fewer iterations.
    """
    from scipy.optimize import minimize

    def scaled(steps: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = model.value_and_gradient(start + units * steps, weight)
        return value, units * slope

    found = minimize(
        scaled,
        np.zeros_like(start),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": iterations,
            "maxfun": 2 * iterations,
            "gtol": tolerance * float(np.min(units)),
            "ftol": 0.0,
            "maxcor": 20,
        },
    )
    found.x, found.jac = start + units * found.x, found.jac / units
    return found


def _units(model: Recommender) -> np.ndarray | float:
    """1/√ρ of each parameter: those that are pulled at different strengths converge together."""
    return 1 / np.sqrt(model.pull) if model.pull.min(initial=np.inf) > 0 else 1.0


def user_losses(
    model: Recommender, theta: np.ndarray, pairs: Pairs, weight: np.ndarray | None = None
) -> np.ndarray:
    """(N,): L(T^u, θ), the sum of the losses of each user's pairs.

    Args:
        weight: (Z,), the selection that θ was trained on; everything by default.
    """
    losses = model.losses(theta, pairs, weight)
    return np.bincount(pairs.user, weights=losses, minlength=model.game.n_users)
