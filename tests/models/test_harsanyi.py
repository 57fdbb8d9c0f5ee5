"""Shapley values of HarsanyiNet against their definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from recgym.models.harsanyi import HarsanyiNet


def net(n, layout, gamma=1.0, **settings):
    generator = torch.Generator().manual_seed(3)
    made = HarsanyiNet(n, layout=layout, gamma=gamma, generator=generator, **settings)
    return made.double()


def by_definition(model, h):
    """(n,) from the worth of all sets, absent players being 0."""
    n = h.shape[1]
    order = h.argsort(dim=1, stable=True)
    sets = torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=h.dtype)
    worth = model(sets * h, order.expand(len(sets), n))[0].detach().numpy()
    codes, size = np.arange(2**n), sets.sum(dim=1).numpy().astype(int)
    values = np.zeros(n)
    for member in range(n):
        bit = 1 << (n - 1 - member)
        without = codes[(codes & bit) == 0]
        share = [math.factorial(s) * math.factorial(n - s - 1) for s in size[without]]
        values[member] = np.dot(share, worth[without | bit] - worth[without]) / math.factorial(n)
    return values


@pytest.mark.parametrize("gamma", [1.0, 10.0, 1000.0])
@pytest.mark.parametrize(
    ("layout", "settings"), [("paper", {"act_ratio": 0.4}), ("equivariant", {})]
)
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_values_are_shapley_values(n, layout, settings, gamma):
    model = net(n, layout, gamma, **settings)
    h = torch.tanh(torch.randn(1, n, generator=torch.Generator().manual_seed(n))).double()
    total, values = model(h)
    found = values[0].detach().numpy()
    np.testing.assert_allclose(found, by_definition(model, h), atol=1e-10)
    assert found.sum() == pytest.approx(float(total.detach()), abs=1e-12)
    assert (found != 0).any()


@pytest.mark.parametrize("layout", ["paper", "equivariant"])
@pytest.mark.parametrize("n", range(1, 9))
def test_values_of_equal_and_absent_players(n, layout):
    """Zeros are players that are absent already: they are worth nothing, and nobody else less."""
    h = torch.randn(1, n, generator=torch.Generator().manual_seed(n)).double()
    halved = h.clone()
    halved[:, ::2] = 0
    for gamma in (1.0, 1000.0):
        model = net(n, layout, gamma, act_ratio=0.4)
        for inputs in (halved, h.sign(), torch.full_like(h, 0.5)):
            total, values = model(inputs)
            found = values[0].detach().numpy()
            np.testing.assert_allclose(found, by_definition(model, inputs), atol=1e-10)
            assert found.sum() == pytest.approx(float(total.detach()), abs=1e-12)
            assert (found[inputs[0].numpy() == 0] == 0).all()


@pytest.mark.parametrize("layout", ["paper", "equivariant"])
def test_a_batch_of_games_is_the_games_one_by_one(layout):
    model = net(6, layout)
    h = torch.randn(4, 6, generator=torch.Generator().manual_seed(0)).double()
    together = model.shapley(h)
    for row in range(4):
        torch.testing.assert_close(together[row : row + 1], model.shapley(h[row : row + 1]))


def test_permuting_players_permutes_values_and_nobody_is_left_out():
    model = net(50, "equivariant", gamma=1000.0)
    h = torch.tanh(torch.randn(1, 50, generator=torch.Generator().manual_seed(0))).double()
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model.shapley(h[:, order]), model.shapley(h)[:, order])
    assert (model.shapley(h) != 0).all()


@pytest.mark.parametrize("layout", ["paper", "equivariant"])
def test_gradients_reach_inputs_weights_and_masks(layout):
    model = net(8, layout, act_ratio=0.02)
    h = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    model(h)[0].sum().backward()
    assert (h.grad != 0).any()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).any(), name


def test_units_start_with_the_share_of_children_that_was_asked_for():
    model = net(200, "paper", act_ratio=0.01, units=10)
    assert ((model.body.logits[0] > 0).sum(dim=1) == 2).all()
    assert ((model.body.logits[1] > 0).sum(dim=1) == 1).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"players": 0},
        {"layout": "square"},
        {"units": 0},
        {"gamma": 0.0},
        {"gamma": math.nan},
        {"act_ratio": 1.5},
    ],
)
def test_what_cannot_be(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must"):
        HarsanyiNet(**{"players": 3, **wrong})


def test_the_papers_layout_has_its_number_of_players():
    with pytest.raises(ValueError, match="has 3 players"):
        net(3, "paper").shapley(torch.zeros(1, 4).double())
    assert net(3, "equivariant").shapley(torch.ones(1, 4).double()).shape == (1, 4)
