"""What models and agents predict next: Tables II and IV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recgym.benchmark import figures, scoring
from recgym.benchmark.exhibits import Exhibit
from recgym.benchmark.influence_path import suite as suites
from recgym.benchmark.influence_path.place import SEEDS, Place
from recgym.benchmark.suites import Entry, Metric

if TYPE_CHECKING:
    from recgym.data.log import InteractionLog

COUNTS = ("popularity", "markov", "cooccurrence")
FACTORS = ("bpr", "transrec")
HR, MRR = Metric("HR@20", "HR@20", +1, decimals=3), Metric("MRR", "MRR", +1, decimals=3)
NDCG = Metric("NDCG@10", "validation NDCG@10", +1, decimals=3)
NETWORKS = ("gru4rec", "caser", "sasrec", "bert4rec")


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
