"""Recipes, training with and without a refit, and models that are trained where missing."""

from dataclasses import replace

import numpy as np
import pytest

from recgym import data, evaluators, models
from recgym.data.synthetic import MarkovGenreWorld
from recgym.evaluators import backbones, held_out, recipes
from recgym.evaluators.recipes import Recipe
from recgym.evaluators.train import train_model
from recgym.models import store
from recgym.models.training import TrainConfig

ALL = [*models.names(), *models.user_item_names()]
FAST = {"epochs": 3, "batch": 16, "windows_per_event": 0.1, "validate_every": 1}


@pytest.fixture(scope="module")
def log():
    """Some histories are too short for what validation takes from their ends."""
    log = MarkovGenreWorld(n_users=40, n_items=30, n_genres=3, mean_length=20).log()
    place = np.arange(len(log)) - log.offsets[log.user]
    return log.keep((log.user % 4 > 0) | (place < 3))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(evaluators, "_LOADED", {})
    return tmp_path / "cache"


def with_other_last_items(log):
    last = log.offsets[1:] - 1
    item = log.item.copy()
    item[last] = (item[last] + 1) % log.n_items
    ids = {"user_ids": log.user_ids, "item_ids": log.item_ids}
    return data.InteractionLog.from_columns(
        log.name, log.user, item, order=np.arange(len(log)), **ids
    )


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_the_last_item_teaches_and_chooses_nothing(log, tmp_path, name, refit):
    """Two logs that differ in each user's last item give the same weights and the same epoch."""
    cards = []
    for folder, each in (("a", log), ("b", with_other_last_items(log))):
        cards.append(
            train_model(
                each,
                name,
                tmp_path / folder,
                model_config={"width": 8, "length": 6},
                config=TrainConfig.from_dict(FAST),
                validation=(2, 5),
                refit=refit,
            )
        )
    first, second = (store.read_tensors(tmp_path / f / store.WEIGHTS) for f in "ab")
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert cards[0]["curve"] == cards[1]["curve"]
    assert cards[0]["metrics"] != cards[1]["metrics"]


def test_without_refit_the_best_weights_are_kept(log, tmp_path):
    """They score on the validation places what the card says."""
    stages = set()
    settings = {"model_config": {"width": 8}, "config": TrainConfig.from_dict(FAST)}
    card = train_model(
        log,
        "gru4rec",
        tmp_path,
        validation=(2,),
        refit=False,
        report=lambda stage, progress: stages.add(stage),
        **settings,
    )
    assert stages == {"validation"}
    assert (card["validation_places"], card["refit"]) == ([2], False)
    places = held_out.HeldOut.of(log, 50, from_end=(2,))
    network, _ = store.load_model(tmp_path)
    found = held_out.evaluate(held_out.network_scorer(network), places)
    assert found["MRR"] == pytest.approx(card["validation"]["MRR"], abs=2e-3)


@pytest.mark.parametrize("places", [(), (1, 2)])
def test_the_last_place_is_not_for_validation(log, tmp_path, places):
    with pytest.raises(ValueError, match="2 or more"):
        train_model(log, "gru4rec", tmp_path, validation=places)


@pytest.mark.parametrize("name", ["caser", "bpr", "transrec"])
def test_what_is_missing_is_trained_once_and_found(log, cache, monkeypatch, name):
    kind = "backbone" if name in models.user_item_names() else "evaluator"
    with pytest.raises(data.DataError, match=f"recgym train {kind} --model {name} --dataset"):
        backbones.scorer(name, log)
    fast = Recipe({"width": 8}, FAST, validation=(2,), refit=False)
    monkeypatch.setattr(recipes, "recipe", lambda model, dataset: fast)
    seen = []
    card = recipes.ensure(name, log, lambda stage, progress: seen.append(progress.epoch))
    assert seen == [1, 2, 3]
    assert recipes.ensure(name, log, lambda stage, progress: seen.append(-1)) == card
    assert -1 not in seen
    assert not list(cache.glob("checkpoints/*"))
    found = held_out.evaluate(backbones.scorer(name, log), held_out.HeldOut.of(log, 50))
    assert found["MRR"] == pytest.approx(card["metrics"]["MRR"], abs=1e-3)


def test_what_cannot_be_trained_is_refused_before_anything_is_written(log, cache):
    with pytest.raises(ValueError, match="no model 'markov'"):
        recipes.ensure("markov", log)
    assert not list(cache.glob("**/*"))


def test_a_stopped_training_goes_on(log, cache, monkeypatch):
    def stop(stage, progress):
        if (stage, progress.epoch) == ("validation", 2):
            raise KeyboardInterrupt

    epochs = []
    recipe = Recipe({}, FAST)
    with pytest.raises(KeyboardInterrupt):
        recipes.train("transrec", log, recipe, report=stop)
    resumed = recipes.train(
        "transrec", log, recipe, report=lambda s, p: epochs.append((s, p.epoch))
    )
    assert epochs[0] == ("validation", 3)
    whole = recipes.train("transrec", log, recipe)
    assert whole["weights_sha256"] == resumed["weights_sha256"]


@pytest.mark.parametrize("name", ALL)
def test_every_recipe_can_be_followed(name):
    for dataset in (*data.names(), "of-my-own"):
        recipes.recipe(name, dataset).check(name, n_items=20)


def test_changed_keeps_the_rest():
    before = Recipe({"width": 8}, {"epochs": 3}, (2,), False)
    after = before.changed({"length": 4}, {"seed": 1})
    expected = replace(before, model={"width": 8, "length": 4}, training={"epochs": 3, "seed": 1})
    assert after == expected


@pytest.mark.parametrize("name", models.user_item_names())
def test_who_must_know_the_user_is_no_simulated_user(log, tmp_path, name):
    with pytest.raises(ValueError, match=r"backbones\.scorer"):
        evaluators.load(name, log)
    train_model(log, name, tmp_path, config=TrainConfig.from_dict(FAST))
    with pytest.raises(store.StoreError, match="no model of histories alone"):
        evaluators.NetworkEvaluator.read(tmp_path)


def test_what_is_trained_again_is_read_again(log):
    recipe = Recipe({"width": 8, "length": 6}, FAST)
    recipes.train("sasrec", log, recipe)
    first = evaluators.load("sasrec", log)
    assert evaluators.load("sasrec", log) is first
    recipes.train("sasrec", log, recipe.changed({}, {"seed": 1}))
    assert evaluators.load("sasrec", log).fingerprint != first.fingerprint


@pytest.mark.parametrize("name", ["sasrec", "bpr"])
def test_a_backbone_that_is_trained_again_is_read_again(log, name):
    recipe = Recipe({"width": 8}, FAST)
    histories, users = log.items_of(0)[None, :5].astype(np.int64), np.zeros(1, np.int64)
    recipes.train(name, log, recipe)
    first = backbones.scorer(name, log)(histories, users)
    np.testing.assert_array_equal(backbones.scorer(name, log)(histories, users), first)
    recipes.train(name, log, recipe.changed({}, {"seed": 1}))
    assert not np.allclose(backbones.scorer(name, log)(histories, users), first)


def test_a_simulated_user_is_refused_after_it_was_trained_again(log):
    """As a backbone she was read before; what is read must not be what she was then."""
    recipe = Recipe({"width": 8}, FAST)
    recipes.train("caser", log, recipe)
    backbones.refuse_the_user("caser", log, evaluators.load("markov", log))
    recipes.train("caser", log, recipe.changed({}, {"seed": 1}))
    with pytest.raises(ValueError, match="simulated user itself"):
        backbones.refuse_the_user("caser", log, evaluators.load("caser", log))


def test_an_unknown_metric_is_refused_before_training(log, tmp_path):
    config = TrainConfig(metric="NDCG@5")
    with pytest.raises(ValueError, match="metric must be one of HR@10, HR@20, NDCG@10"):
        train_model(log, "sasrec", tmp_path, config=config)
