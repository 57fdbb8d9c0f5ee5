"""Paths step by step: Fig. 9 and Table VII."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recgym.benchmark import figures, scoring
from recgym.benchmark.exhibits import Exhibit
from recgym.benchmark.influence_path import suite as suites
from recgym.benchmark.influence_path.place import SEEDS, Place, Task, options
from recgym.benchmark.suites import Entry, Metric
from recgym.data.log import DataError

if TYPE_CHECKING:
    from recgym.data.log import InteractionLog


SERIES = (
    Metric("objective", "log P(objective)", +1),
    Metric("item", "log P(item taken)", +1),
)


def evolution(place: Place) -> Exhibit:
    """Fig. 9: log P(objective) and log P(item) step by step, over users and five seeds.

    A path that has reached its objective keeps the log P(objective) that it had before, so that a
    curve ends at its IoI and does not depend on who is left; log P(item) is of the paths that go
    on, as long as half of them do. Beside ``all`` paths those that do not reach the objective
    before the last step (``unfinished``), which alone the paper shows.
    """
    entries = _evolving(place.name)
    _check_genres(place.log)
    place.need_for(entries)
    rows = []
    for done, entry in enumerate(entries):
        followed, saw = [], ""
        for seed, agent in place.agents(entry, "evolution", done, len(entries)):
            saw = agent.sees
            curves = [_curves(place, agent, part, seed) for part in place.parts(seed)]
            followed.append(tuple(np.concatenate(c) for c in zip(*curves, strict=True)))
        found = _series(followed)
        for (paths, series), values in found.items():
            begun = [of[:, 0] for of in found[paths, "objective"]]
            for step in range(values[0].shape[1]):
                column = [of[:, step] for of in values]
                if series == "item" and np.isfinite(column).sum() < np.isfinite(begun).sum() / 2:
                    break
                e = scoring.estimate(column)
                rows.append(
                    {
                        "agent": entry.label,
                        "saw": saw,
                        "paths": paths,
                        "series": series,
                        "step": step,
                        **e.columns,
                        "episodes": e.episodes,
                    }
                )
    frame = pd.DataFrame(rows).dropna(subset="value")
    shown = frame[frame["paths"] == "all"]
    shown = shown.assign(x=shown["step"], line=shown["agent"], metric=shown["series"])
    picture = figures.lines(shown, SERIES, "step")
    return Exhibit(
        f"Stepwise evolution on {place.title}",
        {"evolution": frame},
        {"evolution": picture},
        place.settings(entries, SEEDS),
    )


def _series(followed: Sequence[tuple]) -> dict[tuple[str, str], list[np.ndarray]]:
    """(paths, series) → one array (users, steps) for each seed, from those of :func:`_curves`."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for objective, item, early in followed:
        kept = pd.DataFrame(objective).ffill(axis=1).to_numpy()
        for paths, out in (("all", np.zeros_like(early)), ("unfinished", early)):
            for series, values in (("objective", kept), ("item", item)):
                mine = np.where(out[:, None], np.nan, values)
                found.setdefault((paths, series), []).append(mine)
    return found


def _curves(place: Place, agent: Any, tasks: Sequence[Task], seed: int):
    """(log P(objective) (B, M + 1), log P(item) (B, M), success before the last step (B,)).

    NaN after a path's end; the item that is the objective is not counted.
    """
    venv = place.venv(len(tasks))
    observation, _ = venv.reset(seed=seed, options=options(tasks))
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


def case(place: Place) -> Exhibit:
    """Table VII: one path of each of some agents, item by item, from one genre to another.

    Not picked by hand: of the evaluation tasks of seed 0 the first, in the order of users, whose
    last item is an action film and whose objective is a comedy and nothing else, as in the paper;
    on data without these genres the first whose last item and objective have no genre in common.
    """
    dataset = place.name
    entries = _cases(dataset)
    _check_genres(log := place.log)
    place.need_for(entries)
    task = _genre_shift(log, place.tasks(0))
    rows = []
    for done, entry in enumerate(entries):
        place.tell("case", entry.label, done / len(entries))
        agent, venv = place.agent(entry, 0), place.venv(1)
        observation, _ = venv.reset(seed=0, options=options([task]))
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
    return Exhibit(
        f"One path of each on {place.title}",
        {"case": pd.DataFrame(rows)},
        settings=place.settings(entries, [0]),
    )


def _genre_shift(log: InteractionLog, tasks: Sequence[dict[str, int]]) -> dict[str, int]:
    genres = {item: set(np.array(log.genre_names)[log.genres[item]]) for item in range(log.n_items)}
    ends = [(genres[int(log.items_of(t["user"])[-1])], genres[t["objective"]]) for t in tasks]
    for task, (last, objective) in zip(tasks, ends, strict=True):
        if "Action" in last and objective == {"Comedy"}:
            return task
    apart = [task for task, (a, b) in zip(tasks, ends, strict=True) if a and b and not a & b]
    if not apart:
        raise DataError(f"{log.name}: no last item and objective are without a common genre.")
    return apart[0]


def _check_genres(log: InteractionLog) -> None:
    if not log.genre_names:
        raise DataError(
            f"{log.name} has no genres, by which some of the agents shown here go. Choose films "
            "or artists, as ml-1m or lastfm-2k."
        )


def _evolving(dataset: str) -> tuple[Entry, ...]:
    """Whose interest is followed step by step (Fig. 9)."""
    return (
        suites.irn(dataset, "irn[gap left]"),
        suites.irn(dataset, "irn[nearest]", nearest=True),
        *(suites.rec2inf(b, d) for b in ("sasrec", "caser") for d in ("genre", "embedding")),
        suites.rec2inf(suites.OURS, "embedding"),
        suites.vanilla("sasrec"),
        suites.learner(dataset, "model_ppo"),
        Entry("lookahead", "lookahead"),
    )


def _cases(dataset: str) -> tuple[Entry, ...]:
    """Whose paths are shown (Table VII)."""
    return (
        suites.irn(dataset, "irn[gap left]"),
        suites.irn(dataset, "irn[nearest, final offer]", nearest=True, final_offer=True),
        suites.rec2inf("sasrec", "genre", True),
        suites.rec2inf("sasrec", "embedding", True),
        suites.learner(dataset, "model_ppo"),
        Entry("lookahead", "lookahead"),
    )
