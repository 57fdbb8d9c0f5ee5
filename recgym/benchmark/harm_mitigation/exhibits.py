"""What the paper on harm mitigation shows: its policies at their stationary profiles.

Nothing here is random but the worlds: a seed starts the factorisation of the ratings anew. f, p_CLK
and p_H are exact. Agents along episodes are what ``recgym bench harm-mitigation`` judges.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recgym.agents.harm_mitigation.gradient import slsqp
from recgym.agents.harm_mitigation.projected_gradient import ascend
from recgym.agents.harm_mitigation.stationary_agent import certain, top
from recgym.benchmark import scoring
from recgym.benchmark.exhibits import Exhibit, Tell
from recgym.benchmark.harm_mitigation import figures
from recgym.benchmark.harm_mitigation.policies import (
    Values,
    family_of,
    judged,
    model_of,
    policies,
)
from recgym.benchmark.harm_mitigation.suite import DEFAULT
from recgym.benchmark.making import simulated
from recgym.benchmark.provenance import PeakMemory
from recgym.envs.harm_mitigation.worlds import World, resolve, synthetic_world
from recgym.evaluators import choice
from recgym.evaluators.choice import ChoiceModel, NotSettled

SEEDS = (0, 1, 2, 3, 4)
USERS = 100
GENRES = ("Action", "Adventure", "Comedy", "Fantasy", "Sci-Fi")
ALL = "all genres"
HARM_WEIGHTS = (0.0, 1.0, 10.0, 100.0)
SLATES = (1, 5)
CATALOGUES = (1_000, 10_000, 50_000)
STEP_SIZES = {"alpha_harmless": 0.25, "alpha_harmful": 0.5, "beta": 0.2}
Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A data set with ratings and genres, and what tells of progress."""

    dataset: str
    variant: str
    tell: Tell

    def world(self, genre: str, seed: int = 0) -> World:
        return resolve(self.dataset, self.variant, genre=genre, factors_seed=seed)

    def users(self, world: World) -> np.ndarray:
        """(B, d): u_0 of the first held-out users."""
        return world.inherent[world.users_of("test")[:USERS]]


def weights(place: Place) -> Exhibit:
    """f, clicks and harm against λ for all policies, by genre and over all genres.

    ``lead`` is f of the projected gradient less f of the policy, user by user.
    """
    rows: list[Row] = []
    for k in SLATES:
        for harm_weight in HARM_WEIGHTS:
            found = {
                genre: [
                    _compared(place, place.world(genre, seed), k, harm_weight) for seed in SEEDS
                ]
                for genre in GENRES
            }
            found[ALL] = [
                _mean([found[genre][seed] for genre in GENRES]) for seed in range(len(SEEDS))
            ]
            for genre, per_seed in found.items():
                for policy in per_seed[0]:
                    keys = {"genre": genre, "k": k, "harm_weight": harm_weight, "policy": policy}
                    rows += _estimates(keys, [values[policy] for values in per_seed])
            done = SLATES.index(k) + (HARM_WEIGHTS.index(harm_weight) + 1) / len(HARM_WEIGHTS)
            place.tell("policies", f"k {k}, λ {harm_weight:g}", done / len(SLATES))
    frame = pd.DataFrame(rows)
    picture = figures.weights(frame[frame["genre"] == ALL])
    title = f"Objective, clicks and harm against λ on {place.dataset}"
    return Exhibit(title, {"weights": frame}, {"weights": picture})


def _compared(place: Place, world: World, k: int, harm_weight: float) -> dict[str, Values]:
    """policy → its values, with the lead of the first policy over it."""
    model, inherent = model_of(world, k), place.users(world)
    return _led(model, k, inherent, harm_weight)


def _led(model: ChoiceModel, k: int, inherent: np.ndarray, harm_weight: float) -> dict[str, Values]:
    family = family_of(model, k)
    found = {
        name: judged(model, family, inherent, chosen, harm_weight)
        for name, chosen in policies(model, family, inherent, harm_weight)
    }
    best = next(iter(found.values()))["f"]
    return {name: {**values, "lead": best - values["f"]} for name, values in found.items()}


def _mean(found: Sequence[dict[str, Values]]) -> dict[str, Values]:
    """The mean over worlds of the same users."""
    first = found[0]
    return {
        policy: {
            metric: np.mean([values[policy][metric] for values in found], axis=0)
            for metric in first[policy]
        }
        for policy in first
    }


def _estimates(keys: Row, per_seed: Sequence[Values]) -> list[Row]:
    """Rows of the means over seeds and users, with intervals over both."""
    rows = []
    for metric in per_seed[0]:
        e = scoring.estimate([values[metric] for values in per_seed])
        number = {"metric": metric, **e.columns}
        spread = float(np.std(np.concatenate([v[metric] for v in per_seed]), ddof=1))
        rows.append({**keys, **number, "sd": spread, "users": e.episodes // e.seeds})
    return rows


def solvers(place: Place) -> Exhibit:
    """SLSQP user by user and the projected gradient for all at once: f, and seconds.

    ``quality`` compares f on a few users of every genre, k and λ; ``speed`` solves 1,000 users of a
    synthetic world of 100 items with both; f are means over the users whom both solved.
    """
    few = USERS // 10
    rows: list[Row] = []
    for k in SLATES:
        for genre in GENRES:
            world = place.world(genre)
            model, inherent = model_of(world, k), place.users(world)[:few]
            family = family_of(model, k)
            for harm_weight in HARM_WEIGHTS:
                theirs = _one_by_one(model, family, inherent, harm_weight)
                ours = ascend(model, family, inherent, harm_weight)[1]
                keys = {"genre": genre, "k": k, "harm_weight": harm_weight}
                solved = ~np.isnan(theirs)
                if not solved.any():
                    continue
                values = {"f_slsqp": theirs[solved], "f_projected": ours[solved]}
                values["lead"] = values["f_projected"] - values["f_slsqp"]
                rows += _estimates(keys, [values])
                rows.append({**keys, "metric": "least_lead", "value": values["lead"].min()})
            place.tell("quality", f"k {k}, {genre}", (1 + GENRES.index(genre)) / len(GENRES))
    frames = {"quality": pd.DataFrame(rows), "speed": pd.DataFrame(_speed(place))}
    return Exhibit("SLSQP and the projected gradient", frames)


def _one_by_one(
    model: ChoiceModel,
    family: Any,
    inherent: np.ndarray,
    harm_weight: float,
    tell: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """(U,) f of SLSQP for each user; NaN where none of its nine runs came to an end."""
    rng, found = np.random.default_rng(0), np.full(len(inherent), np.nan)
    for at, user in enumerate(inherent):
        with suppress(NotSettled):
            found[at] = slsqp(model, family, user, harm_weight, rng)[1]
        if at % 50 == 0:
            tell(at / len(inherent))
    return found


def _speed(place: Place, users: int = 1_000, harm_weight: float = 10.0) -> Iterator[Row]:
    world = synthetic_world(100, users, 6)
    for k in SLATES:
        model = model_of(world, k)
        family = family_of(model, k)
        started = time.perf_counter()

        def tell(share: float, k: int = k) -> None:
            place.tell("speed", f"k {k}, SLSQP", share)

        theirs = _one_by_one(model, family, world.inherent, harm_weight, tell)
        slow = time.perf_counter() - started
        started = time.perf_counter()
        ours = ascend(model, family, world.inherent, harm_weight)[1]
        fast = time.perf_counter() - started
        yield {
            "k": k,
            "users": users,
            "items": world.n_items,
            "harm_weight": harm_weight,
            "unsolved_slsqp": int(np.isnan(theirs).sum()),
            "f_slsqp": np.nanmean(theirs),
            "f_projected": ours[~np.isnan(theirs)].mean(),
            "share_worse_by_0.5%": (ours < theirs - 0.005 * np.abs(theirs)).mean(),
            "seconds_slsqp": slow,
            "seconds_projected": fast,
            "times_faster": slow / fast,
        }


def implicit(place: Place) -> Exhibit:
    """What is lost by a gradient that takes the profile as given: one ascent, from uniform."""
    rows: list[Row] = []
    for k in SLATES:
        for genre in GENRES:
            for harm_weight in HARM_WEIGHTS:
                found = [
                    _with_and_without(place, place.world(genre, s), k, harm_weight) for s in SEEDS
                ]
                keys = {"genre": genre, "k": k, "harm_weight": harm_weight}
                rows += _estimates(keys, found)
            place.tell("implicit", f"k {k}, {genre}", (1 + GENRES.index(genre)) / len(GENRES))
    return Exhibit("Without the implicit term", {"implicit": pd.DataFrame(rows)})


def _with_and_without(place: Place, world: World, k: int, harm_weight: float) -> Values:
    model, inherent = model_of(world, k), place.users(world)
    family = family_of(model, k)
    exact, given = (
        ascend(model, family, inherent, harm_weight, implicit=whole, pure=False)[1]
        for whole in (True, False)
    )
    return {"f_exact": exact, "f_profile_as_given": given, "gain": exact - given}


def dynamics(place: Place, genre: str = "Action", harm_weight: float = 10.0) -> Exhibit:
    """Other users than the paper's."""
    kinds: dict[str, Row] = {name: {"dynamics": name} for name in choice.DYNAMICS}
    kinds |= {"temperature 2": {"temperature": 2.0}, "explore 0.2": {"explore": 0.2}}
    rows: list[Row] = []
    for number, (name, settings) in enumerate(kinds.items()):
        worlds = [place.world(genre, seed) for seed in SEEDS]
        found = [
            _led(model_of(world, 1, **settings), 1, place.users(world), harm_weight)
            for world in worlds
        ]
        for policy in found[0]:
            keys = {"users_are": name, "policy": policy}
            rows += _estimates(keys, [values[policy] for values in found])
        place.tell("dynamics", name, (number + 1) / len(kinds))
    return Exhibit(f"Other users, {genre}, λ = {harm_weight:g}", {"dynamics": pd.DataFrame(rows)})


def settling(place: Place, steps: int = 20_000) -> Exhibit:
    """‖u_30 − u*‖ of the mean update, and the long run of stochastic users against f(u*).

    ``long_run`` and ``fixed_point`` are means over users, ``gap`` their relative difference and
    ``worst_user`` the largest of a single user, whose standard error is beside it. Users may have
    ``several`` fixed points, of which u* is the one that is reached from u_0; they are counted by
    starting from each item's vector too.
    """
    worlds = {genre: place.world(genre) for genre in GENRES}
    worlds |= {f"synthetic {seed}": synthetic_world(40, 500, 6, 0.25, seed) for seed in SEEDS}
    rows: list[Row] = []
    for number, (name, world) in enumerate(worlds.items()):
        for divided in (1.0, 10.0):
            sizes = {size: value / divided for size, value in STEP_SIZES.items()}
            model, inherent = model_of(world, 1, **sizes), place.users(world)
            family = choice.single_items(model)
            for policy, chosen in policies(model, family, inherent, 10.0):
                if policy == "alternating":
                    continue
                keys = {"world": name, "steps_divided_by": divided, "policy": policy}
                found = _long_run(model, family, inherent, chosen, steps)
                rows += [{**keys, **row} for row in found]
        place.tell("settling", name, (number + 1) / len(worlds))
    return Exhibit("Stationary profile and long run", {"settling": pd.DataFrame(rows)})


def _long_run(
    model: ChoiceModel,
    family: choice.Slates,
    inherent: np.ndarray,
    chosen: np.ndarray,
    steps: int,
    batches: int = 20,
) -> Iterator[Row]:
    settled = choice.stationary_profile(model, family, inherent, chosen)
    worth = choice.outcome(model, family, settled.profile, chosen)
    mean = inherent
    for _ in range(30):
        chance = choice.choice_probabilities(model, family, mean, chosen)
        mean = model.expected_move(mean, inherent, chance)
    distance = np.linalg.norm(mean - settled.profile, axis=1).mean()
    several = _several_fixed_points(model, family, inherent, chosen, settled.profile).mean()
    rng, drawn = np.random.default_rng(0), inherent
    length, totals = steps // batches, np.zeros((batches, 2, len(inherent)))
    running = np.cumsum(chosen, axis=1)
    for step in range(-length, steps):  # one batch is thrown away
        row = (running > rng.random((len(inherent), 1)) * running[:, -1:]).argmax(axis=1)
        slates = np.where(running[:, -1:] > 0, family.slates[row], model.n_items)
        made = choice.choose(model, model.scores(drawn), slates, rng.random((len(inherent), 2)))
        if step >= 0:
            totals[step // length] += made.click, made.harm
        drawn = model.move(drawn, inherent, made.consumed)
    totals /= length
    for number, at in enumerate((worth.click, worth.harm)):
        if not at.all():  # nothing is offered, nothing is clicked
            continue
        long = totals[:, number].mean(axis=0)
        error = totals[:, number].std(axis=0, ddof=1) / np.sqrt(batches)
        worst = np.abs(long / at - 1).argmax()
        yield {
            "metric": ("p_CLK", "p_H")[number],
            "long_run": long.mean(),
            "fixed_point": at.mean(),
            "gap": long.mean() / at.mean() - 1,
            "worst_user": (long / at - 1)[worst],
            "worst_user_se": (error / at)[worst],
            "distance_at_30": distance,
            "several": several,
        }


def _several_fixed_points(
    model: ChoiceModel,
    family: choice.Slates,
    inherent: np.ndarray,
    chosen: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """(B,) bool: users whose profile settles elsewhere from the vector of some item."""
    found = np.zeros(len(inherent), dtype=bool)
    for item in model.items:
        start = np.tile(item, (len(inherent), 1))
        other = choice.stationary_profile(model, family, inherent, chosen, start=start).profile
        found |= np.linalg.norm(other - known, axis=1) > 1e-4
    return found


def scale(place: Place, harm_weight: float = 10.0) -> Exhibit:
    """Time and memory of the projected gradient on large synthetic catalogues."""
    rows: list[Row] = []
    for n_items in CATALOGUES:
        world = synthetic_world(n_items, 200, 6)
        for k in SLATES:
            model = model_of(world, k)
            family = family_of(model, k)
            memory, started = PeakMemory(), time.perf_counter()
            inherent = world.inherent[:USERS]
            ours = ascend(model, family, inherent, harm_weight)[1]
            seconds = time.perf_counter() - started
            chosen = certain(model, top(model, k, inherent))
            static = judged(model, family, inherent, chosen, harm_weight)["f"]
            rows.append(
                {
                    "items": n_items,
                    "k": k,
                    "users": USERS,
                    "seconds": seconds,
                    "peak_mb": memory.megabytes(),
                    "f": ours.mean(),
                    "f_static": static.mean(),
                }
            )
            place.tell("scale", f"{n_items} items, k {k}", len(rows) / len(CATALOGUES) / 2)
    return Exhibit("Large catalogues", {"scale": pd.DataFrame(rows)})


_MAKE: Mapping[str, Callable[[Place], Exhibit]] = {
    "harm-mitigation-weights": weights,
    "harm-mitigation-solvers": solvers,
    "harm-mitigation-implicit": implicit,
    "harm-mitigation-dynamics": dynamics,
    "harm-mitigation-settling": settling,
    "harm-mitigation-scale": scale,
}


def exhibit(name: str, dataset: str | None, variant: str, tell: Tell) -> Exhibit:
    """An exhibit by its name in :data:`recgym.benchmark.exhibits.EXHIBITS`."""
    if name == "harm-mitigation-scale":
        simulated(name, dataset, variant)
    return _MAKE[name](Place(dataset or DEFAULT, variant, tell))
