"""A recommender under training: against torch's own optimiser, row by row and stacked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

from recgym.evaluators.learner import Learner, Optimiser, StackedMF, Triplets
from recgym.models import collaborative_class

USERS, ITEMS, WIDTH, BATCH = 7, 11, 4, 16
EDGES = np.random.default_rng(0).integers(0, [USERS, ITEMS], (30, 2))


def model_of(name: str):
    kind = collaborative_class(name)
    model = kind(kind.Config(USERS, ITEMS, WIDTH)).initialise(torch.Generator().manual_seed(1))
    return model.with_graph(torch.from_numpy(EDGES[:, 0]), torch.from_numpy(EDGES[:, 1]))


def triplets(rows: int, seed: int = 0) -> Triplets:
    rng = np.random.default_rng(seed)
    return Triplets(*(rng.integers(0, n, (rows, BATCH)) for n in (USERS, ITEMS, ITEMS)))


def kept(rows: int) -> np.ndarray:
    return np.random.default_rng(5).random((rows, BATCH)).astype(np.float32)


@pytest.mark.parametrize("name", ["mf", "neumf", "lightgcn", "mgcf"])
def test_steps_are_those_of_torch(name):
    optimiser = Optimiser(learning_rate=0.05, weight_decay=0.01)
    learner, model = Learner.of(model_of(name), optimiser), model_of(name)
    adam = torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=0.01)
    weights = learner.start()
    for step in range(4):
        batch, s = triplets(1, step), kept(1)
        weights = learner.step(weights, batch, s)
        user, item, negative = (
            torch.from_numpy(a[0]) for a in (batch.user, batch.item, batch.negative)
        )
        apart = model(user, item) - model(user, negative)
        w = torch.from_numpy(s[0])
        loss = -(w * logsigmoid(apart)).sum() / max(1.0, float(w.sum()))
        adam.zero_grad()
        loss.backward()
        for p in model.parameters():  # a part that no triplet reaches still decays
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        adam.step()
    theirs = torch.cat([p.detach().flatten() for p in model.parameters()]).numpy()
    # x_ui − x_uj cancels the last bias of neumf: Adam makes steps of whatever rounding leaves
    compared = slice(None, -1 if name == "neumf" else None)
    np.testing.assert_allclose(weights.values[0, compared], theirs[compared], atol=2e-5)


def test_stacked_rows_are_the_rows_one_by_one():
    slow, fast = Learner(model_of("mf"), Optimiser()), StackedMF(model_of("mf"), Optimiser())
    rows = 3
    rng = np.random.default_rng(2)
    values = rng.standard_normal((rows, fast.n_parameters)).astype(np.float32)
    batch, s = triplets(rows), kept(rows)
    for name in ("positive", "negative", "loss", "user_norm", "item_norm", "other_norm"):
        one, other = (getattr(x.signals(values, batch), name) for x in (slow, fast))
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(slow.losses(values, batch), fast.losses(values, batch), atol=1e-5)
    np.testing.assert_allclose(
        slow.gradient(values, batch, s).numpy(), fast.gradient(values, batch, s).numpy(), atol=1e-5
    )
    np.testing.assert_array_equal(slow.embeddings(values, batch), fast.embeddings(values, batch))
    direction = rng.standard_normal(values.shape).astype(np.float32)
    np.testing.assert_allclose(
        slow.alignment(values, batch, direction),
        fast.alignment(values, batch, direction),
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ["mf", "lightgcn"])
def test_alignment_is_the_product_of_gradients(name):
    learner = Learner.of(model_of(name), Optimiser())
    values, batch = learner.start().values, triplets(1)
    direction = np.random.default_rng(0).standard_normal(values.shape).astype(np.float32)
    for place in (0, 7):
        one = Triplets(*(a[:, place : place + 1] for a in (batch.user, batch.item, batch.negative)))
        gradient = learner.gradient(values, one, np.ones((1, 1))).numpy()
        found = learner.alignment(values, batch, direction)[0, place]
        assert found == pytest.approx(float((gradient * direction).sum()), abs=1e-4)
    users, items = learner.of_items.numpy()[[0, -1]]
    assert (bool(users), bool(items)) == (False, True)


def test_a_row_that_keeps_nothing_stays_and_others_do_not():
    learner = Learner.of(model_of("mf"), Optimiser(weight_decay=0.1))
    before = learner.start(2)
    values = before.values.copy()
    s = kept(2)
    s[0] = 0
    after = learner.step(before, triplets(2), s)
    np.testing.assert_array_equal(before.values, values)  # a step changes nothing in place
    np.testing.assert_array_equal(after.values[0], values[0])
    assert (after.values[1] != values[1]).any()
    assert after.steps.tolist() == [0, 1]


@pytest.mark.parametrize("name", ["mf", "lightgcn"])
def test_steps_in_place_are_the_steps(name):
    settings = Optimiser(weight_decay=0.1)
    one, other = (Learner.of(model_of(name), settings) for _ in range(2))
    apart, same = one.start(2), other.start(2)
    memory = same.values
    for step in range(3):
        batch, s = triplets(2, step), kept(2)
        s[0, :] *= step != 1  # a row that keeps nothing
        for learner, weights in ((one, apart), (other, same)):
            learner.signals(weights.values, batch)
        apart = one.step(apart, batch, s)
        same = other.step(same, batch, s, reuse=True)
        # a step goes on from the signals before it, and what comes after must not
        np.testing.assert_array_equal(
            other.gradient(same.values, batch, s), one.gradient(apart.values, batch, s)
        )
    for field in ("values", "first", "second", "steps"):
        np.testing.assert_array_equal(getattr(same, field), getattr(apart, field))
    assert same.values is memory  # a chain of views of it would keep gradients alive
    assert same.steps.tolist() == [2, 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
@pytest.mark.parametrize("name", ["mf", "lightgcn"])
def test_weights_that_cannot_be(name, bad):
    learner = Learner.of(model_of(name), Optimiser())
    s = kept(2)
    s[1, 3] = bad
    with pytest.raises(ValueError, match=r"finite and at least 0; 1 of 32 are not, such as"):
        learner.step(learner.start(2), triplets(2), s)


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"weight_decay": -1.0}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Optimiser(**wrong)
