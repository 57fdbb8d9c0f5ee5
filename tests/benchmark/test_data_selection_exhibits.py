"""The exhibits of DataSelection, on small worlds."""

from __future__ import annotations

import numpy as np
import pytest

from recgym import agents
from recgym.benchmark import studies
from recgym.benchmark.data_selection import exhibits
from recgym.benchmark.spec import specs_of
from recgym.evaluators.influence import TrainingFailed


def quiet(what, stage, share):
    pass


@pytest.mark.parametrize("recommender", ["mf", "lightgcn"])
def test_predictions_are_near_the_truth(recommender, monkeypatch):
    monkeypatch.setattr(exhibits, "SINGLES", 12)
    made = exhibits.world(24, recommender, "accurate", 0, width=4)
    found = exhibits.errors(made.game("train"))
    assert found["own"].true.shape == (12,)
    assert found["joint"].true.shape == (3, 24)
    assert found["own"].error < 0.3
    assert found["own"].rank > 0.9
    assert found["joint, Newton"].error < found["joint"].error
    assert ("own, leverage" in found) == (recommender == "mf")


def test_a_world_that_cannot_be_trained_is_counted(monkeypatch):
    def refuse(*args, **kwargs):
        raise TrainingFailed("no optimum")

    monkeypatch.setattr(exhibits, "errors", refuse)
    assert exhibits._or_none(exhibits.errors, exhibits.world(24, "mf", "proximal", 0)) is None
    rows = exhibits._summary({"recommender": "mf"}, [], 5)
    assert rows == [{"recommender": "mf", "what": "failed", "metric": "worlds", "value": 5}]


def test_theorems(monkeypatch):
    monkeypatch.setattr(exhibits, "STEPS", (10, 100))
    frames = exhibits.theorems(quiet).frames
    fifth, sixth = frames["theorem5"], frames["theorem6"]
    assert fifth["held_of_gradient_ascent"].all()
    assert (np.diff(sixth["bound"]) <= 1e-12).all()  # Theorem 6
    assert (sixth["error_nearest_jointly"] > 0).all()
    error = sixth.set_index("anchors")["error_nearest_own"]
    assert error[8] < error[1]


def test_speed_is_of_the_same_work(monkeypatch):
    monkeypatch.setattr(exhibits, "GROWTH", ((24, 4),))
    monkeypatch.setattr(exhibits, "MOST_ANCHORS", 2)
    frames = exhibits.speed(quiet).frames
    row, anchors = frames["speed"].iloc[0], frames["anchors"]
    assert anchors["anchors"].tolist() == [1, 2]
    assert 0 < anchors["seconds"][0] < anchors["seconds"][1]
    assert row["times_faster"] == pytest.approx(
        row["pairs"] * row["seconds_training"] / row["seconds_influences"]
    )


@pytest.mark.parametrize("name", [n for n in studies.names() if n.startswith("data-selection")])
def test_studies_are_of_agents_that_exist(name):
    study = studies.get(name)
    specs = [spec for suite in study.suites.values() for spec in specs_of(suite)]
    known = set(agents.names("recgym/DataSelection-v0"))
    assert {spec.agent for spec in specs} <= known
    shown = {metric.key for suite in study.suites.values() for metric in suite.metrics}
    assert set(study.shows) <= shown


def test_adam_without_a_pull_is_far_from_what_influence_predicts(monkeypatch):
    monkeypatch.setattr(exhibits, "SINGLES", 4)
    made = exhibits.world(24, "mf", "xavier", 0, width=exhibits.WIDTH)
    found = exhibits.protocol(made.game("train"))
    assert set(found) == {"own", "joint", "reordered"}
    assert found["joint"].error > 0.5
    assert found["reordered"].error > 0.05  # a retraining is not the same twice


def test_losses_of_drawn_selections_are_predicted(monkeypatch):
    monkeypatch.setattr(exhibits, "DRAWS", 2)
    monkeypatch.setattr(exhibits, "NEAREST", (1, 2))
    frame = exhibits.losses(quiet, "simulation-50").frames["losses"]
    error = frame.set_index(["kept", "predicted", "metric"])["value"]
    assert error[0.9, "T = 1", "of_change"] < 0.5
    assert error[0.9, "no influence", "of_change"] == pytest.approx(1)
    assert error[0.9, "T = 1", "of_loss"] < error[0.9, "no influence", "of_loss"] < 0.1
