"""The exhibits of the IRS paper, on the synthetic world with small models."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recgym import agents, data, evaluators
from recgym.agents.base import Agent
from recgym.benchmark import exhibits, runner, studies
from recgym.benchmark.influence_path import (
    missing,
    paths,
    place,
    predictions,
    trained_irn,
    vectors,
    worlds,
)
from recgym.benchmark.influence_path import suite as suites
from recgym.benchmark.influence_path.place import Place
from recgym.benchmark.suites import Entry
from recgym.evaluators import backbones, held_out, recipes

STUDIES = [name for name in studies.names() if name.startswith("influence-path")]
SMALL_IRN = {"width": 8, "layers": 1, "epochs": 1, "shortest": 8, "longest": 12, "length": 30}


@pytest.fixture(scope="module")
def world():
    """The synthetic world, 60 users of it at most, and a SASRec of one epoch."""
    recipe = recipes.Recipe({"width": 8, "layers": 1, "length": 12}, {"epochs": 1})
    recipes.train("sasrec", data.load("synthetic"), recipe)
    return Place("synthetic", "clean", lambda what, stage, share: None)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for module in (place, predictions, paths, trained_irn, worlds, vectors):
        monkeypatch.setattr(module, "SEEDS", (0, 1))
    monkeypatch.setitem(suites.IRN, "synthetic", SMALL_IRN)  # type: ignore[arg-type]
    monkeypatch.setattr(Place, "need", lambda self, models: None)
    whole = Place.tasks
    monkeypatch.setattr(Place, "tasks", lambda self, seed: whole(self, seed)[:80])


def test_two_workers_train_two_networks_of_irn():
    first, second = [e for e in suites.methods("lastfm-2k") if e.agent == "irn"][:2]
    assert first.config["gap"] == second.config["gap"]
    assert "objective_reads" not in first.config
    assert second.config["objective_reads"]


@pytest.mark.parametrize("name", STUDIES)
def test_jump_is_in_every_table(name):
    for suite in studies.get(name).suites.values():
        assert "jump" in {entry.label for entry in suite.entries}


@pytest.mark.parametrize("name", STUDIES)
def test_whatever_learns_is_trained_once_on_movielens_1m(name):
    suite = next(iter(studies.get(name, "ml-1m").suites.values()))
    for entry in (*suite.entries, *suites.methods("ml-1m")):
        kind = agents.agent_class(entry.agent, suite.env_id)
        assert (kind.learn is not Agent.learn) == (entry.train_seed is not None), entry.label


def test_irn_learns_as_its_agents_tell(world):
    shown = trained_irn.learning(world)
    curve = shown.frames["learning"]
    assert set(curve["trained"]) == {"ours", "published mask"}
    assert set(curve["seed"]) == {0, 1}
    agent = world.agent(suites.irn("synthetic", "irn"), 1)
    mine = curve[(curve["trained"] == "ours") & (curve["seed"] == 1)]
    assert mine["validation"].tolist() == [point["validation"] for point in agent.curve]
    assert round(mine["validation"].min(), 4) == agent.training_record["validation_loss"]
    assert set(shown.figures) == {"learning"}


def test_irn_is_also_trained_as_its_search_prefers():
    found = trained_irn._trainings("lastfm-2k", "ours")
    assert [e.config["learning_rate"] for e in found.values()] == [8e-3, 1e-3]
    assert list(trained_irn._trainings("ml-1m", "ours")) == ["ours"]


def test_studies_of_the_papers_lastfm_judge_every_third_user():
    for variant, found in (("clean", (1, 300)), ("paper", (3, None))):
        for suite in studies.get("influence-path-masks", "lastfm-2k", variant).suites.values():
            assert (suite.every, suite.tasks) == found
    assert next(iter(studies.get("influence-path-masks", "ml-1m").suites.values())).every == 12
    # what is searched is searched on everybody
    search = studies.get("influence-path-search", "lastfm-2k", "paper").suites["all"]
    assert (search.every, search.tasks) == (1, None)


def test_those_whom_the_studies_judge_live_in_the_worlds_of_all(shared_data, monkeypatch):
    monkeypatch.setenv("RECGYM_SHARED_DATA", str(shared_data))
    for variant in ("clean", "paper"):
        of_user, _ = worlds.parts(data.load("lastfm-2k", variant))
        study = studies.get("influence-path-masks", "lastfm-2k", variant)
        suite = next(iter(study.suites.values()))
        judged = of_user[:: suite.every][: suite.tasks]
        assert len(judged) in (299, 300)
        share = (of_user == 0).mean()
        assert (judged == 0).mean() == pytest.approx(share, abs=0.05), variant


def test_models_that_are_missing_are_trained_side_by_side_as_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path / "both"))
    log = data.load("synthetic").keep(np.arange(1_000))
    heard = []
    missing.train(["bpr", "transrec"], log, lambda *news: heard.append(news), jobs=2)
    assert {what for what, _, _ in heard} == {f"{m} on {log.name}" for m in ("bpr", "transrec")}
    assert max(share for _, _, share in heard) == 1.0
    cards = [evaluators.find_trained(model, log)[1] for model in ("bpr", "transrec")]
    heard.clear()
    missing.train(["bpr", "transrec"], log, lambda *news: heard.append(news), jobs=2)
    assert not heard
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path / "alone"))
    missing.train(["bpr"], log, lambda *news: None)
    assert evaluators.find_trained("bpr", log)[1]["weights_sha256"] == cards[0]["weights_sha256"]


def test_a_model_that_cannot_be_trained_says_why():
    log = data.InteractionLog.from_columns("two", [0, 1], [0, 1], item_ids=np.arange(2))
    with pytest.raises(data.DataError, match="two"):
        missing.train(["bpr", "sasrec"], log, lambda *news: None, jobs=2)


def test_a_suite_trains_what_its_agents_and_its_user_need(monkeypatch):
    asked = []
    monkeypatch.setattr(missing, "train", lambda models, log, tell, jobs: asked.append(models))
    for dataset, user in (("synthetic", []), (None, ["bert4rec"])):
        suite = suites.suite(dataset, quick=True)
        suite.prepare(suite, lambda *news: None, 2)
        assert asked.pop() == [*user, "sasrec"]


def test_paths_in_graphs_with_and_without_repeats(tmp_path):
    study = studies.get("influence-path-graphs", "synthetic")
    few = {n: replace(s, seeds=(0,), tasks=40, prepare=None) for n, s in study.suites.items()}
    study = replace(study, suites=few)
    assert not studies.run(study, tmp_path, jobs=1).failed
    found, _ = studies.frames(study, tmp_path, resamples=10)
    found = found[(found["metric"] == "length") & (found["statistic"] == "mean")]
    length = found.set_index(["setting", "agent"])["value"]
    # the tree's path is walked whole, items taken before included
    assert length["repeats allowed", "pf2inf[mst]"] > length["repeats forbidden", "pf2inf[mst]"]
    assert set(found["agent"]) == {f"pf2inf[{m}]" for m in ("dijkstra", "mst", "genres")} | {"jump"}


def test_predictions_average_to_the_evaluation():
    log = data.load("synthetic")
    test = held_out.HeldOut.of(log, 10, most_users=50)
    scorer = backbones.scorer("cooccurrence", log)
    each = held_out.predictions(scorer, test)
    assert {len(values) for values in each.values()} == {50}
    means = held_out.evaluate(scorer, test)
    assert means == {name: pytest.approx(values.mean()) for name, values in each.items()}
    assert ((each["MRR"] >= 1 / 20) == (each["HR@20"] == 1)).all()


def test_next_item_of_vanilla_is_that_of_its_recommender(world, monkeypatch):
    monkeypatch.setattr(suites, "BACKBONES", ("popularity",))
    log, all_tasks = world.log, Place.tasks
    new = [items[-1] not in items[:-1] for items in map(log.items_of, range(log.n_users))]
    assert sum(new) > 5  # this world repeats items; what was seen is no recommendation
    monkeypatch.setattr(
        Place, "tasks", lambda self, seed: [t for t in all_tasks(self, seed) if new[t["user"]]]
    )
    frame = predictions.next_item(world).frames["next_item"]
    vanilla = frame[frame["agent"] == "vanilla[popularity]"].set_index("metric")
    users = [task["user"] for task in world.tasks(0)]
    test = held_out.HeldOut.of(log, 50)
    test = held_out.HeldOut(log, test.row[np.isin(log.user[test.row], users)], 50)
    counted = data.leave_last_out(log)[0]  # the item to predict is not among what is counted
    expected = held_out.evaluate(backbones.scorer("popularity", counted), test)
    assert vanilla.loc["HR@20", "value"] == pytest.approx(expected["HR@20"])
    assert vanilla.loc["MRR", "value"] == pytest.approx(expected["MRR"])
    assert {"irn[gap 0]", "rec2inf[popularity, genre]"} <= set(frame["agent"])
    jump = frame[frame["agent"] == "jump"].set_index("metric")["value"]
    # the objective stands before what popularity ranks, so that no rank is better
    assert 0 < jump["MRR"] < vanilla.loc["MRR", "value"]


@pytest.mark.parametrize("entry", [Entry("jump", "jump"), suites.rec2inf("popularity", "item2vec")])
def test_what_counts_has_not_counted_the_item_to_predict(world, entry):
    counted = data.leave_last_out(world.log)[0]
    agent = predictions._counting(world.agent(entry, 0), counted)
    if agent.name == "jump":
        assert np.array_equal(agent.counts, counted.popularity)
    else:
        assert np.array_equal(agent.features, agent.features_of(counted))
        assert not np.array_equal(agent.features, agent.features_of(world.log))


def test_worlds_of_a_log_by_hand():
    """Users 0 and 2 share item 1, user 1 is alone with items 3 and 4; who has more items is 0."""
    log = data.InteractionLog.from_columns(
        "t", np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 3, 4, 1, 2]), item_ids=np.arange(5)
    )
    of_user, of_item = worlds.parts(log)
    assert of_user.tolist() == [0, 1, 0]
    assert of_item.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("split", [False, True])
def test_agents_within_and_across_worlds(world, monkeypatch, split):
    monkeypatch.setattr(worlds, "_shown", lambda dataset: (Entry("jump", "jump"),))
    if split:  # the synthetic world is one: by whether numbers are even, half the tasks are across
        of_user, of_item = np.arange(world.log.n_users) % 2, np.arange(world.log.n_items) % 2
        monkeypatch.setattr(worlds, "parts", lambda log: (of_user, of_item))
    made = worlds.worlds(world)
    sizes, reach = made.frames["worlds"], made.frames["reach"]
    assert sizes["users"].sum() == world.log.n_users
    assert sizes["items"].sum() == world.log.n_items
    assert sizes["interactions"].sum() == len(world.log)
    assert reach["objective"].nunique() == 1 + split
    found = reach[reach["metric"] == "SR_acc"]
    assert found["episodes"].sum() == 2 * 80
    if not split:
        assert len(sizes) == 1
        return
    tasks = [task for seed in (0, 1) for task in world.tasks(seed)]
    across = [(task["user"] + task["objective"]) % 2 == 1 for task in tasks]
    by_objective = found.set_index("objective")
    assert by_objective.loc["in another", "episodes"] == sum(across)
    venv = world.venv(len(tasks))
    observation, _ = venv.reset(seed=0, options=place.options(tasks))
    problem = venv.unwrapped.problem
    log_prob = problem.evaluator.log_prob(observation["history"])
    a = np.exp(
        np.minimum(
            log_prob[np.arange(len(tasks)), observation["objective"]] - problem.evaluator.tau, 0
        )
    )
    assert by_objective.loc["in another", "value"] == pytest.approx(a[across].mean(), rel=1e-4)


def test_vectors_are_judged_by_who_is_near():
    """Two pairs of items that belong together; the vectors of the second know it, not the first."""
    pairs = np.kron(np.eye(2), np.ones((2, 2))) > 0
    apart = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]])
    together = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    cosine, shares = vectors.knowledge(apart, pairs, near=1)
    assert shares.tolist() == [0, 0, 0, 0]
    unit = apart / np.linalg.norm(apart, axis=1, keepdims=True)
    assert cosine == pytest.approx(((unit @ unit.T).sum(axis=1) - 1) / 3)
    assert vectors.knowledge(together, pairs, near=1)[1].tolist() == [1, 1, 1, 1]


def test_longer_trained_vectors_know_more_and_lead_further(world, monkeypatch):
    monkeypatch.setattr(vectors, "EPOCHS", (0, 30))
    monkeypatch.setattr(suites, "BACKBONES", ("cooccurrence",))
    made = vectors.vectors(world)
    known = made.frames["vectors"].set_index(["distance", "epochs", "metric"])["value"]
    chance = vectors.related(world.log).mean()
    assert known["item2vec", 0, "related"] == pytest.approx(chance, abs=0.03)
    assert known["item2vec", 30, "related"] > chance + 0.1
    leading = made.frames["leading"]
    ioi = leading[leading["metric"] == "IoI"].set_index("agent")["value"]
    assert ioi["rec2inf[cooccurrence, item2vec, 30 epochs]"] > ioi.iloc[1]
    assert ioi.index[1] == "rec2inf[cooccurrence, item2vec, 0 epochs]"
    assert ioi["jump"] == 0
    assert set(made.figures) == {"vectors"}


def test_evolution_starts_where_the_user_is(world, monkeypatch):
    entries = (Entry("jump", "jump"), suites.rec2inf("cooccurrence", "embedding"))
    monkeypatch.setattr(paths, "_evolving", lambda dataset: entries)
    monkeypatch.setitem(suites.EVERY, "synthetic", 2)  # type: ignore[arg-type]
    frame = paths.evolution(world).frames["evolution"]
    judged = (len(world.tasks(0)) + 1) // 2  # as a bench judges, where that is not all
    assert frame["episodes"].max() == judged * len(predictions.SEEDS)
    start = frame[(frame["step"] == 0) & (frame["series"] == "objective")]
    assert start[start["paths"] == "all"]["value"].nunique() == 1
    jump = frame[frame["agent"] == "jump"]
    assert set(jump["paths"]) == {"all"}  # it always arrives before the last step
    assert set(jump["series"]) == {"objective"}  # and takes no item but that
    assert jump["value"].nunique() == 1  # which the user wants as much as before
    assert set(jump["step"]) == set(range(21))


def test_evolution_ends_at_the_increase_of_interest(world, monkeypatch, tmp_path):
    entry = suites.rec2inf("cooccurrence", "embedding")
    monkeypatch.setattr(paths, "_evolving", lambda dataset: (entry,))
    frame = paths.evolution(world).frames["evolution"]
    frame = frame[(frame["paths"] == "all") & (frame["series"] == "objective")]
    means = frame.set_index("step")["value"]
    ioi = []
    for seed in predictions.SEEDS:
        path = runner.run(
            suites.ENV_ID,
            entry.agent,
            seed,
            tmp_path,
            config=entry.config,
            label=entry.label,
            env_kwargs={"dataset": "synthetic"},
            tasks=80,
        )
        ioi.append(pd.read_csv(path, comment="#")["IoI"].mean())
    assert means[20] - means[0] == pytest.approx(np.mean(ioi), abs=1e-4)


def test_items_are_shown_while_half_of_those_who_are_shown_go_on(world, monkeypatch):
    """Of four paths three arrive after one item, and the fourth never."""
    monkeypatch.setattr(paths, "_evolving", lambda dataset: (Entry("jump", "jump"),))
    early = np.array([True, True, True, False])
    item = np.where(early[:, None] & (np.arange(20) > 0), np.nan, -1.0)
    objective = np.where(early[:, None] & (np.arange(21) > 1), np.nan, -2.0)
    monkeypatch.setattr(Place, "parts", lambda self, seed: [self.tasks(seed)[:4]])
    monkeypatch.setattr(paths, "_curves", lambda *given: (objective, item, early))
    frame = paths.evolution(world).frames["evolution"]
    steps = frame[frame["series"] == "item"].groupby("paths")["step"].max()
    assert dict(steps) == {"all": 0, "unfinished": 19}


def test_data_without_genres_are_refused_before_anything_is_trained(monkeypatch):
    frame = pd.DataFrame({"user": [0, 0, 1, 1], "item": [0, 1, 1, 0]})
    log = data.InteractionLog.from_columns("plain", frame["user"], frame["item"])
    bare = Place("plain", "clean", lambda what, stage, share: None)
    monkeypatch.setattr(Place, "log", log)
    monkeypatch.setattr(Place, "need", lambda self, models: pytest.fail("trained before"))
    for exhibit in (paths.evolution, paths.case):
        with pytest.raises(data.DataError, match="plain has no genres"):
            exhibit(bare)


def test_conditioning_and_impressionability(world):
    frame = trained_irn.conditioning(world).frames["conditioning"]
    assert set(frame["trained"]) == set(trained_irn.TRAININGS)
    kl = frame[frame["metric"] == "KL"]
    assert (kl["value"] > 0).all()
    assert set(frame["objective"]) == {"random", "another's", "future"}
    moments = trained_irn.impressionability(world).frames["moments"]
    assert (moments.groupby("seed")["users"].sum() == world.log.n_users).all()
    assert list(moments["seed"]) == [0, 1]
    assert set(moments["group"]) == {"trained"}  # nobody's history is too short here


def test_items_of_others_are_new_and_after_the_same_histories(world):
    drawn = trained_irn._conditioned(world, 0)
    future, other = drawn["future"], drawn["another's"]
    for tasks in drawn.values():
        assert [(t["user"], t["cut"]) for t in tasks] == [(t["user"], t["cut"]) for t in future]
    assert 0 < len(future) < len(world.tasks(0))
    for task in future:
        items = world.log.items_of(task["user"])
        assert len(items) - task["cut"] == trained_irn.HELD_BACK <= task["cut"]
        assert task["toward"] == items[-1]
    last = {t["toward"] for t in future}
    for task in other:
        assert task["toward"] in last
        assert task["toward"] not in world.log.items_of(task["user"])


def test_case_moves_between_genres_without_being_picked(world, monkeypatch):
    entries = (Entry("jump", "jump"), suites.rec2inf("cooccurrence", "embedding"))
    monkeypatch.setattr(paths, "_cases", lambda dataset: entries)
    frame = paths.case(world).frames["case"]
    for _, path in frame.groupby("agent"):
        last, goal = (set(path[path["step"] == k]["genres"].item().split("|")) for k in (0, -1))
        assert not last & goal
    jump = frame[frame["agent"] == "jump"]
    assert list(jump["step"]) == [0, -1, 1]
    assert jump[jump["step"] == 1]["title"].item() == jump[jump["step"] == -1]["title"].item()


def test_write(world, monkeypatch, tmp_path):
    monkeypatch.setattr(suites, "BACKBONES", ("popularity",))
    written = exhibits.write("influence-path-next-item", tmp_path, "synthetic")
    names = ["next_item.csv", "made.csv", "next_item.png", "report.html"]
    assert [path.name for path in written] == names
    assert written[0].read_text().startswith("agent,metric,value,low,high,episodes\n")
    how = pd.read_csv(written[1]).iloc[0]
    assert (
        how["command"]
        == f"recgym study influence-path-next-item --out {tmp_path} --dataset synthetic"
    )
    settings = json.loads(how["settings"])
    assert settings["seeds"] == list(predictions.SEEDS)
    assert settings["agents"]["irn[gap 3]"]["gap"] == 3
    assert settings["fingerprint"] == world.log.fingerprint
    assert how["seconds"] > 0
    page = written[3].read_text()
    assert "rec2inf[popularity, genre]" in page
    assert "data:image/png;base64," in page
    with pytest.raises(KeyError, match="influence-path-case"):
        exhibits.write("case", tmp_path)
