"""The paper's policies of all users at once, and what they are worth where profiles settle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from recgym.agents.harm_mitigation.alternating import alternate
from recgym.agents.harm_mitigation.projected_gradient import ascend
from recgym.agents.harm_mitigation.stationary_agent import certain, top
from recgym.envs.harm_mitigation.worlds import World
from recgym.evaluators import choice
from recgym.evaluators.choice import ChoiceModel, PolicyFamily

Values = dict[str, np.ndarray]
"""metric → (B,), one number for each user."""


def model_of(world: World, k: int, **settings: Any) -> ChoiceModel:
    """The world's users, with c calibrated for slates of k at their temperature."""
    found = ChoiceModel(world.items, world.harmful, **settings)
    return replace(found, c=world.calibrated(k, found.temperature))


def family_of(model: ChoiceModel, k: int) -> PolicyFamily:
    """Single items, or independent sampling with budget k, as in the paper."""
    return choice.single_items(model) if k == 1 else choice.Sampling(model, k)


def policies(
    model: ChoiceModel, family: PolicyFamily, inherent: np.ndarray, harm_weight: float
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, weights (B, P)) of the paper's methods, ours first."""
    k = int(family.total)
    yield "projected_gradient", ascend(model, family, inherent, harm_weight)[0]
    yield "alternating", certain(model, alternate(model, k, inherent))
    yield "static", certain(model, top(model, k, inherent))
    uniform = np.full((len(inherent), family.size), family.total / family.size)
    yield "uniform", uniform
    yield "none", np.zeros_like(uniform)


def judged(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    weights: np.ndarray,
    harm_weight: float,
) -> Values:
    """f, p_CLK and p_H of each user at the stationary profile of her policy."""
    settled = choice.stationary_profile(model, family, inherent, weights)
    worth = choice.outcome(model, family, settled.profile, weights)
    return {"f": worth.objective(harm_weight), "p_CLK": worth.click, "p_H": worth.harm}
