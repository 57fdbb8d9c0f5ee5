"""DataSelection's tiny game as a table: against single trainings, and its equilibria by hand."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.evaluators.influence import fit, user_losses
from recgym.evaluators.influence.stacked import fit_stacked
from recgym.testing import SelectionOptimum, optimum
from recgym.testing.selection import _stable, best_reply_gains

TINY = "recgym/DataSelectionTiny-v0"


@pytest.fixture(scope="module")
def solved():
    env = gym.make(TINY, split="validation")
    found = optimum(env)
    assert isinstance(found, SelectionOptimum)
    return env, env.unwrapped.problem, found


def deviations(problem, found, row, user):
    """Rows of all joint selections in which ``user`` alone differs, her present one included."""
    first, last = problem.game.data.offsets[user], problem.game.data.offsets[user + 1]
    others = row & ~(((1 << (last - first)) - 1) << first)
    return others | (np.arange(1 << (last - first)) << first)


def test_the_stack_equals_single_trainings(solved):
    _, problem, found = solved
    model, data = problem.game.model, problem.game.data
    rows = np.random.default_rng(0).choice(len(found.selections), 30, replace=False)
    for row in np.append(rows, [0, len(found.selections) - 1]):
        selected = found.selections[row].astype(float)
        losses = user_losses(model, fit(model, selected), data.validation)
        z = problem.utilities(selected[None], problem.game.willingness(0), losses[None])[0]
        np.testing.assert_allclose(found.utilities[row], z, atol=2e-6)
        assert found.row(selected) == row


def test_equilibria_are_those_that_nobody_leaves(solved):
    _, problem, found = solved
    assert found.epsilon == 0
    stable = set(found.equilibria.tolist())
    for row in [*stable, *np.random.default_rng(1).integers(len(found.selections), size=50)]:
        gains = [
            found.utilities[deviations(problem, found, row, user), user].max()
            - found.utilities[row, user]
            for user in range(problem.n_users)
        ]
        np.testing.assert_allclose(found.gains[row], gains, atol=1e-12)
        assert (max(gains) <= 1e-9) == (row in stable)


def test_without_a_pure_equilibrium_the_nearest_is_found():
    """Matching pennies: somebody always gains 2. With a draw of .5 in one corner, ε is .5."""
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    gains = best_reply_gains(pennies, np.array([1, 1]))
    epsilon, rows = _stable(gains, pennies.mean(axis=1))
    assert epsilon == 2.0
    np.testing.assert_array_equal(np.sort(rows), [0, 1, 2, 3])
    pennies[0] = 0.5  # row 1 flips the first user's bit: she stays, the other one would leave
    epsilon, rows = _stable(best_reply_gains(pennies, np.array([1, 1])), pennies.mean(axis=1))
    assert epsilon == 0.5
    np.testing.assert_array_equal(rows, [0])


def test_what_users_choose_is_not_what_is_best_for_all(solved):
    _, _, found = solved
    assert found.worst_value < found.random_value < found.equilibrium_value < found.value
    assert found.regret(found.value) == 0
    assert found.regret(found.random_value) == 1
    assert found.utilities[found.social].mean() == found.value


@pytest.mark.parametrize("play", ["social", "equilibrium"])
def test_its_play_ends_with_its_value(solved, play):
    env, _, found = solved
    observation, _ = env.reset(seed=0)
    over = False
    while not over:
        observation, _, over, _, info = env.step(found.act(observation, play))
    expected = found.value if play == "social" else found.equilibrium_value
    assert info["metrics"]["z"] == pytest.approx(expected, abs=2e-6)


def test_influence_points_where_retraining_does(solved):
    """The sign of what each user gains by her best selection, everybody else keeping all."""
    _, problem, found = solved
    everything = len(found.selections) - 1
    predicted = problem.game.anchor(cross=True)
    before = predicted.losses(np.ones((1, problem.size)))
    for user in range(problem.n_users):
        rows = deviations(problem, found, everything, user)
        best = rows[found.utilities[rows, user].argmax()]
        selected = found.selections[[everything, best]].astype(float)
        losses = np.concatenate([before, predicted.losses(selected[1:])])
        z = problem.utilities(selected, problem.game.willingness(0), losses)[:, user]
        true = found.utilities[best, user] - found.utilities[everything, user]
        assert np.sign(z[1] - z[0]) == np.sign(true)


def test_what_cannot_be_listed_is_refused(solved):
    _, problem, _ = solved
    with pytest.raises(ValueError, match="at most 12 pairs"):
        optimum(gym.make("recgym/DataSelection-v0"))
    with pytest.raises(ValueError, match="willingness that stays"):
        optimum(gym.make(TINY, drift=0.1))
    with pytest.raises(ValueError, match="have shape"):
        fit_stacked(problem.game.model, np.ones((2, 3)))


def test_play_of_another_draw_is_refused(solved):
    env, _, found = solved
    observation, _ = env.reset(seed=0)
    observation["willingness"] = 1 - observation["willingness"]
    with pytest.raises(ValueError, match="the draw that the optimum was computed for"):
        found.act(observation)
