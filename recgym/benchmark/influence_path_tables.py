"""What the IRS paper shows besides paths: Tables II, IV and VII, Figs. 8 and 9, and why IRN loses.

Each function fills one folder with small CSVs. All train what is missing first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.benchmark import influence_path as suites
from recgym.benchmark import making, scoring
from recgym.benchmark.suites import Entry

if TYPE_CHECKING:
    import pandas as pd

    from recgym.data.log import InteractionLog

Tell = Callable[[str, str, float], None]
MODELS = ("popularity", "markov", "cooccurrence", "bpr", "transrec")
NETWORKS = ("gru4rec", "caser", "sasrec", "bert4rec")
SEEDS = (0, 1, 2, 3, 4)
CHUNK = 256


@dataclass(frozen=True)
class Place:
    """A data set, and what tells of progress."""

    dataset: str | None
    variant: str
    tell: Tell

    @property
    def log(self) -> InteractionLog:
        from recgym import data

        return data.load(self.dataset or suites.DEFAULT, self.variant)

    @property
    def kwargs(self) -> dict[str, Any]:
        return suites.where(self.dataset, self.variant)

    def need(self, models: Sequence[str]) -> None:
        """Train those of these models that have not been trained on the data set."""
        from recgym.evaluators import recipes

        for model in models:
            epochs = recipes.recipe(model, self.log.name).training_config().epochs
            recipes.ensure(
                model,
                self.log,
                lambda stage, now, m=model, n=epochs: self.tell(m, stage, now.epoch / n),
            )

    def venv(self, rows: int, split: str = "test", **more: Any) -> Any:
        kwargs = {**self.kwargs, **more}
        return making.vector_env(suites.ENV_ID, rows, split, "Disabled", kwargs)

    def agent(self, entry: Entry, seed: int) -> Any:
        """The entry's agent, trained on the training split with that seed."""
        env = making.vector_env(suites.ENV_ID, 8, "train", "SameStep", self.kwargs)
        agent = making.agent(entry.agent, env, {"seed": seed, **entry.config})
        return agent.learn(
            entry.timesteps, seed=seed if entry.train_seed is None else entry.train_seed
        )


def evaluators(place: Place) -> Mapping[str, pd.DataFrame]:
    """Table II: next-item prediction of every model, intervals over users, and learning curves.

    Each user's last item, which nothing has learned from or was chosen by; full ranking, seen
    items removed.
    """
    import pandas as pd

    from recgym.data.splits import leave_last_out
    from recgym.evaluators import backbones, find_trained, held_out

    place.need([*NETWORKS, "bpr", "transrec"])
    log = place.log
    test = held_out.HeldOut.of(log, 200)
    counted = leave_last_out(log)[0]
    rows, curves = [], []
    for name in (*MODELS, *NETWORKS):
        trained = name in (*NETWORKS, "bpr", "transrec")
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
                    "value": e.value,
                    "low": e.low,
                    "high": e.high,
                    "users": len(test),
                    "parameters": card.get("parameters", 0),
                    "epochs": card.get("epochs", 0),
                    "seconds": card.get("seconds", 0),
                    "validation_NDCG@10": card.get("validation", {}).get("NDCG@10", np.nan),
                    "command": card.get("command", ""),
                }
            )
        curves += [{"model": name, **point} for point in card.get("curve", [])]
    return {"evaluators": pd.DataFrame(rows), "curves": pd.DataFrame(curves)}


def next_item(place: Place) -> Mapping[str, pd.DataFrame]:
    """Table IV: what is left of next-item prediction when an objective bends the ranking.

    The user's last item is to be predicted, from her history before it and with an objective of
    the test split; five objectives for each user.
    """
    import pandas as pd

    from recgym.evaluators import ranking

    dataset = place.dataset or suites.DEFAULT
    entries = [
        *(suites.vanilla(b) for b in suites.BACKBONES),
        *(suites.rec2inf(b, d) for b in suites.BACKBONES for d in ("genre", "embedding")),
        *(suites.irn(dataset, f"irn[gap {gap}]", gap=gap) for gap in suites.GAPS),
    ]
    place.need(suites.needed(entries))
    log = place.log
    ranks: dict[str, list[np.ndarray]] = {entry.label: [] for entry in entries}
    for done, entry in enumerate(entries):
        for seed in SEEDS:
            place.tell("next item", entry.label, (done + seed / len(SEEDS)) / len(entries))
            agent = place.agent(entry, seed)
            tasks = _tasks(place, seed)
            tasks = [{**task, "cut": task["cut"] - 1} for task in tasks]
            found = []
            for observation, part in _starts(place, tasks):
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
                {"agent": label, "metric": metric, "value": e.value, "low": e.low, "high": e.high}
            )
    return {"next_item": pd.DataFrame(rows)}


def impressionability(place: Place) -> Mapping[str, pd.DataFrame]:
    """Fig. 8: the distribution of r_u over users, for each training seed."""
    import pandas as pd
    from scipy import stats

    dataset = place.dataset or suites.DEFAULT
    entry = suites.irn(dataset, "irn")
    place.need(["bert4rec"])
    moments, counts = [], []
    for seed in SEEDS[: 1 if entry.train_seed is not None else None]:
        place.tell("impressionability", f"seed {seed}", seed / len(SEEDS))
        r = place.agent(entry, seed).impressionability().astype(float)
        moments.append(
            {
                "seed": seed,
                "users": len(r),
                "mean": r.mean(),
                "sd": r.std(),
                "skewness": stats.skew(r),
                "excess_kurtosis": stats.kurtosis(r),
                "negative_share": (r < 0).mean(),
                "normal_p": stats.normaltest(r).pvalue,
            }
        )
        height, edges = np.histogram(r, bins=40)
        counts += [
            {"seed": seed, "from": a, "to": b, "users": n}
            for a, b, n in zip(edges[:-1], edges[1:], height, strict=True)
        ]
    return {"moments": pd.DataFrame(moments), "histogram": pd.DataFrame(counts)}


def evolution(place: Place) -> Mapping[str, pd.DataFrame]:
    """Fig. 9: log P(objective) and log P(item) step by step, averaged over users.

    As in the paper, paths that reach the objective before the last step are left out (``paths``
    ``unfinished``); beside it all paths (``all``), each as long as it lasts.
    """
    import pandas as pd

    dataset = place.dataset or suites.DEFAULT
    entries = _evolving(dataset)
    place.need(suites.needed(entries))
    rows = []
    for done, entry in enumerate(entries):
        place.tell("evolution", entry.label, done / len(entries))
        agent, seed = place.agent(entry, 0), 0
        curves = [_curves(place, agent, part, seed) for part in _parts(place, seed)]
        objective, item, success = (np.concatenate(c) for c in zip(*curves, strict=True))
        kept = {"all": np.ones(len(success), dtype=bool), "unfinished": ~success}
        for paths, chosen in kept.items():
            for series, values in (("objective", objective), ("item", item)):
                for step in range(values.shape[1]):
                    column = values[chosen, step]
                    if np.isfinite(column).sum() < 2:
                        continue
                    e = scoring.estimate([column])
                    rows.append(
                        {
                            "agent": entry.label,
                            "saw": agent.sees,
                            "paths": paths,
                            "series": series,
                            "step": step,
                            "value": e.value,
                            "low": e.low,
                            "high": e.high,
                            "users": e.episodes,
                        }
                    )
    return {"evolution": pd.DataFrame(rows)}


def conditioning(place: Place) -> Mapping[str, pd.DataFrame]:
    """How much IRN's next item depends on the objective at all, at each gap.

    For each user: the Kullback-Leibler divergence (nats) of the next-item distribution with the
    user's objective from that with another user's; the objective's own probability; and how near
    the likeliest item is to the objective (cosine of item vectors). ``future``: the objective is an
    item that the user did take later, as in training, and not one that she has never seen.
    """
    import pandas as pd

    from recgym.evaluators import backbones

    dataset = place.dataset or suites.DEFAULT
    vectors = backbones.item_vectors(place.log)
    place.need(["bert4rec"])
    rows = []
    masks = {"ours": {}, "published": {"objective_reads": True}}
    for number, (mask, config) in enumerate(masks.items()):
        entry = suites.irn(dataset, "irn", **config)
        for seed in SEEDS[: 1 if entry.train_seed is not None else None]:
            place.tell("conditioning", f"{mask}, seed {seed}", (number + seed / 5) / 2)
            agent = place.agent(entry, seed)
            for drawn in ("random", "future"):
                found: dict[int, list[np.ndarray]] = {}
                for observation, part in _starts(place, _conditioned(place, seed, drawn)):
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
                                "mask": mask,
                                "seed": seed,
                                "objective": drawn,
                                "gap": gap,
                                "metric": metric,
                                "value": e.value,
                                "low": e.low,
                                "high": e.high,
                                "users": e.episodes,
                            }
                        )
    return {"conditioning": pd.DataFrame(rows)}


def case(place: Place) -> Mapping[str, pd.DataFrame]:
    """Table VII: one path of each of some agents, item by item, from one genre to another.

    Not picked by hand: of the evaluation tasks of seed 0 the first, in the order of users, whose
    last item is an action film and whose objective is a comedy and nothing else, as in the paper;
    on data without these genres the first whose last item and objective have no genre in common.
    """
    import pandas as pd

    dataset = place.dataset or suites.DEFAULT
    entries = _cases(dataset)
    place.need(suites.needed(entries))
    log = place.log
    task = _genre_shift(log, _tasks(place, 0))
    rows = []
    for done, entry in enumerate(entries):
        place.tell("case", entry.label, done / len(entries))
        agent, venv = place.agent(entry, 0), place.venv(1)
        observation, _ = venv.reset(seed=0, options=_options([task]))
        rules = venv.unwrapped.problem
        over, state, start = False, None, np.ones(1, dtype=bool)
        items = [(0, int(observation["history"][0, -1])), (-1, task["objective"])]
        log_prob = rules.evaluator.log_prob(observation["history"])[0]
        interest = [log_prob[task["objective"]]] * 2
        while not over:
            action, state = agent.predict(observation, state, start, deterministic=True)
            start = np.zeros(1, dtype=bool)
            observation, _, terminated, _, info = venv.step(action)
            over = bool(terminated[0])
            items.append((len(items) - 1, int(action[0])))
            interest.append(interest[-1] + info["reward_terms"]["interest"][0])
        rows += [
            {
                "agent": entry.label,
                "step": step,
                "title": log.item_label(item),
                "genres": "|".join(np.array(log.genre_names)[log.genres[item]]),
                "log_prob_objective": value,
            }
            for (step, item), value in zip(items, interest, strict=True)
        ]
    return {"case": pd.DataFrame(rows)}


def _genre_shift(log: InteractionLog, tasks: Sequence[dict[str, int]]) -> dict[str, int]:
    genres = {item: set(np.array(log.genre_names)[log.genres[item]]) for item in range(log.n_items)}
    ends = [(genres[int(log.items_of(t["user"])[-1])], genres[t["objective"]]) for t in tasks]
    for task, (last, objective) in zip(tasks, ends, strict=True):
        if "Action" in last and objective == {"Comedy"}:
            return task
    return next(task for task, (a, b) in zip(tasks, ends, strict=True) if a and b and not a & b)


def _conditioned(place: Place, seed: int, drawn: str) -> list[dict[str, int]]:
    """Evaluation tasks with the item ``toward`` which IRN is asked to lead.

    ``future``: the history stops 20 events early and ``toward`` is the user's last item.
    """
    log = place.log
    tasks = _tasks(place, seed)
    if drawn == "random":
        return [{**task, "toward": task["objective"]} for task in tasks]
    last = [int(log.items_of(task["user"])[-1]) for task in tasks]
    return [
        {**task, "cut": max(1, task["cut"] - 20), "toward": item}
        for task, item in zip(tasks, last, strict=True)
    ]


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    from scipy.special import log_softmax

    return log_softmax(scores.astype(np.float64), axis=1)


def _evolving(dataset: str) -> tuple[Entry, ...]:
    """Whose interest is followed step by step (Fig. 9)."""
    return (
        suites.irn(dataset, "irn[gap left]"),
        suites.irn(dataset, "irn[nearest]", nearest=True),
        *(suites.rec2inf(b, d) for b in ("sasrec", "caser") for d in ("genre", "embedding")),
        suites.rec2inf(suites.OURS, "embedding"),
        suites.vanilla("sasrec"),
        Entry("model_ppo", "model_ppo"),
        Entry("lookahead", "lookahead"),
    )


def _cases(dataset: str) -> tuple[Entry, ...]:
    """Whose paths are shown (Table VII)."""
    return (
        suites.irn(dataset, "irn[gap left]"),
        suites.irn(dataset, "irn[nearest, final offer]", nearest=True, final_offer=True),
        suites.rec2inf("sasrec", "genre", True),
        suites.rec2inf("sasrec", "embedding", True),
        Entry("model_ppo", "model_ppo"),
        Entry("lookahead", "lookahead"),
    )


def _tasks(place: Place, seed: int) -> list[dict[str, int]]:
    return place.venv(1).unwrapped.evaluation_tasks(seed)


def _parts(place: Place, seed: int) -> Iterator[list[dict[str, int]]]:
    tasks = _tasks(place, seed)
    for start in range(0, len(tasks), CHUNK):
        yield tasks[start : start + CHUNK]


def _options(tasks: Sequence[Mapping[str, int]]) -> dict[str, np.ndarray]:
    return {key: np.array([t[key] for t in tasks]) for key in ("user", "objective", "cut")}


def _starts(
    place: Place, tasks: Sequence[Mapping[str, int]]
) -> Iterator[tuple[dict[str, np.ndarray], Sequence[Mapping[str, int]]]]:
    """(observations at the start, their tasks), some hundred users at a time."""
    for start in range(0, len(tasks), CHUNK):
        part = tasks[start : start + CHUNK]
        observation, _ = place.venv(len(part)).reset(seed=0, options=_options(part))
        yield observation, part


def _curves(place: Place, agent: Any, tasks: Sequence[Mapping[str, int]], seed: int):
    """(log P(objective) (B, M + 1), log P(item) (B, M), success before the last step (B,)).

    NaN after a path's end; the item that is the objective is not counted.
    """
    venv = place.venv(len(tasks))
    observation, _ = venv.reset(seed=seed, options=_options(tasks))
    problem, rows = venv.unwrapped.problem, np.arange(len(tasks))
    horizon = problem.params.horizon
    objective = np.full((len(tasks), horizon + 1), np.nan)
    item = np.full((len(tasks), horizon), np.nan)
    objective[:, 0] = problem.evaluator.log_prob(observation["history"])[
        rows, observation["objective"]
    ]
    over, early, state = np.zeros(len(tasks), dtype=bool), np.zeros(len(tasks), dtype=bool), None
    start = np.ones(len(tasks), dtype=bool)
    for step in range(horizon):
        target = observation["objective"]
        action, state = agent.predict(
            observation, state=state, episode_start=start, deterministic=True
        )
        start = np.zeros_like(start)
        observation, _, terminated, _, info = venv.step(action)
        terms = info["reward_terms"]
        going = ~over & (action != target)
        item[going, step] = terms["log_prob"][going]
        objective[going, step + 1] = objective[going, step] + terms["interest"][going]
        early |= ~over & (action == target) & (step + 1 < horizon)
        over |= terminated
        if over.all():
            break
    return objective, item, early


TABLES: Mapping[str, Callable[[Place], Mapping[str, Any]]] = {
    "influence-path-evaluators": evaluators,
    "influence-path-next-item": next_item,
    "influence-path-impressionability": impressionability,
    "influence-path-evolution": evolution,
    "influence-path-conditioning": conditioning,
    "influence-path-case": case,
}


def write(name: str, out: Path, dataset: str | None, variant: str, tell: Tell) -> list[Path]:
    """Make a table by name and write its CSVs into ``out``; their paths."""
    frames = TABLES[name](Place(dataset, variant, tell))
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for stem, frame in frames.items():
        paths.append(out / f"{stem}.csv")
        frame.to_csv(paths[-1], index=False, float_format="%.5g", lineterminator="\n")
    return paths
