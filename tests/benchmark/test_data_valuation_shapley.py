"""What DVR's Shapley values are like."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.benchmark.data_valuation import shapley
from recgym.envs.data_valuation.worlds import resolve


def test_the_papers_layout_cannot_value_large_batches():
    small, large = (shapley.ceiling("paper", size, 0, steps=100)[1] for size in (64, 1_024))
    assert small > 0.8
    assert 0.4 < large < 0.65
    assert shapley.ceiling("equivariant", 1_024, 0, steps=10)[1] > 0.99


def test_the_exhibit_draws_figure_2(monkeypatch):
    points = {"cosine": np.array([0.1, 0.3]), "correlation": np.array([0.0, 0.2])}
    monkeypatch.setattr(shapley, "likeness", lambda world, layout, seed: points)
    monkeypatch.setattr(shapley, "ceiling", lambda layout, size, seed: (0.5, 1 - size / 10_000))
    monkeypatch.setattr(shapley, "faithful", lambda world, layout, size, seed: 1 / size + seed)
    made = shapley.exhibit("data-valuation-shapley", None, "clean", lambda *told: None)
    cosine, ceiling = (made.figures[name].axes for name in ("cosine", "ceiling"))
    assert [len(axis.get_lines()) for axis in cosine] == [2, 2]  # a line for each layout
    np.testing.assert_allclose(cosine[0].get_lines()[0].get_xydata(), [[2, 0.1], [4, 0.3]])
    assert len(ceiling[0].get_lines()) == 4
    assert set(made.frames["ceiling"]["samples"]) == set(shapley.SIZES)
    learnt = made.frames["faithful"].set_index(["noise", "layout", "samples"])["value"]
    assert len(learnt) == len(shapley.KINDS) * len(shapley.LAYOUTS) * len(shapley.SIZES)
    assert learnt["spam", "paper", 64] == pytest.approx(2 + 1 / 64, rel=1e-4)


def test_what_dvr_has_learnt_is_judged_within_batches():
    world = resolve("ml-latest-small", noise="uniform")
    found = shapley.faithful(world, "equivariant", 64, 0, episodes=1)
    assert 0 < found < 1
    assert found == shapley.faithful(world, "equivariant", 64, 0, episodes=1)
    assert found != shapley.faithful(world, "equivariant", 64, 1, episodes=1)


def test_likeness_is_a_mean_over_batches(monkeypatch):
    monkeypatch.setattr(shapley, "EPOCHS", 2)
    monkeypatch.setattr(shapley, "APART", 1)
    world = resolve("ml-latest-small", noise=None, warm_epochs=0)
    found = shapley.likeness(world, "equivariant", 0)
    assert {name: values.shape for name, values in found.items()} == {
        "cosine": (2,),
        "correlation": (2,),
    }
    assert all((np.abs(values) <= 1).all() for values in found.values())
    again = shapley.likeness(world, "equivariant", 0)
    np.testing.assert_array_equal(found["cosine"], again["cosine"])
