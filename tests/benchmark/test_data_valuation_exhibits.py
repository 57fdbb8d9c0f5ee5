"""The exhibits of the paper on data valuation, on a world of 60 users and a few updates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recgym.agents.data_valuation.methods import METHODS, Settings
from recgym.benchmark import exhibits
from recgym.benchmark.data_valuation import exhibits as valuation
from recgym.data import InteractionLog
from recgym.envs.data_valuation.worlds import World
from recgym.evaluators.learner import Optimiser

TABLE, TABLES, OF_BACKBONES = valuation.TABLE, valuation.TABLES, valuation.OF_BACKBONES
WHILE_TRAINING, WORLD = valuation.WHILE_TRAINING, valuation.Place.world
VALUATIONS = valuation.VALUATIONS
SHORT = Settings(batch=128, most_updates=8, k=5, valuing_epochs=1, plain_epochs=1)


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(valuation, "SETTINGS", SHORT)
    monkeypatch.setattr(valuation, "SEEDS", (0, 1))
    monkeypatch.setattr(valuation, "NOISE_SEEDS", (1, 2))
    monkeypatch.setattr(valuation, "FEW_SEEDS", (0,))
    monkeypatch.setattr(valuation, "SHARES", (0.9,))
    monkeypatch.setattr(valuation, "TABLE", ("bpr", "wbpr", "dvr_cc", "drop_random", "drop_oracle"))
    monkeypatch.setattr(valuation, "OF_BACKBONES", ("bpr", "r_ce"))
    monkeypatch.setattr(valuation, "BACKBONES", ("neumf",))
    monkeypatch.setattr(valuation, "VALUATIONS", ("random", "cooccurrence", "oracle"))
    monkeypatch.setattr(valuation, "WHILE_TRAINING", ("r_ce",))
    monkeypatch.setattr(valuation, "TABLES", {"gowalla": ("bpr",)})
    monkeypatch.setattr(valuation, "NOISES", ("uniform", "spam"))
    monkeypatch.setattr(valuation.Place, "world", lambda self, **given: made(**given))


def made(noise=None, backbone="mf", draw=0, optimiser=(0.02, 5e-5)) -> World:
    """Two tastes: even users like the first half of the items."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(60), 15)
    item = np.concatenate([rng.permutation(40)[:15] for _ in range(60)]) + (user % 2) * 40
    log = InteractionLog.from_columns("tastes", user, item, order=np.tile(np.arange(15), 60))
    return World("tastes", log, noise, 0.3, draw, backbone, 8, Optimiser(*optimiser), warm_epochs=0)


@pytest.fixture
def place():
    return valuation.Place("tastes", "clean", lambda what, stage, share: None)


def test_methods_have_their_numbers_and_leads(place):
    frame = valuation.methods(place).frames["methods"]
    # this world has no categories and no labels
    assert list(dict.fromkeys(frame["method"])) == ["bpr", "wbpr", "drop_random"]
    assert set(frame["metric"]) == {
        "Recall", "NDCG", "Gini", "lead_Recall", "lead_NDCG", "lead_Gini",
        "validation_NDCG", "updates", "best_update", "seconds",
    }  # fmt: skip
    table = frame.set_index(["method", "metric"])
    ndcg = [valuation.run(made(), "wbpr", replace(SHORT, seed=s, shares=(0.9,))) for s in (0, 1)]
    assert table.loc[("wbpr", "NDCG"), "value"] == pytest.approx(
        np.mean([run["test_NDCG"] for run in ndcg])
    )
    values = table["value"]
    assert values["bpr", "lead_NDCG"] == 0
    assert values["wbpr", "lead_NDCG"] == pytest.approx(
        values["wbpr", "NDCG"] - values["bpr", "NDCG"]
    )
    assert ((frame["low"] <= frame["value"]) & (frame["value"] <= frame["high"])).all()


def test_a_study_that_was_stopped_goes_on(place, monkeypatch):
    whole = METHODS["wbpr"]

    def stopped(*given):
        raise KeyboardInterrupt

    monkeypatch.setitem(METHODS, "wbpr", stopped)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        valuation.methods(place)
    ran = []
    for name in ("bpr", "wbpr", "drop_random"):
        method = whole if name == "wbpr" else METHODS[name]

        def watched(*given, name=name, method=method):
            ran.append((name, given[1].seed))
            return method(*given)

        monkeypatch.setitem(METHODS, name, watched)  # type: ignore[arg-type]
    frame = valuation.methods(place).frames["methods"]
    assert ("bpr", 0) not in ran
    assert len(ran) == 5
    pd.testing.assert_frame_equal(valuation.methods(place).frames["methods"], frame)
    assert len(ran) == 5


def test_noise_ranks_between_chance_and_the_oracle(place):
    frames = valuation.noise(place).frames
    auc = frames["auc"].set_index(["noise", "valuation"])["value"]
    assert (auc.xs("oracle", level="valuation") == 1).all()
    assert (auc.xs("random", level="valuation") - 0.5).abs().max() < 0.1
    assert auc["uniform", "cooccurrence"] > 0.75
    assert set(frames["recovered"]["method"]) == {
        "bpr", "r_ce", "drop_random", "drop_cooccurrence", "drop_oracle"
    }  # fmt: skip


def test_what_is_recovered_is_a_share_of_the_oracles_lead():
    rng = np.random.default_rng(0)
    base = [rng.random(40) for _ in range(3)]

    def runs(gain):
        return [{f"test_{metric}": values + gain for metric in valuation.BETTER} for values in base]

    names = {"bpr": runs(0.0), "drop_loss": runs(0.1), "drop_oracle": runs(0.4)}
    frame = pd.DataFrame(valuation._recovered(names)).set_index(["metric", "method"])
    assert frame.loc[("lead_NDCG", "drop_loss"), "value"] == pytest.approx(0.1)
    share = frame.loc[("recovered_NDCG", "drop_loss")]
    assert share["value"] == pytest.approx(0.25)
    assert share["low"] == pytest.approx(0.25)  # the same lead for every user
    names["drop_oracle"] = runs(-0.1)
    frame = pd.DataFrame(valuation._recovered(names))
    shares = frame[frame["metric"].str.startswith("recovered")]
    assert shares["value"].isna().all()  # nothing was there to recover


def test_other_backbones_have_an_optimiser_of_their_own(place, monkeypatch):
    monkeypatch.setattr(valuation, "BACKBONE_GRIDS", {"neumf": ((0.02, 0.001), (0.0,))})
    exhibit = valuation.backbones(place)
    assert set(exhibit.figures) == {"backbones"}
    frame, search = exhibit.frames["backbones"], exhibit.frames["search"]
    assert set(frame["backbone"]) == set(search["backbone"]) == {"neumf"}
    assert set(frame["method"]) == {"bpr", "r_ce"}
    assert search["chosen"].sum() == 1
    (chosen,) = search[search["chosen"]].to_dict("records")
    plain = frame[(frame["method"] == "bpr") & (frame["metric"] == "validation_NDCG")]
    world = made(backbone="neumf", optimiser=(chosen["learning_rate"], 0.0))
    runs = [
        valuation.run(world, "bpr", replace(valuation._sized(place, world), seed=seed))
        for seed in valuation.FEW_SEEDS
    ]
    expected = np.mean([run["validation_NDCG"].mean() for run in runs])
    assert plain["value"].item() == pytest.approx(expected)


def test_gowalla_has_one_seed_and_fewer_methods():
    place = valuation.Place("gowalla", "paper", lambda *told: None)
    frame = valuation.methods(place).frames["methods"]
    assert (frame["seeds"] == 1).all()
    assert set(frame["method"]) == {"bpr"}
    assert (valuation.SEEDS, valuation.SEEDS_OF) == ((0, 1), {"gowalla": (0,)})


def test_search_takes_what_is_close_to_the_best_and_fast(monkeypatch):
    monkeypatch.setattr(valuation, "GRID", ((0.02, 0.001), (0.0, 1.0)))
    monkeypatch.setattr(valuation, "LARGE_GRID", ((0.02,), (0.0,)))
    place = valuation.Place(valuation.DEFAULT, "clean", lambda *told: None)
    frame = valuation.search(place).frames["search"]
    assert len(frame) == 3 * 4  # clean, and both kinds of noise
    by_world = frame.groupby(["backbone", "noise"])
    assert (by_world["chosen"].sum() == 1).all()
    for _, of_world in by_world:
        best = of_world["validation_NDCG"].max()
        close = of_world[of_world["validation_NDCG"] >= 0.97 * best]
        (taken,) = of_world[of_world["chosen"]].to_dict("records")
        assert taken["updates"] == close["updates"].min()
        assert taken["validation_NDCG"] >= 0.97 * best
    other = valuation.Place("tastes", "clean", lambda *told: None)
    assert set(valuation.search(other).frames["search"]["noise"]) == {"none"}
    large = valuation.Place("gowalla", "clean", lambda *told: None)
    frame = valuation.search(large).frames["search"]
    assert frame[["backbone", "learning_rate"]].to_numpy().tolist() == [["mf", 0.02]]


def test_optimisers_of_data_sets_are_those_of_the_search(monkeypatch):
    place = valuation.Place("ml-latest-small", "clean", lambda *told: None)
    assert WORLD(place).optimiser == Optimiser(2e-3, 5e-5)
    monkeypatch.setattr(valuation, "OPTIMISERS", {("ml-latest-small", "mf"): (1e-3, 1e-5)})
    assert WORLD(place, noise="spam").optimiser == Optimiser(1e-3, 1e-5)
    assert WORLD(place, backbone="neumf").optimiser == Optimiser(2e-3, 5e-5)


def test_large_data_have_larger_batches_and_fewer_users_who_decide(monkeypatch):
    world = made()
    place = valuation.Place("ml-latest-small", "clean", lambda *told: None)
    assert valuation._sized(place, world) == SHORT
    monkeypatch.setattr(valuation, "UPDATES", 2)
    assert valuation._sized(place, world).batch == len(world.rows[0]) // 2
    monkeypatch.setattr(valuation, "DECIDING_USERS", {"ml-latest-small": 7})
    assert valuation._sized(place, world).deciding_users == 7
    assert valuation._sized(place, replace(world, validation_users=5)).deciding_users is None
    assert WORLD(place, backbone="neumf").validation_users is None
    monkeypatch.setattr(valuation, "PAIRS", 1000)
    assert WORLD(place, backbone="neumf").validation_users == valuation.FEW_USERS
    assert WORLD(place, backbone="lightgcn").validation_users is None
    monkeypatch.setattr(valuation, "VALIDATION_USERS", {"ml-latest-small": 7})
    assert WORLD(place).validation_users == 7


def test_files(tmp_path, monkeypatch):
    monkeypatch.setattr(valuation, "SEEDS", (0,))
    monkeypatch.setattr(valuation, "NOISE_SEEDS", (1,))
    written = exhibits.write("data-valuation-noise", tmp_path)
    assert {path.name for path in written} == {
        "auc.csv",
        "recovered.csv",
        "made.csv",
        "auc.png",
        "report.html",
    }
    assert "AUC" in (tmp_path / "report.html").read_text(encoding="utf-8")
    figure = valuation.methods(valuation.Place("tastes", "clean", lambda *told: None)).figures
    assert [axis.get_title(loc="left") for axis in figure["methods"].axes] == [
        "NDCG@5, lead over BPR ↑", "Recall@5, lead over BPR ↑", "Gini@5 ↓"
    ]  # fmt: skip


def test_every_name_of_the_tables_is_known():
    known = set(METHODS)
    assert {*TABLE, *OF_BACKBONES, *WHILE_TRAINING} <= known
    assert all(set(names) <= set(TABLE) for names in TABLES.values())
    assert {f"drop_{name}" for name in VALUATIONS} <= known
    assert {valuation.BASE, valuation.BOUND} <= known


def test_dvr_stands_beside_a_coin_in_its_valuators_place():
    rng = np.random.default_rng(0)
    coin, gain = rng.random(40), rng.random(40)
    runs = {
        name: [{f"test_{metric}": values for metric in valuation.BETTER}]
        for name, values in {
            "bpr": rng.random(40),
            "coin": coin,
            "dvr_loss": coin + gain,
            "drop_dvr_loss": coin,  # drops and trains again: no coin does that
            "drop_oracle": rng.random(40),
        }.items()
    }
    frame = pd.DataFrame(valuation._recovered(runs))
    over = frame[frame["metric"] == "over_coin_NDCG"]
    assert list(over["method"]) == ["dvr_loss"]
    assert over["value"].item() == pytest.approx(gain.mean())
    del runs["coin"]
    assert not pd.DataFrame(valuation._recovered(runs))["metric"].str.startswith("over").any()
