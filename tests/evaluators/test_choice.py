"""Choices, stationary profiles and their gradient: by hand, by sums, by differences."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.evaluators import choice

FAMILIES = {
    "single": choice.single_items,
    "slates": lambda m: choice.all_slates(m, 3),
    "sampling": lambda m: choice.Sampling(m, 3),
    "subsets": lambda m: choice.Subsets(m, 3),
}


def world(rng, n=12, n_harmful=4, d=4, **settings):
    harmful = np.arange(n) >= n - n_harmful
    return choice.ChoiceModel(0.7 * rng.normal(size=(n, d)), harmful, **settings)


def random_weights(rng, family, rows):
    weights = 0.1 + 0.8 * rng.random((rows, family.size))
    distribution = isinstance(family, choice.Slates)
    return weights / weights.sum(axis=1, keepdims=True) if distribution else weights


def differences(model, family, inherent, weights, harm_weight, exposure_weight, step=1e-6):
    """Central differences of f at the stationary profile, one weight at a time."""
    found = np.zeros_like(weights)
    for column in range(weights.shape[1]):
        ends = []
        for sign in (1, -1):
            moved = weights.copy()
            moved[:, column] += sign * step
            args = (model, family, inherent, moved)
            profile = choice.stationary_profile(*args, tolerance=1e-14).profile
            at = choice.outcome(model, family, profile, moved)
            ends.append(at.objective(harm_weight, exposure_weight))
        found[:, column] = (ends[0] - ends[1]) / (2 * step)
    return found


def test_a_case_by_hand():
    """Scores are all 1 at u = 0: half of the time she clicks, otherwise each item is as likely."""
    model = choice.ChoiceModel(np.array([[1.0], [-1.0]]), np.array([False, True]), c=1.0)
    family, at = choice.single_items(model), np.zeros((1, 1))
    probability = choice.choice_probabilities(model, family, at, np.ones((1, 1)))
    np.testing.assert_allclose(probability, [[0.75, 0.25]])
    worth = choice.outcome(model, family, at, np.ones((1, 1)))
    np.testing.assert_allclose([worth.click[0], worth.harm[0]], [0.5, 0.25])
    assert worth.objective(10.0)[0] == pytest.approx(0.5 - 2.5)
    # β u_0 + Σ α p v + (1 − β − Σ α p) u = .25·.75 − .5·.25
    np.testing.assert_allclose(model.expected_move(at, at, probability), [[0.0625]])
    np.testing.assert_allclose(model.move(at, at, np.array([0])), [[0.25]])
    np.testing.assert_allclose(model.move(at, at, np.array([1])), [[-0.5]])
    found = choice.stationary_profile(model, family, at, np.ones((1, 1)))
    u = found.profile[0, 0]
    s, h = np.exp(u), np.exp(-u)
    p = s / (s + 1) + 1 / (s + 1) * s / (s + h)
    assert u == pytest.approx((0.25 * p - 0.5 * (1 - p)) / (0.2 + 0.25 * p + 0.5 * (1 - p)))


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.7, "explore": 0.1, "severity": np.linspace(0, 1, 12)},
        {"dynamics": "boredom"},
        {"dynamics": "static"},
        {"dynamics": "biased_assimilation"},
    ],
    ids=lambda s: s.get("dynamics", "temperature" if s else "paper"),
)
@pytest.mark.parametrize("harm_weight", [0.0, 100.0])
def test_gradient_agrees_with_finite_differences(kind, settings, harm_weight):
    rng = np.random.default_rng(0)
    model = world(rng, **settings)
    family, inherent = FAMILIES[kind](model), 0.8 * rng.normal(size=(3, 4))
    weights = random_weights(rng, family, 3)
    _, slope, _ = choice.gradient(
        model, family, inherent, weights, harm_weight, exposure_weight=0.3
    )
    expected = differences(model, family, inherent, weights, harm_weight, 0.3)
    np.testing.assert_allclose(slope, expected, atol=1e-6 * np.abs(expected).max())


def test_without_the_implicit_term_the_profile_is_taken_as_given():
    rng = np.random.default_rng(1)
    model = world(rng)
    family, inherent = choice.single_items(model), rng.normal(size=(2, 4))
    weights = random_weights(rng, family, 2)
    _, slope, profile = choice.gradient(model, family, inherent, weights, 10.0, implicit=False)
    step, expected = 1e-6, np.zeros_like(weights)
    for column in range(family.size):
        ends = []
        for sign in (1, -1):
            moved = weights.copy()
            moved[:, column] += sign * step
            ends.append(choice.outcome(model, family, profile, moved).objective(10.0))
        expected[:, column] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


@pytest.mark.parametrize(("c", "error"), [(0.6, 1e-6), (6.0, 1e-12), (600.0, 1e-12)])
def test_quadrature_equals_the_sum_over_all_slates(c, error):
    """Also with certain and impossible items, and scores from .001 c to 260 c."""
    rng = np.random.default_rng(2)
    model = world(rng, c=c)
    inherent, weights = rng.normal(size=(4, 4)), rng.random((4, 8))
    weights[:, 0], weights[:, 1] = 1, 0
    weights[0] *= rng.random(8) < 0.5
    pair = [kind(model, 3) for kind in (choice.Sampling, choice.Subsets)]
    first, second = (choice.gradient(model, f, inherent, weights, 10.0) for f in pair)
    np.testing.assert_allclose(first[0], second[0], rtol=error)
    np.testing.assert_allclose(first[1], second[1], atol=error * np.abs(second[1]).max())


def test_monte_carlo_agrees_with_the_sum_over_all_slates():
    rng = np.random.default_rng(3)
    model = world(rng)
    inherent, weights = rng.normal(size=(2, 4)), rng.random((2, 8))
    draws = choice.Draws(model, 3, rng.random((50_000, 8)))
    found = choice.gradient(model, draws, inherent, weights, 10.0)
    exact = choice.gradient(model, choice.Subsets(model, 3), inherent, weights, 10.0)
    np.testing.assert_allclose(found[0], exact[0], atol=0.01)
    np.testing.assert_allclose(found[1], exact[1], atol=0.01)


def test_slates_of_one_are_single_items_and_families_agree():
    rng = np.random.default_rng(4)
    model = world(rng)
    inherent = rng.normal(size=(2, 4))
    single, sampled = choice.single_items(model), choice.Sampling(model, 1)
    listed = choice.Slates(model, single.slates)
    weights = random_weights(rng, single, 2)
    pair = [choice.gradient(model, f, inherent, weights, 10.0) for f in (single, listed)]
    for first, second in zip(*pair, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-12)
    certain = np.eye(8)[[2, 5]]  # one item, always: the same policy in both families
    first = choice.gradient(model, single, inherent, certain, 10.0)
    second = choice.gradient(model, sampled, inherent, certain, 10.0)
    np.testing.assert_allclose(first[0], second[0], rtol=1e-9)
    np.testing.assert_allclose(first[2], second[2], rtol=1e-9)


def test_the_best_mixture_of_single_items_is_a_single_item():
    """k = 1: no mixture of 200 random ones is better than the best item (note, 32 instances)."""
    rng = np.random.default_rng(5)
    for _ in range(4):
        model = world(rng)
        family, inherent = choice.single_items(model), rng.normal(size=(1, 4))
        pure, mixed = np.eye(8), rng.dirichlet(np.full(8, 0.3), size=200)

        def worth(weights, model=model, family=family, inherent=inherent):
            users = np.repeat(inherent, len(weights), axis=0)
            profile = choice.stationary_profile(model, family, users, weights).profile
            return choice.outcome(model, family, profile, weights).objective(10.0)

        assert worth(pure).max() >= worth(mixed).max()


def test_static_users_are_best_served_by_the_top_items_and_harm_falls_with_clicks():
    rng = np.random.default_rng(6)
    model = world(rng, dynamics="static")
    family, inherent = choice.all_slates(model, 3), rng.normal(size=(5, 4))
    for user in inherent:
        users = np.repeat(user[None], family.size, axis=0)
        worth = choice.outcome(model, family, users, np.eye(family.size))
        top = np.sort(model.recommendable[np.argsort(-model.scores(users[:1])[0, :8])[:3]])
        best = int(np.argmax(worth.click))
        assert family.slates[best].tolist() == top.tolist()
        assert best == np.argmin(worth.harm)
        order = np.argsort(worth.click)
        assert (np.diff(worth.harm[order]) <= 1e-12).all()


def test_more_explored_means_less_clicked_and_more_harm():
    rng = np.random.default_rng(7)
    items, u = rng.normal(size=(12, 4)), rng.normal(size=(1, 4))
    harmful = np.arange(12) >= 8
    worth = []
    for explore in (0.0, 0.5, 1.0):
        model = choice.ChoiceModel(items, harmful, explore=explore)
        worth.append(choice.outcome(model, choice.single_items(model), u, np.eye(8)[:1]))
    assert worth[0].click > worth[1].click > worth[2].click == 0
    assert worth[2].harm[0] == pytest.approx(4 / 12)


def test_severity_is_the_harm_of_an_item_and_exposure_that_of_what_is_shown():
    items, u = np.zeros((3, 2)), np.zeros((1, 2))
    model = choice.ChoiceModel(
        items, np.array([False, False, True]), severity=np.array([0.0, 0.4, 1.0]), c=1.0
    )
    family = choice.single_items(model)
    worth = choice.outcome(model, family, u, np.array([[0.0, 1.0]]))
    assert worth.harm[0] == pytest.approx(0.5 * 0.4 + 0.5 * 1.4 / 3)
    assert worth.exposure[0] == pytest.approx(0.4)


class TestBadInput:
    items = np.eye(3)
    harmful = np.array([False, False, True])

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"alpha_harmless": 0.9}, "alpha_harmless \\+ beta at most 1"),
            ({"alpha_harmful": 0.9}, "alpha_harmful"),
            ({"alpha_harmless": -0.1}, "alpha_harmless"),
            ({"beta": 1.2}, "beta"),
            ({"c": 0.0}, "c must be positive"),
            ({"temperature": 0.0}, "temperature"),
            ({"explore": 1.5}, "explore"),
            ({"dynamics": "magic"}, "attraction"),
            ({"severity": np.array([0.0, 2.0, 1.0])}, "severity"),
            ({"harmful": np.ones(3, dtype=bool)}, "Every item is harmful"),
            ({"harmful": np.zeros(2, dtype=bool)}, "\\(3,\\)"),
            ({"items": np.zeros(3)}, "\\(N, d\\)"),
            ({"items": np.array([[1.0], [np.nan], [1.0]])}, "items\\[1, 0\\]"),
        ],
    )
    def test_of_the_model(self, arguments, words):
        with pytest.raises(ValueError, match=words):
            choice.ChoiceModel(**{"items": self.items, "harmful": self.harmful, **arguments})

    def test_of_policies(self):
        model = choice.ChoiceModel(self.items, self.harmful)
        for k in (0, 3):
            with pytest.raises(ValueError, match="harmless items"):
                choice.all_slates(model, k)
            with pytest.raises(ValueError, match="harmless items"):
                choice.Sampling(model, k)
        with pytest.raises(ValueError, match="Item 2 is harmful"):
            choice.Slates(model, np.array([[0, 2]]))
        with pytest.raises(ValueError, match="twice"):
            choice.Slates(model, np.array([[1, 1]]))
        family = choice.single_items(model)
        with pytest.raises(ValueError, match="shape"):
            choice.stationary_profile(model, family, np.zeros((1, 3)), np.ones((1, 3)))
        with pytest.raises(ValueError, match="at least 0"):
            choice.stationary_profile(model, family, np.zeros((1, 3)), np.array([[2.0, -1.0]]))
        with pytest.raises(ValueError, match="at most 1"):
            choice.outcome(model, choice.Sampling(model, 2), np.zeros((1, 3)), np.full((1, 2), 1.5))
        for inherent in (np.zeros(3), np.zeros((1, 2))):
            with pytest.raises(ValueError, match=r"inherent must have shape \(B, 3\)"):
                choice.stationary_profile(model, family, inherent, np.ones((1, 2)) / 2)
        with pytest.raises(ValueError, match="Scale the vectors down"):
            choice.stationary_profile(model, family, np.full((1, 3), 1e3), np.ones((1, 2)) / 2)

    def test_too_many_slates_are_not_listed(self):
        model = choice.ChoiceModel(np.eye(60), np.arange(60) >= 50)
        with pytest.raises(ValueError, match="too many to list"):
            choice.all_slates(model, 10)

    def test_a_fixed_point_that_does_not_converge(self):
        """Bored users with long vectors jump to and fro."""
        model = choice.ChoiceModel(
            np.array([[6.0], [-6.0]]),
            np.array([False, True]),
            c=0.01,
            beta=0.01,
            alpha_harmless=0.9,
            alpha_harmful=0.9,
            dynamics="boredom",
        )
        family = choice.single_items(model)
        with pytest.raises(ValueError, match="did not converge in 50 iterations"):
            choice.stationary_profile(
                model, family, np.ones((2, 1)), np.ones((2, 1)), iterations=50
            )
