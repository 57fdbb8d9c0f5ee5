"""What models and agents predict next: Tables II and IV, Fig. 8, and why IRN does not lead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recgym.benchmark import figures, scoring
from recgym.benchmark.exhibits import Exhibit
from recgym.benchmark.influence_path import suite as suites
from recgym.benchmark.influence_path.place import SEEDS, Place
from recgym.benchmark.suites import Entry, Metric
from recgym.data.log import DataError

if TYPE_CHECKING:
    from recgym.data.log import InteractionLog

COUNTS = ("popularity", "markov", "cooccurrence")
FACTORS = ("bpr", "transrec")
HR, MRR = Metric("HR@20", "HR@20", +1, decimals=3), Metric("MRR", "MRR", +1, decimals=3)
NDCG = Metric("NDCG@10", "validation NDCG@10", +1, decimals=3)
CONDITIONED = (
    Metric("KL", "KL from another objective, nats", 0),
    Metric("P(objective)", "P(objective)", 0),
    Metric("cosine", "likeliest item · objective", 0),
)
NETWORKS = ("gru4rec", "caser", "sasrec", "bert4rec")
HELD_BACK = 20  # events, as many as a path may have
TRAININGS: Mapping[str, Mapping[str, Any]] = {
    "ours": {},
    "published mask": {"objective_reads": True},
    "no copying": {"objective_in_loss": False},
}
"""Of IRN: without the published mask's leak, with it, without the term that teaches to copy i_t."""


def evaluators(place: Place) -> Exhibit:
    """Table II: next-item prediction of every model, intervals over users, and learning curves.

    Each user's last item, which nothing has learned from or was chosen by; full ranking, seen
    items removed.
    """
    from recgym.data.splits import leave_last_out
    from recgym.evaluators import backbones, find_trained, held_out

    place.need([*NETWORKS, *FACTORS])
    log = place.log
    test = held_out.HeldOut.of(log, 200)
    counted = leave_last_out(log)[0]
    rows, curves = [], []
    for name in (*COUNTS, *FACTORS, *NETWORKS):
        trained = name not in COUNTS
        scorer = backbones.scorer(name, log if trained else counted)
        place.tell(f"judge {name}", "", 0.0)
        found = held_out.predictions(scorer, test)
        card = find_trained(name, log)[1] if trained else {}
        for metric, values in found.items():
            e = scoring.estimate([values])
            rows.append(
                {
                    "model": name,
                    "metric": metric,
                    **e.columns,
                    "users": len(test),
                    "parameters": card.get("parameters", 0),
                    "epochs": card.get("epochs", 0),
                    "seconds": card.get("seconds", 0),
                    "validation_NDCG@10": card.get("validation", {}).get("NDCG@10", np.nan),
                    "command": card.get("command", ""),
                }
            )
        curves += [{"model": name, **point} for point in card.get("curve", [])]
    curve = pd.DataFrame(curves)
    shown = curve.assign(line=curve["model"], x=curve["epoch"], metric="NDCG@10")
    shown["value"] = shown["low"] = shown["high"] = curve["NDCG@10"]
    learned = figures.lines(shown.dropna(subset="value"), [NDCG], "epoch")
    frames = {"evaluators": pd.DataFrame(rows), "curves": curve}
    title = f"Next-item models on {place.title}"
    return Exhibit(title, frames, {"curves": learned}, {"fingerprint": log.fingerprint})


def next_item(place: Place) -> Exhibit:
    """Table IV: what is left of next-item prediction when an objective bends the ranking.

    The user's last item is to be predicted, from her history before it and with an objective of
    the test split; five objectives for each user. No agent has counted or learned from it.
    """
    from recgym.data.splits import leave_last_out
    from recgym.evaluators import ranking

    dataset = place.name
    entries = [
        *(suites.vanilla(b) for b in suites.BACKBONES),
        *(suites.rec2inf(b, d) for b in suites.BACKBONES for d in ("genre", "embedding")),
        *(suites.irn(dataset, f"irn[gap {gap}]", gap=gap) for gap in suites.GAPS),
        Entry("jump", "jump"),
    ]
    place.need_for(entries)
    log = place.log
    counted = leave_last_out(log)[0]
    ranks: dict[str, list[np.ndarray]] = {entry.label: [] for entry in entries}
    for done, entry in enumerate(entries):
        for seed, made in place.agents(entry, "next item", done, len(entries)):
            agent = _counting(made, counted)
            tasks = place.tasks(seed)
            tasks = [{**task, "cut": task["cut"] - 1} for task in tasks]
            found = []
            for observation, part in place.starts(tasks):
                target = np.array([log.items_of(task["user"])[-1] for task in part])
                seen = observation["action_mask"] == 0
                seen[np.arange(len(target)), target] = False
                found.append(ranking.ranks(agent.preferences(observation), target, seen))
            ranks[entry.label].append(np.concatenate(found))
    rows = []
    for label, per_seed in ranks.items():
        for metric, of in (("HR@20", lambda r: ranking.hits(r, 20)), ("MRR", lambda r: 1 / r)):
            e = scoring.estimate([of(r) for r in per_seed])
            rows.append(
                {
                    "agent": label,
                    "metric": metric,
                    **e.columns,
                    "episodes": e.episodes,
                }
            )
    frame = pd.DataFrame(rows)
    title = f"Next-item prediction under an objective on {place.title}"
    picture = figures.dots(frame.assign(setting="all"), [HR, MRR], ["all"])
    return Exhibit(
        title, {"next_item": frame}, {"next_item": picture}, place.settings(entries, SEEDS)
    )


def _counting(agent: Any, log: InteractionLog) -> Any:
    """The agent; if it counts, with counts of this log, and item vectors."""
    from recgym.evaluators import backbones

    if agent.name == "jump":
        agent.counts = log.popularity
    if agent.name == "rec2inf":
        if agent.config.backbone in COUNTS:
            agent.score = backbones.scorer(agent.config.backbone, log)
        agent.features = agent.features_of(log)
    return agent


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
    searched = suites.SEARCHED.get(place.name, {})
    trainings = {**TRAININGS, **{kind.rstrip(", "): config for kind, config in searched.items()}}
    entries = {name: suites.irn(place.name, name, **config) for name, config in trainings.items()}
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
