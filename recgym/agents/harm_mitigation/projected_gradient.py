"""The paper's objective by projected gradient ascent, for all users at once.

Each user has a step size of her own: it grows while f rises and shrinks where f would fall. The
gradient is exact and analytic, so there is nothing for automatic differentiation to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.harm_mitigation.stationary_agent import StationaryAgent
from recgym.evaluators import choice
from recgym.evaluators.choice import ChoiceModel, PolicyFamily
from recgym.evaluators.top_k import best

NUMBERS = 3_000_000  # of the largest temporary array of one block of users
CANDIDATES = 128, 32  # pure policies that are tried as starts: at most, and of any catalogue
SCORED = 128_000  # items of all of them, for one user
ROUGH = 20  # iterations toward the fixed point of each


@dataclass(frozen=True)
class ProjectedGradientConfig(AgentConfig):
    """Settings of the ascent."""

    iterations: int = 100
    tolerance: float = 1e-6
    """A user is done when a step gains less than this share of |f|, three times running."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iterations < 1 or not self.tolerance >= 0:
            raise AgentError(
                "iterations must be at least 1 and tolerance at least 0, got "
                f"{self.iterations}, {self.tolerance}."
            )


class ProjectedGradientAgent(StationaryAgent):
    """Solves thousands of users, or tens of thousands of items."""

    name = "projected_gradient"
    Config = ProjectedGradientConfig
    config: ProjectedGradientConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def solve(self, inherent: np.ndarray) -> np.ndarray:
        weight, exposed = self.prices
        c = self.config
        return ascend(
            self.model,
            self.family,
            inherent,
            weight,
            c.iterations,
            c.tolerance,
            exposure_weight=exposed,
        )[0]


def ascend(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    harm_weight: float,
    iterations: int = 100,
    tolerance: float = 1e-6,
    *,
    exposure_weight: float = 0.0,
    implicit: bool = True,
    pure: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """(weights (B, P), f (B,)): the best ascent of each user with inherent profiles (B, d).

    Without ``pure`` it starts from the uniform policy alone; without ``implicit`` the gradient
    takes the profile as given. Both are for ablations.
    """
    rows = max(1, NUMBERS // (4 * model.n_items * (model.width + 2)))
    weights, values = [], []
    for start in range(0, len(inherent), rows):
        users = inherent[start : start + rows]
        begins = starts(model, family, users, harm_weight, exposure_weight)
        begins = begins if pure else begins[:1]
        repeated = np.tile(users, (len(begins), 1))
        found = np.concatenate(begins)
        paid = harm_weight, exposure_weight
        found = _ascend(model, family, repeated, found, paid, iterations, tolerance, implicit)
        value = _value(model, family, repeated, found, paid).reshape(len(begins), -1)
        best, at = value.argmax(axis=0), np.arange(len(users))
        weights.append(found.reshape(len(begins), len(users), -1)[best, at])
        values.append(value[best, at])
    return np.concatenate(weights), np.concatenate(values)


def _value(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    weights: np.ndarray,
    paid: tuple[float, float],
) -> np.ndarray:
    """(B,): f at the stationary profile."""
    settled = choice.stationary_profile(model, family, inherent, weights, tolerance=1e-10)
    return choice.outcome(model, family, settled.profile, weights).objective(*paid)


def starts(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    harm_weight: float,
    exposure_weight: float = 0.0,
) -> list[np.ndarray]:
    """Four policies (B, P) each.

    Uniform; the best under u_0; the best along the gradient of the uniform one; and the best of
    many pure ones, for which :func:`pure_candidates` lists a slate around each promising item.
    f has many local maxima, nearly all of them pure, and the last start is the one that matters.
    """
    uniform = np.full((len(inherent), family.size), family.total / family.size)
    score = model.scores(inherent)
    held = family.by_weights(score, uniform, np.ones_like(score))
    paid = harm_weight, exposure_weight
    slope = choice.gradient(
        model, family, inherent, uniform, harm_weight, exposure_weight=exposure_weight
    )[1]
    found = [uniform, _vertex(family, held), _vertex(family, slope)]
    best, value = found[1], np.full(len(inherent), -np.inf)
    for candidate in pure_candidates(model, family, inherent, held, slope):
        near = choice.settling_profile(model, family, inherent, candidate, ROUGH)
        worth = choice.outcome(model, family, near, candidate).objective(*paid)
        better = worth > value
        best = np.where(better[:, None], candidate, best)
        value = np.where(better, worth, value)
    return [*found, best]


def pure_candidates(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    held: np.ndarray,
    slope: np.ndarray,
) -> Iterator[np.ndarray]:
    """Policies (B, P), one for each rank: what is liked best by who has settled near an item.

    Items in the order of their worth by ``held`` and ``slope`` (B, P) in turn; where weights are
    single items each is its own candidate.
    """
    most, least = CANDIDATES
    count = min(family.size, max(least, min(most, SCORED // model.n_items)))
    orders = [np.argsort(-worth, axis=1, kind="stable") for worth in (held, slope)]
    for rank in range(count):
        every = count == family.size
        column = orders[0][:, rank] if every else orders[rank % 2][:, rank // 2]
        if isinstance(family, choice.Slates):
            yield _one_hot(column, family.size)
            continue
        item = model.items[model.recommendable[column]]
        settled = (model.beta * inherent + model.alpha_harmless * item) / (
            model.beta + model.alpha_harmless
        )
        yield _vertex(family, model.scores(settled)[:, model.recommendable])


def _one_hot(column: np.ndarray, size: int) -> np.ndarray:
    found = np.zeros((len(column), size))
    found[np.arange(len(column)), column] = 1.0
    return found


def _vertex(family: PolicyFamily, worth: np.ndarray) -> np.ndarray:
    """(B, P): the policy of highest linear worth."""
    count = 1 if isinstance(family, choice.Slates) else int(family.total)
    found = np.zeros_like(worth)
    np.put_along_axis(found, best(worth, count), 1.0, axis=1)
    return found


def _ascend(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    weights: np.ndarray,
    paid: tuple[float, float],
    iterations: int,
    tolerance: float,
    implicit: bool,
) -> np.ndarray:
    """(B, P): where each ascent ends. Fixed points are sought from the one before."""
    project = choice.onto_simplex if isinstance(family, choice.Slates) else choice.onto_budget

    def climb(rows: np.ndarray, at: np.ndarray, near: np.ndarray):
        return choice.gradient(
            model,
            family,
            inherent[rows],
            at,
            paid[0],
            exposure_weight=paid[1],
            implicit=implicit,
            start=near,
            tolerance=1e-7,
        )

    active = np.arange(len(weights))
    best = weights.copy()
    value, slope, profile = climb(active, best, inherent)
    spread = slope.max(axis=1) - slope.min(axis=1)
    step = family.total / np.maximum(spread, 1e-12) / 4
    quiet = np.zeros(len(best), dtype=int)
    for _ in range(iterations):
        tried = project(best[active] + step[active, None] * slope[active], family.total)
        new, new_slope, new_profile = climb(active, tried, profile[active])
        gain = new - value[active]
        better, still = gain > 0, gain <= tolerance * np.abs(value[active])
        up = active[better]
        best[up], value[up], slope[up] = tried[better], new[better], new_slope[better]
        profile[up] = new_profile[better]
        step[active] *= np.where(better, 2.0, 0.25)
        quiet[active] = np.where(still, quiet[active] + 1, 0)
        active = active[quiet[active] < 3]
        if len(active) == 0:
            break
    return best
