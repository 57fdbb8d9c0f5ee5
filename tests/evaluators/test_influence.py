"""Influence functions against derivatives, dense algebra and true retraining."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from recgym.data.log import DataError
from recgym.evaluators import influence
from recgym.evaluators.influence import (
    EXACT,
    PULLS,
    Anchors,
    Influence,
    MatrixFactorisation,
    Newton,
    NotConverged,
    Pairs,
    Prior,
    Retrain,
    SelectionGame,
    Solver,
    TrainingFailed,
    Utility,
    anchor,
    draw_negatives,
    effects,
    fit,
    newton,
    own_removals,
    public_prior,
    solve,
    training,
    user_losses,
    xavier_prior,
)


def made_up(seed: int, n: int, items: int, width: int, pulls=PULLS["proximal"]):
    """(game, prior): tastes in four dimensions; as many public users as players."""
    rng = np.random.default_rng(seed)
    taste, kind = rng.standard_normal((2 * n, 4)), rng.standard_normal((items, 4))
    liked = taste @ kind.T >= 0
    taken = [
        rng.choice(np.flatnonzero(liked[u]), rng.integers(6, 16), replace=False)
        for u in range(2 * n)
    ]
    user = np.repeat(np.arange(2 * n), [len(t) for t in taken])
    item = np.concatenate(taken)
    negative = draw_negatives(user, np.sort(user * items + item), items, rng)
    public = user >= n
    prior = public_prior(
        Pairs(user[public] - n, item[public], negative[public]), items, n, width=width, pulls=pulls
    )
    pairs = Pairs(user, item, negative).at(~public)
    last = np.r_[pairs.user[1:] != pairs.user[:-1], True]
    before = np.r_[last[1:], False]
    parts = (pairs.at(mask) for mask in (~(last | before), before, last))
    return SelectionGame(n, items, *parts, f"made up {seed}"), prior


@pytest.fixture(scope="module")
def small():
    model = MatrixFactorisation(*made_up(0, 40, 60, 4))
    return model, fit(model)


@pytest.fixture(scope="module")
def middle():
    model = MatrixFactorisation(*made_up(1, 150, 150, 16))
    return model, fit(model)


def relative_error(predicted: np.ndarray, true: np.ndarray) -> float:
    return float(np.abs(predicted - true).sum() / np.abs(true).sum())


def truth(model, theta, selected):
    """(N,): by how much the losses change when trained on a selection."""
    valid = model.game.validation
    return user_losses(model, fit(model, selected), valid) - user_losses(model, theta, valid)


class TestDerivatives:
    def test_gradient_and_hessian(self, small):
        model, _ = small
        rng = np.random.default_rng(1)
        theta = model.start + 0.3 * rng.standard_normal(model.n_params)
        weight, along, step = rng.random(model.game.size), rng.standard_normal(model.n_params), 1e-5
        (up, slope_up), (down, slope_down) = (
            model.value_and_gradient(theta + sign * step * along, weight) for sign in (1, -1)
        )
        slope = model.value_and_gradient(theta, weight)[1]
        assert (up - down) / (2 * step) == pytest.approx(slope @ along, rel=1e-7)
        hessian = model.hessian(theta, weight)
        product = (hessian @ along[:, None])[:, 0]
        np.testing.assert_allclose((slope_up - slope_down) / (2 * step), product, atol=1e-6)

    def test_blocks_are_those_of_the_dense_hessian(self, small):
        model, theta = small
        hessian = model.hessian(theta, np.ones(model.game.size), damping=0.1)
        dense, d = hessian.dense(), model.width
        np.testing.assert_allclose(dense, dense.T, atol=1e-12)
        for place, block in enumerate(hessian.blocks()):
            at = slice(place * d, (place + 1) * d)
            np.testing.assert_allclose(dense[at, at], block, atol=1e-12)

    def test_pair_and_score_gradients(self, small):
        model, theta = small
        pairs = model.game.training.at(np.arange(5))
        rng = np.random.default_rng(0)
        along, step = rng.standard_normal(model.n_params), 1e-6
        for gradients, of in (
            (model.pair_gradients(theta, pairs), lambda t: model.losses(t, pairs)),
            (
                model.score_gradients(theta, pairs.user, pairs.item),
                lambda t: model.scores(t, pairs)[0],
            ),
        ):
            numeric = (of(theta + step * along) - of(theta - step * along)) / (2 * step)
            np.testing.assert_allclose(gradients @ along, numeric, atol=1e-6)

    def test_pairs_of_no_weight_have_no_part(self, small):
        model, theta = small
        weight = np.ones(model.game.size)
        weight[3] = 0
        vectors = np.random.default_rng(0).standard_normal((model.n_params, 2))
        rest = np.delete(np.arange(model.game.size), 3)
        without = SelectionGame(
            40, 60, model.game.training.at(rest), model.game.validation, model.game.test
        )
        alone = MatrixFactorisation(without, model.prior).hessian(theta, np.ones(len(rest)))
        np.testing.assert_allclose(model.hessian(theta, weight) @ vectors, alone @ vectors)


class TestTraining:
    def test_it_ends_where_the_gradient_is_zero(self, small):
        model, theta = small
        assert np.abs(model.value_and_gradient(theta, np.ones(model.game.size))[1]).max() < 1e-5

    def test_nothing_selected_is_the_prior(self, small):
        model, _ = small
        nothing = np.zeros(model.game.size)
        np.testing.assert_allclose(fit(model, nothing), model.start)
        assert np.isfinite(anchor(model, nothing).own).all()  # what a first pair would bring

    def test_scores_are_those_of_pairs(self, small):
        model, theta = small
        pairs = model.game.training
        every = model.all_scores(theta)
        np.testing.assert_allclose(every[pairs.user, pairs.item], model.scores(theta, pairs)[0])

    def test_where_values_tell_no_more_newtons_steps_follow(self, small, monkeypatch):
        """L-BFGS gives up where the values of F are too coarse for its line search."""
        model, theta = small
        whole = training.descend

        def given_up(*args):
            found = whole(*args[:3], 1e-3, *args[4:])
            found.status = 2
            return found

        monkeypatch.setattr(training, "descend", given_up)
        np.testing.assert_allclose(fit(model), theta, atol=1e-5)

    def test_a_training_that_stops_early_says_so(self, small):
        with pytest.raises(TrainingFailed, match="gradient is still"):
            fit(small[0], iterations=2)

    def test_retraining_keeps_what_it_knows(self, small):
        model, _ = small
        backend = Retrain(model)
        selected = np.ones((2, model.game.size))
        first = backend.losses(selected)
        assert backend.trainings == 1
        np.testing.assert_array_equal(first[0], backend.losses(selected[:1])[0])
        assert backend.trainings == 1


class TestSolvers:
    @pytest.fixture
    def system(self, small):
        model, theta = small
        vectors = np.random.default_rng(0).standard_normal((model.n_params, 5))
        vectors[:, 2] = 0
        return model.hessian(theta, np.ones(model.game.size)), vectors

    def test_agree_with_the_dense_oracle(self, system):
        hessian, vectors = system
        oracle = solve(hessian, vectors, Solver("dense"))
        np.testing.assert_allclose(hessian @ oracle, vectors, atol=1e-9)
        for solver, tolerance in (
            (EXACT, 1e-5),
            (Solver(), 5e-3),
            (Solver("lissa", iterations=400, single=False), 1e-4),
        ):
            assert np.abs(solve(hessian, vectors, solver) - oracle).max() < tolerance

    def test_too_few_iterations_are_told(self, system):
        with pytest.raises(NotConverged, match=r"relative residual of up to"):
            solve(*system, Solver(iterations=1, tolerance=1e-8))

    def test_negative_curvature_is_told(self, small):
        model, _ = small
        loose = MatrixFactorisation(model.game, replace(model.prior, pull_users=0, pull_items=0))
        theta = 3 * np.random.default_rng(0).standard_normal(model.n_params)
        hessian = loose.hessian(theta, np.ones(model.game.size), damping=1e-3)
        with pytest.raises(NotConverged, match="not positive definite"):
            solve(hessian, np.random.default_rng(1).standard_normal((model.n_params, 3)))

    def test_lissa_with_a_scale_too_small_diverges_and_says_so(self, system):
        for iterations in (30, 3000):  # still finite, and not
            solver = Solver("lissa", scale=0.5, iterations=iterations, single=False)
            with (
                pytest.raises(NotConverged, match=r"LiSSA diverged .* residual of"),
                np.errstate(all="ignore"),
            ):
                solve(*system, solver)

    def test_a_short_series_of_lissa_is_no_failure(self, system):
        solve(*system, Solver("lissa", iterations=5))

    def test_the_oracle_tells_negative_curvature_too(self, small):
        model, theta = small
        hessian = model.hessian(theta, np.ones(model.game.size), damping=-50.0)
        with pytest.raises(NotConverged, match="not positive definite"):
            solve(hessian, np.ones((model.n_params, 1)), Solver("dense"))

    @pytest.mark.parametrize("method", ["cg", "lissa", "dense"])
    def test_vectors_that_are_not_finite_are_told(self, system, method):
        hessian, vectors = system
        vectors = vectors.copy()
        vectors[0, 1] = np.nan
        with pytest.raises(NotConverged, match="not finite"):
            solve(hessian, vectors, Solver(method))

    @pytest.mark.parametrize(
        "wrong", [{"method": "lu"}, {"iterations": 0}, {"tolerance": 0}, {"tolerance": np.nan}]
    )
    def test_wrong_settings(self, wrong):
        with pytest.raises(ValueError, match=r"must be|at least"):
            Solver(**wrong)


class TestEffects:
    def test_are_derivatives_of_retrained_losses(self, small):
        """∂L_u/∂o_k by retraining with pair k at weights a little above and below one half."""
        model, _ = small
        tested = (0, 17, 100)
        half = np.ones(model.game.size)
        half[list(tested)] = 0.5
        found = anchor(model, half, solver=EXACT)
        cross = effects(model, found.theta, half, np.arange(40), solver=EXACT)
        for k in tested:
            losses = []
            for weight in (0.51, 0.49):
                near = half.copy()
                near[k] = weight
                losses.append(user_losses(model, fit(model, near), model.game.validation))
            slope = (losses[0] - losses[1]) / 0.02
            np.testing.assert_allclose(cross[:, k], slope, atol=1e-4)
            assert found.own[k] == pytest.approx(slope[model.game.training.user[k]], abs=1e-4)
            assert found.total[k] == pytest.approx(slope.sum(), abs=1e-3)

    def test_own_and_total_are_sums_of_cross(self, small):
        model, theta = small
        found = anchor(model, theta=theta, solver=EXACT)
        cross = effects(model, theta, np.ones(model.game.size), np.arange(40), solver=EXACT)
        own = cross[model.game.training.user, np.arange(model.game.size)]
        np.testing.assert_allclose(found.own, own, atol=1e-5)
        np.testing.assert_allclose(found.total, cross.sum(axis=0), atol=1e-4)

    def test_single_removals_against_retraining(self, middle):
        """Plain below 30 %, with leverage below 10 %, rank correlation above .9."""
        model, theta = middle
        plain = -anchor(model, theta=theta).own
        sharp = own_removals(model, theta)
        some = np.random.default_rng(3).choice(model.game.size, 40, replace=False)
        true = []
        for k in some:
            selected = np.ones(model.game.size)
            selected[k] = 0
            true.append(truth(model, theta, selected)[model.game.training.user[k]])
        true = np.array(true)
        assert relative_error(plain[some], true) < 0.3
        assert relative_error(sharp[some], true) < 0.1
        assert spearmanr(plain[some], true).statistic > 0.9

    def test_a_joint_change_against_retraining(self, middle):
        model, theta = middle
        selected = (np.random.default_rng(0).random(model.game.size) < 0.9).astype(float)
        true = truth(model, theta, selected)
        everything = np.ones(model.game.size)
        cross = effects(model, theta, everything, np.arange(model.game.n_users))
        linear = cross @ (selected - everything)
        after = newton(model, theta, selected)
        valid = model.game.validation
        step = user_losses(model, after, valid) - user_losses(model, theta, valid)
        assert relative_error(linear, true) < 0.3
        assert relative_error(step, true) < 0.1

    def test_the_accurate_prior(self):
        model = MatrixFactorisation(*made_up(1, 150, 150, 16, PULLS["accurate"]))
        theta, rng = fit(model), np.random.default_rng(0)
        selected = (rng.random(model.game.size) < 0.9).astype(float)
        everything = np.ones(model.game.size)
        cross = effects(model, theta, everything, np.arange(model.game.n_users))
        true = truth(model, theta, selected)
        assert relative_error(cross @ (selected - everything), true) < 0.12

    def test_blocks_alone_rank_a_users_own_pairs(self):
        """The note's figures: 3.5 to 13 % from the full Hessian, rank at least .994."""
        model = MatrixFactorisation(*made_up(1, 150, 150, 16, PULLS["proximal"]))
        theta = fit(model)
        whole = anchor(model, theta=theta)
        blocks = anchor(model, theta=theta, own_solver=Solver("blocks"))
        assert relative_error(blocks.own, whole.own) < 0.2
        assert spearmanr(blocks.own, whole.own).statistic > 0.99
        np.testing.assert_array_equal(blocks.total, whole.total)


class TestBackends:
    @pytest.fixture
    def backends(self, small):
        model, _ = small
        everything, others = np.ones(model.game.size), np.ones(model.game.size)
        others[model.game.offsets[:-1]] = 0  # every user's first pair is out
        parts = []
        for selected in (everything, others):
            at = anchor(model, selected, solver=EXACT)
            cross = effects(model, at.theta, selected, np.arange(40), solver=EXACT)
            parts.append(Influence(model.game, at, cross))
        return {
            "influence": parts[0],
            "anchors": Anchors(model.game, parts),
            "newton": Newton(model, parts[0].anchor, EXACT),
            "retrain": Retrain(model),
        }

    def test_all_are_exact_at_their_anchor(self, backends, small):
        model, _ = small
        everything = np.ones((1, model.game.size))
        true = backends["retrain"].losses(everything)
        for name, backend in backends.items():
            np.testing.assert_allclose(backend.losses(everything), true, atol=1e-5, err_msg=name)

    def test_anchors_know_the_second_one_too(self, backends, small):
        second = backends["anchors"].parts[1].anchor.selected[None]
        true = backends["retrain"].losses(second)
        np.testing.assert_allclose(backends["anchors"].losses(second), true, atol=1e-5)
        one = np.abs(backends["influence"].losses(second) - true).mean()
        assert one > 1e-3
        users = np.arange(40)
        assert (backends["anchors"].nearest(np.repeat(second, 40, axis=0), users) == 1).all()

    def test_a_change_is_a_difference_of_losses(self, backends, small):
        model, _ = small
        rng, user = np.random.default_rng(2), np.array([0, 7])
        before = (rng.random((2, model.game.size)) < 0.8).astype(float)
        after = before.copy()
        for row, u in enumerate(user):
            mine = slice(model.game.offsets[u], model.game.offsets[u + 1])
            after[row, mine] = 1 - after[row, mine]
        for name, backend in backends.items():
            moves = before, after, user
            own, mean = backend.own_change(*moves), backend.mean_change(*moves)
            difference = backend.losses(after) - backend.losses(before)
            np.testing.assert_allclose(own, difference[[0, 1], user], atol=1e-5, err_msg=name)
            np.testing.assert_allclose(mean, difference.mean(axis=1), atol=1e-5, err_msg=name)

    def test_without_cross_effects_changes_are_the_same(self, backends, small):
        model, _ = small
        full = backends["influence"]
        lean = Influence(model.game, full.anchor)
        before = np.ones((1, model.game.size))
        after = before.copy()
        after[0, : model.game.offsets[1]] = 0
        moves = before, after, np.array([0])
        np.testing.assert_allclose(lean.own_change(*moves), full.own_change(*moves))
        np.testing.assert_allclose(lean.mean_change(*moves), full.mean_change(*moves))


class TestUtility:
    def test_the_paper_s_form(self, small):
        game = small[0].game
        rng = np.random.default_rng(0)
        willingness, selected = rng.random(game.size), rng.random((3, game.size)) < 0.5
        losses = rng.random((3, game.n_users))
        z = Utility(game, willingness, 0.05)(losses, selected)
        mine = slice(game.offsets[4], game.offsets[5])
        by_hand = -losses[1, 4] - 0.05 * willingness[mine][selected[1, mine]].sum()
        assert z[1, 4] == pytest.approx(by_hand)

    def test_other_costs_meet_the_linear_one_at_both_ends(self, small):
        game = small[0].game
        willingness = np.random.default_rng(0).random(game.size)
        both = np.stack([np.zeros(game.size), np.ones(game.size)])
        linear = Utility(game, willingness, 1.0).disclosure(both)
        half = np.full((1, game.size), 0.5)
        middle = Utility(game, willingness, 1.0).disclosure(half)
        for cost, above in (("saturating", True), ("escalating", False)):
            other = Utility(game, willingness, 1.0, cost)
            np.testing.assert_allclose(other.disclosure(both), linear)
            assert ((other.disclosure(half) > middle) == above).all()

    @pytest.mark.parametrize(
        ("willingness", "message"),
        [
            (lambda z: np.full(z, 1.5), r"must lie in \[0, 1\], got 1.5 for pair 0"),
            (lambda z: np.full(z, np.nan), "got nan"),
            (lambda z: np.zeros(z + 1), "one number for each"),
        ],
    )
    def test_wrong_willingness(self, small, willingness, message):
        game = small[0].game
        with pytest.raises(DataError, match=message):
            Utility(game, willingness(game.size), 1.0)

    def test_unknown_cost_and_weight(self, small):
        game = small[0].game
        with pytest.raises(ValueError, match="linear"):
            Utility(game, np.zeros(game.size), 1.0, "quadratic")
        with pytest.raises(ValueError, match="λ"):
            Utility(game, np.zeros(game.size), -1.0)


class TestGame:
    def test_a_user_without_validation_is_named(self, small):
        game = small[0].game
        with pytest.raises(DataError, match=r"users \[7\] have no validation item"):
            replace(game, validation=game.validation.at(game.validation.user != 7))
        with pytest.raises(DataError, match=r"users \[3\] have no training item"):
            replace(game, training=game.training.at(game.training.user != 3))

    def test_users_and_columns_that_do_not_fit_are_told(self, small):
        game = small[0].game
        for part in ("training", "validation", "test"):
            pairs = getattr(game, part)
            for wrong in (-1, game.n_users):
                user = np.where(pairs.user == pairs.user[-1], wrong, pairs.user)
                with pytest.raises(DataError, match="users must lie in"):
                    replace(game, **{part: replace(pairs, user=user)})
            with pytest.raises(DataError, match="equally many"):
                replace(game, **{part: replace(pairs, item=pairs.item[1:])})

    def test_selections_of_the_wrong_shape_or_value(self, small):
        model, _ = small
        with pytest.raises(ValueError, match="has shape"):
            fit(model, np.ones(3))
        with pytest.raises(ValueError, match="0 for out and 1 for in"):
            fit(model, np.full(model.game.size, 2.0))

    def test_negatives_are_not_positives(self):
        rng = np.random.default_rng(0)
        user = np.repeat(np.arange(5), 20)
        taken = np.sort(np.concatenate([u * 6 + rng.choice(6, 4, replace=False) for u in range(5)]))
        drawn = draw_negatives(user, taken, 6, rng)
        assert not np.isin(user * 6 + drawn, taken).any()
        with pytest.raises(DataError, match="taken all 6 items"):
            draw_negatives(np.array([0]), np.arange(6), 6, rng)

    def test_priors(self):
        game, prior = made_up(0, 40, 60, 4)
        assert (prior.items**2).sum(axis=1).mean() == pytest.approx(1)
        assert len(np.unique(prior.users, axis=0)) == 1
        flat = xavier_prior(40, 60, width=8)
        assert (flat.centre == 0).all()
        assert (flat.start != 0).any()
        with pytest.raises(ValueError, match="one d"):
            Prior(prior.users, prior.items[:, :2])
        with pytest.raises(ValueError, match="prior is of 40 users and 59 items"):
            MatrixFactorisation(game, Prior(prior.users, prior.items[:-1]))

    def test_everything_public_is_listed(self):
        for name in influence.__all__:
            assert hasattr(influence, name)


def test_anchors_tell_a_move_as_they_tell_levels():
    """The fast change of one user's pairs is the difference of everybody's losses."""
    from recgym.envs.data_selection.tiny import tiny_world

    game = tiny_world().game("train")
    backend = Anchors(game.data, [game.anchor(t, cross=True) for t in range(3)])
    rng = np.random.default_rng(0)
    before = rng.integers(0, 2, (40, game.data.size)).astype(float)
    user = rng.integers(0, game.data.n_users, 40)
    after = before.copy()
    for row, who in enumerate(user):
        mine = slice(game.data.offsets[who], game.data.offsets[who + 1])
        after[row, mine] = rng.integers(0, 2, mine.stop - mine.start)
    difference = backend.losses(after) - backend.losses(before)
    own, mean = (f(before, after, user) for f in (backend.own_change, backend.mean_change))
    np.testing.assert_allclose(own, difference[np.arange(40), user], atol=1e-6)
    np.testing.assert_allclose(mean, difference.mean(axis=1), atol=1e-6)
    moved_anchor = backend.nearest(before, user) != backend.nearest(after, user)
    assert moved_anchor.any()
