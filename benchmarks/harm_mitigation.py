"""Studies of HarmMitigation's policies at their stationary profiles, as the paper judges them.

    python benchmarks/harm_mitigation.py {harm-weight,solvers,implicit,dynamics,settling,scale} \
        [--out FOLDER] [--users 100]

Nothing here is random but the users and the worlds, which are seeded: f, p_CLK and p_H are exact at
the stationary profile of each policy. Agents along episodes are what `recgym bench
harm-mitigation` judges.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recgym.agents.harm_mitigation.gradient import slsqp
from recgym.agents.harm_mitigation.projected_gradient import ascend
from recgym.envs.harm_mitigation.worlds import World, resolve, synthetic_world
from recgym.evaluators import choice
from recgym.evaluators.choice import ChoiceModel, PolicyFamily

GENRES = ("Action", "Adventure", "Comedy", "Fantasy", "Sci-Fi")
HARM_WEIGHTS = (0.0, 1.0, 10.0, 100.0)
ROUNDS = 10
Row = dict[str, Any]


def family_of(model: ChoiceModel, k: int) -> PolicyFamily:
    """Single items, or independent sampling with budget k, as in the paper."""
    return choice.single_items(model) if k == 1 else choice.Sampling(model, k)


def model_of(world: World, k: int, **settings: Any) -> ChoiceModel:
    return ChoiceModel(world.items, world.harmful, c=world.calibrated(k), **settings)


def top(model: ChoiceModel, family: PolicyFamily, profile: np.ndarray) -> np.ndarray:
    """(B, P): the k best items for certain."""
    scores = model.scores(profile)[:, model.recommendable]
    best = np.argsort(-scores, axis=1, kind="stable")[:, : int(family.total)]
    weights = np.zeros_like(scores)
    np.put_along_axis(weights, best, 1.0, axis=1)
    return weights


def alternating(model: ChoiceModel, family: PolicyFamily, inherent: np.ndarray) -> np.ndarray:
    weights = top(model, family, inherent)
    for _ in range(ROUNDS):
        settled = choice.stationary_profile(model, family, inherent, weights)
        weights = top(model, family, settled.profile)
    return weights


def policies(
    model: ChoiceModel, family: PolicyFamily, inherent: np.ndarray, harm_weight: float
) -> Iterator[tuple[str, np.ndarray]]:
    """The paper's methods, by name."""
    yield "projected_gradient", ascend(model, family, inherent, harm_weight)[0]
    yield "alternating", alternating(model, family, inherent)
    yield "static", top(model, family, inherent)
    uniform = np.full((len(inherent), family.size), family.total / family.size)
    yield "uniform", uniform
    yield "none", np.zeros_like(uniform)


def judged(
    model: ChoiceModel,
    family: PolicyFamily,
    inherent: np.ndarray,
    weights: np.ndarray,
    harm_weight: float,
) -> Row:
    """Means and deviations over users of f, p_CLK and p_H at the stationary profile."""
    settled = choice.stationary_profile(model, family, inherent, weights)
    worth = choice.outcome(model, family, settled.profile, weights)
    values = {"f": worth.objective(harm_weight), "p_CLK": worth.click, "p_H": worth.harm}
    found: Row = {"users": len(inherent)}
    for name, value in values.items():
        found |= {name: value.mean(), f"{name}_std": value.std(ddof=1)}
    return found


def slices(users: int) -> Iterator[tuple[str, World, np.ndarray]]:
    """The five genres of the paper on the embedded data: held-out users."""
    for genre in GENRES:
        world = resolve("ml-latest-small", genre=genre)
        yield genre, world, world.inherent[world.users_of("test")[:users]]


def harm_weight_study(users: int) -> Iterator[Row]:
    """f, clicks and harm against λ for all policies; also the front of p_CLK against p_H."""
    for genre, world, inherent in slices(users):
        for k in (1, 5):
            model = model_of(world, k)
            family = family_of(model, k)
            for weight in HARM_WEIGHTS:
                for name, weights in policies(model, family, inherent, weight):
                    row = {"genre": genre, "k": k, "harm_weight": weight, "policy": name}
                    yield row | judged(model, family, inherent, weights, weight)


def solver_study(users: int) -> Iterator[Row]:
    """SLSQP user by user and projected gradient for all at once: f, and seconds for each user."""
    few = max(2, users // 10)
    for genre, world, inherent in slices(users):
        for k in (1, 5):
            model = model_of(world, k)
            family = family_of(model, k)
            for weight in HARM_WEIGHTS:
                started = time.perf_counter()
                rng = np.random.default_rng(0)
                theirs = [slsqp(model, family, user, weight, rng)[1] for user in inherent[:few]]
                slow = (time.perf_counter() - started) / few
                started = time.perf_counter()
                ours = ascend(model, family, inherent, weight)[1]
                fast = (time.perf_counter() - started) / len(inherent)
                lead = ours[:few] - np.array(theirs)
                yield {
                    "genre": genre,
                    "k": k,
                    "harm_weight": weight,
                    "users_slsqp": few,
                    "users": len(inherent),
                    "f_slsqp": np.mean(theirs),
                    "f_projected": ours[:few].mean(),
                    "least_lead": lead.min(),
                    "seconds_slsqp": slow,
                    "seconds_projected": fast,
                    "times_faster": slow / fast,
                }


def implicit_study(users: int) -> Iterator[Row]:
    """What is lost by a gradient that takes the profile as given."""
    for genre, world, inherent in slices(users):
        for k in (1, 5):
            model = model_of(world, k)
            family = family_of(model, k)
            for weight in HARM_WEIGHTS:
                for implicit in (True, False):
                    weights = ascend(model, family, inherent, weight, implicit=implicit, pure=False)
                    row = {"genre": genre, "k": k, "harm_weight": weight, "implicit": implicit}
                    yield row | judged(model, family, inherent, weights[0], weight)


def dynamics_study(users: int) -> Iterator[Row]:
    """Other users than the paper's, on Action, λ = 10."""
    world = resolve("ml-latest-small", genre="Action")
    inherent = world.inherent[world.users_of("test")[:users]]
    kinds: dict[str, Row] = {name: {"dynamics": name} for name in choice.DYNAMICS}
    kinds |= {"temperature 2": {"temperature": 2.0}, "explore 0.2": {"explore": 0.2}}
    for name, settings in kinds.items():
        model = ChoiceModel(world.items, world.harmful, c=world.calibrated(1), **settings)
        family = choice.single_items(model)
        try:
            for policy, weights in policies(model, family, inherent, 10.0):
                row = {"users_are": name, "policy": policy}
                yield row | judged(model, family, inherent, weights, 10.0)
        except ValueError as error:
            yield {"users_are": name, "policy": f"no fixed point: {error}"}


def settling_study(users: int) -> Iterator[Row]:
    """‖u_30 − u*‖ of the mean update, and the long run of stochastic users against f(u*)."""
    steps, scales = 4_000, (1.0, 10.0)
    for genre, world, inherent in slices(users):
        for scale in scales:
            sizes = {"alpha_harmless": 0.25, "alpha_harmful": 0.5, "beta": 0.2}
            model = model_of(world, 1, **{name: size / scale for name, size in sizes.items()})
            family = choice.single_items(model)
            weights = top(model, family, inherent)
            settled = choice.stationary_profile(model, family, inherent, weights)
            worth = choice.outcome(model, family, settled.profile, weights)
            mean, drawn = inherent.copy(), inherent.copy()
            distance, totals = np.nan, np.zeros(2)
            rng = np.random.default_rng(0)
            slates = family.slates[weights.argmax(axis=1)]
            for step in range(steps):
                if step < 30:
                    chance = choice.choice_probabilities(model, family, mean, weights)
                    mean = model.expected_move(mean, inherent, chance)
                if step == 29:
                    distance = np.linalg.norm(mean - settled.profile, axis=1).mean()
                draws = rng.random((len(inherent), 2))
                made = choice.choose(model, model.scores(drawn), slates, draws)
                if step >= 200:
                    totals += made.click.mean(), made.harm.mean()
                drawn = model.move(drawn, inherent, made.consumed)
            click, harm = totals / (steps - 200)
            yield {
                "genre": genre,
                "steps_divided_by": scale,
                "distance_at_30": distance,
                "click": click,
                "click_at_fixed_point": worth.click.mean(),
                "harm": harm,
                "harm_at_fixed_point": worth.harm.mean(),
            }


def scale_study(users: int) -> Iterator[Row]:
    """Time and memory of projected gradient on large synthetic catalogues, λ = 10."""
    for n_items in (1_000, 10_000, 50_000):
        world = synthetic_world(n_items, 200, 6)
        for k in (1, 5):
            if n_items == 50_000 and k == 5:
                continue
            model = model_of(world, k)
            family = family_of(model, k)
            started = time.perf_counter()
            values = ascend(model, family, world.inherent[:users], 10.0)[1]
            yield {
                "items": n_items,
                "k": k,
                "users": users,
                "seconds": time.perf_counter() - started,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "f": values.mean(),
            }


STUDIES: dict[str, Callable[[int], Iterator[Row]]] = {
    "harm-weight": harm_weight_study,
    "solvers": solver_study,
    "implicit": implicit_study,
    "dynamics": dynamics_study,
    "settling": settling_study,
    "scale": scale_study,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/harm-mitigation"))
    parser.add_argument("--users", type=int, default=100)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(list(STUDIES[arguments.study](arguments.users)))
    path = arguments.out / f"{arguments.study}.csv"
    frame.to_csv(path, index=False, float_format="%.5g", lineterminator="\n")
    print(frame.to_string())
    print(path)


if __name__ == "__main__":
    main()
