"""Methods of Table 2: one training for all, TIL's controller, values, on a world of 60 users."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.agents.data_valuation import methods
from recgym.agents.data_valuation.methods import (
    METHODS,
    VALUATIONS,
    ByAgent,
    Settings,
    train,
    value,
)
from recgym.agents.data_valuation.methods import training as of_training
from recgym.agents.data_valuation.methods.til import TILMI, TILUI, TILConfig, summed
from recgym.agents.data_valuation.methods.training import Batch, Weighting
from recgym.agents.data_valuation.t_ce import TCEAgent, TCEConfig
from recgym.data import InteractionLog
from recgym.envs.data_valuation.worlds import World
from recgym.evaluators.learner import Optimiser, Triplets
from recgym.models.store import StoreError

USERS, ITEMS = 60, 80
SHORT = Settings(
    batch=128,
    most_updates=12,
    k=5,
    valuing_epochs=1,
    episodes=1,
    timesteps=400,
    plain_epochs=1,
    ramp_epochs=1,
)


def made(**arguments) -> World:
    """Two tastes: even users like the first half of the items."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(USERS), 15)
    item = np.concatenate([rng.permutation(ITEMS // 2)[:15] for _ in range(USERS)])
    item = item + (user % 2) * (ITEMS // 2)
    order = np.tile(np.arange(15), USERS)
    log = InteractionLog.from_columns("two tastes", user, item, order=order)
    settings = {"noise": "uniform", "width": 8, "warm_epochs": 2, "warm_batch": 128}
    return World("two tastes", log, optimiser=Optimiser(0.02), **{**settings, **arguments})


@pytest.fixture(scope="module")
def world():
    return made()


@pytest.fixture(autouse=True)
def short_episodes(monkeypatch):
    monkeypatch.setattr(methods.values, "STEPS", 10)


ONCE = [
    name
    for name in methods.names(made())
    if not name.startswith(("dvr", "drop", "pris_uniform", "pris_popularity"))
    or name in ("dvr_ndcg", "drop_alignment")
]


@pytest.mark.parametrize("name", ONCE)
def test_every_method_ends_in_the_same_form(name, world):
    outcome = METHODS[name](world, SHORT, None)
    for metrics in (outcome.validation, outcome.test):
        assert set(metrics) == {"Recall", "NDCG", "Gini"}  # this world has no categories
        assert metrics["NDCG"].shape == (USERS,)
        assert metrics["Gini"].shape == (1,)
        assert all(np.isfinite(values).all() for values in metrics.values())
    assert outcome.best_update <= 12 <= outcome.updates or name == "untrained"
    assert outcome.seconds > 0


def test_training_learns_and_stops_when_validation_does(world):
    before = train(world, replace(SHORT, most_updates=0)).test["NDCG"].mean()
    settings = replace(SHORT, most_updates=200, patience=4)
    after = train(world, settings)
    assert after.test["NDCG"].mean() > before + 0.03
    per_epoch = len(world.rows[0]) // SHORT.batch
    assert after.updates == after.best_update + 4 * per_epoch < 200
    one, again = (train(world, SHORT).test["NDCG"] for _ in range(2))
    np.testing.assert_array_equal(one, again)


def test_few_users_decide_and_all_are_told_of(world, monkeypatch):
    looked_at: list[np.ndarray] = []
    ranked = of_training.ranked

    def spy(*arguments, **options):
        report = ranked(*arguments, **options)
        looked_at.append(report.users)
        return report

    monkeypatch.setattr(of_training, "ranked", spy)
    few = train(world, replace(SHORT, deciding_users=10))
    *deciding, told, tested = looked_at
    assert len(told) == len(tested) == len(few.test["NDCG"]) == USERS
    assert all(len(users) == 10 for users in deciding)
    assert all(np.array_equal(users, deciding[0]) for users in deciding)
    train(world, replace(SHORT, deciding_users=10, seed=1))
    np.testing.assert_array_equal(looked_at[-3], deciding[0])  # the same whatever the seed
    everybody = train(world, replace(SHORT, deciding_users=10 * USERS))
    np.testing.assert_array_equal(everybody.test["NDCG"], train(world, SHORT).test["NDCG"])


@pytest.mark.parametrize("backbone", ["neumf", "lightgcn", "mgcf"])
def test_other_backbones_train(backbone):
    settings = replace(SHORT, most_updates=2)
    weights = np.ones(len(made().rows[0]))
    weights[::3] = 0
    world = made(backbone=backbone, warm_epochs=0)
    outcome = train(world, settings, sampler="pris_cluster", row_weights=weights)
    assert np.isfinite(outcome.test["NDCG"]).all()


@pytest.mark.parametrize(
    ("name", "weighting"), [("dvr_loss", methods.ByAgent), ("coin", methods.Coin)]
)
def test_dvr_and_the_coin_take_over_from_a_warm_recommender(name, weighting, world, monkeypatch):
    asked, kept, weigh = [], [], weighting.weigh

    def watched(self, batch, rng):
        weights = weigh(self, batch, rng)
        asked.append(batch.update)
        kept.extend(weights)
        return weights

    monkeypatch.setattr(weighting, "weigh", watched)
    per_epoch = len(world.rows[0]) // SHORT.batch
    warm = world.warm_epochs * (len(world.rows[0]) // world.warm_batch)
    settings = replace(SHORT, most_updates=warm + 2 * per_epoch, plain_epochs=100)
    METHODS[name](world, settings, None)
    assert min(asked) == warm
    assert set(kept) == {0.0, 1.0}
    assert 0.4 < np.mean(kept) < 0.6
    asked.clear()
    METHODS[name](world, replace(settings, plain_epochs=1), None)
    assert min(asked) == per_epoch < warm


def test_dvr_learns_on_vectors_with_the_axes_of_those_that_it_values(world, monkeypatch):
    seen, make = [], methods.dvr_agent

    def agent(own, *of, **config):
        made = make(own, *of, **config)
        seen.append(own)
        return made

    monkeypatch.setattr(methods, "dvr_agent", agent)
    METHODS["dvr_loss"](world, replace(SHORT, seed=3), None)
    (own,) = seen
    mine = world.new_learner(3).start().values
    assert (own.learner.start().values == mine).all()
    assert (world.learner.start().values != mine).any()
    # a warm start stays near its initialisation's axes, and far from another's
    drift = own.warm.values.ravel() @ mine.ravel()
    other = world.warm.values.ravel() @ mine.ravel()
    assert drift > 10 * abs(other)
    assert own.fingerprint != world.fingerprint


def test_longer_training_is_plain_training_whose_patience_starts_later(world):
    settings = replace(SHORT, patience=1, most_updates=1000)
    short, long = (METHODS[name](world, settings, None) for name in ("bpr", "bpr_long"))
    per_epoch = len(world.rows[0]) // settings.batch
    assert short.updates < 20 * per_epoch
    longer = METHODS["bpr_long"](world, replace(settings, plain_epochs=30), None)
    assert longer.updates >= 30 * per_epoch
    assert longer.validation["NDCG"].mean() >= short.validation["NDCG"].mean()
    assert long.updates == short.updates


@pytest.mark.parametrize("name", ["til_mi", "aobpr", "pris_cluster"])
def test_an_interrupted_training_ends_as_one_that_was_not(name, world, tmp_path, monkeypatch):
    settings, file = replace(SHORT, most_updates=24), tmp_path / "training.safetensors"
    whole = METHODS[name](world, settings, None)
    measure, epochs = of_training._Training._measure, []

    def interrupted(self, state):
        measure(self, state)
        epochs.append(state.epoch)
        if len(epochs) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(of_training._Training, "_measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        METHODS[name](world, settings, file)
    assert file.is_file()
    with pytest.raises(StoreError, match="another training"):
        METHODS[name](world, replace(settings, seed=1), file)
    outcome = METHODS[name](world, settings, file)
    assert epochs == [1, 2, 3, 3, 4]
    np.testing.assert_array_equal(outcome.test["NDCG"], whole.test["NDCG"])
    assert outcome.updates == whole.updates
    assert not file.exists()


def test_dropping_goes_on_from_any_of_its_shares(world, tmp_path, monkeypatch):
    settings = replace(SHORT, most_updates=24, shares=(0.9, 0.5))
    whole = METHODS["drop_random"](world, settings, None)
    measure, stopped = of_training._Training._measure, []

    def interrupted(self, state):
        measure(self, state)
        if len(self.kept) < len(self.row_weights) * 0.6 and not stopped:
            stopped.append(state.epoch)
            raise KeyboardInterrupt

    monkeypatch.setattr(of_training._Training, "_measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        METHODS["drop_random"](world, settings, tmp_path / "training.safetensors")
    outcome = METHODS["drop_random"](world, settings, tmp_path / "training.safetensors")
    np.testing.assert_array_equal(outcome.test["NDCG"], whole.test["NDCG"])
    assert not list(tmp_path.iterdir())


def test_what_weighs_nothing_is_not_learnt_from(world):
    """Weights of the batch and weights of rows are one thing; rows of weight 0 are never seen."""
    planted, seen = world.rows[2], []

    class Watching(Weighting):
        def weigh(self, batch, rng):
            seen.append(batch.rows)
            return np.ones(len(batch.rows))

    train(world, SHORT, row_weights=1.0 - planted, weighting=Watching())
    assert not planted[np.concatenate(seen)].any()

    class Half(Weighting):
        def weigh(self, batch, rng):
            return np.where(batch.rows % 2, 0.5, 1.0)

    rows = np.arange(len(planted))
    one = train(world, SHORT, weighting=Half())
    other = train(world, SHORT, row_weights=np.where(rows % 2, 0.5, 1.0))
    np.testing.assert_array_equal(one.test["NDCG"], other.test["NDCG"])


def test_t_ce_drops_more_until_its_ramp_is_over(world):
    agent = TCEAgent(methods._env(world, SHORT), TCEConfig(most=0.2, ramp=1.0))
    weighting, learner = ByAgent(agent, horizon=100), world.new_learner(0)
    triplets = world.stream(0, 100).batch(0)[0]
    triplets = Triplets(*(column[None] for column in triplets))
    values = learner.start().values
    for update, dropped in ((0, 0), (50, 10), (100, 20), (1_000, 20)):
        batch = Batch(learner, values, triplets, np.zeros(100, dtype=int), update)
        weights = weighting.weigh(batch, np.random.default_rng(0))
        assert (weights == 0).sum() == dropped
        losses = learner.losses(values, triplets)[0]
        assert losses[weights == 0].min(initial=np.inf) >= losses[weights == 1].max()


def test_what_tils_controller_reads(world):
    """[p⊙q_i + c⊙q_i ; p⊙q_j + c⊙q_j]; c is the mean of the user's items, or a cluster's centre."""
    learner, n = world.new_learner(1), 5
    values = learner.start().values
    users, items = (part.detach().numpy() for part in learner.recommender(values[0]).vectors())
    user, item, negative = (column[:n] for column in world.stream(0, 128).batch(0)[0])
    triplets = Triplets(user[None], item[None], negative[None])
    for til in (TILUI(world), TILMI(world)):
        til.start_epoch(0, items.copy(), np.random.default_rng(0))
        found = til.features(learner, values, triplets).numpy()
        for m, (u, i, j) in enumerate(zip(user, item, negative, strict=True)):
            if isinstance(til, TILMI):
                c_i, c_j = (til.centres[til.cluster[k]] for k in (i, j))
            else:
                c_i = c_j = items[world.rows[1][world.rows[0] == u]].mean(axis=0)
            expected = [(users[u] + c_i) * items[i], (users[u] + c_j) * items[j]]
            np.testing.assert_allclose(found[m], np.concatenate(expected), atol=1e-6)


def test_til_mi_looks_again_every_ten_epochs(world):
    til, items = TILMI(world), np.random.default_rng(0).standard_normal((ITEMS, 8))
    seen = []
    for epoch in range(21):
        til.start_epoch(epoch, items * (1 + epoch), np.random.default_rng(0))
        seen.append(til.centres.std())
    assert til.plain_epochs == 100
    assert np.flatnonzero(np.diff(seen)).tolist() == [9, 19]


@pytest.mark.parametrize("kind", [TILUI, TILMI])
@pytest.mark.parametrize("backbone", ["mf", "neumf"])
def test_the_controllers_gradient_is_that_of_the_loss_after_the_virtual_step(kind, backbone):
    """Against central differences, with a step that is long enough to be seen in float32."""
    world = made(backbone=backbone, warm_epochs=0)
    til = kind(world, TILConfig(hidden=6, virtual_rate=0.05, plain_epochs=0))
    learner, rng = world.new_learner(3), np.random.default_rng(0)
    values = learner.start().values
    til.start_epoch(0, np.ascontiguousarray(values[0, -ITEMS * 8 :].reshape(ITEMS, 8)), rng)
    triplets = world.validation_triplets
    features = til.features(learner, values, triplets)

    def ahead(parameters) -> float:
        with torch.no_grad():
            w = til.controlled(torch.from_numpy(parameters), features).numpy()[None]
        moved = values - til.config.virtual_rate * summed(learner, values, triplets, w)
        return float(learner.losses(moved, triplets).sum(dtype=np.float64))

    gradient = til.gradient(learner, values, triplets, features).numpy()
    at, step = til.weights.values[0], 1e-2
    for seed in range(2):
        along = np.random.default_rng(seed).standard_normal(len(at)).astype(np.float32)
        along /= np.linalg.norm(along)
        if seed == 0:
            along = gradient / np.linalg.norm(gradient)
        difference = (ahead(at + step * along) - ahead(at - step * along)) / (2 * step)
        assert gradient @ along == pytest.approx(difference, rel=0.03, abs=2e-3 * abs(difference))
    assert np.linalg.norm(gradient) > 0


def test_the_controller_lowers_the_loss_ahead(world):
    """On one batch again and again, with the recommender as it is."""
    til = TILUI(world, TILConfig(virtual_rate=0.01, learning_rate=0.01))
    learner, triplets = world.new_learner(0), world.validation_triplets
    values = learner.start().values
    til.start_epoch(0, np.ones((ITEMS, 8), dtype=np.float32), np.random.default_rng(0))
    batch = Batch(learner, values, triplets, np.zeros(triplets.user.shape[1], dtype=int), 0)
    losses = []
    for _ in range(20):
        w = til.weigh(batch, np.random.default_rng(0))[None]
        moved = values - 0.01 * summed(learner, values, triplets, w)
        losses.append(learner.losses(moved, triplets).sum())
    assert w.min() >= 0
    assert losses[-1] < losses[0]


def test_validation_chooses_how_much_is_dropped(world):
    tried = [METHODS["drop_random"](world, replace(SHORT, shares=(x,)), None) for x in (0.9, 0.2)]
    both = METHODS["drop_random"](world, replace(SHORT, shares=(0.9, 0.2)), None)
    best = max(tried, key=lambda outcome: outcome.validation["NDCG"].mean())
    np.testing.assert_array_equal(both.test["NDCG"], best.test["NDCG"])
    assert both.updates == sum(outcome.updates for outcome in tried)


class TestValues:
    def test_every_valuation_has_a_value_for_each_interaction(self, world):
        names = methods.valuations(world)
        assert {"dvr_ndcg", "oracle"} <= set(names)
        assert "dvr_cc" not in names
        for name in ("random", "popularity", "cooccurrence", "loss", "alignment", "dvr_ndcg"):
            found = value(world, name, SHORT)
            assert found.values.shape == world.rows[0].shape
            assert np.isfinite(found.values).all()
        again = VALUATIONS["dvr_ndcg"](world, SHORT)
        np.testing.assert_array_equal(again[0], found.values)
        assert again[1] == found.updates

    def test_ppo_values_by_its_chances(self, world):
        found = value(world, "ppo", SHORT)
        assert 0 <= found.values.min() <= found.values.max() <= 1
        assert found.updates == 400 + len(world.rows[0]) // SHORT.batch

    def test_cooccurrence_and_the_oracle_tell_uniform_noise(self, world):
        planted = world.rows[2]
        assert value(world, "oracle", SHORT).auc(planted) == 1
        assert value(world, "cooccurrence", SHORT).auc(planted) > 0.75
        assert value(world, "random", SHORT).auc(planted) == pytest.approx(0.5, abs=0.07)

    def test_equals_are_kept_by_lot(self, world):
        """In the order of the data planted ones stand last; that must tell nothing."""
        n = len(world.rows[0])
        kept = methods.Valuation(np.zeros(n), 0, 0.0).best(0.5, seed=0)
        assert kept.sum() == round(n / 2)
        assert kept[world.rows[2]].mean() == pytest.approx(0.5, abs=0.12)

    def test_worlds_without_labels(self):
        clean = made(noise=None)
        assert "drop_oracle" not in methods.names(clean)
        assert {"dvr_ild", "drop_dvr_ild"}.isdisjoint(methods.names(clean))
        assert {"bpr", "dvr_gini", "drop_random"} <= set(methods.names(clean))
        with pytest.raises(ValueError, match="nothing was"):
            value(clean, "oracle", SHORT)
        with pytest.raises(ValueError, match="valuation must be one of"):
            value(clean, "wisdom", SHORT)


def test_refusals(world):
    n = len(world.rows[0])
    for bad in (np.full(n, -1.0), np.full(n, np.nan), np.ones(3)):
        with pytest.raises(ValueError, match="row_weights"):
            train(world, SHORT, row_weights=bad)
    with pytest.raises(ValueError, match="all 0"):
        train(world, SHORT, row_weights=np.zeros(n))
    with pytest.raises(ValueError, match="sampler must be one of"):
        train(world, SHORT, sampler="best")
    with pytest.raises(ValueError, match="patience"):
        Settings(patience=0)
    with pytest.raises(ValueError, match="shares"):
        Settings(shares=(1.5,))
