"""Where a profile settles under a stationary policy, what that is worth, and its exact gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.evaluators.choice.model import ChoiceModel, check_finite
from recgym.evaluators.choice.policies import PolicyFamily

TOLERANCE = 1e-11
UNDAMPED = 1_000
MOST_ITERATIONS = 3_000


class NotSettled(ValueError):
    """A stationary profile that was not found; the message says how far off it is."""


@dataclass(frozen=True)
class Stationary:
    """Profiles u* = F(π, u*) of B users."""

    profile: np.ndarray  # (B, d) float64
    iterations: int  # until all had converged
    residual: np.ndarray  # (B,) float64: ‖F(π, u*) − u*‖∞


@dataclass(frozen=True)
class Outcome:
    """What a policy is worth to users with given profiles; (B,) float64 each."""

    click: np.ndarray  # p_CLK
    harm: np.ndarray  # p_H: the expected harm of what is consumed
    exposure: np.ndarray  # the expected severity of what is recommended; 0 with a plain label

    def objective(self, harm_weight: float, exposure_weight: float = 0.0) -> np.ndarray:
        """(B,): f = p_CLK − λ p_H, and less the weighed exposure."""
        return self.click - harm_weight * self.harm - exposure_weight * self.exposure


def choice_probabilities(
    model: ChoiceModel, family: PolicyFamily, profile: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """(B, N): the probability that a user with ``profile`` (B, d) consumes each item."""
    scores = model.scores(profile)
    return model.consumption(scores, family.clicks(scores, family.check(weights, len(profile))))


def outcome(
    model: ChoiceModel, family: PolicyFamily, profile: np.ndarray, weights: np.ndarray
) -> Outcome:
    """p_CLK and p_H of a policy (B, P) at profiles (B, d), e.g. stationary ones.

    Weights may add up to more than a policy's: solvers pass through such points.
    """
    weights = family.check(weights, len(profile))
    scores = model.scores(profile)
    clicks = family.clicks(scores, weights)
    harm = model.consumption(scores, clicks) @ model.harm
    return Outcome((1 - model.explore) * clicks.sum(axis=1), harm, weights @ family.exposure())


def stationary_profile(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    weights: np.ndarray,
    *,
    start: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
    iterations: int = MOST_ITERATIONS,
) -> Stationary:
    """The fixed point u* = G(p(π, u*)), by iteration from the inherent profile (B, d).

    Profiles that have not settled after a thousand iterations may jump between two places, and go
    half the way from then on.

    Args:
        start: (B, d) where to begin instead, e.g. the fixed point of a policy close by.
        tolerance: of ‖G(p(π, u)) − u‖∞.

    Raises:
        NotSettled: it does not converge; with the number of users, how far off, and the cure.
    """
    inherent = np.asarray(inherent, dtype=np.float64)
    if inherent.ndim != 2 or inherent.shape[1] != model.width:
        raise ValueError(f"inherent must have shape (B, {model.width}), got {inherent.shape}.")
    check_finite("inherent", inherent)
    model.check_scores(inherent)
    weights = family.check(weights, len(inherent))
    found = np.array(inherent if start is None else start, dtype=np.float64)
    residual = np.zeros(len(found))
    if not model.alpha.any():  # nothing moves; without this β = 0 would have no answer
        return Stationary(inherent.copy(), 0, residual)
    active = np.arange(len(found))
    for done in range(1, iterations + 1):
        probability = choice_probabilities(model, family, found[active], weights[active])
        new = _average_target(model, found[active], inherent[active], probability)
        residual[active] = np.abs(new - found[active]).max(axis=1)
        found[active] = new if done <= UNDAMPED else (new + found[active]) / 2
        active = active[~(residual[active] <= tolerance)]  # keeps NaN
        if len(active) == 0:
            return Stationary(found, done, residual)
    raise NotSettled(
        f"The stationary profile of {len(active)} of {len(found)} users did not converge in "
        f"{iterations} iterations (they still move by up to {np.max(residual[active]):.1e}): the "
        "policy may have several. Raise beta, lower alpha, or scale the vectors down."
    )


def settling_profile(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    weights: np.ndarray,
    iterations: int,
) -> np.ndarray:
    """(B, d): so many iterations on the way to the fixed point, to compare policies cheaply."""
    found = inherent
    for _ in range(iterations if model.alpha.any() else 0):
        probability = choice_probabilities(model, family, found, weights)
        found = _average_target(model, found, inherent, probability)
    return found


def _average_target(
    model: ChoiceModel, profile: np.ndarray, inherent: np.ndarray, probability: np.ndarray
) -> np.ndarray:
    """(B, d): G(p) = (β u_0 + Σ α_v p_v v)/(β + Σ α_v p_v)."""
    weight = probability * model.alpha
    pull = (weight * model.valence(profile)) @ model.items
    return (model.beta * inherent + pull) / (model.beta + weight.sum(axis=1, keepdims=True))


def gradient(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    weights: np.ndarray,
    harm_weight: float,
    *,
    exposure_weight: float = 0.0,
    implicit: bool = True,
    start: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """f at the stationary profile and its exact gradient, by the implicit function theorem.

    df/dπ = ∂_π f + (∂F/∂π)ᵀ (I − ∂F/∂u)^{−ᵀ} ∂_u f: one d × d system for each user.

    Args:
        inherent: (B, d).
        weights: (B, P).
        harm_weight: λ.
        implicit: with False the profile is taken as given, and the second term left out.
        start: (B, d) where the search for the fixed point begins.
        tolerance: of the fixed point.

    Returns:
        f (B,), df/dπ (B, P), and u* (B, d).

    Raises:
        ValueError: a fixed point that does not converge, or an I − ∂F/∂u that is singular.
    """
    weights = family.check(weights, len(inherent))
    settled = stationary_profile(model, family, inherent, weights, start=start, tolerance=tolerance)
    profile = settled.profile
    scores = model.scores(profile)
    clicks = family.clicks(scores, weights)
    probability = model.consumption(scores, clicks)
    keep = 1 - model.explore
    value = Outcome(
        keep * clicks.sum(axis=1), probability @ model.harm, weights @ family.exposure()
    )
    share = scores / scores.sum(axis=1, keepdims=True)
    adjoint = np.broadcast_to(-harm_weight * model.harm, share.shape)  # ∂f/∂p_v
    if implicit and model.alpha.any():
        mass = model.beta + (probability * model.alpha).sum(axis=1)
        toward = model.valence(profile)[..., None] * model.items - profile[:, None]
        moves = model.alpha[:, None] * toward / mass[:, None, None]  # ∂G/∂p_v, (B, N, d)
        clicking, judged = np.ones((*share.shape, 1)), np.broadcast_to(model.harm, share.shape)
        left = np.concatenate([moves, judged[..., None], clicking], axis=2)
        slopes = _by_profile(model, family, scores, share, clicks, weights, left)
        d = model.width
        by_profile = slopes[:, d + 1] - harm_weight * slopes[:, d]
        try:
            solved = np.linalg.solve(
                np.eye(d) - slopes[:, :d].transpose(0, 2, 1), by_profile[..., None]
            )
        except np.linalg.LinAlgError:
            raise ValueError(
                "I − ∂F/∂u is singular: the stationary profile is not isolated. Raise beta or "
                "lower alpha."
            ) from None
        adjoint = adjoint + np.matmul(moves, solved)[..., 0]
    mean = (adjoint * share).sum(axis=1, keepdims=True)
    slope = family.by_weights(scores, weights, keep * (adjoint - mean + 1))
    return (
        value.objective(harm_weight, exposure_weight),
        slope - exposure_weight * family.exposure(),
        profile,
    )


def _by_profile(
    model: ChoiceModel,
    family: PolicyFamily,
    scores: np.ndarray,
    share: np.ndarray,
    clicks: np.ndarray,
    weights: np.ndarray,
    left: np.ndarray,
) -> np.ndarray:
    """(B, m, d): Σ_v left_v ⊗ ∂p_v/∂u, the last of the m columns for clicks alone."""
    vectors = model.items / model.temperature
    clicked = family.by_profile(scores, weights, left)  # (B, m, d)
    elsewhere = 1 - clicks.sum(axis=1)
    mean = share @ vectors  # (B, d)
    weighed = (left * share[..., None]).transpose(0, 2, 1)  # (B, m, N)
    average = weighed.sum(axis=2)[..., None]  # (B, m, 1)
    drift = np.matmul(weighed, vectors) - average * mean[:, None]
    organic = elsewhere[:, None, None] * drift - average * clicked[:, -1:]
    organic[:, -1] = 0
    return (1 - model.explore) * (clicked + organic)
