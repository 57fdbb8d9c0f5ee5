"""Optima of worlds whose profiles are single numbers: HarmMitigation's tiny world.

Two answers. Over stationary policies, the paper's question, the optimum is found by enumeration.
Over all policies of a finite horizon it is found by dynamic programming on a grid of profiles,
with linear interpolation between them and a bound on the error of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from recgym.envs.harm_mitigation.dynamics import HarmMitigation
from recgym.evaluators import choice

CELLS = 20_000
DEEPEST = 8  # steps of the exact tree: 6^8 profiles


@dataclass(frozen=True)
class DriftOptimum:
    """Answers about a world with d = 1; returns are sums over the horizon."""

    value: float  # of the best policy, averaged over the split's users
    random_value: float  # of a uniform choice among legal actions
    worst_value: float  # of the worst policy, illegal actions included
    error: float  # no value is further than this from the exact one
    values: Mapping[int, float]  # of the best policy, by user
    _grid: np.ndarray = field(repr=False)  # (G,) profiles
    _policies: Mapping[float, np.ndarray] = field(repr=False)  # u_0 (float32) → (T, G) actions

    def regret(self, score: float) -> float:
        """Normalised regret of a mean return: 0 is the optimum, 1 a random policy."""
        return (self.value - score) / (self.value - self.random_value)

    def act(self, observation: Mapping[str, Any]) -> int:
        """A best action; without ``steps_left`` in the observation, as if the episode began."""
        policy = self._policies[round(float(observation["inherent"][0]), 6)]
        left = int(observation.get("steps_left", len(policy)))
        cell = np.abs(self._grid - float(observation["profile"][0])).argmin()
        return int(policy[len(policy) - left, cell])


@dataclass(frozen=True)
class _Line:
    """One step of a user on a line, for all actions at once."""

    problem: HarmMitigation
    inherent: float

    def step(self, profile: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(rewards (A, G), probabilities (A, G, N), next profiles (G, N)) at profiles (G,)."""
        model, actions = self.problem.model, np.arange(self.problem.model.n_items + 1)
        scores = model.scores(profile[:, None])
        rewards, chances = [], []
        for action in actions:
            offer = self.problem.actions.offer(np.array([action]), np.zeros((1, 0)))
            offered = np.broadcast_to(offer.offered, (len(profile), offer.offered.shape[1]))
            clicks = choice.clicks_of(model, scores, offered)
            chance = model.consumption(scores, clicks)
            terms = {
                "click": (1 - model.explore) * clicks.sum(axis=1),
                "harm": chance @ model.harm,
                "exposure": offer.shown * (self.problem.params.harm == "exposure"),
                "invalid": offer.dropped,
            }
            rewards.append(sum(self.problem.weights[name] * value for name, value in terms.items()))
            chances.append(chance)
        n = model.n_items
        after = model.move(
            np.repeat(profile, n)[:, None],
            np.full((len(profile) * n, 1), self.inherent),
            np.tile(np.arange(n), len(profile)),
        )
        return np.stack(rewards), np.stack(chances), after.reshape(-1, n)


def drift_optimum(env: gym.Env, cells: int = CELLS) -> DriftOptimum:
    """The optimum of the finite horizon, by dynamic programming on ``cells`` + 1 profiles.

    Linear interpolation of a function with Lipschitz constant L is off by at most L Δ / 2 on a grid
    of spacing Δ, and the errors of the steps add up. L is bounded from the model: the click rate
    has a slope of at most M/4 in u, the harm of an organic choice R/4, the probabilities of all
    items together M/2 + R/2, with M the largest |v| and R the range of the items, both over the
    temperature; so, with weight κ of a click,
    L_t ≤ κ M/4 + λ (M + R)/4 + (M + R)/4 · span(V_{t+1}) + (1 − β − α) L_{t+1}.

    Raises:
        ValueError: profiles with d > 1, or a form of the problem that this does not cover.
    """
    problem = _covered(env)
    model, horizon = problem.model, problem.params.horizon
    low, high = (float(end[0]) for end in model.bounds(problem.world.inherent))
    grid = np.linspace(low, high, cells + 1)
    gap, reach = grid[1] - grid[0], np.abs(model.items).max() / model.temperature
    width = np.ptp(model.items) / model.temperature
    weight, click = abs(problem.weights["harm"]), abs(problem.weights["click"])
    legal = problem.actions.allowed
    shrink = 1 - model.beta - model.alpha.min()
    best, random, worst, errors, policies = {}, [], [], [], {}
    for user in problem.users.tolist():
        line = _Line(problem, float(problem.world.inherent[user, 0]))
        rewards, chances, after = line.step(grid)
        values = {name: np.zeros(len(grid)) for name in ("best", "random", "worst")}
        chosen = np.zeros((horizon, len(grid)), dtype=np.int16)
        slope = error = 0.0
        for step in reversed(range(horizon)):
            error += slope * gap / 2
            span = np.ptp(values["worst"]) + np.ptp(values["best"]) + 2 * error
            slope = (
                click * reach / 4
                + weight * (reach + width) / 4
                + (reach + width) / 4 * span
                + (shrink * slope)
            )
            worth = {
                name: rewards + np.einsum("agn,gn->ag", chances, np.interp(after, grid, value))
                for name, value in values.items()
            }
            chosen[step] = worth["best"].argmax(axis=0)
            values = {
                "best": worth["best"].max(axis=0),
                "random": worth["random"][legal].mean(axis=0),
                "worst": worth["worst"].min(axis=0),
            }
        at = {name: float(np.interp(line.inherent, grid, v)) for name, v in values.items()}
        best[user] = at["best"]
        random.append(at["random"])
        worst.append(at["worst"])
        errors.append(error + slope * gap / 2)
        policies[round(float(np.float32(line.inherent)), 6)] = chosen
    return DriftOptimum(
        value=float(np.mean(list(best.values()))),
        random_value=float(np.mean(random)),
        worst_value=float(np.mean(worst)),
        error=float(max(errors)),
        values=best,
        _grid=grid,
        _policies=policies,
    )


def tree_optimum(env: gym.Env, user: int) -> float:
    """The exact optimum for one user over a horizon of at most 8 steps, by listing all futures.

    Raises:
        ValueError: a longer horizon, or what :func:`drift_optimum` does not cover.
    """
    problem = _covered(env)
    horizon = problem.params.horizon
    if horizon > DEEPEST:
        raise ValueError(f"A tree of {horizon} steps is too large: at most {DEEPEST}.")
    line = _Line(problem, float(problem.world.inherent[user, 0]))

    def value(profile: np.ndarray, left: int) -> np.ndarray:
        if left == 0:
            return np.zeros(len(profile))
        rewards, chances, after = line.step(profile)
        future = value(after.ravel(), left - 1).reshape(after.shape)
        return (rewards + np.einsum("agn,gn->ag", chances, future)).max(axis=0)

    return float(value(np.array([line.inherent]), horizon)[0])


@dataclass(frozen=True)
class StationaryOptimum:
    """The best single item of each user, and what it is worth at her stationary profile."""

    items: np.ndarray  # (U,) int64
    values: np.ndarray  # (U,) float64: f(u*)
    all_values: np.ndarray  # (U, |NH|) float64


def stationary_optimum(
    problem: HarmMitigation, users: np.ndarray | None = None
) -> StationaryOptimum:
    """Enumerate the stationary policies that always recommend one item: f at each u*.

    A mixture of items has never been found to be better (tested at random).
    """
    model = problem.model
    users = problem.users if users is None else users
    family = choice.single_items(model)
    values = np.empty((len(users), family.size))
    for row, user in enumerate(users):
        inherent = np.repeat(problem.world.inherent[[user]], family.size, axis=0)
        weights = np.eye(family.size)
        settled = choice.stationary_profile(model, family, inherent, weights)
        worth = choice.outcome(model, family, settled.profile, weights)
        exposed = problem.params.harm_weight if problem.params.harm == "exposure" else 0.0
        values[row] = worth.objective(problem.params.harm_weight, exposed)
    best = values.argmax(axis=1)
    return StationaryOptimum(model.recommendable[best], values.max(axis=1), values)


def _covered(env: gym.Env) -> HarmMitigation:
    problem = env.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
    if not isinstance(problem, HarmMitigation):
        raise ValueError(f"{env} is not a HarmMitigation.")
    p = problem.params
    if problem.model.width != 1 or p.action != "item" or p.response != "stochastic":
        raise ValueError(
            "The optimum is for profiles that are single numbers, single items and stochastic "
            'users: gym.make("recgym/HarmMitigationTiny-v0").'
        )
    if p.harm != "label" or problem.model.dynamics == "biased_assimilation":
        raise ValueError('The error bound holds for harm="label" and smooth dynamics.')
    return problem
