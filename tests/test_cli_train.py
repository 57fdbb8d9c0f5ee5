"""``recgym train evaluator`` on a user's own file: wrong settings, a kill, and the result's use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

import recgym  # noqa: F401
from recgym import data, evaluators
from recgym.evaluators import backbones, held_out
from recgym.evaluators import train as training
from recgym.models.training import TrainConfig

ROOT = Path(__file__).parents[1]


@pytest.fixture
def csv(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    rows = [(u, i, t) for u in range(60) for t, i in enumerate(rng.permutation(40)[:20])]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    frame.to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path / "mine.csv"


def command(csv: Path, *arguments: str) -> list[str]:
    start = [sys.executable, "-m", "recgym", "train", "evaluator", "--model", "sasrec"]
    return [*start, "--dataset", str(csv), "--width", "8", "--length", "6", *arguments]


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "RECGYM_CACHE": str(cache), "COLUMNS": "300", "PYTHONPATH": str(ROOT)}


def test_killed_continued_and_used_as_a_world(csv, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    line = command(csv, "--epochs", "40", "--batch", "2")
    first = subprocess.Popen(
        line, env=environment(cache), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    give_up = time.monotonic() + 60
    while not list(cache.glob("checkpoints/*/validation/checkpoint.safetensors")):
        assert first.poll() is None, "it ended before it was killed"
        assert time.monotonic() < give_up
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not list(cache.glob("evaluators/**/model.json"))
    out = subprocess.run(line, env=environment(cache), capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert not list(cache.glob("checkpoints/*")), "a finished training needs no checkpoint"
    monkeypatch.setenv("RECGYM_CACHE", str(cache))
    env = gym.make("recgym/InfluencePath-v0", dataset=str(csv), evaluator="sasrec")
    env.reset(seed=0)
    assert env.unwrapped.problem.evaluator.tau < 0
    card = json.loads(next(cache.glob("evaluators/mine-*/sasrec/model.json")).read_text())
    assert str(csv) in card["command"]
    assert "stands for" not in out.stdout
    mine = tmp_path / "elsewhere"
    line = command(csv, "--epochs", "1", "--batch", "64", "--out", str(mine))
    out = subprocess.run(line, env=environment(cache), capture_output=True, text=True)
    used = next(cache.glob("evaluators/mine-*/sasrec"))
    assert f"The name 'sasrec' stands for {used}" in out.stdout
    assert f"NetworkEvaluator.read('{mine}')" in out.stdout


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--model", "nope"),
        ("--epochs", "0"),
        ("--width", "7"),
        ("--length", "0"),
        ("--learning-rate", "nan"),
        ("--dropout", "2"),
        ("--batch", "0"),
        ("--threads", "0"),
        ("--seed", "-1"),
    ],
)
def test_a_wrong_setting_is_one_sentence(csv, tmp_path, flag, value):
    out = subprocess.run(
        command(csv, flag, value), env=environment(tmp_path), capture_output=True, text=True
    )
    assert out.returncode == 2, out.stderr
    assert "Traceback" not in out.stderr
    assert flag.strip("-").replace("-", "_") in out.stderr


def test_an_unfinished_training_leaves_no_evaluator(csv, tmp_path, monkeypatch):
    """Its card would have no τ, and the environment would take it."""

    def broken(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(held_out, "popularity_scorer", broken)
    shape = {"length": 6, "width": 8, "layers": 1}
    with pytest.raises(KeyboardInterrupt):
        training.train_evaluator(
            data.read(csv), "sasrec", tmp_path / "out", model_config=shape, config=TrainConfig(1)
        )
    assert not (tmp_path / "out" / "model.json").exists()


def test_the_message_names_the_command_for_these_data(csv, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluators, "_LOADED", {})  # what other tests have trained
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path / "empty"))
    for log, words in (
        (data.load("ml-latest-small", "raw"), "--dataset ml-latest-small --variant raw"),
        (data.load("synthetic"), "--dataset synthetic"),
        (data.read(csv).keep(np.arange(50)), "--dataset PATH"),
    ):
        with pytest.raises(data.DataError, match=words):
            evaluators.load("sasrec", log)


def test_train_backbone_prints_its_card_and_is_found(csv, tmp_path, monkeypatch):
    line = [sys.executable, "-m", "recgym", "train", "backbone", "--dataset", str(csv)]
    arguments = ["--model", "transrec", "--epochs", "3", "--batch", "16"]
    out = subprocess.run(
        [*line, *arguments], env=environment(tmp_path), capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    assert "transrec on mine" in out.stdout
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path))
    log = data.k_core(data.read(csv))
    scores = backbones.scorer("transrec", log)(np.array([[1, 2], [1, 2]]), np.array([0, 1]))
    assert scores.shape == (2, log.n_items)
    wrong = [*line, "--model", "sasrec"]
    out = subprocess.run(wrong, env=environment(tmp_path), capture_output=True, text=True)
    assert out.returncode == 2
    assert "bpr, transrec" in out.stderr


@pytest.mark.parametrize("tau", [None, "low", 0.0, 3.5, float("nan"), float("-inf")])
def test_a_card_without_a_usable_tau_is_refused(tmp_path, monkeypatch, tau):
    from recgym.models import model_class, store

    monkeypatch.setattr(evaluators, "_LOADED", {})  # what other tests have trained
    log = data.load("synthetic")
    monkeypatch.setenv("RECGYM_CACHE", str(tmp_path))
    kind = model_class("sasrec")
    network = kind(kind.Config(n_items=log.n_items, length=4, width=8))
    card = {"data_fingerprint": log.fingerprint, "tau": tau}
    store.save_model(evaluators.folders("sasrec", log)[-1], network, card)
    with pytest.raises(store.StoreError, match="tau must be a negative number"):
        evaluators.load("sasrec", log)
