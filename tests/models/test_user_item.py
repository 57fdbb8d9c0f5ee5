"""BPR and TransRec: scores and losses by hand, sampled negatives, what they learn and what not."""

import numpy as np
import pytest
import torch

from recgym import data
from recgym.data.synthetic import MarkovGenreWorld
from recgym.evaluators import held_out
from recgym.models import model_class, user_item_names
from recgym.models.training import TrainConfig, fit
from recgym.models.user_item import unseen_items

USERS, N, K = 5, 12, 3
CONFIG = TrainConfig(
    epochs=60, batch=64, windows_per_event=1.0, learning_rate=0.02, weight_decay=0.0, seed=1
)


def build(name, **config):
    torch.manual_seed(0)
    kind = model_class(name)
    model = kind(kind.Config(n_items=N, n_users=USERS, width=K, **config))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.after_step()
    return model


def triples(rows=40, seed=0):
    rng = np.random.default_rng(seed)
    bounds = (USERS, N + 1, N, N)  # the last item may be missing
    return [torch.as_tensor(rng.integers(0, bound, rows)) for bound in bounds]


@pytest.mark.parametrize("name", user_item_names())
def test_scores_of_the_catalogue_are_the_pairs_scores(name):
    model = build(name)
    user, previous, *_ = triples()
    whole = model.user_scores(previous[:, None], user)
    assert whole.shape == (40, N)
    for item in range(N):
        one = model.pair_scores(user, previous, torch.full((40,), item))
        torch.testing.assert_close(whole[:, item], one)
    nothing = model.user_scores(torch.zeros((2, 0), dtype=torch.long), user[:2])
    padding = model.user_scores(torch.full((2, 4), N), user[:2])
    assert torch.isfinite(nothing).all()
    torch.testing.assert_close(nothing, padding)


def test_bpr_by_hand():
    model = build("bpr", l2=0.5)
    u, i, j = model.user.weight[2], model.item.weight[3], model.item.weight[7]
    above = u @ i + model.bias[3] - u @ j - model.bias[7]
    squares = sum((x**2).sum() for x in (u, i, j, model.bias[3], model.bias[7]))
    expected = -torch.log(torch.sigmoid(above)) + 0.25 * squares
    found = model.loss(*(torch.tensor([x]) for x in (2, 5, 3, 7)))
    torch.testing.assert_close(found, expected)


def test_transrec_by_hand():
    model = build("transrec", reg=0.2, reg_bias=0.4, reg_user=0.6)
    p, i, j = (model.place.weight[x] for x in (5, 3, 7))
    t, t_u = model.translation, model.own.weight[2]
    score = [-model.beta[k] - ((p + t + t_u - x) ** 2).sum() for k, x in ((3, i), (7, j))]
    torch.testing.assert_close(
        model.user_scores(torch.tensor([[1, 5]]), torch.tensor([2]))[0, [3, 7]],
        torch.stack(score),
    )
    penalty = 0.1 * sum((x**2).sum() for x in (p, i, j, t))
    penalty = penalty + 0.2 * (model.beta[3] ** 2 + model.beta[7] ** 2) + 0.3 * (t_u**2).sum()
    expected = -torch.log(torch.sigmoid(score[0] - score[1])) + penalty
    found = model.loss(*(torch.tensor([x]) for x in (2, 5, 3, 7)))
    torch.testing.assert_close(found, expected)


def test_negatives_are_unseen_and_cover_the_rest():
    log = data.InteractionLog.from_columns(
        "t", np.repeat([0, 1, 2], [9, 1, 10]), np.r_[np.arange(9), 4, np.arange(10)]
    )
    user = np.repeat([0, 1, 2], 400)
    item = unseen_items(log, user, np.random.default_rng(0))
    assert set(item[user == 0]) == {9}
    assert set(item[user == 1]) == set(range(10)) - {4}
    assert set(item[user == 2]) == set(range(10)), "she has had them all: any will do"


@pytest.fixture(scope="module")
def world():
    """Users with tastes of their own, whose next genre depends on the last."""
    return MarkovGenreWorld(
        n_users=150, n_items=40, n_genres=4, mean_length=30, stay=0.8, forward=0.1, backward=0.05
    ).log()


def two_tastes():
    """Even users take even items and odd ones odd items, in no order."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(40), 10)
    item = np.concatenate([2 * rng.permutation(20)[:10] + u % 2 for u in range(40)])
    return data.InteractionLog.from_columns("tastes", user, item)


def test_bpr_learns_tastes():
    log = two_tastes()
    network, _ = fit(log, "bpr", {"width": 4}, CONFIG)
    score = held_out.network_scorer(network)(np.full((40, 1), 40), np.arange(40))
    own = score.reshape(40, 20, 2)[np.arange(40), :, np.arange(40) % 2]
    other = score.reshape(40, 20, 2)[np.arange(40), :, 1 - np.arange(40) % 2]
    assert (own.min(axis=1) > other.max(axis=1)).mean() > 0.9
    np.testing.assert_allclose(np.exp(score).sum(axis=1), 1, atol=1e-5)


def test_transrec_learns_transitions(world):
    train, _ = data.leave_last_out(world)
    test = held_out.HeldOut.of(world, 1)
    network, _ = fit(train, "transrec", {"width": 8}, CONFIG)
    found = held_out.evaluate(held_out.network_scorer(network), test)["MRR"]
    floor = held_out.evaluate(held_out.popularity_scorer(train), test)["MRR"]
    assert found > 1.2 * floor
    norms = network.place.weight.norm(dim=1)
    assert norms.max() <= 1 + 1e-6
    assert norms[-1] == 0, "no last item: the origin"


@pytest.mark.parametrize("name", user_item_names())
def test_same_seed_same_weights(world, name):
    config = TrainConfig(epochs=2, batch=64, windows_per_event=0.3)
    first, second = (fit(world, name, {}, config)[0].state_dict() for _ in range(2))
    for key, value in first.items():
        assert torch.equal(value, second[key])


@pytest.mark.parametrize(
    ("name", "setting"),
    [("bpr", {"l2": -1}), ("bpr", {"l2": float("nan")}), ("bpr", {"width": 0})]
    + [("transrec", {key: -0.1}) for key in ("reg", "reg_bias", "reg_user")]
    + [("transrec", {"n_users": 0}), ("transrec", {"l2": 1})],
)
def test_bad_settings_are_refused_by_name(name, setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        model_class(name).Config.from_dict({"n_items": N, **setting})
