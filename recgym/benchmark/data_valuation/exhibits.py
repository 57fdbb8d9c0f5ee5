"""What the paper on data valuation shows: Tables 2 to 4, and noise whose labels are known.

All methods share the optimiser that suits plain BPR on the data, by a search on validation. Every
method trains a recommender to convergence, by the same rule (see
:mod:`recgym.agents.data_valuation.methods.training`), and the test part is looked at once. A run of
a method and a seed is kept in the cache, so a study that was stopped goes on where it was; so does
a long run, from its last epoch. Seeds make another initialisation, other orders and negatives, and
other valuations of the same split and the same noise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from recgym.agents.data_valuation import methods as registry
from recgym.agents.data_valuation.methods import METHODS, Settings
from recgym.agents.data_valuation.methods.values import RARELY_PAID
from recgym.benchmark import figures, scoring
from recgym.benchmark.exhibits import Exhibit, Tell
from recgym.benchmark.suites import Metric
from recgym.data.paths import cache_dir
from recgym.data.planted import NOISES
from recgym.envs.data_valuation.worlds import World, resolve
from recgym.models.arrays import kept

OWN_DATA = True  # ``dataset`` may be a path
DEFAULT = "ml-latest-small"
SEEDS = (0, 1, 2, 3, 4)
FEW_SEEDS = (0, 1, 2)
SEARCH_SEED = 0
SEEDS_OF: Mapping[str, Sequence[int]] = {"gowalla": (0,)}
"""Of data sets on which five seeds of every method would take weeks."""
NOISE_SEEDS = (1, 2, 3, 4, 5)
"""Of the noise too; draw 0 is the environment's, which methods were made with."""
SETTINGS = Settings()
UPDATES = 40
"""Of an epoch, in Tables 2 to 4, at most: larger data have larger batches than 512. A step on a
graph takes as long whatever the batch."""
OPTIMISERS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("amazon-beauty", "mf"): (5e-3, 5e-6),
    ("gowalla", "mf"): (5e-3, 1e-6),
}
"""(data set, backbone) → learning rate and weight decay that :func:`search` found, where they are
not the environment's. :func:`backbones` searches by itself."""
GRID = (1e-3, 2e-3, 5e-3, 1e-2), (1e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4)
BACKBONE_GRIDS: Mapping[str, tuple[Sequence[float], Sequence[float]]] = {
    "neumf": ((2e-3, 5e-3, 1e-2, 2e-2), (5e-6, 5e-5, 2e-4)),
    "lightgcn": ((2e-3, 5e-3, 1e-2), (1e-6, 5e-6, 5e-5)),
    "mgcf": ((5e-4, 1e-3, 2e-3), (2e-4, 1e-3, 5e-3)),
}
"""Of other recommenders, whose training takes minutes: around what a coarser search found."""
LARGE_GRID = (2e-3, 5e-3), (0.0, 1e-6, 5e-6, 5e-5)
"""Of the data sets of SEEDS_OF, on which vectors are in few batches and decay is felt more."""
CLOSE = 0.97
"""Of settings whose validation NDCG is at least this share of the best, the one with the fewest
updates is chosen."""
DECIDING_USERS: Mapping[str, int] = {"amazon-beauty": 2_000}
"""Drawn to decide when training ends, where ranking for all takes longer than an epoch; those of
them do who have validation items (1,382)."""
PLAIN_EPOCHS: Mapping[str, int] = {"gowalla": 10}
"""Of TIL-MI and DVR, where plain BPR has converged long before a hundred."""
VALIDATION_USERS: Mapping[str, int] = {"gowalla": 2_000}
"""Whose validation interactions are looked at at all, where rewards are of lists that take long."""
PAIRS = 10_000_000
"""Users × items that a network scores one by one; with more, 1,000 users are looked at."""
FEW_USERS = 1_000
SHARES = (0.95, 0.9)  # of clean data, to choose from on validation
NOISY_SHARES = (0.77, 0.7)  # .77 is all but what was planted
LISTS = ("Recall", "NDCG", "CC", "ILD", "Gini")  # in the order of the tables
BETTER = ("Recall", "NDCG")
COSTS = ("updates", "best_update", "seconds")
TABLE = (
    "untrained", "bpr", "bpr_long", "wbpr", "aobpr",
    "pris_uniform", "pris_popularity", "pris_cluster", "pris_cluster_popularity",
    "t_ce", "r_ce", "til_ui", "til_mi", "coin",
    "dvr_loss_paper", "dvr_ndcg_paper",
    "dvr_loss", "dvr_recall", "dvr_ndcg", "dvr_cc", "dvr_ild", "dvr_gini", "dvr_alignment",
    "drop_random", "drop_popularity", "drop_cooccurrence", "drop_loss",
    "drop_alignment", "drop_item_alignment",
)  # fmt: skip
FEWER = (
    "untrained", "bpr", "wbpr", "til_mi", "coin", "dvr_loss", "dvr_ndcg", "drop_item_alignment",
)  # fmt: skip
TABLES: Mapping[str, Sequence[str]] = {"gowalla": FEWER}
"""Of data sets on which every method would take days; all others have TABLE."""
BACKBONES = ("neumf", "lightgcn", "mgcf")
OF_BACKBONES = ("bpr", "bpr_long", "til_mi", "coin", "dvr_ndcg")
VALUATIONS = (
    "random", "popularity", "cooccurrence", "loss", "dvr_loss_paper", "dvr_loss", "dvr_recall",
    "dvr_ndcg", "dvr_cc", "dvr_ild", "dvr_gini", "dvr_gain", "ppo", "alignment", "item_alignment",
    "dvr_alignment", "oracle",
)  # fmt: skip
WHILE_TRAINING = (
    "bpr_long", "t_ce", "r_ce", "til_ui", "til_mi", "coin", "dvr_loss", "dvr_ndcg",
    "dvr_alignment",
)  # fmt: skip
"""Methods that weigh triplets while they train, and value no interaction for good; with them plain
BPR for as many epochs as TIL-MI, whose first ones are plain."""
BASE, BOUND, COIN = "bpr", "drop_oracle", "coin"
FORMAT = 2  # of what is cached; change it with what all methods compute
FORMATS: Mapping[str, int] = {
    "dvr": 2,
    **{f"{start}{name}": 3 for name in RARELY_PAID for start in ("", "drop_")},
}
"""The same of methods whose names begin so."""
Row = dict[str, Any]
Run = Mapping[str, np.ndarray]
"""``test_`` and ``validation_`` with a metric: (V,) by user or (1,); costs (1,)."""


@dataclass(frozen=True)
class Place:
    """A data set, and what tells of progress."""

    dataset: str
    variant: str
    tell: Tell

    def world(
        self,
        noise: str | None = None,
        backbone: str = "mf",
        draw: int = 0,
        optimiser: tuple[float, float] | None = None,
    ) -> World:
        given: Row = {"noise": noise, "backbone": backbone, "noise_draw": draw}
        deciding = VALIDATION_USERS.get(self.dataset)
        if deciding is None and backbone == "neumf":
            log = resolve(self.dataset, self.variant, **given).log
            deciding = FEW_USERS if log.n_users * log.n_items > PAIRS else None
        optimiser = optimiser or OPTIMISERS.get((self.dataset, backbone))
        if optimiser is not None:
            given |= dict(zip(("learning_rate", "weight_decay"), optimiser, strict=True))
        return resolve(self.dataset, self.variant, **given, validation_users=deciding)


def methods(place: Place) -> Exhibit:
    """Tables 2 to 4: every method on the data as they are, with matrix factorisation.

    Diversity and fairness can be won by not learning: they stand beside accuracy, and beside the
    recommender before its training. ``lead_…`` is over plain BPR, user by user; ``over_coin_…`` of
    DVR over a coin in its valuator's place.
    """
    world = place.world()
    names = _known(world, TABLES.get(place.dataset, TABLE))
    settings = replace(_sized(place, world), shares=SHARES)
    seeds = SEEDS_OF.get(place.dataset, SEEDS)
    frame = pd.DataFrame(_table(place, world, names, seeds, settings))
    title = f"Methods of training on {place.dataset}"
    figure = _picture(frame.assign(setting=place.dataset), [place.dataset])
    return Exhibit(title, {"methods": frame}, {"methods": figure})


def backbones(place: Place) -> Exhibit:
    """Table 2 for the other recommenders, with the methods that the paper makes most of.

    Each with the optimiser that plain BPR has the best validation NDCG with.
    """
    rows: list[Row] = []
    searched: list[Row] = []
    for backbone in BACKBONES:
        tried = _searched(place, backbone, None, product(*BACKBONE_GRIDS[backbone]))
        searched += tried
        chosen = next(row for row in tried if row["chosen"])
        world = place.world(
            backbone=backbone, optimiser=(chosen["learning_rate"], chosen["weight_decay"])
        )
        settings = _sized(place, world)
        found = _table(place, world, _known(world, OF_BACKBONES), FEW_SEEDS, settings)
        rows += [{"backbone": backbone, **row} for row in found]
    frame = pd.DataFrame(rows)
    figure = _picture(frame.rename(columns={"backbone": "setting"}), list(BACKBONES))
    title = f"Other recommenders on {place.dataset}"
    frames = {"backbones": frame, "search": pd.DataFrame(searched)}
    return Exhibit(title, frames, {"backbones": figure})


def search(place: Place) -> Exhibit:
    """Learning rate and weight decay of plain BPR, by validation NDCG; a row for each setting.

    For matrix factorisation, on the embedded set with each kind of noise too.
    """
    grid = LARGE_GRID if place.dataset in SEEDS_OF else GRID
    kinds: tuple[str | None, ...] = (None, *NOISES) if place.dataset == DEFAULT else (None,)
    rows = [row for kind in kinds for row in _searched(place, "mf", kind, product(*grid))]
    return Exhibit(f"Optimisers on {place.dataset}", {"search": pd.DataFrame(rows)})


def _searched(
    place: Place, backbone: str, kind: str | None, grid: Iterable[tuple[float, float]]
) -> list[Row]:
    """Plain BPR with each (learning rate, weight decay), the one that is taken marked."""
    rows: list[Row] = []
    settings_of = list(grid)
    for at, optimiser in enumerate(settings_of):
        rate, decay = optimiser
        world = place.world(noise=kind, backbone=backbone, optimiser=optimiser)
        told = f"search, {backbone}, {kind or 'clean'}"
        place.tell(told, f"{rate:g}, {decay:g}", at / len(settings_of))
        settings = SETTINGS if kind else _sized(place, world)
        found = run(world, BASE, replace(settings, seed=SEARCH_SEED))
        rows.append(
            {
                "backbone": backbone,
                "noise": kind or "none",
                "batch": settings.batch,
                "learning_rate": rate,
                "weight_decay": decay,
                "validation_NDCG": float(found["validation_NDCG"].mean()),
                **{cost: float(found[cost][0]) for cost in COSTS},
            }
        )
    return _chosen(rows)


def _chosen(rows: Sequence[Row]) -> list[Row]:
    """The settings of one world, the one that is taken marked."""
    best = max(row["validation_NDCG"] for row in rows)
    close = [row for row in rows if row["validation_NDCG"] >= CLOSE * best]
    taken = min(close, key=lambda row: row["updates"])
    return [{**row, "chosen": row is taken} for row in rows]


def noise(place: Place) -> Exhibit:
    """Each valuation where it is known what was planted: AUC, and what dropping by it brings.

    Each seed has a draw of the noise of its own.

    ``auc`` is the chance that a true interaction is worth more than a planted one, .5 by chance.
    ``recovered`` has the test metric after dropping the least valuable share, its lead over BPR on
    everything (``lead_…``), and that lead as a share of the oracle's (``recovered_…``), whose
    interval takes the oracle's lead as given.
    """
    aucs: list[Row] = []
    gains: list[Row] = []
    for kind in NOISES:
        worlds = {seed: place.world(noise=kind, draw=seed) for seed in NOISE_SEEDS}
        possible = registry.valuations(worlds[NOISE_SEEDS[0]])
        valued = [name for name in VALUATIONS if name in possible]
        settings = replace(SETTINGS, shares=NOISY_SHARES)
        names = [BASE, *WHILE_TRAINING, *(f"drop_{name}" for name in valued)]
        runs = _runs(place, worlds, names, settings)
        for name in valued:
            found = [
                registry.value(world, name, replace(settings, seed=seed)).auc(world.rows[2])
                for seed, world in worlds.items()
            ]
            keys = {"noise": kind, "valuation": name, "metric": "AUC"}
            aucs.append({**keys, **_estimated([np.array([auc]) for auc in found])})
        gains += [{"noise": kind, **row} for row in _recovered(runs)]
    frames = {"auc": pd.DataFrame(aucs), "recovered": pd.DataFrame(gains)}
    shown = frames["auc"].rename(columns={"valuation": "agent", "noise": "setting"})
    metric = Metric("AUC", "AUC against planted noise", +1)
    picture = figures.dots(shown, [metric], list(NOISES))
    return Exhibit(f"Planted noise in {place.dataset}", frames, {"auc": picture})


def _recovered(runs: Mapping[str, Sequence[Run]]) -> Iterable[Row]:
    for metric in BETTER:
        key = f"test_{metric}"
        base = [run[key] for run in runs[BASE]]
        bound = scoring.paired_difference([run[key] for run in runs[BOUND]], base).value
        for name, mine in runs.items():
            values = [run[key] for run in mine]
            yield {"method": name, "metric": metric, **_estimated(values)}
            lead = _lead(values, base)
            yield {"method": name, "metric": f"lead_{metric}", **lead}
            yield from _over_coin(name, metric, runs)
            # without a lead of the oracle there is nothing to recover
            scale = bound if bound > 0 else np.nan
            share = {key: lead[key] / scale for key in ("value", "low", "high")}
            yield {"method": name, "metric": f"recovered_{metric}", **lead, **share}


def _table(
    place: Place,
    world: World,
    names: Sequence[str],
    seeds: Sequence[int],
    settings: Settings,
) -> Iterable[Row]:
    runs = _runs(place, dict.fromkeys(seeds, world), names, settings)
    for name, mine in runs.items():
        for metric in LISTS:
            key = f"test_{metric}"
            if key not in mine[0]:
                continue
            values = [run[key] for run in mine]
            yield {"method": name, "metric": metric, **_estimated(values)}
            lead = _lead(values, [run[key] for run in runs[BASE]])
            yield {"method": name, "metric": f"lead_{metric}", **lead}
            yield from _over_coin(name, metric, runs)
        for metric in ("validation_NDCG", *COSTS):
            yield {"method": name, "metric": metric, **_estimated([run[metric] for run in mine])}


def _runs(
    place: Place,
    worlds: Mapping[int, World],
    names: Sequence[str],
    settings: Settings,
) -> dict[str, list[Run]]:
    """method → its runs; seeds outside, so that a study that is stopped has whole seeds."""
    found: dict[str, list[Run]] = {name: [] for name in names}
    for number, (seed, world) in enumerate(worlds.items()):
        for at, name in enumerate(names):
            place.tell(
                world.noise or world.backbone,
                f"{name}, seed {seed}",
                (number + at / len(names)) / len(worlds),
            )
            found[name].append(run(world, name, replace(settings, seed=seed)))
    return found


def run(world: World, name: str, settings: Settings) -> Run:
    """One method with one seed, from the cache if it is there."""
    formats = [FORMAT, *(n for start, n in FORMATS.items() if name.startswith(start))]
    key = json.dumps([*formats, world.fingerprint, name, settings.key])
    digest = hashlib.sha256(key.encode()).hexdigest()[:24]
    checkpoint = cache_dir() / "valuation" / f"unfinished-{digest}.safetensors"

    def make() -> dict[str, np.ndarray]:
        made = METHODS[name](world, settings, checkpoint)
        return {
            **{f"validation_{metric}": values for metric, values in made.validation.items()},
            **{f"test_{metric}": values for metric, values in made.test.items()},
            **{cost: np.array([float(getattr(made, cost))]) for cost in COSTS},
        }

    return kept("valuation", f"run {key}".encode(), make)


def _estimated(values: Sequence[np.ndarray]) -> Row:
    """Mean with its 95 % interval over seeds, and over users where there is a number of each."""
    return _row(scoring.estimate(values), values)


def _lead(values: Sequence[np.ndarray], base: Sequence[np.ndarray]) -> Row:
    """Mean lead over others, seed by seed and user by user, with its interval."""
    return _row(scoring.paired_difference(values, base), values)


def _over_coin(name: str, metric: str, runs: Mapping[str, Sequence[Run]]) -> Iterable[Row]:
    """Of what selects while it trains by a valuator: the lead over a coin in its place."""
    if name.startswith("dvr") and COIN in runs:
        mine, coins = ([run[f"test_{metric}"] for run in runs[which]] for which in (name, COIN))
        yield {"method": name, "metric": f"over_coin_{metric}", **_lead(mine, coins)}


def _row(e: scoring.Estimate, values: Sequence[np.ndarray]) -> Row:
    users = values[0].size
    return {**e.columns, "seeds": e.seeds, "users": users}


def _sized(place: Place, world: World) -> Settings:
    """Batches of which an epoch has no more than UPDATES, who decides when training ends, and when
    methods begin to weigh."""
    deciding = None if world.validation_users else DECIDING_USERS.get(place.dataset)
    batch = max(SETTINGS.batch, len(world.rows[0]) // UPDATES)
    plain = PLAIN_EPOCHS.get(place.dataset, SETTINGS.plain_epochs)
    return replace(SETTINGS, batch=batch, deciding_users=deciding, plain_epochs=plain)


def _known(world: World, names: Sequence[str]) -> list[str]:
    """Those that have what they need in this world."""
    possible = registry.names(world)
    return [name for name in names if name in possible]


def _picture(frame: pd.DataFrame, settings: Sequence[str]) -> Any:
    """Leads over plain BPR, and what lists are like, without what has learnt nothing."""
    shown: Any = frame[frame["method"] != "untrained"]
    shown = shown.rename(columns={"method": "agent"})
    k, present = SETTINGS.k, set(frame["metric"])
    metrics = [
        Metric("lead_NDCG", f"NDCG@{k}, lead over BPR", +1),
        Metric("lead_Recall", f"Recall@{k}, lead over BPR", +1),
        Metric("CC", f"CC@{k}", +1),
        Metric("ILD", f"ILD@{k}", +1),
        Metric("Gini", f"Gini@{k}", -1),
    ]
    return figures.dots(shown, [metric for metric in metrics if metric.key in present], settings)


_MAKE: Mapping[str, Callable[[Place], Exhibit]] = {
    "data-valuation-methods": methods,
    "data-valuation-backbones": backbones,
    "data-valuation-noise": noise,
    "data-valuation-search": search,
}


def exhibit(name: str, dataset: str | None, variant: str, tell: Tell) -> Exhibit:
    """An exhibit by its name in :data:`recgym.benchmark.exhibits.EXHIBITS`."""
    return _MAKE[name](Place(dataset or DEFAULT, variant, tell))
