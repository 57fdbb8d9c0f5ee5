"""The paper's method: SLSQP on f(π, u*(π)) with the exact gradient, from nine starts, per user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.harm_mitigation.stationary_agent import StationaryAgent
from recgym.evaluators import choice
from recgym.evaluators.choice import ChoiceModel, PolicyFamily

MOST_VARIABLES = 3_000
CLIP = {True: 1e-3, False: 1e-5}  # bounded cardinality, independent sampling


@dataclass(frozen=True)
class GradientConfig(AgentConfig):
    """Settings of SLSQP."""

    iterations: int = 100
    tolerance: float = 1e-6
    draws: int = 0
    """Of Monte Carlo where actions are probabilities, as in the paper; 0 is exact quadrature."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iterations < 1 or not self.tolerance > 0 or self.draws < 0:
            raise AgentError(
                "iterations must be at least 1, tolerance positive and draws at least 0, got "
                f"{self.iterations}, {self.tolerance}, {self.draws}."
            )


class GradientAgent(StationaryAgent):
    """One user at a time: a second for a hundred items, and no more than 3,000 slates."""

    name = "gradient"
    Config = GradientConfig
    config: GradientConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def policies(self) -> PolicyFamily:
        family = super().policies()
        if family.size > MOST_VARIABLES:
            raise AgentError(
                f"{self.name}: {family.size:,} slates are too many for SLSQP "
                f"(at most {MOST_VARIABLES:,}). Use projected_gradient."
            )
        if self.config.draws and not isinstance(family, choice.Slates):
            uniforms = np.random.default_rng(self.config.seed).random(
                (self.config.draws, family.size)
            )
            return choice.Draws(self.model, self.k, uniforms)
        return family

    def solve(self, inherent: np.ndarray) -> np.ndarray:
        weight, exposed = self.prices
        c = self.config
        rng = np.random.default_rng(c.seed)
        return np.stack(
            [
                slsqp(
                    self.model,
                    self.family,
                    user,
                    weight,
                    rng,
                    c.iterations,
                    c.tolerance,
                    exposure_weight=exposed,
                )[0]
                for user in inherent
            ]
        )


def slsqp(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    harm_weight: float,
    rng: np.random.Generator,
    iterations: int = 100,
    tolerance: float = 1e-6,
    *,
    exposure_weight: float = 0.0,
) -> tuple[np.ndarray, float]:
    """(weights (P,), f) of the best of nine runs for one user with ``inherent`` (d,).

    Runs that come to a policy whose stationary profile is not found are left out, as are those that
    fail in the paper.

    Raises:
        NotSettled: that happened to all nine.
    """
    from scipy.optimize import minimize

    bounded = isinstance(family, choice.Slates)
    user = inherent[None]

    def negative(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope, _ = choice.gradient(
            model,
            family,
            user,
            np.clip(weights, 0, 1)[None],
            harm_weight,
            exposure_weight=exposure_weight,
        )
        return -float(value[0]), -slope[0]

    ones = np.ones(family.size)
    constraint = {
        "type": "eq" if bounded else "ineq",
        "fun": lambda w: family.total - w.sum(),
        "jac": lambda w: -ones,
    }
    best, value, trouble = None, -np.inf, ""
    for start in starts(model, family, inherent, rng):
        try:
            found = minimize(
                negative,
                start,
                jac=True,
                method="SLSQP",
                bounds=[(0.0, 1.0)] * family.size,
                constraints=[constraint],
                options={"maxiter": iterations, "ftol": tolerance},
            )
            weights = feasible(family, np.where(found.x < CLIP[bounded], 0.0, found.x))
            reached = -negative(weights)[0]
        except choice.NotSettled as error:  # the run crossed policies without an answer
            trouble = str(error)
            continue
        if reached > value:
            best, value = weights, reached
    if best is None:
        raise choice.NotSettled(trouble)
    return best, value


def starts(
    model: ChoiceModel, family: PolicyFamily, inherent: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Nine points (P,): the best under u_0, uniform, three random ones, the last four also / 100.

    Of sampled policies the first is in proportion to the scores.
    """
    score = model.scores(inherent[None])[0]
    uniform = np.full(family.size, family.total / family.size)
    if isinstance(family, choice.Slates):
        held = family.by_weights(score[None], uniform[None], np.ones((1, len(score))))[0]
        first = np.eye(1, family.size, int(held.argmax()))[0]
    else:
        mine = score[model.recommendable]
        first = np.minimum(family.total * mine / mine.sum(), 1.0)
    random = rng.random((3, family.size))
    random = family.total * random / random.sum(axis=1, keepdims=True)
    return [first, uniform, uniform / 100, *random, *(random / 100)]


def feasible(family: PolicyFamily, weights: np.ndarray) -> np.ndarray:
    """The nearest policy to weights (P,)."""
    if isinstance(family, choice.Slates):
        return choice.onto_simplex(weights[None], family.total)[0]
    return choice.onto_budget(weights[None], family.total)[0]
