"""DataValuation: what pays, what is seen, noise that nobody is told of, streams, pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

import recgym  # noqa: F401
from recgym.benchmark import exhibits
from recgym.cli.bench import run_study
from recgym.data import DataError, InteractionLog
from recgym.envs.data_valuation import streams
from recgym.envs.data_valuation.measuring import ranked, separation
from recgym.envs.data_valuation.state import DIRECTIONS
from recgym.envs.data_valuation.tiny import tiny_world
from recgym.envs.data_valuation.worlds import World, resolve
from recgym.evaluators.learner import Optimiser
from recgym.testing import MODES, check_vector_equals_single

ID, TINY = "recgym/DataValuation-v0", "recgym/DataValuationTiny-v0"


def played(env, seed=0, action=None, **options):
    """(rewards, last info) of an episode of random actions, or of the same action."""
    env.reset(seed=seed, options=options or None)
    env.action_space.seed(seed)
    rewards, over = [], False
    while not over:
        _, reward, over, _, info = env.step(env.action_space.sample() if action is None else action)
        rewards.append(reward)
    return rewards, info


class TestRewards:
    @pytest.mark.parametrize("metric", ["Loss", "Recall", "NDCG", "Gini"])
    def test_rewards_add_up_to_the_gain_of_the_metric(self, metric):
        env = gym.make(TINY, metric=metric, steps=6)
        rewards, info = played(env)
        start = env.unwrapped.problem.first_measurement
        change = info["metrics"][metric] - start
        assert sum(rewards) == pytest.approx(100 * DIRECTIONS[metric] * change, abs=1e-6)
        assert info["metrics"]["return"] == pytest.approx(sum(rewards))

    def test_between_measurements_nothing_is_paid(self):
        rewards, _ = played(gym.make(TINY, steps=6, measure_every=3))
        assert [r == 0 for r in rewards] == [True, True, False] * 2

    def test_terms_and_weights(self):
        env = gym.make(TINY, weights={"kept": -2.0, "gain": 0.0})
        env.reset(seed=0)
        _, reward, _, _, info = env.step(np.array([1, 1, 0, 0, 0, 0, 0, 0], dtype=np.int8))
        assert info["reward_terms"]["kept"] == 0.25
        assert reward == -0.5
        with pytest.raises(ValueError, match="unknown terms"):
            gym.make(TINY, weights={"clicks": 1.0})

    def test_keeping_nothing_changes_nothing(self):
        env = gym.make(TINY)
        env.reset(seed=0)
        before = env.unwrapped.state.values.copy()
        _, reward, *_ = env.step(np.zeros(8, dtype=np.int8))
        assert reward == 0
        np.testing.assert_array_equal(env.unwrapped.state.values, before)

    def test_weighing_by_one_or_nothing_is_selecting(self):
        chosen = np.array([1, 0, 1, 1, 0, 0, 1, 0])
        for seed in range(2):
            one = played(gym.make(TINY), seed, chosen.astype(np.int8))[0]
            other = played(gym.make(TINY, action="weigh"), seed, (2.0 * chosen - 1).astype("f4"))[0]
            assert one == other


def test_what_is_measured_while_learning_does_not_know_the_test_part():
    """Negatives of the validation loss are items that its user has not taken otherwise, so far."""
    world = resolve("ml-latest-small", noise=None)
    n_items, test = world.log.n_items, world.parts[2]
    tested = test.user.astype(np.int64) * n_items + test.item
    for triplets in (world.validation_triplets, world.validation_by_popularity):
        codes = triplets.user[0] * n_items + triplets.negative[0]
        assert np.isin(codes, tested).any()
        assert not np.isin(codes, world.taken).any()
    codes = world.test_triplets.user[0] * n_items + world.test_triplets.negative[0]
    assert not np.isin(codes, world.known).any()


class TestValidationUsers:
    def test_only_they_are_measured_and_lists_for_the_test_are_the_same(self):
        whole, few = (
            resolve("ml-latest-small", noise=None, warm_epochs=0, validation_users=users)
            for users in (None, 50)
        )
        assert len(np.unique(few.measured.user)) == 50
        assert np.isin(few.measured.user, whole.measured.user).all()
        assert set(few.validation_triplets.user[0]) == set(few.measured.user)
        np.testing.assert_array_equal(few.rows[1], whole.rows[1])
        scorer = whole.learner.scorer(whole.learner.start().values[0])
        assert len(ranked(few, scorer, 5, test=False).users) == 50
        lists = [ranked(world, scorer, 5, test=True).lists for world in (whole, few)]
        np.testing.assert_array_equal(*lists)
        assert whole.fingerprint != few.fingerprint

    def test_the_same_are_drawn_each_time_and_all_where_there_are_no_more(self):
        log = resolve("ml-latest-small", noise=None).log
        first, again, many = (World("one", log, validation_users=n) for n in (2, 2, 10**6))
        np.testing.assert_array_equal(first.measured.user, again.measured.user)
        np.testing.assert_array_equal(many.measured.user, many.parts[1].user)


class TestNoise:
    def test_another_draw_plants_other_pairs_of_the_same_kind(self):
        first, second = (resolve("ml-latest-small", noise="spam", noise_draw=d) for d in (0, 1))
        (_, items, planted), (_, others, _) = first.rows, second.rows
        assert len(items) == len(others)
        assert len(np.intersect1d(items[planted], others[planted])) < 30
        np.testing.assert_array_equal(items[~planted], others[~planted])
        assert first.fingerprint != second.fingerprint

    def test_labels_are_in_info_and_not_in_observations(self):
        env = gym.make(TINY, show_ids=True)
        observation, info = env.reset(seed=0)
        assert "planted" not in observation
        assert "planted" not in info
        _, _, planted = env.unwrapped.problem.world.rows
        _, _, _, _, info = env.step(np.ones(8, dtype=np.int8))
        np.testing.assert_array_equal(info["planted"], planted[observation["row"]])
        assert info["planted"].sum() == 2

    @pytest.mark.parametrize("kind", ["uniform", "popularity", "spam"])
    def test_planted_pairs_are_true_nowhere(self, kind):
        world = resolve("ml-latest-small", noise=kind, warm_epochs=0)
        user, item, planted = world.rows
        codes = user * world.log.n_items + item
        true = world.log.user.astype(np.int64) * world.log.n_items + world.log.item
        assert not np.isin(codes[planted], true).any()
        assert np.isin(codes[~planted], true).all()
        assert len(np.unique(codes)) == len(codes)
        assert planted.sum() == round(0.3 * (~planted).sum())
        counts = np.bincount(item[planted], minlength=world.log.n_items)
        if kind == "spam":
            assert (counts > 0).sum() == 60
        elif kind == "popularity":
            of_true = np.bincount(item[~planted], minlength=world.log.n_items)
            assert np.corrcoef(counts, of_true)[0, 1] > 0.8

    def test_without_noise_there_are_no_labels_and_no_auc(self):
        env = gym.make(ID, noise=None, steps=1, warm_epochs=0, batch=16)
        _, info = played(env)
        assert "planted" not in info
        assert "AUC" not in info["metrics"]

    def test_auc_by_hand(self):
        kept = np.array([[0.9, 0.2, 0.5, 0.5], [1, 0, 1, 0]])
        planted = np.array([[False, True, False, True], [False] * 4])
        found, defined = separation(kept, planted)
        # pairs (.9, .2), (.9, .5), (.5, .2) are right, (.5, .5) counts half
        assert found.tolist() == [3.5 / 4, 0.0]
        assert defined.tolist() == [True, False]


class TestStreams:
    def test_test_data_are_told_when_asked_only(self):
        env = gym.make(TINY)
        assert not any(key.startswith("test_") for key in played(env)[1]["metrics"])
        told = played(env, report_test=True)[1]["metrics"]
        assert {"test_Recall", "test_NDCG", "test_Loss"} <= set(told)
        tasks = gym.make(TINY, split="test").unwrapped.evaluation_tasks(3)
        assert all(task["report_test"] == 1 for task in tasks)

    def test_evaluation_streams_are_of_no_training_episode(self):
        splits = {s: gym.make(TINY, split=s).unwrapped for s in ("validation", "test")}
        tasks = {s: {t["stream"] for t in env.evaluation_tasks(0)} for s, env in splits.items()}
        assert not tasks["validation"] & tasks["test"]
        assert min(min(found) for found in tasks.values()) >= 2**31
        drawn = {gym.make(TINY).reset(seed=s)[1]["task"]["stream"] for s in range(20)}
        assert max(drawn) < 2**31

    def test_a_stream_is_the_same_data_in_the_same_order(self):
        first, again = (gym.make(TINY, show_ids=True).reset(options={"stream": 9}) for _ in "ab")
        other = gym.make(TINY, show_ids=True).reset(options={"stream": 10})
        np.testing.assert_array_equal(first[0]["row"], again[0]["row"])
        assert (first[0]["row"] != other[0]["row"]).any()

    def test_an_epoch_has_every_interaction_once_and_no_negative_is_known(self):
        world = resolve("ml-latest-small", noise="uniform", warm_epochs=0)
        stream = world.stream(4, 500)
        batches = [stream.batch(step) for step in range(stream.per_epoch)]
        rows = np.concatenate([rows for _, rows in batches])
        assert len(np.unique(rows)) == len(rows) == 500 * stream.per_epoch
        codes = np.concatenate([t[0] * world.log.n_items + t[2] for t, _ in batches])
        assert not np.isin(codes, world.taken).any()

    def test_branches_are_exact(self):
        env = gym.make(TINY, steps=4).unwrapped
        env.reset(seed=0)
        env.step(np.ones(8, dtype=np.int8))
        saved = env.get_state()
        chosen = np.array([1, 0, 1, 1, 0, 0, 1, 0], dtype=np.int8)
        first = [env.step(chosen)[1] for _ in range(3)]
        env.set_state(saved)
        assert [env.step(chosen)[1] for _ in range(3)] == first

    def test_only_a_step_over_a_state_writes_to_it(self):
        env: Any = gym.make(TINY, steps=4).unwrapped
        env.reset(seed=0)
        problem, state, action = env.problem, env.get_state()["state"], np.ones((1, 8), np.int8)
        was, given = state.values.copy(), state.copy()
        problem.observe(state)  # the forward pass that a step goes on from
        moved = problem.step(state, action, []).state
        np.testing.assert_array_equal(state.values, was)
        over = problem.step_over(given, action, []).state
        assert np.shares_memory(over.values, given.values)
        for name, value in vars(moved).items():
            np.testing.assert_array_equal(getattr(over, name), value, err_msg=name)
        shown, fresh = problem.observe(over), problem.observe(moved)
        for name, value in fresh.items():
            np.testing.assert_array_equal(shown[name], value, err_msg=name)

    @pytest.mark.parametrize("make", [gym.make, gym.make_vec])
    def test_a_step_that_is_stopped_midway_leaves_no_state(self, make, monkeypatch):
        env: Any = make(TINY, steps=4)
        env.reset(seed=0)
        core = env.unwrapped
        action = np.ones(env.action_space.shape, dtype=np.int8)

        def stopped(*of, **kw):
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(type(core.problem.measure), "__call__", stopped)
            with pytest.raises(KeyboardInterrupt):
                env.step(action)
        with pytest.raises(gym.error.ResetNeeded):
            core.step(action)
        env.reset(seed=0)
        env.step(action)


class TestObservations:
    def test_alignment_tells_what_a_step_does_to_the_validation_loss(self):
        """In a world with little to learn, the best aligned half lowers the loss more."""
        env = gym.make(ID, show_alignment=True, steps=10)
        gains = {}
        for name, sign in (("best", 1), ("worst", -1)):
            observation, _ = env.reset(options={"stream": 3})
            total, over = 0.0, False
            while not over:
                a = sign * observation["alignment"]
                action = (a > np.median(a)).astype(np.int8)
                observation, reward, over, _, _ = env.step(action)
                total += reward
            gains[name] = total
        assert gains["best"] > 0 > gains["worst"]

    def test_what_diverges_stays_in_the_space(self):
        env = gym.make(TINY, learning_rate=5.0, steps=6, width=8, show_alignment=True).unwrapped
        env.reset(seed=0)
        losses = []
        for _ in range(6):
            observation, *_ = env.step(np.ones(8, dtype=np.int8))
            assert env.observation_space.contains(observation)
            losses.append(env.metrics()["Loss"])
        assert max(losses) > 20

    def test_embeddings_and_ids_belong_together(self):
        env = gym.make(TINY, show_ids=True, show_embeddings=True)
        observation, _ = env.reset(seed=0)
        parts = observation["embeddings"].reshape(8, 3, 2)
        np.testing.assert_allclose(
            (parts[:, 0] * parts[:, 1]).sum(axis=1), observation["positive"], atol=1e-5
        )
        model = env.unwrapped.recommender()
        np.testing.assert_allclose(
            parts[:, 1], model.item.weight.detach().numpy()[observation["item"]], atol=1e-6
        )


@pytest.mark.parametrize("backbone", ["neumf", "lightgcn", "mgcf"])
def test_other_backbones_learn(backbone):
    settings = {"backbone": backbone, "steps": 2, "batch": 64, "warm_epochs": 0, "width": 8}
    _, info = played(gym.make(ID, **settings), action=np.ones(64, dtype=np.int8))
    assert np.isfinite(info["metrics"]["return"])
    assert info["metrics"]["return"] != 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backbone", ["neumf", "lightgcn", "mgcf"])
def test_rows_of_another_backbone_are_single_environments(backbone, mode):
    settings = {"backbone": backbone, "learning_rate": 0.02, "width": 4}
    assert gym.make(TINY, **settings).unwrapped.problem.world.backbone == backbone
    check_vector_equals_single(TINY, mode=mode, num_envs=2, steps=7, tolerance=1e-5, **settings)


@pytest.mark.parametrize("metric", ["CC", "ILD"])
def test_metrics_of_categories_are_paid(metric):
    env = gym.make(ID, metric=metric, batch=64, steps=2, warm_epochs=0, width=4)
    rewards, info = played(env, action=np.ones(64, dtype=np.int8))
    change = info["metrics"][metric] - env.unwrapped.problem.first_measurement
    assert sum(rewards) == pytest.approx(100 * change, abs=1e-6)
    assert change != 0


class TestOwnData:
    """Files of a user's own: the paper's CD and LastFM come so."""

    def test_ratings_by_the_rules(self, tmp_path):
        path = tmp_path / "mine.csv"
        user, item = (x.ravel() for x in np.mgrid[:24, :14])
        rating = np.where((user == 0) & (item > 6), 3.0, 4.0)  # user 0 likes seven
        table = {"user_id": user, "item_id": item + 14 * (user % 2), "rating": rating}
        pd.DataFrame(table).to_csv(path, index=False)
        users = {v: resolve(str(path), v).log.n_users for v in ("raw", "clean", "paper")}
        assert users == {"raw": 24, "clean": 24, "paper": 23}
        settings = {"width": 4, "batch": 32, "steps": 2, "warm_epochs": 1, "noise": "uniform"}
        rewards, _ = played(gym.make(ID, dataset=str(path), variant="paper", **settings))
        assert np.isfinite(rewards).all()

    def test_adjacency_lists(self, tmp_path):
        lists = [f"{u} " + " ".join(str((u + i) % 20) for i in range(12)) for u in range(20)]
        for name, part in (("train.txt", slice(0, 11)), ("test.txt", slice(11, None))):
            rows = [[w.split()[0], *w.split()[1:][part]] for w in lists]
            (tmp_path / name).write_text("\n".join(" ".join(row) for row in rows) + "\n")
        assert len(resolve(str(tmp_path), "raw").log) == 240

    def test_a_command_takes_them(self, tmp_path, monkeypatch):
        path, asked = tmp_path / "mine.csv", []
        path.write_text("user_id,item_id\n0,1\n")
        monkeypatch.setattr(exhibits, "write", lambda *given: asked.append(given[2:4]) or [])
        given = {"dataset": str(path), "variant": "paper"}
        assert run_study("data-valuation-methods", tmp_path, **given) == 0
        assert asked == [(str(path), "paper")]
        with pytest.raises(DataError, match="nowhere"):
            run_study("data-valuation-methods", tmp_path, dataset="nowhere")

    def test_what_is_nowhere(self):
        with pytest.raises(DataError, match="nowhere"):
            gym.make(ID, dataset="nowhere")


def test_users_who_are_not_measured_are_counted():
    world = resolve("ml-latest-small", noise=None, warm_epochs=0)
    without = sum(not len(world.parts[1].items_of(user)) for user in range(world.log.n_users))
    assert world.unmeasured == without > 0
    few = resolve("ml-latest-small", noise=None, warm_epochs=0, validation_users=10)
    assert few.unmeasured == world.log.n_users - 10


class TestEpochs:
    def test_rows_side_by_side_draw_each_epoch_once(self, monkeypatch):
        """Also where they are more than room is made for, and cross into their next epochs."""
        monkeypatch.setattr(streams, "ROOM", 0)
        world = resolve("ml-latest-small", noise=None, warm_epochs=0, width=2)
        world = replace(world, name="fresh")
        drawn = []
        made = streams.Epochs._drawn
        monkeypatch.setattr(
            streams.Epochs, "_drawn", lambda self, *key: drawn.append(key) or made(self, *key)
        )
        size = len(world.rows[0]) // 2
        env = gym.make_vec(ID, num_envs=5, dataset=world, batch=size, steps=4, k=1)
        env.reset(seed=0)
        for _ in range(3):
            env.step(np.ones((5, size), dtype=np.int8))
        assert len(drawn) == len(set(drawn)) == 10
        assert len(world.epochs._kept) <= 10

    def test_what_is_dropped_comes_again(self):
        world = resolve("ml-latest-small", noise=None, warm_epochs=0)
        first = streams.Epochs(world)(3, 1)
        again = streams.Epochs(world)(3, 1)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"k": 10**6}, "catalogue"),
            ({"metric": "Accuracy"}, "metric must be one of"),
            ({"batch": 1}, "batch must be a whole number of at least 2"),
            ({"batch": 10**7}, "batch must be at most"),
            ({"steps": 5, "measure_every": 2}, "multiple of measure_every"),
            ({"noise": "lies"}, "noise must be one of"),
            ({"noise_share": -0.1}, "noise_share"),
            ({"noise_draw": -1}, "noise_draw"),
            ({"dataset": "tiny", "variant": "paper"}, "no other variant"),
            ({"validation_users": 0}, "validation_users must be a whole number of at least 1"),
            ({"backbone": "transformer"}, "backbone must be one of"),
            ({"split": "all"}, "split must be one of"),
            ({"action": "drop"}, "action must be one of"),
            ({"weights": {"gain": np.nan}}, "weight of 'gain' must be a finite number"),
            ({"dataset": 5}, "dataset must be a name, a path or a World"),
            ({"learning_rate": np.nan}, "learning_rate must be a finite number"),
            ({"learning_rate": 0.0}, "learning_rate must be positive"),
            ({"noise_share": "half"}, "noise_share must be a finite number"),
            ({"warm_epochs": [1]}, "warm_epochs must be a single value"),
            ({"noise": ["spam"]}, "noise must be a single value"),
            ({"width": True}, "width must be a whole number"),
            ({"show_ids": "no"}, "show_ids must be True or False"),
        ],
    )
    def test_arguments(self, settings, message):
        with pytest.raises((ValueError, DataError), match=message):
            gym.make(ID, **settings)

    def test_a_metric_of_categories_needs_categories(self):
        with pytest.raises(ValueError, match="categories"):
            gym.make(TINY, metric="CC")

    @pytest.mark.parametrize("bad", [np.nan, 1.5])
    def test_weights_that_cannot_be(self, bad):
        env = gym.make(TINY, action="weigh")
        env.reset(seed=0)
        with pytest.raises(ValueError, match="outside"):
            env.unwrapped.step(np.full(8, bad, dtype=np.float32))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"held_out": (np.arange(300) % 9 == 0, np.arange(300) % 7 == 0)}, "row numbers"),
            ({"held_out": (np.arange(30), np.arange(20, 50))}, "in one of them once"),
            ({"held_out": (np.arange(30), np.array([10**6]))}, r"lie in 0\.\."),
            ({"held_out": 5}, "row numbers"),
            ({"optimiser": None}, "optimiser must be of type Optimiser"),
            ({"log": None}, "log must be of type InteractionLog"),
        ],
    )
    def test_worlds_that_leak_or_mean_nothing(self, change, message):
        world = resolve("ml-latest-small", noise=None, warm_epochs=0)
        with pytest.raises(ValueError, match=message):
            replace(world, **change)

    def test_repeated_pairs(self):
        log = resolve("ml-latest-small", noise=None).log
        twice = InteractionLog.from_columns("twice", [0, 0, 1], [1, 1, 0], order=[0, 1, 2])
        with pytest.raises(DataError, match="more than once"):
            World("twice", twice)
        assert World("once", log).log is log

    @pytest.mark.parametrize("betas", [(0.9,), (2.0, 0.9), (0.9, -1.0)])
    def test_betas(self, betas):
        with pytest.raises(ValueError, match="betas must be two numbers"):
            Optimiser(betas=betas)

    def test_what_was_made_before_makes_no_difference(self):
        for name in ("validation_users", "width", "warm_epochs"):
            resolve("ml-latest-small", **{name: 3})
            with pytest.raises(ValueError, match=f"{name} must be a whole number"):
                resolve("ml-latest-small", **{name: 3.0})

    def test_ratings_of_another_scale(self, tmp_path):
        rows = [f"{u},{i},0.5" for u in range(20) for i in range(20)]
        (tmp_path / "own.csv").write_text("\n".join(["user,item,rating", *rows]))
        with pytest.raises(DataError, match="too few ratings of at least 4, 0 of 400"):
            gym.make(ID, dataset=str(tmp_path / "own.csv"))
        with pytest.raises(ValueError, match="It has: raw, clean, paper"):
            gym.make(ID, dataset=str(tmp_path / "own.csv"), variant="foo")
        with pytest.raises(DataError, match="or a path that exists"):
            gym.make(ID, dataset=str(tmp_path / "none.csv"))

    def test_what_is_no_state(self):
        env = gym.make(TINY).unwrapped
        env.reset(seed=0)
        for bad in (None, {}, 5):
            with pytest.raises(ValueError, match="what get_state"):
                env.set_state(bad)

    def test_states_of_another_recommender(self):
        env, other = (gym.make(TINY, backbone=b).unwrapped for b in ("mf", "lightgcn"))
        env.reset(seed=0)
        with pytest.raises(ValueError, match="other data or parameters"):
            other.set_state(env.get_state())

    def test_reset_options(self):
        env = gym.make(TINY).unwrapped
        for options in ({"report_test": 2}, {"stream": -1}, {"strem": 1}):
            with pytest.raises(ValueError, match=next(iter(options))[:4]):
                env.reset(options=options)


def test_pictures():
    env = gym.make(TINY, render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (600, 1200, 3)
    env.step(np.ones(8, dtype=np.int8))
    assert (env.render() != 255).any()
    words = gym.make(TINY, render_mode="ansi")
    words.reset(seed=0)
    assert "Nothing has been learnt yet" in words.render()
    words.step(np.array([1] * 4 + [0] * 4, dtype=np.int8))
    assert "planted" in words.render()


def test_the_tiny_world_has_eight_interactions():
    user, _, planted = tiny_world().rows
    assert len(user) == 8
    assert planted.sum() == 2
    clean = gym.make(TINY, noise=None, batch=6, warm_epochs=2)
    played(clean)
    assert len(clean.unwrapped.problem.world.rows[0]) == 6
    assert not np.array_equal(
        clean.unwrapped.problem.world.warm.values,
        clean.unwrapped.problem.world.learner.start().values,
    )
