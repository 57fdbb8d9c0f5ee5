"""Training to the optimum: what a selection is judged by in the end."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from recgym.evaluators.influence.game import Pairs, SelectionGame


class Recommender(Protocol):
    """A differentiable recommender over a game: its objective F and its losses at θ (n,)."""

    name: str
    game: SelectionGame
    n_params: int

    @property
    def start(self) -> np.ndarray:
        """(n,): the saved initialisation; every training starts there."""
        ...

    def value_and_gradient(self, theta: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
        """F and ∇F (n,) for weights (Z,)."""
        ...

    def losses(self, theta: np.ndarray, pairs: Pairs) -> np.ndarray:
        """(E,): the loss of each pair."""
        ...

    def all_scores(self, theta: np.ndarray) -> np.ndarray:
        """(N, I)."""
        ...

    def pair_gradients(self, theta: np.ndarray, pairs: Pairs) -> Any:
        """(E, n) sparse: ∇l of each pair."""
        ...

    def score_gradients(self, theta: np.ndarray, user: np.ndarray, item: np.ndarray) -> Any:
        """(E, n) sparse: ∇s of pairs (user, item)."""
        ...

    def hessian(self, theta: np.ndarray, weight: np.ndarray, damping: float = 0.0) -> Any:
        """∇²F, with ``@``, ``blocks()`` and ``dense()``."""
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

    Without any pair it is the prior.

    Args:
        selected: (Z,) o; None is everything.
        tolerance: of the largest entry of the gradient.
        start: another start, for the study of approximation errors only.

    Raises:
        TrainingFailed: the tolerance was not reached.
    """
    weight = model.game.selection(selected)
    begin = model.start if start is None else start
    found = descend(model, weight, begin, tolerance, iterations)
    size = float(np.abs(found.jac).max())
    if not size <= max(tolerance, 1e-12) * 10:
        raise TrainingFailed(
            f"{model.name} on {model.game.name}: after {found.nit} iterations the gradient is "
            f"still {size:.2g}, the tolerance is {tolerance:.2g} ({found.message}). Use a stronger "
            "prior, more iterations or a larger tolerance."
        )
    return found.x


def descend(
    model: Recommender, weight: np.ndarray, start: np.ndarray, tolerance: float, iterations: int
) -> Any:
    """What L-BFGS reaches in so many iterations (``x``, ``jac``, ``nit``, ``message``)."""
    from scipy.optimize import minimize

    return minimize(
        lambda theta: model.value_and_gradient(theta, weight),
        start,
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": iterations,
            "maxfun": 2 * iterations,
            "gtol": tolerance,
            "ftol": 0.0,
            "maxcor": 20,
        },
    )


def user_losses(model: Recommender, theta: np.ndarray, pairs: Pairs) -> np.ndarray:
    """(N,): L(T^u, θ), the sum of the losses of each user's pairs."""
    return np.bincount(pairs.user, weights=model.losses(theta, pairs), minlength=model.game.n_users)
