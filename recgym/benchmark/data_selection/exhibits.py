"""The exhibits of DataSelection: how right influences are (Fig. 2a), how fast, and two theorems."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recgym.agents.data_selection.strategies import algorithm_1, likely_selections, prior
from recgym.benchmark import scoring
from recgym.benchmark.exhibits import Exhibit, Tell
from recgym.benchmark.making import simulated
from recgym.benchmark.provenance import PeakMemory
from recgym.envs.data_selection.game import Game
from recgym.envs.data_selection.tiny import tiny_world
from recgym.envs.data_selection.worlds import World, resolve
from recgym.evaluators import influence
from recgym.evaluators.influence.stacked import fit_stacked, losses_stacked

Row = dict[str, Any]
SEEDS = range(5)
SIZES = (60, 200)
CASES = (
    ("mf", "proximal", 16),
    ("mf", "accurate", 16),
    ("mf", "xavier", 16),
    ("mf", "xavier", 64),
    ("neumf", "proximal", 16),
    ("lightgcn", "proximal", 16),
    ("lightgcn", "accurate", 16),
)
"""(recommender, prior, d)."""
SINGLES, JOINTS = 30, 3
KEPT = 0.9
GROWTH = ((200, 16), (200, 64), (1_000, 16), (3_000, 16), (10_000, 16))
"""(users, d) of the timings."""
SOLVED_UP_TO = 3_000
MOST_ANCHORS = 10
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
STEPS = (10, 100, 1_000)
EPOCHS, BATCHES, RATE, WIDTH = 50, 5, 0.01, 64
"""The paper's training of MF on its simulation, whose 10,000 pairs make five batches of 2,048."""
DAMPING, RECURSION = 0.1, 30
"""In sum units, without which no solve ends from Xavier's start; steps of the paper's recursion."""
ANCHORS = range(1, 9)
KEEPING, DRAWS, NEAREST = (0.9, 0.5), 10, (1, 2, 4)
"""Of drawn selections: shares, how many, and anchors whose nearest predicts."""


def world(users: int, recommender: str, prior_name: str, seed: int, width: int = 16) -> World:
    """A simulated world of so many players and items, and as many public users."""
    from recgym.data.selection_world import simulate

    made = simulate(seed, 2 * users + 40, users, per_user=(5, 20))
    long = np.flatnonzero(np.bincount(made.log.user, minlength=made.log.n_users) >= 3)
    edges = [users, 2 * users, 2 * users + 10]
    names = ("public", "train", "validation", "test")
    parts: dict[str, np.ndarray] = dict(zip(names, np.split(long, edges), strict=True))
    settings = {"width": width, "prior_name": prior_name, "recommender_name": recommender}
    return World(f"simulated {users}", made.log, parts, simulated=made, **settings)


@dataclass(frozen=True)
class Compared:
    """Predicted and true changes of losses."""

    predicted: np.ndarray
    true: np.ndarray

    @property
    def error(self) -> float:
        """Σ|predicted − true| / Σ|true|."""
        return float(np.abs(self.predicted - self.true).sum() / np.abs(self.true).sum())

    @property
    def rank(self) -> float:
        """Spearman's rank correlation."""
        from scipy.stats import spearmanr

        found: Any = spearmanr(self.predicted.ravel(), self.true.ravel())
        return float(found.statistic)


def errors(game: Game) -> dict[str, Compared]:
    """Predictions beside retraining: single removals of own pairs, and a tenth of all pairs.

    Around zero nothing changes when all vectors are rotated, so Xavier's Hessian is damped. What
    cannot be solved all the same is left out.
    """
    model, data = game.model, game.data
    damping = DAMPING if game.world.prior_name == "xavier" else 0.0
    everything = np.ones(data.size)
    theta = influence.fit(model)
    at = influence.anchor(model, theta=theta, damping=damping)
    cross = influence.effects(model, theta, everything, np.arange(data.n_users), damping=damping)
    rng = np.random.default_rng(0)

    def truth(selected: np.ndarray) -> np.ndarray:
        trained = influence.fit(model, selected)
        return influence.user_losses(model, trained, data.validation, selected) - at.losses

    def stepped(selected: np.ndarray) -> np.ndarray:
        near = influence.newton(model, theta, selected, damping=damping)
        return influence.user_losses(model, near, data.validation, selected) - at.losses

    pairs = rng.choice(data.size, min(SINGLES, data.size), replace=False)
    dropped = [np.where(np.arange(data.size) == pair, 0.0, 1.0) for pair in pairs]
    own = np.array([truth(s)[u] for s, u in zip(dropped, data.training.user[pairs], strict=True)])
    joint = [(rng.random(data.size) < KEPT).astype(np.float64) for _ in range(JOINTS)]
    changes = np.array([truth(s) for s in joint])
    found = {
        "own": Compared(-at.own[pairs], own),
        "joint": Compared(np.array([cross @ (s - everything) for s in joint]), changes),
    }
    with suppress(influence.NotConverged):
        found["joint, Newton"] = Compared(np.array([stepped(s) for s in joint]), changes)
    if isinstance(model, influence.MatrixFactorisation):
        corrected = influence.own_removals(model, theta, damping=damping)
        found["own, leverage"] = Compared(corrected[pairs], own)
    return found


def accuracy(tell: Tell) -> Exhibit:
    """Fig. 2a: errors of influences, over five simulated worlds of each kind."""
    rows: list[Row] = []
    cases = [(*case, users, errors) for users in SIZES for case in CASES]
    cases += [("mf", name, WIDTH, users, make) for users in SIZES for name, make in PROTOCOLS]
    for at, (recommender, prior_name, width, users, make) in enumerate(cases):
        if recommender == "neumf" and users > SIZES[0]:
            continue  # minutes for each of thirty trainings
        tell("errors", f"{recommender}, {prior_name}, d {width}, {users} users", at / len(cases))
        start = prior_name if make is errors else "xavier"
        worlds = [world(users, recommender, start, seed, width) for seed in SEEDS]
        found = [_or_none(make, w) for w in worlds]
        keys = {"recommender": recommender, "prior": prior_name, "d": width, "users": users}
        rows += _summary(keys, [each for each in found if each is not None], len(found))
    return Exhibit("How right influences are", {"accuracy": pd.DataFrame(rows)})


def _or_none(
    make: Callable[[Game], dict[str, Compared]], made: World
) -> dict[str, Compared] | None:
    """None where a training or a solve does not end: counted, and not in the means."""
    try:
        return make(made.game("train"))
    except (influence.TrainingFailed, influence.NotConverged):
        return None


def protocol(game: Game, solver: influence.Solver = influence.Solver()) -> dict[str, Compared]:
    """The same for the paper's training: Adam on batches from Xavier's start, without any L2.

    ``reordered`` is the true change as it shows with the batches in another order: its ``error`` is
    what the order does to the losses beside what removing a tenth of the pairs does.
    """
    xavier = influence.xavier_prior(game.data.n_users, game.data.n_items, width=WIDTH)
    free = influence.Prior(xavier.users, xavier.items, 0.0, 0.0)
    model, data = influence.MatrixFactorisation(game.data, free), game.data
    everything = np.ones(data.size)

    def losses(selected: np.ndarray, order: int = 0) -> np.ndarray:
        theta = by_adam(model, selected, order)
        return influence.user_losses(model, theta, data.validation, selected)

    theta, before = by_adam(model, everything, 0), losses(everything)
    cross = influence.effects(
        model, theta, everything, np.arange(data.n_users), solver=solver, damping=DAMPING
    )
    rng = np.random.default_rng(0)
    pairs = rng.choice(data.size, min(SINGLES, data.size), replace=False)
    owner = data.training.user[pairs]
    dropped = [np.where(np.arange(data.size) == pair, 0.0, 1.0) for pair in pairs]
    own = np.array([(losses(s) - before)[u] for s, u in zip(dropped, owner, strict=True)])
    joint = [(rng.random(data.size) < KEPT).astype(np.float64) for _ in range(JOINTS)]
    changes = np.array([losses(s) - before for s in joint])
    reordered = np.array([losses(everything, order) - before for order in range(1, JOINTS + 1)])
    return {
        "own": Compared(-cross[owner, pairs], own),
        "joint": Compared(np.array([cross @ (s - everything) for s in joint]), changes),
        "reordered": Compared(changes + reordered, changes),
    }


def recursion(game: Game) -> dict[str, Compared]:
    """The same, solved by the expectation of the paper's stochastic recursion."""
    solver = influence.Solver("lissa", iterations=RECURSION, single=False)
    return protocol(game, solver)


PROTOCOLS = (("paper, conjugate gradients", protocol), ("paper, recursion", recursion))


def by_adam(model: influence.MatrixFactorisation, selected: np.ndarray, order: int) -> np.ndarray:
    """(n,): θ after the paper's epochs of Adam on a selection (Z,), batches by ``order``."""
    rng = np.random.default_rng([order])
    theta, pairs = model.start.copy(), np.arange(len(selected))
    mean, square, step = np.zeros_like(theta), np.zeros_like(theta), 0
    for _ in range(EPOCHS):
        rng.shuffle(pairs)
        for part in np.array_split(pairs, BATCHES):
            weight = np.zeros_like(selected)
            weight[part] = selected[part] / max(selected[part].sum(), 1.0)
            slope = model.value_and_gradient(theta, weight)[1]
            step += 1
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope**2 - square)
            size = np.sqrt(square / (1 - 0.999**step)) + 1e-8
            theta -= RATE * mean / (1 - 0.9**step) / size
    return theta


def _summary(keys: Row, found: Sequence[Mapping[str, Compared]], tried: int) -> list[Row]:
    rows: list[Row] = []
    for what in dict.fromkeys(name for each in found for name in each):
        mine = [each[what] for each in found if what in each]
        for metric in ("error", "rank"):
            e = scoring.estimate([np.array([getattr(each, metric)]) for each in mine], "mean")
            rows.append({**keys, "what": what, "metric": metric, **e.columns, "worlds": len(mine)})
    if len(found) < tried:
        rows.append({**keys, "what": "failed", "metric": "worlds", "value": tried - len(found)})
    return rows


def losses(tell: Tell, dataset: str, variant: str = "clean") -> Exhibit:
    """Fig. 2a: predicted validation losses of ten drawn selections beside retraining.

    ``of_loss`` is the paper's error, |true − predicted| / true of the mean loss; where selections
    change little it is small whatever is predicted, as ``of_loss`` of ``no influence`` shows, the
    loss of everything. ``of_change`` is Σ|true − predicted| / Σ|true − that loss| over users.
    """
    game = resolve(dataset, variant).game("test")
    parts = []
    for t in range(max(NEAREST)):
        tell("losses", "anchors", t / (max(NEAREST) + DRAWS))
        parts.append(game.anchor(t, cross=True))
    at = parts[0].anchor.losses
    rng, rows = np.random.default_rng(0), []
    for kept in KEEPING:
        selections = (rng.random((DRAWS, game.data.size)) < kept).astype(np.float64)
        true = []
        for draw, selected in enumerate(selections):
            tell("losses", f"{kept:g} kept", (max(NEAREST) + draw) / (max(NEAREST) + DRAWS))
            trained = influence.fit(game.model, selected)
            found = influence.user_losses(game.model, trained, game.data.validation, selected)
            true.append(found)
        predicted = {"no influence": np.tile(at, (DRAWS, 1))}
        for t in NEAREST:
            predicted[f"T = {t}"] = influence.Anchors(game.data, parts[:t]).losses(selections)
        rows += _errors_of_losses(kept, np.array(true), predicted, at)
    title = f"Predicted and true losses on {dataset}"
    return Exhibit(title, {"losses": pd.DataFrame(rows)})


def _errors_of_losses(
    kept: float, true: np.ndarray, predicted: Mapping[str, np.ndarray], at: np.ndarray
) -> Iterable[Row]:
    for name, found in predicted.items():
        of_loss = np.abs(found.mean(axis=1) / true.mean(axis=1) - 1)
        of_change = np.abs(found - true).sum(axis=1) / np.abs(true - at).sum(axis=1)
        for metric, values in (("of_loss", of_loss), ("of_change", of_change)):
            e = scoring.estimate([values])
            keys = {"kept": kept, "predicted": name, "metric": metric}
            yield {**keys, **e.columns, "draws": len(values)}


def speed(tell: Tell) -> Exhibit:
    """All influences of all users beside training anew for each pair, cold and warm.

    By conjugate gradients up to ``SOLVED_UP_TO`` users, and by diagonal blocks alone.
    """
    rows: list[Row] = []
    for users, width in GROWTH:
        tell("speed", f"{users} users, d {width}", len(rows) / len(GROWTH))
        game = world(users, "mf", "proximal", 0, width).game("train")
        model, size = game.model, game.data.size
        memory = PeakMemory()
        theta, first = _timed(lambda m=model: influence.fit(m))
        cold, warm = [first], []
        for pair in np.random.default_rng(0).choice(size, 5, replace=False):
            selected = np.where(np.arange(size) == pair, 0.0, 1.0)
            cold.append(_timed(lambda m=model, s=selected: influence.fit(m, s))[1])
            near = {"start": theta}
            warm.append(_timed(lambda m=model, s=selected, n=near: influence.fit(m, s, **n))[1])
        row: Row = {
            "users": users,
            "items": users,
            "d": width,
            "pairs": size,
            "seconds_training": np.median(cold),
            "seconds_warm_training": np.median(warm),
        }
        blocks, row["seconds_blocks"] = _timed(
            lambda m=model, t=theta: influence.anchor(
                m, theta=t, own_solver=influence.Solver("blocks")
            )
        )
        if users <= SOLVED_UP_TO:
            whole, seconds = _timed(lambda m=model, t=theta: influence.anchor(m, theta=t))
            compared = Compared(blocks.own, whole.own)
            row |= {
                "seconds_influences": seconds,
                "times_faster": size * np.median(cold) / seconds,
                "times_faster_than_warm": size * np.median(warm) / seconds,
                "error_of_blocks": compared.error,
                "rank_of_blocks": compared.rank,
            }
        rows.append({**row, "peak_mb": memory.megabytes()})
    frames = {"speed": pd.DataFrame(rows), "anchors": pd.DataFrame(seconds_of_anchors())}
    return Exhibit("How fast influences are", frames)


def seconds_of_anchors(dataset: str = "ml-latest-small") -> Iterable[Row]:
    """Fig. 2b's time: training T anchors of the test players, and all their influences."""
    game = resolve(dataset).game("test")
    total = 0.0
    for number in range(MOST_ANCHORS):
        selected = game.selection_of_anchor(number)
        total += _timed(lambda s=selected: influence.anchor(game.model, s))[1]
        yield {"anchors": number + 1, "seconds": total}


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the seconds that it took."""
    started = time.perf_counter()
    found = work()
    return found, time.perf_counter() - started


def theorems(tell: Tell) -> Exhibit:
    """Theorem 5's bound for Algorithm 1, and Theorem 6's bound against true errors, in Tiny."""
    frames = {"theorem5": pd.DataFrame(_theorem_5()), "theorem6": pd.DataFrame(_theorem_6(tell))}
    return Exhibit("Two theorems, checked", frames)


def _theorem_5(tries: int = 200) -> Iterable[Row]:
    """E[z of Algorithm 1] against the best less 1/(Lγ) + γ²G², gains scaled to at most 1."""
    listed = likely_selections(3, 8, 0.9)
    rng = np.random.default_rng(0)
    gain = rng.standard_normal((tries, len(listed)))
    gain -= gain.mean(axis=1, keepdims=True)
    gain /= np.abs(gain).max(axis=1, keepdims=True)
    first = np.tile(prior(listed, 0.9), (tries, 1))
    squared = (gain**2).sum(axis=1).max()  # G of the whole gradient
    for rate in RATES:
        for steps in STEPS:
            chance = algorithm_1(gain, first, draws=steps, rate=rate)
            behind = gain.max(axis=1) - (gain * chance).sum(axis=1)
            printed = 1 / (steps * rate) + rate**2 * squared**2
            usual = 1 / (steps * rate) + rate * squared / 2
            yield {
                "rate": rate,
                "steps": steps,
                "behind": behind.mean(),
                "most_behind": behind.max(),
                "bound_as_printed": printed,
                "bound_of_gradient_ascent": usual,
                "held_as_printed": bool((behind <= printed).all()),
                "held_of_gradient_ascent": bool((behind <= usual).all()),
            }


def _theorem_6(tell: Tell) -> Iterable[Row]:
    """Sum of distances to the nearest of T anchors, and how wrong predictions are, over all o."""
    game = tiny_world().game("train")
    model, size = game.model, game.data.size
    assert isinstance(model, influence.MatrixFactorisation)
    selections = ((np.arange(2**size)[:, None] >> np.arange(size)) & 1).astype(np.float64)
    true = losses_stacked(model, fit_stacked(model, selections))
    parts = []
    for t in ANCHORS:
        parts.append(game.anchor(t - 1, cross=True))
        anchored = np.stack([part.anchor.selected for part in parts])
        distance = np.abs(selections[:, None] - anchored).sum(axis=2)
        jointly = np.stack([part.losses(selections) for part in parts])  # (T, 2^Z, N)
        nearest = jointly[distance.argmin(axis=1), np.arange(len(selections))]
        own = influence.Anchors(game.data, parts).losses(selections)
        yield {
            "anchors": t,
            "bound": distance.min(axis=1).sum() / len(selections),
            "error_nearest_jointly": np.abs(nearest - true).mean(),
            "error_nearest_own": np.abs(own - true).mean(),
        }
        tell("theorem 6", f"{t} anchors", t / len(ANCHORS))


_SIMULATED: Mapping[str, Callable[[Tell], Exhibit]] = {
    "data-selection-accuracy": accuracy,
    "data-selection-speed": speed,
    "data-selection-theorems": theorems,
}


def exhibit(name: str, dataset: str | None, variant: str, tell: Tell) -> Exhibit:
    """An exhibit by its name in :data:`recgym.benchmark.exhibits.EXHIBITS`.

    ``data-selection-losses`` is of a data set, the others are of simulated worlds.
    """
    if name == "data-selection-losses":
        return losses(tell, dataset or "ml-latest-small", variant)
    simulated(name, dataset, variant)
    return _SIMULATED[name](tell)
