"""Samplers of negatives: nothing that was taken, the right frequencies, the right weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

from recgym.evaluators.learner import Learner, Optimiser, Triplets
from recgym.evaluators.learner.samplers import (
    SAMPLERS,
    Adaptive,
    ImportanceSampling,
    Interactions,
    Popularity,
)
from recgym.models import collaborative_class

USERS, ITEMS, WIDTH = 6, 40, 3
_RNG = np.random.default_rng(0)
_CODES = np.unique(_RNG.integers(0, USERS, 90) * ITEMS + (ITEMS * _RNG.random(90) ** 2).astype(int))
OF = Interactions(_CODES // ITEMS, _CODES % ITEMS, ITEMS)
VECTORS = (_RNG.standard_normal((USERS, WIDTH)), _RNG.standard_normal((ITEMS, WIDTH)))


def vectors():
    return VECTORS


def drawn(sampler, user: int, n: int = 20_000):
    """(n, m) negatives of one user."""
    rng = np.random.default_rng(1)
    sampler.start_epoch(vectors, rng)
    return sampler.draw(np.full(n, user), vectors, rng)


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_sampler_draws_what_was_taken(name):
    sampler = SAMPLERS[name](OF)
    user = np.repeat(np.arange(USERS), 200)
    rng = np.random.default_rng(0)
    sampler.start_epoch(vectors, rng)
    negatives = sampler.draw(user, vectors, rng)
    assert negatives.shape == (len(user), 5 if name.startswith("pris") else 1)
    assert not np.isin(user[:, None] * ITEMS + negatives, OF.taken).any()
    weights = sampler.importance(np.zeros(negatives.shape), user, negatives)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def frequencies(items):
    return np.bincount(items.ravel(), minlength=ITEMS) / items.size


def without_taken(weights, user: int):
    weights = np.array(weights, dtype=float)
    weights[OF.item[OF.user == user]] = 0
    return weights / weights.sum()


def test_popularity_draws_items_as_often_as_they_were_taken():
    expected = without_taken(OF.counts, 2)
    np.testing.assert_allclose(frequencies(drawn(Popularity(OF), 2)), expected, atol=0.012)


def test_adaptive_draws_ranks_of_factors():
    users, items = VECTORS
    of_factor = np.abs(users[1]) * items.std(axis=0)
    of_rank = np.exp(-np.arange(1, ITEMS + 1) / (0.2 * ITEMS))
    expected = np.zeros(ITEMS)
    for factor in range(WIDTH):
        order = np.argsort(-np.sign(users[1, factor]) * items[:, factor])
        expected[order] += of_factor[factor] / of_factor.sum() * of_rank / of_rank.sum()
    found = frequencies(drawn(Adaptive(OF, share=0.2), 1))
    np.testing.assert_allclose(found, without_taken(expected, 1), atol=0.012)


def test_adaptive_orders_items_again_every_n_log_n_draws():
    sampler, asked = Adaptive(OF), []

    def watched():
        asked.append(1)
        return VECTORS

    rng = np.random.default_rng(0)
    every = round(ITEMS * np.log(ITEMS))  # 148
    for _ in range(4):
        sampler.draw(np.zeros(every // 2, dtype=np.int64), watched, rng)
    assert len(asked) == 2
    sampler.start_epoch(watched, rng)
    sampler.draw(np.zeros(1, dtype=np.int64), watched, rng)
    assert len(asked) == 3


@pytest.mark.parametrize("base", ["uniform", "popularity"])
def test_clusters_draw_by_their_centres_and_weights_correct_it(base):
    sampler = ImportanceSampling(OF, base, clusters=4)
    negatives = drawn(sampler, 3)
    of_item = np.ones(ITEMS) if base == "uniform" else OF.counts
    q = of_item * np.exp(sampler._centres[sampler._cluster] @ VECTORS[0][3])
    np.testing.assert_allclose(frequencies(negatives), without_taken(q, 3), atol=0.012)
    some = negatives[:9]
    scores = np.random.default_rng(2).standard_normal(some.shape)
    expected = np.exp(scores) / q[some]
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(sampler.importance(scores, np.full(9, 3), some), expected)


@pytest.mark.parametrize("name", ["mf", "neumf"])
def test_a_step_on_many_negatives_is_on_their_weighted_losses(name):
    kind = collaborative_class(name)
    model = kind(kind.Config(USERS, ITEMS, WIDTH)).initialise(torch.Generator().manual_seed(0))
    learner = Learner.of(model, Optimiser())
    rng = np.random.default_rng(3)
    user, item = rng.integers(0, USERS, 7), rng.integers(0, ITEMS, 7)
    negatives = rng.integers(0, ITEMS, (7, 5))
    weights = rng.dirichlet(np.ones(5), 7)
    found = learner.gradient(
        learner.start().values,
        Triplets.with_many(user, item, negatives),
        weights.reshape(1, -1).astype(np.float32),
    )
    losses = 0.0
    for j in range(5):
        u, i, other = (torch.from_numpy(a) for a in (user, item, negatives[:, j]))
        apart = model(u, i) - model(u, other)
        losses = losses - (torch.from_numpy(weights[:, j]).float() * logsigmoid(apart)).sum()
    parts = torch.autograd.grad(losses / 7, list(model.parameters()))
    expected = torch.cat([part.flatten() for part in parts])
    np.testing.assert_allclose(found[0].numpy(), expected.numpy(), atol=1e-6)


def test_where_every_proposal_is_taken_a_uniform_draw_fills_in():
    user = np.zeros(30, dtype=np.int64)
    taken = OF.item[OF.user == 0][0]
    found = OF.untaken(user, lambda places: np.full(len(places), taken), np.random.default_rng(0))
    assert not np.isin(user * ITEMS + found, OF.taken).any()
    assert len(np.unique(found)) > 5


def test_refusals():
    with pytest.raises(ValueError, match="base"):
        ImportanceSampling(OF, "loud")
    with pytest.raises(ValueError, match="m must be"):
        ImportanceSampling(OF, m=0)
    with pytest.raises(ValueError, match="share"):
        Adaptive(OF, share=0)
