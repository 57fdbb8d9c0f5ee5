"""NeuMF and LightGCN under influence: derivatives, the dense oracle and true retraining."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from recgym.envs.data_selection.recommenders import GRAPH_PULLS, NETWORK_PULLS
from recgym.evaluators.influence import (
    EXACT,
    PULLS,
    GraphFactorisation,
    MatrixFactorisation,
    Network,
    NetworkPrior,
    NotConverged,
    Pairs,
    Prior,
    PublicGraph,
    Retrain,
    SelectionGame,
    Solver,
    anchor,
    draw_negatives,
    effects,
    fit,
    neumf,
    newton,
    own_removals,
    plain_prior,
    public_graph,
    public_neumf,
    public_prior,
    pulled_prior,
    solve,
    user_losses,
)
from recgym.evaluators.influence.stacked import fit_stacked
from recgym.models import collaborative_class

PLAYERS, ITEMS, WIDTH = 16, 30, 4
pytestmark = pytest.mark.filterwarnings("ignore:.*jit.script:DeprecationWarning")


def made_up(seed: int = 0):
    """(game, public pairs): tastes in four dimensions; as many public users as players."""
    rng, n = np.random.default_rng(seed), PLAYERS
    taste, kind = rng.standard_normal((2 * n, 4)), rng.standard_normal((ITEMS, 4))
    taken = np.argsort(rng.standard_normal((2 * n, ITEMS)) - (taste @ kind.T >= 0) * 3)[:, :10]
    user, item = np.repeat(np.arange(2 * n), 10), taken.ravel()
    negative = draw_negatives(user, np.sort(user * ITEMS + item), ITEMS, rng)
    pairs, place = Pairs(user, item, negative), np.tile(np.arange(10), 2 * n)
    players = user < n
    parts = (pairs.at(players & (place < 8)), *(pairs.at(players & (place == p)) for p in (8, 9)))
    public = Pairs(user[~players] - n, item[~players], negative[~players])
    return SelectionGame(n, ITEMS, *parts, "made up"), public


def factors(game, public, prior="proximal"):
    pulls = PULLS[prior]
    return MatrixFactorisation(game, public_prior(public, ITEMS, PLAYERS, width=WIDTH, pulls=pulls))


def light(game, public, prior="proximal"):
    graph, items = public_graph(public, ITEMS, width=WIDTH)
    pulls = np.array(GRAPH_PULLS[prior]) * (items**2).sum(axis=1).mean()
    start = Prior(np.tile(graph.users.mean(axis=0), (PLAYERS, 1)), items, *pulls)
    return GraphFactorisation(game, start, graph)


def neural(game, public, prior="proximal"):
    values = public_neumf(public, ITEMS, width=WIDTH)
    module = neumf(PLAYERS, ITEMS, width=WIDTH)
    return Network(game, pulled_prior(module, values, NETWORK_PULLS[prior]))


@pytest.fixture(scope="module", params=[light, neural], ids=["lightgcn", "neumf"])
def trained(request):
    model = request.param(*made_up())
    return model, fit(model)


@pytest.fixture
def drawn(trained):
    """Parameters, weights, a direction, which users' losses, and four vectors."""
    model, _ = trained
    rng = np.random.default_rng(1)
    theta = model.start + 0.2 * rng.standard_normal(model.n_params)
    along, which = rng.standard_normal(model.n_params), rng.random((PLAYERS, 4))
    weight = rng.random(model.game.size)
    return theta, weight, along, which, rng.standard_normal((model.n_params, 4))


def check_pair_effects(model, theta, weight, which, vectors, step=1e-6):
    """∂/∂o_k of Σ which L − ⟨∇F, x⟩ by differences, and each user's own among them."""

    def value(weight):
        slope = model.value_and_gradient(theta, weight)[1]
        losses = user_losses(model, theta, model.game.validation, weight)
        return which.T @ losses - vectors.T @ slope

    found = model.pair_effects(theta, weight, which, vectors)
    for k in (0, 50, 111):
        near = weight.copy()
        near[k] += step
        up = value(near)
        near[k] -= 2 * step
        np.testing.assert_allclose(found[:, k], (up - value(near)) / (2 * step), atol=1e-5)
    users = np.arange(2, 6)
    own = model.own_effects(theta, weight, users, vectors)
    every = model.pair_effects(theta, weight, np.eye(PLAYERS)[:, users], vectors)
    mine = model.game.pairs_of(users)
    np.testing.assert_allclose(own, every[model.game.training.user[mine] - 2, mine])


class TestDerivatives:
    def test_gradient_and_hessian(self, trained, drawn):
        (model, _), (theta, weight, along, *_), step = trained, drawn, 1e-5
        (up, slope_up), (down, slope_down) = (
            model.value_and_gradient(theta + sign * step * along, weight) for sign in (1, -1)
        )
        slope = model.value_and_gradient(theta, weight)[1]
        assert (up - down) / (2 * step) == pytest.approx(slope @ along, rel=1e-6)
        product = (model.hessian(theta, weight) @ along[:, None])[:, 0]
        np.testing.assert_allclose((slope_up - slope_down) / (2 * step), product, atol=1e-5)

    def test_gradients_of_users_losses(self, trained, drawn):
        (model, _), (theta, weight, along, which, _), step = trained, drawn, 1e-5
        valid = model.game.validation
        up, down = (
            which.T @ user_losses(model, theta + sign * step * along, valid, weight)
            for sign in (1, -1)
        )
        found = model.loss_gradients(theta, valid, which, weight)
        np.testing.assert_allclose(along @ found, (up - down) / (2 * step), atol=1e-6)

    def test_pair_effects_hold_the_graph(self, trained, drawn):
        """∂/∂o_k of Σ which L − ⟨∇F, x⟩ by differences, for pairs in, out and in part."""
        (model, _), (theta, weight, _, which, vectors) = trained, drawn
        check_pair_effects(model, theta, weight, which, vectors)

    def test_a_networks_blocks_are_gauss_newtons(self):
        """Against J of all scores: A = Jᵀ W J + ρ, its blocks of users, items and the shared."""
        game, public = made_up()
        model = neural(game, public)
        rng = np.random.default_rng(4)
        theta = model.start + 0.2 * rng.standard_normal(model.n_params)
        weight = rng.random(game.size)
        weight[::3] = 0
        every = np.concatenate([game.training.item, game.training.negative])
        users, items = torch.from_numpy(np.tile(game.training.user, 2)), torch.from_numpy(every)
        at = torch.from_numpy(theta)
        slope = torch.func.jacrev(lambda t: model.scores_at(t, users, items))(at).numpy()
        chance = 1 / (1 + np.exp(-model.scores_at(at, users, items).numpy()))
        curved = np.tile(weight, 2) * chance * (1 - chance)
        whole = slope.T @ (curved[:, None] * slope) + np.diag(model.pull)
        blocks = model.hessian(theta, weight).blocks()
        assert sum(places.size for places, _ in blocks) == len(
            model.hessian(theta, weight)._columns
        )
        for places, block in blocks:
            np.testing.assert_allclose(block, whole[places[:, :, None], places[:, None]], atol=1e-9)

    def test_a_network_of_factors_is_matrix_factorisation(self):
        game, _ = made_up()
        rng = np.random.default_rng(3)
        users, items = rng.standard_normal((PLAYERS, WIDTH)), rng.standard_normal((ITEMS, WIDTH))
        kind = collaborative_class("mf")
        module = kind(kind.Config(PLAYERS, ITEMS, WIDTH))
        values = {"user.weight": users, "item.weight": items}
        network = Network(game, pulled_prior(module, values, (2.0, 10.0, 0.0)))
        exact = MatrixFactorisation(game, Prior(users, items))
        theta, weight = exact.start + 0.1, rng.random(game.size)
        which, vectors = rng.random((PLAYERS, 3)), rng.standard_normal((exact.n_params, 3))
        for name, of in {
            "F": lambda m: m.value_and_gradient(theta, weight)[0],
            "gradient": lambda m: m.value_and_gradient(theta, weight)[1],
            "product": lambda m: m.hessian(theta, weight, 0.5) @ vectors,
            "targets": lambda m: m.loss_gradients(theta, game.validation, which),
            "effects": lambda m: m.pair_effects(theta, weight, which, vectors),
            "scores": lambda m: m.all_scores(theta),
        }.items():
            np.testing.assert_allclose(of(network), of(exact), atol=1e-10, err_msg=name)

    def test_scores_are_those_of_lightgcn(self):
        game, public = made_up()
        model = light(game, public)
        kind = collaborative_class("lightgcn")
        network = kind(kind.Config(PLAYERS + len(model.public.users), ITEMS, WIDTH)).double()
        users, items = model.inner.split(model.start)
        network.user.weight.data = torch.from_numpy(np.concatenate([users, model.public.users]))
        network.item.weight.data = torch.from_numpy(items)
        selected = np.random.default_rng(0).random(game.size) < 0.6
        edges = game.training.at(selected)
        network.with_graph(
            torch.from_numpy(np.r_[edges.user, PLAYERS + public.user]),
            torch.from_numpy(np.r_[edges.item, public.item]),
        )
        with torch.no_grad():
            expected = network.all_scores(torch.arange(PLAYERS)).numpy()
        found = model.all_scores(model.start, selected.astype(float))
        np.testing.assert_allclose(found, expected, atol=1e-12)


class TestSolvers:
    def test_agree_with_the_dense_oracle(self, trained):
        model, theta = trained
        hessian = model.hessian(theta, np.ones(model.game.size))
        vectors = np.random.default_rng(0).standard_normal((model.n_params, 3))
        oracle = solve(hessian, vectors, Solver("dense"))
        np.testing.assert_allclose(hessian @ oracle, vectors, atol=1e-8)
        for solver, tolerance in ((EXACT, 1e-5), (Solver(), 5e-3)):
            found = solve(hessian, vectors, solver)
            assert np.linalg.norm(found - oracle) < tolerance * np.linalg.norm(oracle)

    def test_too_few_iterations_are_told(self, trained):
        model, theta = trained
        hessian = model.hessian(theta, np.ones(model.game.size))
        with pytest.raises(NotConverged, match=r"relative residual of up to .* stronger prior"):
            solve(hessian, np.ones((model.n_params, 1)), Solver(iterations=1, tolerance=1e-8))


class TestEffects:
    def test_are_derivatives_of_retrained_losses(self, trained):
        """By retraining with pair k at weights a little above and below one half."""
        model, _ = trained
        half, k = np.ones(model.game.size), 17
        half[k] = 0.5
        found = anchor(model, half, solver=EXACT)
        losses = []
        for weight in (0.505, 0.495):
            half[k] = weight
            losses.append(user_losses(model, fit(model, half), model.game.validation, half))
        slope = (losses[0] - losses[1]) / 0.01
        assert found.own[k] == pytest.approx(slope[model.game.training.user[k]], abs=1e-4)
        assert found.total[k] == pytest.approx(slope.sum(), abs=1e-3)

    def test_removals_against_retraining(self, trained):
        """Plain influence below 35 % and rank above .9; a Newton step below 10 %."""
        model, theta = trained
        everything, valid = np.ones(model.game.size), model.game.validation
        cross = effects(model, theta, everything, np.arange(PLAYERS))
        base = user_losses(model, theta, valid)

        def true(selected):
            return user_losses(model, fit(model, selected), valid, selected) - base

        some = (3, 60, 101)
        found = np.array([true(everything - (np.arange(model.game.size) == k)) for k in some])
        predicted = -cross[:, some].T
        assert np.abs(predicted - found).sum() < 0.35 * np.abs(found).sum()
        assert spearmanr(predicted.ravel(), found.ravel()).statistic > 0.9
        selected = (np.random.default_rng(0).random(model.game.size) < 0.9).astype(float)
        found = true(selected)
        after = user_losses(model, newton(model, theta, selected), valid, selected) - base
        # of sixteen users every tenth edge is much of the graph
        assert np.abs(cross @ (selected - 1) - found).sum() < 0.45 * np.abs(found).sum()
        assert np.abs(after - found).sum() < 0.1 * np.abs(found).sum()

    def test_everybody_keeps_nothing(self, trained):
        """The training set is empty: the recommender is its start, on the public graph alone."""
        model, _ = trained
        nothing = np.zeros(model.game.size)
        np.testing.assert_allclose(fit(model, nothing), model.start, atol=1e-6)
        found = Retrain(model).losses(nothing[None])[0]
        start = user_losses(model, model.start, model.game.validation, nothing)
        np.testing.assert_allclose(found, start, atol=1e-6)
        at = anchor(model, nothing, solver=EXACT)  # what a first pair would bring
        assert np.isfinite(at.own).all()


@pytest.fixture(scope="module", params=[factors, light, neural], ids=["mf", "lightgcn", "neumf"])
def both(request):
    """(the model that drops, the one that relabels)."""
    game, public = made_up()
    return [
        request.param(replace(game, deselected=kind), public, "accurate")
        for kind in ("drop", "relabel")
    ]


class TestRelabelled:
    """A deselected pair stays, with its item as a disliked one: l + (1 − o) s."""

    @pytest.fixture
    def at(self, both):
        """Parameters, weights with a tenth out, a direction, and which users' losses."""
        model, rng = both[1], np.random.default_rng(1)
        theta = model.start + 0.2 * rng.standard_normal(model.n_params)
        weight = rng.random(model.game.size) * (np.arange(model.game.size) % 10 > 0)
        return theta, weight, rng.standard_normal(model.n_params), rng.random((PLAYERS, 4))

    def test_the_objective_has_labels(self, both, at):
        """−o log σ(s) − (1 − o) log σ(−s) of the item, −log σ(−s) of the negative."""
        model, (theta, weight, *_) = both[1], at
        item, negative = (torch.from_numpy(s) for s in model.scores(theta, model.game.training))
        entropy = torch.nn.functional.binary_cross_entropy_with_logits
        labelled = entropy(item, torch.from_numpy(weight), reduction="sum")
        labelled += entropy(negative, torch.zeros_like(negative), reduction="sum")
        pulled = 0.5 * model.pull @ (theta - model.centre) ** 2
        value = model.value_and_gradient(theta, weight)[0]
        assert value == pytest.approx(float(labelled) + pulled)

    def test_gradient_and_hessian(self, both, at):
        model, (theta, weight, along, _), step = both[1], at, 1e-5
        (up, slope_up), (down, slope_down) = (
            model.value_and_gradient(theta + sign * step * along, weight) for sign in (1, -1)
        )
        slope = model.value_and_gradient(theta, weight)[1]
        assert (up - down) / (2 * step) == pytest.approx(slope @ along, rel=1e-6)
        hessian = model.hessian(theta, weight)
        product = (hessian @ along[:, None])[:, 0]
        np.testing.assert_allclose((slope_up - slope_down) / (2 * step), product, atol=1e-5)
        found = solve(hessian, hessian @ along[:, None], EXACT)[:, 0]
        np.testing.assert_allclose(found, along, atol=1e-4)

    def test_effects_of_pairs(self, both, at):
        """∂/∂o_k of Σ which L − ⟨∇F, x⟩ by differences: no edge of a graph goes or comes."""
        model, (theta, weight, _, which) = both[1], at
        vectors = np.random.default_rng(2).standard_normal((model.n_params, 4))
        check_pair_effects(model, theta, weight, which, vectors)

    def test_everything_selected_is_the_same(self, both):
        dropping, relabelling = both
        ones = np.ones(dropping.game.size)
        np.testing.assert_array_equal(fit(relabelling), fit(dropping))
        theta = fit(dropping)
        one, other = (m.hessian(theta, ones) @ np.eye(m.n_params)[:, :3] for m in both)
        np.testing.assert_array_equal(one, other)
        own = [anchor(m, theta=theta).own for m in both]
        assert (own[0] != own[1]).all()  # what deselecting would do is not

    def test_against_retraining(self, both):
        """Own single pairs below 6 %, a tenth of all below 10 %, a Newton step below 2 %."""
        model = both[1]
        game, valid, everything = model.game, model.game.validation, np.ones(model.game.size)
        theta = fit(model)
        at = anchor(model, theta=theta, solver=EXACT)

        def true(selected):
            return user_losses(model, fit(model, selected), valid, selected) - at.losses

        some = np.array([3, 20, 40, 60, 80, 101])
        without = [np.where(np.arange(game.size) == k, 0.0, 1.0) for k in some]
        own = np.array([true(s)[game.training.user[k]] for s, k in zip(without, some, strict=True)])
        assert np.abs(-at.own[some] - own).sum() < 0.06 * np.abs(own).sum()
        assert (np.sign(-at.own[some]) == np.sign(own)).all()
        selected = (np.random.default_rng(0).random(game.size) < 0.9).astype(float)
        joint = true(selected)
        cross = effects(model, theta, everything, np.arange(PLAYERS), solver=EXACT)
        assert np.abs(cross @ (selected - 1) - joint).sum() < 0.1 * np.abs(joint).sum()
        after = user_losses(model, newton(model, theta, selected), valid, selected) - at.losses
        assert np.abs(after - joint).sum() < 0.02 * np.abs(joint).sum()

    def test_nothing_selected_is_everything_disliked(self, both):
        model = both[1]
        nothing = np.zeros(model.game.size)
        theta, pairs = fit(model, nothing), model.game.training
        assert np.abs(theta - model.start).max() > 0.01
        item = model.scores(theta, pairs, nothing)[0]
        assert item.mean() < model.scores(model.start, pairs, nothing)[0].mean() - 0.1
        losses = Retrain(model).losses(nothing[None])[0]
        np.testing.assert_allclose(losses, user_losses(model, theta, model.game.validation))

    def test_leverage(self):
        """Own single pairs below 1 %, where plain influence is between 2 and 6 %."""
        game, public = made_up()
        model = factors(replace(game, deselected="relabel"), public, "accurate")
        theta, valid, some = fit(model), game.validation, np.array([3, 20, 40, 60, 80, 101])
        found, base, true = own_removals(model, theta), user_losses(model, theta, valid), []
        for k in some:
            selected = np.where(np.arange(game.size) == k, 0.0, 1.0)
            change = user_losses(model, fit(model, selected), valid) - base
            true.append(change[game.training.user[k]])
        assert np.abs(found[some] - true).sum() < 0.01 * np.abs(true).sum()
        plain = -anchor(model, theta=theta).own
        assert 0.02 < np.abs(plain[some] - true).sum() / np.abs(true).sum() < 0.06

    def test_the_stack_equals_single_trainings(self):
        game, public = made_up()
        model = factors(replace(game, deselected="relabel"), public)
        selected = (np.random.default_rng(0).random((3, game.size)) < [[0.0], [0.5], [1.0]]) * 1.0
        single = np.stack([fit(model, s) for s in selected])
        np.testing.assert_allclose(fit_stacked(model, selected), single, atol=1e-6)

    def test_an_unknown_kind(self):
        game, _ = made_up()
        with pytest.raises(ValueError, match=r"deselected must be one of \('drop', 'relabel'\)"):
            replace(game, deselected="forget")
        other = replace(game, deselected="relabel")
        assert other.fingerprint != game.fingerprint


class TestBadInput:
    def test_sizes_that_do_not_fit(self):
        game, _ = made_up()
        module = neumf(PLAYERS, ITEMS + 1, width=WIDTH)
        with pytest.raises(ValueError, match="network is of 16 users and 31 items"):
            Network(game, plain_prior(module, 1.0))
        prior = plain_prior(neumf(PLAYERS, ITEMS, width=WIDTH), 1.0)
        for wrong, message in (
            ({"start": prior.start[1:]}, "start must have the shape"),
            ({"centre": prior.centre * np.nan}, "centre must be finite"),
            ({"pull": prior.pull * -1}, "pull must be at least 0"),
        ):
            with pytest.raises(ValueError, match=message):
                replace(prior, **wrong)
        assert isinstance(prior, NetworkPrior)
        factors = Prior(np.ones((PLAYERS, WIDTH)), np.ones((ITEMS, WIDTH)))
        with pytest.raises(ValueError, match="prior has 4 dimensions, public users 3"):
            GraphFactorisation(game, factors, PublicGraph.empty(3))

    def test_selections_of_the_wrong_shape(self):
        game, public = made_up()
        backend = Retrain(light(game, public))
        with pytest.raises(
            ValueError, match=r"have shape \(B, 128\), a row for each, got \(128,\)"
        ):
            backend.losses(np.ones(game.size))
        with pytest.raises(ValueError, match=r"got 2.0 for pair 5"):
            backend.losses(np.where(np.arange(game.size) == 5, 2.0, 1.0)[None])
