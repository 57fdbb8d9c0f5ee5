"""The suites of InfluencePath: Table III of the IRS paper, and everything that we add to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from recgym.benchmark.influence_path import missing
from recgym.benchmark.suites import Entry, Metric, Suite

ENV_ID = "recgym/InfluencePath-v0"
DEFAULT = "ml-latest-small"

METRICS = (
    Metric("return", "Return", +1, "sum of rewards of the episode"),
    Metric("SR", "SR", +1, "share of paths that reach the objective", 3),
    Metric("SR_acc", "SR acc", +1, "success, counted by how likely it is accepted", 3),
    Metric("SR@1", "SR@1", 0, "share that offers the objective at once", 3),
    Metric("IoI", "IoI", +1, "increase of interest: gain of log P(objective) over the path"),
    Metric("IoR", "IoR", +1, "increase of rank of the objective", 0),
    Metric("log_ppl", "log PPL", -1, "how unnatural the path is to the user"),
    Metric("length", "Length", 0, "items of the path", 1),
)

EVERY: Mapping[str, int] = {"ml-1m": 12}
"""Judging all users would take over four hours: each so many-th is judged, on MovieLens 1M 504.

Not the first ones: there they are the last who registered.
"""
TRAIN_SEEDS: Mapping[str, int] = {"ml-1m": 0}
"""Where whatever learns is trained once, and judged on five seeds of objectives."""

BACKBONES = ("popularity", "bpr", "transrec", "gru4rec", "caser", "sasrec")
"""The paper's, under Vanilla and Rec2Inf."""
OURS = "cooccurrence"
POOL = "sasrec+caser+gru4rec"
"""The networks of the log but BERT4Rec, which judges, as one."""
GAPS = (0, 3, "left")
IRN_KINDS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "published mask, ": {"objective_reads": True},
    "padded, ": {"keep_short": True},
}
"""Trained without the published mask's leak, with it, and on short histories too, padded."""
SEARCHED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "lastfm-2k": {"rate .001, ": {"learning_rate": 1e-3}},
}
"""What Table VI's search finds better than the paper's setting, by return on validation tasks."""

# Table VI. On the embedded set, which is not the paper's, the agent's own settings. On MovieLens 1M
# 50 epochs of the paper's at most 200, for the time they take.
IRN: Mapping[str, Mapping[str, Any]] = {
    "lastfm-2k": {
        "width": 40,
        "layers": 5,
        "heads": 4,
        "learning_rate": 8e-3,
        "batch": 128,
        "shortest": 20,
        "longest": 50,
        "epochs": 200,
        "patience": 10,
    },
    "ml-1m": {
        "width": 30,
        "layers": 6,
        "heads": 6,
        "learning_rate": 3e-3,
        "batch": 128,
        "shortest": 20,
        "longest": 60,
        "epochs": 50,
        "patience": 10,
    },
}


def irn(dataset: str, label: str, **config: Any) -> Entry:
    """IRN under the paper's settings for that data set."""
    return learner(dataset, "irn", label, **{**IRN.get(dataset, {}), **config})


def learner(dataset: str, agent: str, label: str | None = None, **config: Any) -> Entry:
    """A reinforcement learner, or another agent that is trained."""
    return Entry(label or agent, agent, config, train_seed=TRAIN_SEEDS.get(dataset))


def rec2inf(backbone: str, distance: str, final_offer: bool = False) -> Entry:
    label = f"rec2inf[{backbone}, {distance}{', final offer' if final_offer else ''}]"
    config = {"backbone": backbone, "distance": distance, "final_offer": final_offer}
    return Entry(label, "rec2inf", config)


def vanilla(backbone: str) -> Entry:
    """The plain recommender: Rec2Inf with one candidate."""
    config = {"backbone": backbone, "k": 1, "distance": "embedding"}
    return Entry(f"vanilla[{backbone}]", "rec2inf", config)


def methods(dataset: str) -> tuple[Entry, ...]:
    """Every method of Table III, `jump`, and ours, those that take longest first."""
    return (
        *(learner(dataset, name) for name in ("dqn", "maskable_ppo", "ppo", "model_ppo")),
        Entry("lookahead", "lookahead"),
        Entry("planner", "planner"),
        Entry(f"planner[{POOL}]", "planner", {"user": POOL}),
        # networks alternate, so that of two workers one does not wait for what the other trains
        *(
            irn(dataset, f"irn[{kind}gap {gap}]", gap=gap, **config)
            for gap in GAPS
            for kind, config in {**IRN_KINDS, **SEARCHED.get(dataset, {})}.items()
        ),
        irn(dataset, "irn[beam]", decoding="beam"),
        irn(dataset, "irn[sampled]", decoding="sampled"),
        irn(dataset, "irn[nearest]", nearest=True),
        irn(dataset, "irn[nearest, final offer]", nearest=True, final_offer=True),
        *(vanilla(backbone) for backbone in BACKBONES),
        *(
            rec2inf(backbone, distance)
            for distance in ("genre", "embedding")
            for backbone in (*BACKBONES, OURS)
        ),
        *(
            rec2inf(backbone, distance, True)
            for distance in ("genre", "embedding")
            for backbone in (*BACKBONES, OURS)
        ),
        *(
            Entry(f"pf2inf[{method}]", "pf2inf", {"method": method})
            for method in ("dijkstra", "mst", "genres")
        ),
        Entry("ipg", "ipg"),
        Entry("random_candidates", "random_candidates"),
        *(Entry(name, name) for name in ("random", "jump")),
    )


def quick_methods() -> tuple[Entry, ...]:
    """A few that run from what the package holds."""
    return (
        Entry("maskable_ppo", "maskable_ppo", timesteps=30_000),
        *(Entry(name, name) for name in ("random", "popularity", "jump")),
        rec2inf("sasrec", "embedding", True),
        Entry("lookahead", "lookahead"),
    )


def suite(dataset: str | None = None, variant: str = "clean", *, quick: bool = False) -> Suite:
    """Table III on a data set: a name of :func:`recgym.data.names`; None is the embedded one."""
    entries = quick_methods() if quick else methods(dataset or DEFAULT)
    found = Suite(
        name="influence-path",
        title="Influence path",
        env_id=ENV_ID,
        entries=entries,
        seeds=(0, 1, 2, 3, 4),
        metrics=METRICS,
        main="return",
        unit="user",
        env_kwargs=where(dataset, variant),
        every=EVERY.get(dataset or DEFAULT, 1),
        prepare=prepare,
    )
    return replace(found, seeds=(0,), tasks=100, every=1) if quick else found


def where(dataset: str | None, variant: str) -> dict[str, Any]:
    """Arguments of the environment for a data set; none for the default."""
    found = {} if dataset in (None, DEFAULT) else {"dataset": dataset}
    return found if variant == "clean" else {**found, "variant": variant}


def prepare(suite: Suite, tell: Callable[[str, str, float], None], jobs: int) -> None:
    """Train the models that the suite's agents and simulated users need and that are missing.

    Raises:
        DataError: the data set is not on this machine; the message says how to get it.
    """
    from recgym import data
    from recgym.envs.influence_path.worlds import default_user

    dataset = str(suite.env_kwargs.get("dataset", DEFAULT))
    log = data.load(dataset, str(suite.env_kwargs.get("variant", "clean")))
    user = str(suite.env_kwargs.get("evaluator", default_user(dataset)))
    missing.train(needed(suite.entries, user), log, tell, jobs)


def needed(entries: Iterable[Entry], evaluator: str) -> list[str]:
    """Names of the trained models that these agents and the simulated user need."""
    from recgym import agents, evaluators, models

    names = set(evaluators.parts(evaluator))
    for entry in entries:
        config = agents.agent_class(entry.agent, ENV_ID).Config.from_dict(dict(entry.config))
        for key in ("backbone", "user"):
            names |= set(evaluators.parts(getattr(config, key, "")))
        names |= set(evaluators.parts(str(entry.train_env.get("evaluator", ""))))
    return sorted(names & {*models.names(), *models.user_item_names()})
