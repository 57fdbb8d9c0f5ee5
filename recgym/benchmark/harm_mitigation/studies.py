"""Studies along episodes: the weight of harm, a budget of harm, and probabilities as actions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from recgym.benchmark.harm_mitigation.suite import suite
from recgym.benchmark.studies import Study
from recgym.benchmark.suites import Entry, Suite

HARM_WEIGHTS = (0, 1, 10, 100)
BUDGETS = (0.07, 0.08, 0.1)
SOLVERS = ("closed_loop", "projected_gradient", "alternating", "static", "uniform", "none")


def study(name: str, dataset: str | None, variant: str) -> Study:
    """A study by its name in :data:`recgym.benchmark.studies.STUDIES`."""
    return _BUILD[name.removeprefix("harm-mitigation-")](name, suite(dataset, variant))


def _part(base: Suite, name: str, agents: Iterable[str], **env: Any) -> Suite:
    entries = tuple(Entry(agent, agent) for agent in agents)
    return replace(base, name=name, entries=entries, env_kwargs={**base.env_kwargs, **env})


def episodes(name: str, base: Suite) -> Study:
    """What the policies earn along episodes as λ grows, learners included."""
    suites = {
        f"λ = {weight}": _part(base, name, ("ppo", *SOLVERS), harm_weight=float(weight))
        for weight in HARM_WEIGHTS
    }
    return Study(name, "Weight of harm", "λ", suites, ("objective", "p_CLK", "p_H"))


def budget(name: str, base: Suite) -> Study:
    """The constrained form: clicks are all that is rewarded, and harm must stay in its budget."""
    suites = {
        f"budget = {amount}": _part(
            base,
            name,
            ("lagrangian_ppo", "ppo", "projected_gradient", "static", "uniform"),
            constrained=True,
            budget=amount,
        )
        for amount in BUDGETS
    }
    return Study(name, "A budget of harm", "cost per step allowed", suites, ("p_CLK", "p_H"))


def probabilities(name: str, base: Suite) -> Study:
    """Inclusion probabilities as actions, with slates of five on average."""
    part = _part(base, name, ("sac", *SOLVERS), action="probabilities", k=5)
    return Study(name, "Inclusion probabilities", "", {"k = 5": part}, ("objective", "p_CLK"))


_BUILD = {"episodes": episodes, "budget": budget, "probabilities": probabilities}
