"""Solving H x = v for many v at once: conjugate gradients, LiSSA, and a dense factorisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


class NotConverged(ArithmeticError):
    """A solve that did not reach its tolerance; the message has the residual."""


METHODS = ("cg", "lissa", "dense", "blocks")
LEAVING = 0.25  # share of columns; fewer are not worth the copies


@dataclass(frozen=True)
class Solver:
    """How inverse-Hessian products are computed.

    ``cg``: preconditioned conjugate gradients to a relative residual of ``tolerance``.
    ``lissa``: the recursion h ← v + (I − H/scale) h of the paper's appendix, ``iterations`` times.
    ``dense``: a factorisation of the whole Hessian, the oracle of tiny worlds.
    ``blocks``: the Hessian's diagonal blocks alone, for worlds too large for the others: one
    product in the place of an iteration's many.
    """

    method: str = "cg"
    tolerance: float = 1e-3
    iterations: int = 500
    single: bool = True
    """Compute in float32."""
    scale: float = 0.0
    """Of LiSSA: above the largest eigenvalue; 0 estimates it."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {self.method!r}.")
        if self.iterations < 1 or not self.tolerance > 0:
            raise ValueError("iterations must be at least 1 and tolerance positive.")


EXACT = Solver(tolerance=1e-6, single=False)


def solve(hessian: Any, vectors: np.ndarray, solver: Solver = Solver()) -> np.ndarray:
    """(n, R): H⁻¹ applied to vectors (n, R).

    Args:
        hessian: has ``@``, ``preconditioner(dtype)`` and ``dense()``.

    Raises:
        NotConverged: a residual above the tolerance (of LiSSA, a series cut short on purpose, one
            above that of zero), curvature that is not positive, or vectors that are not finite.
    """
    if not np.isfinite(vectors).all():
        raise NotConverged(
            "The right-hand sides are not finite: the training did not end at an optimum. Use a "
            "stronger prior."
        )
    if solver.method == "dense":
        return _dense(hessian, vectors)
    kind = np.float32 if solver.single else np.float64
    vectors = np.ascontiguousarray(vectors, dtype=kind)
    if solver.method == "lissa":
        return _lissa(hessian, vectors, solver)
    if solver.method == "blocks":
        return _preconditioner(hessian, kind)(vectors)
    return _conjugate_gradients(
        lambda x: hessian @ x, _preconditioner(hessian, kind), vectors, solver
    )


def _preconditioner(hessian: Any, kind: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The Hessian's own, made once for all solves with it."""
    made = vars(hessian).setdefault("_preconditioners", {})
    if kind not in made:
        made[kind] = hessian.preconditioner(kind)
    return made[kind]


def _dense(hessian: Any, vectors: np.ndarray) -> np.ndarray:
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    try:
        return cho_solve(cho_factor(hessian.dense()), vectors)
    except (LinAlgError, ValueError) as error:  # ValueError: entries that are not finite
        raise NotConverged(
            f"The Hessian is not positive definite where the training ended ({error}). Use a "
            "stronger prior or a larger damping."
        ) from None


def block_jacobi(blocks: np.ndarray, kind: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Multiplies vectors (M·d, R) by the inverses of diagonal blocks (M, d, d)."""
    inverse = np.linalg.inv(blocks).astype(kind)

    def precondition(residual: np.ndarray) -> np.ndarray:
        d = inverse.shape[1]
        return np.matmul(inverse, residual.reshape(len(inverse), d, -1)).reshape(residual.shape)

    return precondition


def _conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    vectors: np.ndarray,
    solver: Solver,
) -> np.ndarray:
    """Columns are solved side by side; where ``LEAVING`` of them are done, they leave the work."""
    goal = solver.tolerance * np.linalg.norm(vectors, axis=0)
    result = np.zeros_like(vectors)
    active = np.flatnonzero(np.linalg.norm(vectors, axis=0) > 0)
    residual = vectors[:, active]
    towards = precondition(residual)
    direction = towards.copy()
    power = np.einsum("nr,nr->r", residual, towards)
    x, work = np.zeros_like(residual), np.empty_like(residual)
    going = np.ones(len(active), dtype=bool)
    for _ in range(solver.iterations):
        if len(active) == 0:
            return result
        image = product(direction)
        curvature = np.einsum("nr,nr->r", direction, image)
        if (curvature[going] <= 0).any():
            raise NotConverged(
                "The Hessian has a direction of curvature "
                f"{float(curvature[going].min()):.2g}: it is not positive definite where the "
                "training ended. Use a stronger prior or a larger damping."
            )
        step = np.divide(power, curvature, out=np.zeros_like(power), where=going)
        x += np.multiply(direction, step, out=work)
        residual -= np.multiply(image, step, out=work)
        done = going & (np.linalg.norm(residual, axis=0) <= goal[active])
        if done.any():
            result[:, active[done]] = x[:, done]
            going &= ~done
            if going.sum() <= (1 - LEAVING) * len(going):
                active, x, residual = active[going], x[:, going], residual[:, going]
                direction, power = direction[:, going], power[going]
                work, going = work[:, going], going[going]
            if len(active) == 0:
                return result
        towards = precondition(residual)
        following = np.einsum("nr,nr->r", residual, towards)
        direction *= np.divide(following, power, out=np.zeros_like(power), where=going)
        direction += towards
        power = following
    active, residual = active[going], residual[:, going]
    size = np.linalg.norm(residual, axis=0) / (goal[active] / solver.tolerance)
    raise NotConverged(
        f"Conjugate gradients stopped after {solver.iterations} iterations: {len(active)} of "
        f"{vectors.shape[1]} systems have a relative residual of up to {float(size.max()):.2g}, "
        f"above {solver.tolerance:.2g}. Use a stronger prior, more iterations or damping."
    )


def _lissa(hessian: Any, vectors: np.ndarray, solver: Solver) -> np.ndarray:
    """Σ_j (I − H/scale)^j v / scale, the truncated Neumann series."""
    scale = solver.scale or 1.05 * _largest_eigenvalue(hessian, vectors.dtype)
    result = vectors.copy()
    for _ in range(solver.iterations):
        result = vectors + result - (hessian @ result) / vectors.dtype.type(scale)
    result /= vectors.dtype.type(scale)
    residual = np.linalg.norm(vectors - hessian @ result, axis=0)
    worst = float((residual / np.maximum(np.linalg.norm(vectors, axis=0), 1e-30)).max(initial=0))
    if not worst <= 1 + 1e-3:  # each term of a series that converges lowers it
        raise NotConverged(
            f"LiSSA diverged after {solver.iterations} iterations, to a relative residual of "
            f"{worst:.2g}: its scale {scale:.3g} is below the largest eigenvalue of the Hessian, "
            "or the Hessian is not positive definite."
        )
    return result


def _largest_eigenvalue(hessian: Any, kind: np.dtype, rounds: int = 30) -> float:
    """By power iteration from a fixed start."""
    vector = np.random.default_rng(0).standard_normal((hessian.shape[0], 1)).astype(kind)
    size = 1.0
    for _ in range(rounds):
        vector = hessian @ (vector / np.linalg.norm(vector))
        size = float(np.linalg.norm(vector))
    return size
