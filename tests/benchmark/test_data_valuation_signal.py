"""What a reward of DataValuation can teach."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from recgym.benchmark.data_valuation import signal as of_signal
from recgym.benchmark.data_valuation.signal import signal
from recgym.benchmark.data_valuation.suite import suite
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


def test_own_data_of_any_size(tmp_path):
    """Batches and lists are no longer than the data: the environment's would be refused."""
    rng = np.random.default_rng(0)
    rows = [f"{user},{item}" for user in range(40) for item in rng.permutation(19)[:10]]
    path = tmp_path / "own.csv"
    path.write_text("\n".join(["user,item", *rows]))
    found = suite(str(path)).env_kwargs
    assert found["batch"] < 400
    assert found["k"] == 19
    env = gym.make("recgym/DataValuation-v0", **found)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert "batch" not in suite().env_kwargs
    world = resolve(str(path), noise="uniform", warm_epochs=0)
    assert np.isfinite(signal(world, "Loss", 1, streams=3)["value"])
