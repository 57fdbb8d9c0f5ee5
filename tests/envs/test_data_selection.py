"""DataSelection: rewards against levels of z, turns and rounds, actions, worlds, pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import agents
from recgym.data import DataError, InteractionLog
from recgym.envs.data_selection.retrained import retrained
from recgym.envs.data_selection.worlds import World, harm_of_disclosure, resolve
from recgym.evaluators.influence import Utility, fit, own_removals, user_losses
from recgym.testing import check_environment, check_vector_equals_single, optimum

ID, TINY = "recgym/DataSelection-v0", "recgym/DataSelectionTiny-v0"


def playing(env_id=TINY, seed=0, **settings):
    env = gym.make(env_id, **settings)
    env.reset(seed=seed)
    return env, env.unwrapped.problem


def levels(env, backend=None):
    """z_u (N,) of everybody now, by the environment's own backend or another."""
    core = env.unwrapped
    selected = core.state.selected.astype(float)
    return core.problem.utilities(
        selected, core.state.willingness, (backend or core.problem.backend).losses(selected)
    )[0]


class TestRewards:
    @pytest.mark.parametrize("backend", ["retrain", "influence", "anchors"])
    def test_a_move_is_paid_its_change_of_z(self, backend):
        env, problem = playing(backend=backend)
        rng = np.random.default_rng(0)
        for move in range(2 * problem.n_users):
            before = levels(env)
            _, reward, *_ = env.step(rng.integers(0, 2, problem.width).astype(np.int8))
            user = move % problem.n_users
            assert reward == pytest.approx(levels(env)[user] - before[user], abs=1e-5)

    @pytest.mark.parametrize("backend", ["retrain", "influence"])
    def test_social_rewards_add_up_to_the_change_of_the_mean(self, backend):
        env, problem = playing(backend=backend, objective="social")
        start, total = env.unwrapped.metrics()["z"], 0.0
        rng, over = np.random.default_rng(0), False
        while not over:
            action = rng.integers(0, 2, problem.width).astype(np.int8)
            _, reward, over, _, info = env.step(action)
            total += reward
        assert total == pytest.approx(info["metrics"]["z"] - start, abs=1e-9)
        assert info["metrics"]["return"] == pytest.approx(total)
        # of levels that follow the others
        assert levels(env, problem.joint_backend).mean() == pytest.approx(
            info["metrics"]["z"], abs=1e-3
        )

    def test_terms_by_hand(self):
        """One user drops her first item: nothing else changes."""
        env, problem = playing(backend="influence", harm_of_disclosure=0.5)
        state = env.unwrapped.state
        beta, own = state.willingness[0, 0], problem.game.anchor().anchor.own[0]
        action = np.ones(problem.width, dtype=np.int8)
        action[0] = 0
        _, reward, _, _, info = env.step(action)
        assert info["reward_terms"]["disclosure"] == pytest.approx(-beta)
        assert info["reward_terms"]["loss"] == pytest.approx(-own)
        assert reward == pytest.approx(own + 0.5 * beta)

    def test_weights_take_the_place_of_the_defaults(self):
        _, problem = playing(weights={"loss": 0})
        assert problem.weights == {"loss": 0.0, "disclosure": -harm_of_disclosure("tiny")}
        with pytest.raises(ValueError, match="unknown terms"):
            playing(weights={"harm": 1})

    def test_another_cost(self):
        env, problem = playing(cost="escalating", harm_of_disclosure=1.0, backend="influence")
        none = np.zeros(problem.width, dtype=np.int8)
        before = env.unwrapped.state.willingness[0, : problem.game.data.lengths[0]].sum()
        _, _, _, _, info = env.step(none)
        assert info["reward_terms"]["disclosure"] == pytest.approx(-before)


class TestTurns:
    def test_a_round_in_which_nobody_changes_anything_ends_it(self):
        env, problem = playing(rounds=5)
        everything = np.ones(problem.width, dtype=np.int8)
        ends = [env.step(everything)[2] for _ in range(problem.n_users)]
        assert ends == [False] * (problem.n_users - 1) + [True]

    def test_rounds_are_a_limit(self):
        env, problem = playing(rounds=3)
        rng, moves, over = np.random.default_rng(0), 0, False
        left = []
        while not over:
            observation, _, over, *_ = env.step(rng.integers(0, 2, problem.width).astype(np.int8))
            left.append(int(observation["rounds_left"]))
            moves += 1
        assert moves == 3 * problem.n_users
        assert left[0] == 3
        assert left[-1] == 0

    def test_the_observation_is_that_of_who_moves_next(self):
        env, problem = playing(ID)
        observation, _ = env.reset(seed=0)
        game = problem.game.data
        for user in range(3):
            mine = slice(game.offsets[user], game.offsets[user + 1])
            size = mine.stop - mine.start
            beta = env.unwrapped.state.willingness[0, mine]
            np.testing.assert_allclose(observation["willingness"][:size], beta, rtol=1e-6)
            assert observation["own"].sum() == size
            assert (observation["willingness"][size:] == 0).all()
            observation, *_ = env.step(np.zeros(problem.width, dtype=np.int8))
        kept = env.unwrapped.state.selected[0]
        mine = np.zeros(game.size, dtype=bool)
        mine[game.offsets[3] : game.offsets[4]] = True
        assert observation["others_kept"][0] == pytest.approx(kept[~mine].mean())

    def test_bits_beyond_the_own_items_do_nothing(self):
        env, problem = playing(ID)
        user = int(problem.game.data.lengths.argmin())
        short = int(problem.game.data.lengths[user])
        assert short < problem.width
        for _ in range(user):
            env.step(np.ones(problem.width, dtype=np.int8))
        snapshot = env.unwrapped.get_state()
        states = []
        for beyond in (0, 1):
            env.unwrapped.set_state(snapshot)
            action = np.ones(problem.width, dtype=np.int8)
            action[short:] = beyond
            env.step(action)
            states.append(env.unwrapped.state.selected.copy())
        np.testing.assert_array_equal(*states)

    def test_willingness_drifts_between_rounds_only(self):
        env, problem = playing(drift=0.3, rounds=3)
        first = env.unwrapped.state.willingness.copy()
        none = np.zeros(problem.width, dtype=np.int8)
        for _ in range(problem.n_users - 1):
            env.step(none)
        np.testing.assert_array_equal(env.unwrapped.state.willingness, first)
        env.step(none)
        after = env.unwrapped.state.willingness
        assert np.abs(after - first).mean() > 0.05
        assert ((after >= 0) & (after <= 1)).all()


class TestActions:
    def test_categories(self):
        env, problem = playing(ID, action="category")
        genres = problem.game.genres
        game = problem.game.data
        mine = slice(game.offsets[0], game.offsets[1])
        keep = np.zeros(genres.shape[1], dtype=np.int8)
        keep[genres[mine].sum(axis=0).argmax()] = 1
        env.step(keep)
        expected = genres[mine][:, keep > 0].any(axis=1) | ~genres[mine].any(axis=1)
        np.testing.assert_array_equal(env.unwrapped.state.selected[0, mine], expected)
        with pytest.raises(ValueError, match="has none"):
            playing("recgym/DataSelectionTiny-v0", action="category")

    def test_the_latest(self):
        env, problem = playing(ID, action="recent")
        size = int(problem.game.data.lengths[0])
        env.step(2)
        kept = env.unwrapped.state.selected[0, :size]
        np.testing.assert_array_equal(kept, np.arange(size) >= size - 2)

    def test_everybody_keeps_nothing(self):
        """The training set is empty: the recommender is its start, and z what that gives."""
        env, problem = playing(final_retrain=True)
        over = False
        while not over:
            _, _, over, _, info = env.step(np.zeros(problem.width, dtype=np.int8))
        metrics = info["metrics"]
        assert metrics["kept"] == 0
        assert metrics["wv"] == 0
        model, data = problem.game.model, problem.game.data
        start = model.losses(model.start, data.validation).sum() / data.n_users
        assert metrics["loss_retrained"] == pytest.approx(start)
        assert metrics["z_retrained"] == pytest.approx(-start)
        assert metrics["z_test"] == pytest.approx(-metrics["test_loss"])


class TestWorlds:
    def test_players_of_the_splits_and_public_users_are_different(self):
        world = resolve("ml-latest-small")
        users = np.concatenate([world.parts[p] for p in ("public", "train", "validation", "test")])
        assert len(np.unique(users)) == len(users)

    def test_evaluation_draws_are_none_that_training_draws(self):
        _, problem = playing()
        drawn = {problem.draw_task(np.random.default_rng(s), {})["draw"] for s in range(200)}
        tasks = [task["draw"] for seed in range(5) for task in problem.evaluation_tasks(seed)]
        assert max(drawn) < min(tasks)
        assert len(set(tasks)) == 50
        other = problem.for_split("validation").evaluation_tasks(0)
        assert not {task["draw"] for task in other} & {*tasks, *drawn}

    def test_willingness_follows_the_draw(self):
        env = gym.make(ID)
        seen = []
        for draw in (3, 3, 4):
            observation, info = env.reset(options={"draw": draw})
            assert info["task"] == {"draw": draw}
            seen.append(observation["willingness"])
        np.testing.assert_array_equal(seen[0], seen[1])
        assert (seen[0] != seen[2]).any()

    def test_only_the_latest_items_can_be_selected(self):
        world = resolve("ml-latest-small", per_user=7)
        game = world.game("validation")
        assert game.data.lengths.max() == 7
        assert (np.diff(game.rows) > 0).all()

    def test_the_default_keeps_about_half(self):
        """λ is the committed value at which the dominant strategy keeps about half."""
        for name in ("ml-latest-small", "simulation"):
            game = resolve(name).game("train")
            kept = -game.anchor().anchor.own > harm_of_disclosure(name) * game.willingness(0)
            assert 0.4 < kept.mean() < 0.6, name

    def test_many_players_are_told_effects_by_blocks(self, monkeypatch, tmp_path):
        from recgym.evaluators.influence import Solver, anchor

        monkeypatch.setenv("RECGYM_CACHE", str(tmp_path))
        monkeypatch.setattr("recgym.envs.data_selection.game.BLOCKS_BEYOND", 10)
        resolve.__globals__["_resolved"].cache_clear()
        game = resolve("ml-latest-small", width=4).game("train")
        told = game.anchor().anchor
        again = anchor(game.model, theta=told.theta, own_solver=Solver("blocks"))
        np.testing.assert_allclose(told.own, again.own)
        resolve.__globals__["_resolved"].cache_clear()

    def test_simulated_users_characters_are_drawn(self):
        world = resolve("simulation")
        game = world.game("test")
        assert game.data.n_users == 1_000
        np.testing.assert_array_equal(game.willingness(0), world.simulated.willingness[game.rows])
        np.testing.assert_array_equal(game.willingness(3), game.willingness(3))
        means = [game.data.by_user(game.willingness(d)).mean() for d in range(5)]
        assert len(set(means)) == 5
        assert np.ptp(means) < 0.1 * np.mean(means)

    def test_effects_are_kept_and_found_again(self, tmp_path, monkeypatch):
        monkeypatch.setenv("RECGYM_CACHE", str(tmp_path))
        resolve.__globals__["_resolved"].cache_clear()
        first = resolve("ml-latest-small", width=4).game("train").anchor().anchor
        files = sorted(path.name for path in tmp_path.rglob("*.safetensors"))
        resolve.__globals__["_resolved"].cache_clear()
        again = resolve("ml-latest-small", width=4).game("train").anchor().anchor
        assert files == sorted(path.name for path in tmp_path.rglob("*.safetensors"))
        np.testing.assert_array_equal(first.own, again.own)
        resolve.__globals__["_resolved"].cache_clear()

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"split": "all"}, "split must be one of"),
            ({"prior": "flat"}, "prior must be one of"),
            ({"rounds": 0}, "rounds must be"),
            ({"backend": "oracle"}, "backend must be one of"),
            ({"harm_of_disclosure": -1.0}, "harm_of_disclosure must be"),
            ({"per_user": 0}, "per_user must be"),
            ({"willingness": "shy"}, "model of willingness"),
            ({"dataset": "simulation", "character": "E"}, "character must be one of"),
            ({"per_user": 2.5}, "per_user must be a whole number"),
            ({"harm_of_disclosure": "much"}, "harm_of_disclosure must be"),
            ({"weights": {"loss": float("nan")}}, "weight of 'loss' must be a finite number"),
            ({"character": "A"}, "no such choice: character"),
            (
                {"dataset": "simulation-50", "willingness": "constant"},
                "no such choice: willingness",
            ),
            ({"dataset": "tiny", "width": 4, "per_user": 2}, "no such choice: per_user, width"),
            ({"dataset": "tiny", "prior": "flat"}, "prior must be one of"),
            ({"deselected": "forget"}, r"deselected must be one of \('drop', 'relabel'\), got 'f"),
            ({"dataset": "tiny", "deselected": "forget"}, "deselected must be one of"),
            ({"holdout": "three"}, r"holdout must be one of \('two', 'ratio'\), got 'three'"),
            ({"dataset": "tiny", "holdout": "ratio"}, "no such choice: holdout"),
            ({"dataset": "simulation", "variant": "paper"}, "no such choice: variant"),
        ],
    )
    def test_wrong_arguments(self, settings, message):
        with pytest.raises((ValueError, DataError), match=message):
            gym.make(ID, **settings).reset(seed=0)

    def test_a_user_with_too_few_items_cannot_play(self):
        world = resolve("ml-latest-small")
        few = np.flatnonzero(np.diff(world.log.offsets) >= 3)[:20]
        short = world.log.keep(
            (world.log.user != few[0]) | (np.arange(len(world.log)) == world.log.offsets[few[0]])
        )
        nobody = np.zeros(0, dtype=int)
        parts = {"public": few[2:], "train": few[:2], "validation": nobody, "test": nobody}
        with pytest.raises(DataError, match="at least three items"):
            World("short", short, parts).game("train")


def test_wrong_draw():
    env = gym.make(TINY)
    with pytest.raises(ValueError, match="draw must be in"):
        env.reset(options={"draw": -1})


def test_metrics_by_hand():
    env, problem = playing(final_retrain=True)
    rng, over = np.random.default_rng(1), False
    while not over:
        _, _, over, _, info = env.step(rng.integers(0, 2, problem.width).astype(np.int8))
    state, metrics = env.unwrapped.state, info["metrics"]
    selected = state.selected[0].astype(float)
    assert metrics["kept"] == pytest.approx(selected.mean())
    violation = (selected * state.willingness[0]).sum() / problem.n_users
    assert metrics["wv"] == pytest.approx(violation)
    utility = Utility(problem.game.data, state.willingness[0], harm_of_disclosure("tiny"))
    z = utility(problem.truth.losses(selected[None])[0], selected).mean()
    assert metrics["z"] == pytest.approx(z)  # the tiny world is retrained in play, too
    assert metrics["z_retrained"] == pytest.approx(z)
    assert metrics["test_loss"] > 0


def test_text_and_picture():
    env, problem = playing(ID, render_mode="rgb_array")
    first = env.render()
    assert first.shape == (600, 1200, 3)
    assert first.dtype == np.uint8
    action = np.ones(problem.width, dtype=np.int8)
    action[0] = 0
    env.step(action)
    assert (env.render() != first).any()
    text = problem.render(env.unwrapped.state, 0, "ansi")
    assert "User 1 of" in text
    titles = [problem.world.title(int(i)) for i in problem.game.data.training.item[: problem.width]]
    assert titles[0][:20] in text
    assert text.count("\n  out ") == 1
    assert max(map(len, text.splitlines())) <= 100


def test_bits_may_be_floats_as_policies_put_them_out():
    env, problem = playing(backend="influence")
    env.step(np.ones(problem.width, dtype=np.float32))
    with pytest.raises(ValueError, match="must be numbers of that kind"):
        env.step(np.full(problem.width, 0.5, dtype=np.float32))


def test_a_small_simulation_has_the_same_public_users():
    small, whole = resolve("simulation-50"), resolve("simulation")
    np.testing.assert_array_equal(small.parts["public"], whole.parts["public"])
    assert [len(small.parts[part]) for part in ("train", "validation", "test")] == [50, 50, 50]
    assert np.isin(small.parts["test"], whole.parts["test"]).all()


class TestRelabel:
    """``deselected="relabel"``: what is left out teaches that it is disliked."""

    @pytest.mark.parametrize("recommender", ["mf", "neumf", "lightgcn"])
    def test_moves_are_paid_by_the_truth_and_by_influence_alike(self, recommender):
        rewards = {}
        for backend in ("retrain", "influence", "anchors"):
            env, problem = playing(
                backend=backend, recommender=recommender, deselected="relabel", prior="accurate"
            )
            rng = np.random.default_rng(0)
            rewards[backend] = [
                env.step(rng.integers(0, 2, problem.width).astype(np.int8))[1]
                for _ in range(problem.n_users)
            ]
        for backend in ("influence", "anchors"):
            assert np.corrcoef(rewards["retrain"], rewards[backend])[0, 1] > 0.95

    def test_nothing_kept_is_everything_disliked(self):
        env, problem = playing(final_retrain=True, deselected="relabel")
        over = False
        while not over:
            _, _, over, _, info = env.step(np.zeros(problem.width, dtype=np.int8))
        model, data = problem.game.model, problem.game.data
        theta = fit(model, np.zeros(data.size))
        assert info["metrics"]["kept"] == 0
        losses, start = (user_losses(model, t, data.validation) for t in (theta, model.start))
        assert info["metrics"]["loss_retrained"] == pytest.approx(losses.mean())
        assert np.abs(losses - start).max() > 0.01
        before, after = (model.scores(t, data.training)[0] for t in (model.start, theta))
        assert after.mean() < before.mean() - 0.1

    def test_the_tiny_world_is_solved_with_it_too(self):
        """Every joint selection by the stack; everything selected is as when items are dropped."""
        drop, relabel = (optimum(gym.make(TINY, deselected=kind)) for kind in ("drop", "relabel"))
        np.testing.assert_array_equal(drop.utilities[-1], relabel.utilities[-1])
        assert np.abs(drop.utilities[0] - relabel.utilities[0]).min() > 1e-3
        problem = playing(deselected="relabel")[1]
        rows = np.array([0, 5, 1_234, len(relabel.selections) - 1])
        selected = relabel.selections[rows].astype(float)
        losses = problem.truth.losses(selected)
        z = problem.utilities(selected, problem.game.willingness(0), losses)
        np.testing.assert_allclose(relabel.utilities[rows], z, atol=2e-6)

    def test_the_graph_keeps_its_edges(self):
        model = playing(recommender="lightgcn", deselected="relabel")[1].game.model
        nothing, everything = np.zeros(model.game.size), np.ones(model.game.size)
        assert (model.adjacency(nothing) != model.adjacency(everything)).nnz == 0
        dropping = playing(recommender="lightgcn")[1].game.model
        assert (dropping.adjacency(nothing) != dropping.adjacency(everything)).nnz > 0

    def test_it_is_another_world_with_anchors_of_its_own(self):
        plain, relabel = resolve("tiny"), resolve("tiny", deselected="relabel")
        assert plain.training_key != relabel.training_key
        assert plain.fingerprint != relabel.fingerprint
        one, other = (world.game("train") for world in (plain, relabel))
        assert one._key(0) != other._key(0)
        assert (one.anchor().anchor.own != other.anchor().anchor.own).all()
        np.testing.assert_array_equal(one.anchor().anchor.theta, other.anchor().anchor.theta)

    def test_the_default_keeps_about_half(self):
        for name in ("ml-latest-small", "simulation"):
            game = resolve(name, deselected="relabel").game("train")
            kept = -game.anchor().anchor.own > harm_of_disclosure(name) * game.willingness(0)
            assert 0.4 < kept.mean() < 0.6, name


class TestRatio:
    """``holdout="ratio"``: a user's last 20 % of items to test, the 10 % before to validate."""

    def test_counts(self):
        world = resolve("ml-latest-small", holdout="ratio", per_user=2_000)
        game = world.game("train")
        data, n = game.data, game.data.n_users
        counts = np.bincount(world.log.user, minlength=world.log.n_users)[game.users]
        tests, validations = (
            np.bincount(pairs.user, minlength=n) for pairs in (data.test, data.validation)
        )
        np.testing.assert_array_equal(tests, np.maximum(np.round(0.2 * counts), 1))
        np.testing.assert_array_equal(validations, np.maximum(np.round(0.1 * counts), 1))
        np.testing.assert_array_equal(data.lengths, counts - tests - validations)
        few = resolve("ml-latest-small", holdout="ratio").game("train").data
        np.testing.assert_array_equal(few.lengths, np.minimum(data.lengths, 20))
        np.testing.assert_array_equal(few.test.item, data.test.item)

    def test_losses_are_sums_over_a_users_items(self):
        game = resolve("simulation-50", holdout="ratio", width=4).game("train")
        data, model, at = game.data, game.model, game.anchor().anchor
        several = np.bincount(data.validation.user)
        assert several.max() > 1
        losses, found = retrained(game, np.ones(data.size))
        user = int(several.argmax())
        mine = data.validation.user == user
        assert losses[user] == pytest.approx(model.losses(at.theta, data.validation)[mine].sum())
        test = model.losses(at.theta, data.test).sum() / data.n_users
        assert found["test_loss"] == pytest.approx(test, rel=1e-4)
        some = np.flatnonzero(data.training.user == user)[:3]
        for pair in some:
            without = np.where(np.arange(data.size) == pair, 0.0, 1.0)
            theta = fit(model, without)
            change = user_losses(model, theta, data.validation)[user] - losses[user]
            assert change == pytest.approx(-at.own[pair], abs=0.3 * np.abs(at.own[some]).max())

    def test_metrics_of_several_test_items(self):
        """By hand: F1@5 of a user's items among all, of each item among 99."""
        game = resolve("simulation-50", holdout="ratio", width=4).game("train")
        test, scores = game.data.test, game.model.all_scores(game.anchor().anchor.theta)
        found = retrained(game, np.ones(game.data.size))[1]
        candidates = game.candidates
        assert candidates.items.shape == (len(test.item), 100)
        assert len(test.item) > game.data.n_users
        known = game.known.toarray() > 0
        assert not known[candidates.users[:, None], candidates.items[:, 1:]].any()
        of_test = scores[test.user, test.item][:, None]
        rank = (scores[test.user[:, None], candidates.items[:, 1:]] >= of_test).sum(axis=1)
        assert found["f1_sampled"] == pytest.approx((rank < 5).mean() / 3)
        assert found["f1_sampled_chance"] == pytest.approx(2 * 0.05 / 6)
        f1, chance = [], []
        for user in range(game.data.n_users):
            mine = test.item[test.user == user]
            free = np.append(np.flatnonzero(~known[user]), mine)
            best = free[np.argsort(-scores[user, free])[:5]]
            f1.append(2 * np.isin(mine, best).sum() / (5 + len(mine)))
            chance.append(5 / len(free) * 2 * len(mine) / (5 + len(mine)))
        assert found["f1_full"] == pytest.approx(np.mean(f1))
        assert found["f1_full_chance"] == pytest.approx(np.mean(chance))

    def test_it_is_another_world(self):
        keys = {
            resolve("simulation-50", **choice).fingerprint
            for choice in ({}, {"holdout": "ratio"}, {"holdout": "ratio", "deselected": "relabel"})
        }
        assert len(keys) == 3

    def test_own_removals_refuse_several_validation_pairs(self):
        game = resolve("simulation-50", holdout="ratio", width=4).game("train")
        with pytest.raises(ValueError, match=r"reads one validation pair .* last two items"):
            own_removals(game.model, game.anchor().anchor.theta)


RATIO = {"dataset": "simulation-50", "holdout": "ratio", "width": 4, "rounds": 1}


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [
        (TINY, {"deselected": "relabel", "final_retrain": True}),
        (TINY, {"deselected": "relabel", "recommender": "lightgcn", "backend": "influence"}),
        (TINY, {"deselected": "relabel", "recommender": "neumf", "backend": "anchors"}),
        (ID, {**RATIO, "final_retrain": True}),
        (ID, {**RATIO, "deselected": "relabel"}),
    ],
)
def test_contract_of_fidelity_options(env_id, settings):
    check_environment(env_id, modes=["ansi"], steps=60, **settings)
    check_vector_equals_single(env_id, num_envs=2, steps=60, tolerance=1e-5, **settings)


def test_contract_where_a_process_first_differentiates_forward(tmp_path):
    """Then torch warns of itself, once."""
    code = (
        "import recgym; from recgym.testing import check_environment as check\n"
        f"check({TINY!r}, modes=[], steps=20, recommender='neumf', backend='anchors')"
    )
    env = {**os.environ, "RECGYM_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)


def test_where_one_part_ends_is_part_of_the_key():
    """The same users in the same order, four of them public or test."""
    world = resolve("tiny")
    everyone = np.sort(np.concatenate([world.parts["public"], world.parts["test"]]))
    keys = set()
    for edge in (6, 8):
        parts = {**world.parts, "public": everyone[:edge], "test": everyone[edge:]}
        keys.add(replace(world, parts=parts).training_key)
    assert len(keys) == 2


def test_unknown_willingness_is_no_world():
    with pytest.raises(DataError, match="No model of willingness is called 'nope'"):
        replace(resolve("tiny"), willingness_name="nope")


def test_defaults_are_the_worlds_that_results_were_made_with():
    """Keys of caches, from before there were these options; fingerprints are made of them."""
    named = resolve("tiny", deselected="drop", holdout="two")
    assert named.training_key == resolve("tiny").training_key
    expected = {
        "tiny": "5a2921ae47a424e7",
        "ml-latest-small": "bfc57f52eb33a5be",
        "simulation-50": "8a70b3715999c2ae",
    }
    for name, key in expected.items():
        assert resolve(name)._content.startswith(key), name


def test_a_given_world_keeps_its_own_choices():
    world = replace(resolve("tiny"), deselected="relabel")
    assert gym.make(ID, dataset=world).unwrapped.problem.world is world
    assert gym.make(ID, dataset=world, deselected="relabel").unwrapped.problem.world is world
    with pytest.raises(ValueError, match=r"'tiny' has deselected='drop', and 'relabel' was asked"):
        gym.make(ID, dataset=resolve("tiny"), deselected="relabel")
    with pytest.raises(ValueError, match=r"has holdout='two'.*dataclasses\.replace"):
        gym.make(ID, dataset=world, holdout="ratio")


class TestRecommenders:
    @pytest.mark.parametrize("recommender", ["neumf", "lightgcn"])
    def test_moves_are_paid_by_the_truth_and_by_influence_alike(self, recommender):
        rewards = {}
        for backend in ("retrain", "influence"):
            env, problem = playing(backend=backend, recommender=recommender)
            rng = np.random.default_rng(0)
            steps = [
                env.step(rng.integers(0, 2, problem.width).astype(np.int8))
                for _ in range(problem.n_users)
            ]
            rewards[backend] = [step[1] for step in steps]
            assert problem.game.model.name == recommender
            assert all(step[0] in env.observation_space for step in steps)
        assert np.corrcoef(rewards["retrain"], rewards["influence"])[0, 1] > 0.9

    def test_they_are_different_worlds(self):
        names = ("mf", "neumf", "lightgcn")
        problems = [playing(recommender=name)[1] for name in names]
        assert len({problem.fingerprint for problem in problems}) == 3
        with pytest.raises(ValueError, match=r"recommender must be one of .*'lightgcn'"):
            playing(recommender="sasrec")

    def test_plain_l2(self):
        """Without public users' data: as near to the paper as has an optimum."""
        for name in ("neumf", "lightgcn"):
            world = replace(resolve("tiny", recommender=name), prior_name="xavier")
            model = world.game("train").model
            assert (model.centre == 0).all()
            assert (model.start != 0).any()


def test_retrained_metrics_by_hand():
    """F1@5 among the items that a user has not taken: five or six of the tiny world's ten."""
    env, problem = playing(final_retrain=True)
    keep, over = np.ones(problem.width, dtype=np.int8), False
    while not over:
        _, _, over, _, info = env.step(keep)
    metrics, game = info["metrics"], problem.game
    theta = game.anchor().anchor.theta
    scores = game.model.all_scores(theta)
    hits, chance = [], []
    for user, item in zip(game.data.test.user, game.data.test.item, strict=True):
        taken = game.known[user].indices
        others = np.setdiff1d(np.arange(game.data.n_items), taken)
        assert len(others) in (5, 6)
        hits.append((scores[user, others] >= scores[user, item]).sum() < 5)
        chance.append(5 / (len(others) + 1))
    assert metrics["f1_full"] == pytest.approx(np.mean(hits) / 3)
    assert metrics["f1_full_chance"] == pytest.approx(np.mean(chance) / 3)
    assert metrics["f1_sampled"] >= metrics["f1_full"]  # among five, where somebody has six
    assert metrics["f1_sampled_chance"] == pytest.approx(5 / 6 / 3)


def test_retrained_metrics_of_the_embedded_set():
    """Better than chance, of 1 + 99 candidates and of all."""
    _, problem = playing(ID)
    game = problem.game
    theta = game.anchor().anchor.theta
    losses, found = retrained(game, np.ones(game.data.size))
    np.testing.assert_allclose(losses, game.anchor().anchor.losses, atol=1e-5)
    assert game.candidates.items.shape == (problem.n_users, 100)
    assert found["f1_sampled_chance"] == pytest.approx(2 * 0.05 / 6)
    assert found["f1_sampled"] > 2 * found["f1_sampled_chance"]
    assert 0.4 * found["f1_sampled"] > found["f1_full"] >= 0
    assert found["f1_full_chance"] < 0.001
    scores = game.model.all_scores(theta)
    test = game.data.test
    rank = (scores[test.user[:, None], game.candidates.items[:, 1:]]
            >= scores[test.user, test.item][:, None]).sum(axis=1)  # fmt: skip
    assert found["f1_sampled"] == pytest.approx((rank < 5).mean() / 3)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": [8, 8, 9]}, r"users \[8\] do more often"),
        ({"train": [0, 8]}, r"users \[0\] do more often"),
        ({"test": [18, 20]}, r"must lie in 0\.\.19"),
        ({"public": []}, "nobody is public"),
        ({"playing": [1]}, "parts must be"),
    ],
)
def test_parts_of_a_world_are_checked(parts, message):
    world = resolve("tiny")
    given = {name: np.array(users, dtype=int) for name, users in parts.items()}
    with pytest.raises(DataError, match=message):
        replace(world, parts={**world.parts, **given})


def test_users_of_a_part_may_come_in_any_order():
    world = resolve("tiny")
    turned = replace(world, parts={**world.parts, "train": world.parts["train"][::-1]})
    assert turned.game("train").data.fingerprint == world.game("train").data.fingerprint


def test_repeated_pairs_are_told():
    world = resolve("tiny")
    rows = np.arange(len(world.log))
    with pytest.raises(DataError, match="more than once"):
        World("twice", world.log.keep(np.sort(np.append(rows, rows[:1]))), world.parts)


def test_numbers_may_be_numpys():
    plain, numpys = (
        playing(rounds=rounds, harm_of_disclosure=harm)[1].fingerprint
        for rounds, harm in ((3, 0.5), (np.int64(3), np.float32(0.5)))
    )
    assert plain == numpys


def test_a_tiny_world_with_another_prior_is_another_world():
    _, problem = playing(prior="accurate")
    assert problem.game.model.pull.max() == 30
    assert problem.fingerprint != playing()[1].fingerprint


def test_pictures_do_not_depend_on_what_others_have_asked_for():
    """Environments share games; one that needs cross effects changes nothing in another."""
    env, problem = playing(backend="influence")
    for _ in range(problem.n_users):
        env.step(np.zeros(problem.width, dtype=np.int8))
    before = problem.render(env.unwrapped.state, 0, "ansi")
    assert problem.game.anchor(cross=True).cross is not None
    assert problem.game.anchor().cross is None
    assert problem.render(env.unwrapped.state, 0, "ansi") == before


def test_what_everybody_sees_of_several_games():
    """Each row alone and both together, with what several anchors tell."""
    _, problem = playing(backend="anchors", show_influence=True)
    rngs = [np.random.default_rng(0)] * 2
    state = problem.start([{"draw": 1}, {"draw": 2}], rngs)
    selected = np.random.default_rng(1).random(state.selected.shape) < 0.5
    state = replace(state, selected=selected)
    both = problem.joint_observations(state)
    for row in range(2):
        alone = problem.joint_observations(state.rows(np.array([row])))
        for key, value in alone.items():
            np.testing.assert_allclose(both[key][row], value[0], atol=1e-6, err_msg=key)


def test_willingness_of_a_world_is_checked():
    made = resolve("tiny").simulated
    world = resolve("tiny")
    for values, message in (
        (made.willingness[1:], "willingness has shape"),
        (made.willingness + 1, r"willingness of event \d+ is 1\..*not in 0\.\.1.*Rescale"),
    ):
        with pytest.raises(DataError, match=message):
            replace(world, simulated=replace(made, willingness=values))


def test_splits_have_the_same_spaces():
    """Agents learn on the players of one split and act for those of another."""
    rng = np.random.default_rng(0)
    counts = np.repeat([6, 9], [20, 3])  # only some players of one split have the most items
    user = np.repeat(np.arange(23), counts)
    item = np.concatenate([rng.permutation(30)[:n] for n in counts])
    log = InteractionLog.from_columns("uneven", user, item, order=np.arange(len(user)))
    edges = {"public": (0, 8), "train": (8, 12), "validation": (12, 16), "test": (16, 23)}
    parts = {name: np.arange(*edge) for name, edge in edges.items()}
    world = World("uneven", log, parts, width=4)
    given = {"dataset": world, "show_influence": True}
    envs = [gym.make(ID, split=split, **given) for split in ("train", "test")]
    assert envs[0].action_space == envs[1].action_space == gym.spaces.MultiBinary(7)
    shapes = [{k: v.shape for k, v in env.observation_space.spaces.items()} for env in envs]
    assert shapes[0] == shapes[1]
    agent = agents.make("ifrqe", envs[0])
    observation, _ = envs[1].reset(seed=0)
    assert agent.predict(observation)[0].shape == (7,)
