"""The studies of InfluencePath: Tables V and VI and Figs. 6 and 7 of the IRS paper, and past it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from recgym.benchmark.influence_path.suite import (
    DEFAULT,
    IRN,
    OURS,
    POOL,
    irn,
    learner,
    methods,
    rec2inf,
    suite,
    vanilla,
)
from recgym.benchmark.studies import Study
from recgym.benchmark.suites import Entry, Suite

HORIZONS = (5, 10, 15, 20, 25, 30)
CANDIDATES = (10, 20, 30, 40, 50)
W_T = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0)
TASKS = 300
"""Users that each seed judges, the first ones, where the bench judges all: 1,500 episodes."""
SPREAD: Mapping[tuple[str, str], int] = {("lastfm-2k", "paper"): 3}
"""By data set and variant: each so many-th user instead, where the first ones are not like all.

In the paper's variant of Last.fm 260 of the first 300 are of the smaller of its two worlds.
"""
STRONG = ("sasrec", "caser", "gru4rec", OURS)
JUMP = Entry("jump", "jump")  # in every table: what its success is worth
JUDGES = ("bert4rec", "sasrec", "gru4rec", "caser")
STUBBORN = (
    "irn[gap left]",
    "irn[nearest, final offer]",
    "vanilla[sasrec]",
    "rec2inf[sasrec, embedding, final offer]",
    f"rec2inf[{OURS}, embedding, final offer]",
    "pf2inf[dijkstra]",
    "ipg",
    "planner",
    "lookahead",
    "jump",
    "random",
)
"""Who is also shown offering again what was refused."""

# Table VI, one setting at a time around the paper's choice; l_min stays 20.
SEARCH: Mapping[str, tuple[float, ...]] = {
    "longest": (30, 40, 50, 60, 70, 80),
    "batch": (64, 128, 256, 512),
    "learning_rate": (1e-4, 5e-4, 1e-3, 3e-3, 8e-3, 1e-2),
    "width": (10, 20, 30, 40),
    "user_width": (4, 6, 8, 10, 12),
    "layers": (4, 5, 6, 7, 8),
    "w_t": (0.0, 0.25, 0.5, 0.75, 1.0),
    "heads": (1, 2, 3, 4, 5, 6, 7, 8),
}


def study(name: str, dataset: str | None, variant: str) -> Study:
    """A study by its name in :data:`recgym.benchmark.studies.STUDIES`."""
    build = _BUILD[name.removeprefix("influence-path-")]
    return build(name, suite(dataset, variant))


def _dataset(base: Suite) -> str:
    return str(base.env_kwargs.get("dataset", DEFAULT))


def _part(base: Suite, name: str, entries: Iterable[Entry], **env: Any) -> Suite:
    """The base suite with other agents, in an environment with other arguments."""
    env_kwargs = {**base.env_kwargs, **env}
    variant = str(base.env_kwargs.get("variant", "clean"))
    every = SPREAD.get((_dataset(base), variant), base.every)
    return replace(
        base,
        name=name,
        entries=tuple(entries),
        env_kwargs=env_kwargs,
        every=every,
        tasks=TASKS if every == 1 else None,
    )


def masks(name: str, base: Suite) -> Study:
    """Table V: no weight, one weight for all, a weight of each user's own."""
    entries = [
        irn(_dataset(base), f"irn[type {kind}, gap {gap}]", mask_type=kind, gap=gap)
        for gap in ("left", 0)
        for kind in (1, 2, 3)
    ]
    levels = {e.label: (_masked(e), "irn", e.config["mask_type"]) for e in entries}
    only = {"all": _part(base, name, [*entries, JUMP])}
    return Study(name, "Masks", "mask type", only, ("SR", "IoI", "log_ppl"), levels)


def _masked(entry: Entry) -> str:
    return f"mask type, gap {entry.config['gap']}"


def horizon(name: str, base: Suite) -> Study:
    """Fig. 6: SR against M."""
    dataset = _dataset(base)
    entries = [
        irn(dataset, "irn[gap left]", gap="left"),
        irn(dataset, "irn[gap 3]", gap=3),
        irn(dataset, "irn[nearest]", nearest=True),
        *(rec2inf(b, distance) for distance in ("genre", "embedding") for b in STRONG),
        Entry("pf2inf[dijkstra]", "pf2inf"),
        JUMP,
    ]
    suites = {f"M = {m}": _part(base, name, entries, horizon=m) for m in HORIZONS}
    return Study(name, "Path length", "M, recommendations", suites, ("SR", "SR_acc"))


def aggressiveness(name: str, base: Suite) -> Study:
    """Fig. 7: k of Rec2Inf against w_t of IRN, w_t also beyond what it was trained with."""
    dataset = _dataset(base)
    entries, levels = [], {}
    for w_t in W_T:
        made = irn(dataset, f"irn[w_t {w_t:g} in decoding]", decode_w_t=w_t)
        entries.append(made)
        levels[made.label] = ("w_t of IRN", "changed in decoding", w_t)
    if dataset == "lastfm-2k":
        for w_t in (w for w in W_T if w <= 1):
            made = irn(dataset, f"irn[w_t {w_t:g} in training]", w_t=w_t)
            entries.append(made)
            levels[made.label] = ("w_t of IRN", "trained with", w_t)
    for backbone in STRONG:
        for distance in ("genre", "embedding"):
            for k in CANDIDATES:
                base_entry = rec2inf(backbone, distance)
                label = f"rec2inf[{backbone}, {distance}, k {k}]"
                entries.append(
                    replace(base_entry, label=label, config={**base_entry.config, "k": k})
                )
                levels[label] = (f"k of Rec2Inf by {distance}", backbone, k)
    only = {"all": _part(base, name, [*entries, JUMP])}
    return Study(name, "Aggressiveness", "k or w_t", only, ("SR", "log_ppl"), levels)


def acceptance(name: str, base: Suite) -> Study:
    """Users who may refuse (future work 4), and planning around a refusal, with and without."""
    dataset = _dataset(base)
    agents = everyone(dataset)
    kept = [replace(e, config={**e.config, "replan": False}) for e in agents if e.label in STUBBORN]
    suites = {
        "passive": _part(base, name, agents),
        "sampled": _part(base, name, agents, acceptance="sampled"),
        "sampled, no replanning": _part(base, name, kept, acceptance="sampled"),
    }
    return Study(name, "Users who may refuse", "acceptance", suites, ("SR", "return"))


def planning(name: str, base: Suite) -> Study:
    """What the planner plans on: one model or several, beside Rec2Inf over the same."""
    models = ("sasrec", "caser", "gru4rec", "sasrec+caser", POOL)
    agents = [
        *(Entry(f"planner[{model}]", "planner", {"user": model}) for model in models),
        *(rec2inf(model, "embedding", offer) for offer in (False, True) for model in models),
        JUMP,
    ]
    suites = {
        users: _part(base, name, agents, acceptance=users) for users in ("passive", "sampled")
    }
    return Study(name, "What the planner plans on", "acceptance", suites, ("return", "SR_acc"))


def genre(name: str, base: Suite) -> Study:
    """Objectives that are a whole genre (future work 3) beside single items."""
    dataset = _dataset(base)
    agents = [
        learner(dataset, "maskable_ppo"),
        learner(dataset, "model_ppo"),
        irn(dataset, "irn[gap left]"),
        irn(dataset, "irn[nearest, final offer]", nearest=True, final_offer=True),
        vanilla("sasrec"),
        *(
            rec2inf(b, distance, True)
            for distance in ("genre", "embedding")
            for b in ("sasrec", OURS)
        ),
        Entry("pf2inf[dijkstra]", "pf2inf"),
        Entry("ipg", "ipg"),
        Entry("planner", "planner"),
        Entry("lookahead", "lookahead"),
        *(Entry(agent, agent) for agent in ("popularity", "jump", "random")),
    ]
    suites = {
        "item": _part(base, name, agents),
        "genre": _part(base, name, agents, objective="genre"),
    }
    return Study(name, "Genres as objectives", "objective", suites, ("return", "SR_acc"))


def graphs(name: str, base: Suite) -> Study:
    """Pf2Inf on each of its graphs, and where paths may run through items taken before.

    The graphs are the paper's, its spanning tree, and items with their genres (future work 1).
    """
    agents = [
        *(
            Entry(f"pf2inf[{method}]", "pf2inf", {"method": method})
            for method in ("dijkstra", "mst", "genres")
        ),
        JUMP,
    ]
    suites = {
        f"repeats {repeats}": _part(base, name, agents, repeats=repeats)
        for repeats in ("forbidden", "allowed")
    }
    return Study(name, "Graphs of Pf2Inf", "repeats", suites, ("SR", "return"))


def transfer(name: str, base: Suite) -> Study:
    """Every agent judged by every simulated user, whoever it was tuned on.

    Agents are made and trained in the world of the user in brackets, or of BERT4Rec, and judged in
    that of the setting.
    """
    dataset = _dataset(base)
    home = {"evaluator": "bert4rec"}
    others = [user for user in JUDGES if user != "bert4rec"]
    tuned = [
        replace(entry, label=f"{entry.label}[{user}]", train_env={"evaluator": user})
        for entry in (learner(dataset, "maskable_ppo"), Entry("lookahead", "lookahead"))
        for user in JUDGES
    ]
    dreaming = [learner(dataset, "model_ppo", f"model_ppo[{user}]", user=user) for user in others]
    dreaming.append(Entry("planner[sasrec]", "planner"))
    named = {"maskable_ppo", "lookahead", "model_ppo", "planner"}
    everywhere = [*dreaming, *(e for e in everyone(dataset) if e.label not in named)]
    agents = [*tuned, *(replace(entry, train_env=home) for entry in everywhere)]
    suites = {user: _part(base, name, agents, evaluator=user) for user in JUDGES}
    return Study(name, "Evaluator transfer", "judged by", suites, ("return",), matrix=True)


def search(name: str, base: Suite) -> Study:
    """Table VI: the paper's ranges, one setting at a time, on the validation objectives.

    A width that the paper's heads do not divide takes the most heads below that do; heads that do
    not divide the width are left out. A network is judged at gap ``left`` and at gap 0.
    """
    dataset = _dataset(base)
    around = IRN.get(dataset, IRN["lastfm-2k"])
    entries, levels = [], {}
    for setting, values in SEARCH.items():
        for value in values:
            config = {**around, setting: value}
            width, heads = int(config["width"]), int(config["heads"])
            if width % heads and setting == "heads":
                continue
            config["heads"] = max(h for h in range(1, heads + 1) if width % h == 0)
            if setting == "longest":
                config["length"] = max(60, int(value))
            for gap in ("left", 0):
                label = f"irn[{setting} {value:g}, gap {gap}]"
                entries.append(Entry(label, "irn", {**config, "gap": gap}, train_seed=0))
                levels[label] = (setting, f"gap {gap}", float(value))
    part = _part(base, name, [*entries, JUMP])
    part = replace(part, seeds=(0,), split="validation", tasks=base.tasks, every=base.every)
    return Study(name, "Search", "value", {"all": part}, ("return", "IoI"), levels)


def everyone(dataset: str) -> list[Entry]:
    """Every agent of Table III; IRN in its one training and by greedy decoding alone."""
    left_out = ("published mask", "padded", "rate", "beam", "sampled")
    return [e for e in methods(dataset) if not any(word in e.label for word in left_out)]


_BUILD = {
    "masks": masks,
    "horizon": horizon,
    "aggressiveness": aggressiveness,
    "acceptance": acceptance,
    "planning": planning,
    "genre": genre,
    "graphs": graphs,
    "transfer": transfer,
    "search": search,
}
