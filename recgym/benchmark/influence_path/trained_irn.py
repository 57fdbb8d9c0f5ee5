"""Trained networks of IRN: how they learn, r_u of their users, what they make of an objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from recgym.benchmark import figures, scoring
from recgym.benchmark.exhibits import Exhibit
from recgym.benchmark.influence_path import suite as suites
from recgym.benchmark.influence_path.place import SEEDS, Place
from recgym.benchmark.suites import Entry, Metric
from recgym.data.log import DataError

LOSSES = (
    Metric("loss", "loss of the training segments", -1, decimals=3),
    Metric("validation", "validation loss", -1, decimals=3),
)
CONDITIONED = (
    Metric("KL", "KL from another objective, nats", 0),
    Metric("P(objective)", "P(objective)", 0),
    Metric("cosine", "likeliest item · objective", 0),
)
HELD_BACK = 20  # events, as many as a path may have
TRAININGS: Mapping[str, Mapping[str, Any]] = {
    "ours": {},
    "published mask": {"objective_reads": True},
    "no copying": {"objective_in_loss": False},
}
"""Of IRN: without the published mask's leak, with it, without the term that teaches to copy i_t."""


def _trainings(dataset: str, *names: str) -> dict[str, Entry]:
    """IRN trained in these ways of :data:`TRAININGS`, and as its search prefers on the data set."""
    searched = suites.SEARCHED.get(dataset, {})
    ways = {name: TRAININGS[name] for name in names}
    ways |= {kind.rstrip(", "): config for kind, config in searched.items()}
    return {name: suites.irn(dataset, name, **config) for name, config in ways.items()}


def learning(place: Place) -> Exhibit:
    """How IRN learns: its losses epoch by epoch, for each seed; the best validation loss is kept.

    With the published mask a network sees what it is to predict: its losses are not comparable.
    """
    entries = _trainings(place.name, "ours", "published mask")
    place.need_for(list(entries.values()))
    rows = []
    for number, (training, entry) in enumerate(entries.items()):
        seeds = place.training_seeds(entry)
        for seed in seeds:
            done = (number + seed / len(SEEDS)) / len(entries)
            place.tell("learning", f"{training}, seed {seed}", done)
            agent = place.agent(entry, seed)
            rows += [{"trained": training, "seed": seed, **point} for point in agent.curve]
    curves = pd.DataFrame(rows)
    first = curves[curves["seed"] == curves["seed"].min()]
    first = first.assign(line=first["trained"], x=first["epoch"])
    shown = first.melt(["line", "x"], [metric.key for metric in LOSSES], "metric")
    shown["low"] = shown["high"] = shown["value"]
    seeds = place.training_seeds(entries["ours"])
    return Exhibit(
        f"How IRN learns on {place.title}",
        {"learning": curves},
        {"learning": figures.lines(shown, LOSSES, "epoch")},
        place.settings(list(entries.values()), seeds),
    )


def impressionability(place: Place) -> Exhibit:
    """Fig. 8: the distribution of r_u over users, for each training seed.

    Users from whose histories nothing was learned are apart: their vectors are the normal draws
    that they started from, so that their r_u are normal whatever IRN has learned.
    """
    from recgym.models.irn_training import trained_users

    dataset = place.name
    entry = suites.irn(dataset, "irn")
    place.need_for([entry])
    moments, counts = [], []
    for seed in place.training_seeds(entry):
        place.tell("impressionability", f"seed {seed}", seed / len(SEEDS))
        agent = place.agent(entry, seed)
        r = agent.impressionability().astype(float)
        learned = trained_users(place.log, agent.architecture, agent.training, seed)
        for group, chosen in (("trained", learned), ("untrained", ~learned)):
            mine = {"seed": seed, "group": group}
            if not chosen.any():
                continue
            moments.append({**mine, **_moments(r[chosen])})
            height, edges = np.histogram(r[chosen], bins=40)
            counts += [
                {**mine, "from": a, "to": b, "users": n}
                for a, b, n in zip(edges[:-1], edges[1:], height, strict=True)
            ]
    frames = {"moments": pd.DataFrame(moments), "histogram": pd.DataFrame(counts)}
    shown = frames["histogram"]
    picture = figures.histograms(shown[shown["group"] == "trained"], "r_u of users trained on")
    title = f"Impressionability of users of {place.title}"
    settings = place.settings([entry], place.training_seeds(entry))
    return Exhibit(title, frames, {"histogram": picture}, settings)


def _moments(r: np.ndarray) -> dict[str, float]:
    from scipy import stats

    return {
        "users": len(r),
        "mean": r.mean(),
        "sd": r.std(),
        "skewness": stats.skew(r),
        "excess_kurtosis": stats.kurtosis(r),
        "negative_share": (r < 0).mean(),
        "normal_p": stats.normaltest(r).pvalue if len(r) >= 20 else np.nan,
    }


def conditioning(place: Place) -> Exhibit:
    """How much IRN's next item depends on the objective at all, at each gap.

    For each user: the Kullback-Leibler divergence (nats) of the next-item distribution with the
    user's objective from that with another user's; the objective's own probability; and how near
    the likeliest item is to the objective (cosine of item vectors). The objective is one of the
    test (``random``), an item that the user does take later, as in training (``future``), or one
    that another user does (``another's``): as popular as ``future`` ones. All three follow the
    same histories: of users with 40 events and more, without the last 20.

    Raises:
        DataError: no history is so long.
    """
    from recgym.evaluators import backbones

    vectors = backbones.item_vectors(place.log)
    entries = _trainings(place.name, *TRAININGS)
    place.need_for(list(entries.values()))
    seeds = place.training_seeds(entries["ours"])
    rows = []
    for number, (training, entry) in enumerate(entries.items()):
        for seed in seeds:
            done = (number + seed / len(SEEDS)) / len(entries)
            place.tell("conditioning", f"{training}, seed {seed}", done)
            agent = place.agent(entry, seed)
            for drawn, tasks in _conditioned(place, seed).items():
                found: dict[int, list[np.ndarray]] = {}
                for observation, part in place.starts(tasks):
                    history, user = observation["history"], observation["user"]
                    objective = np.array([task["toward"] for task in part])
                    for gap in (0, 1, 3, 10, 20):
                        both = [
                            _log_softmax(agent.scores(history, o, user, np.full(len(user), gap)))
                            for o in (objective, np.roll(objective, 1))
                        ]
                        kl = (np.exp(both[0]) * (both[0] - both[1])).sum(axis=1)
                        own = np.exp(both[0][np.arange(len(user)), objective])
                        best = np.where(observation["action_mask"] > 0, both[0], -np.inf).argmax(1)
                        near = (vectors[best] * vectors[objective]).sum(axis=1)
                        found.setdefault(gap, []).append(np.stack([kl, own, near]))
                for gap, parts in found.items():
                    values = np.concatenate(parts, axis=1)
                    names = ("KL", "P(objective)", "cosine")
                    for metric, column in zip(names, values, strict=True):
                        e = scoring.estimate([column])
                        rows.append(
                            {
                                "trained": training,
                                "seed": seed,
                                "objective": drawn,
                                "gap": gap,
                                "metric": metric,
                                **e.columns,
                                "users": e.episodes,
                            }
                        )
    frame = pd.DataFrame(rows)
    return Exhibit(
        f"What IRN makes of an objective on {place.title}",
        {"conditioning": frame},
        {"conditioning": conditioning_figure(frame)},
        place.settings(list(entries.values()), seeds),
    )


def conditioning_figure(frame: pd.DataFrame) -> Any:
    """Each training of the first seed, by the gap; ``another's`` objectives are left out."""
    first = frame[(frame["seed"] == frame["seed"].min()) & (frame["objective"] != "another's")]
    shown = first.assign(x=first["gap"], line=first["trained"] + ", " + first["objective"])
    return figures.lines(shown, CONDITIONED, "gap, items")


def _conditioned(place: Place, seed: int) -> dict[str, list[dict[str, int]]]:
    """Tasks of a seed with the item ``toward`` which IRN is asked to lead, by how it is drawn.

    ``future`` is the user's last item, ``another's`` the last item of the next user whose last
    item is new to her.
    """
    log = place.log
    tasks = [task for task in place.tasks(seed) if task["cut"] >= 2 * HELD_BACK]
    if not tasks:
        raise DataError(f"{log.name} has no history of {2 * HELD_BACK} events.")
    tasks = [{**task, "cut": task["cut"] - HELD_BACK} for task in tasks]
    taken = [log.items_of(task["user"]) for task in tasks]
    last = np.array([items[-1] for items in taken])
    another = np.empty_like(last)
    for row, items in enumerate(taken):
        others = np.roll(last, -row - 1)
        new = others[~np.isin(others, items)]
        if not len(new):
            raise DataError(f"{log.name}: user {tasks[row]['user']} has taken all last items.")
        another[row] = new[0]
    drawn = {"random": [task["objective"] for task in tasks], "another's": another, "future": last}
    return {
        name: [{**task, "toward": int(item)} for task, item in zip(tasks, items, strict=True)]
        for name, items in drawn.items()
    }


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    from scipy.special import log_softmax

    return log_softmax(scores.astype(np.float64), axis=1)
