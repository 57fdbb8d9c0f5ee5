"""What a reward of DataValuation can teach."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.benchmark.data_valuation import signal as of_signal
from recgym.benchmark.data_valuation.signal import signal
from recgym.envs.data_valuation.state import DIRECTIONS
from recgym.envs.data_valuation.tiny import tiny_world
from recgym.envs.data_valuation.worlds import resolve


def test_every_metric_and_world_has_its_signal(monkeypatch):
    monkeypatch.setattr(of_signal, "EVERY", (1,))
    monkeypatch.setattr(of_signal, "EPOCHS", (0,))
    monkeypatch.setattr(of_signal, "signal", lambda world, metric, every: {"value": 0.0})
    made = of_signal.exhibit("data-valuation-signal", None, "clean", lambda *told: None)
    table = made.frames["signal"]
    assert set(table["noise"]) == {"uniform", "popularity", "spam"}
    assert (table.groupby("noise")["reward"].agg(set) == set(DIRECTIONS)).all()
    assert of_signal._metrics(tiny_world()) == ["Loss", "Recall", "NDCG", "Gini"]


def test_leaving_out_bought_clicks_shows_in_the_loss():
    world = resolve("ml-latest-small", noise="spam", warm_epochs=10)
    found = signal(world, "Loss", 10, streams=6)
    assert found["value"] > found["low"] > 1
    assert found["high"] > found["value"]
    assert found["oracle"] > found["random"]
    assert found["value"] == pytest.approx((found["oracle"] - found["random"]) / found["deviation"])
    again = signal(world, "Loss", 10, streams=6)
    np.testing.assert_array_equal(list(again.values()), list(found.values()))
