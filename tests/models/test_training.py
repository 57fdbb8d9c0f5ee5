"""The training loop: reproducible, resumable to the same result, refusing foreign files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.data.synthetic import MarkovGenreWorld
from recgym.models import store
from recgym.models.training import TrainConfig, fit, refit_config

SHAPE = {"length": 10, "width": 8, "layers": 1}
CONFIG = TrainConfig(epochs=4, batch=16, windows_per_event=0.1, validate_every=1, seed=3)


@pytest.fixture(scope="module")
def log():
    return MarkovGenreWorld(n_users=40, n_items=30, n_genres=3, mean_length=20).log()


def falling(network):
    """A validation metric that is best after the second epoch."""
    falling.calls += 1
    return {"NDCG@10": -abs(falling.calls - 2.0)}


def weights(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for key in first:
        assert torch.equal(first[key], second[key]), key


@pytest.mark.parametrize("model", ["bert4rec", "sasrec"])
def test_same_seed_same_weights(log, model):
    runs = [weights(fit(log, model, SHAPE, CONFIG)[0]) for _ in range(2)]
    assert_equal(*runs)
    other = weights(fit(log, model, SHAPE, replace(CONFIG, seed=4))[0])
    assert not torch.equal(runs[0]["item.weight"], other["item.weight"])


def test_best_epoch_is_returned(log):
    falling.calls = 0
    network, progress = fit(log, "sasrec", SHAPE, CONFIG, validate=falling)
    assert progress.best_epoch == 2
    refitted, _ = fit(log, "sasrec", SHAPE, refit_config(CONFIG, progress))
    assert_equal(weights(network), weights(refitted))


def test_a_training_that_is_stopped_between_validations_is_judged_at_its_end(log):
    falling.calls = 0
    config = replace(CONFIG, stop_after=3, validate_every=2)
    start = weights(fit(log, "sasrec", SHAPE, replace(config, stop_after=1))[0])
    network, progress = fit(log, "sasrec", SHAPE, config, validate=falling)
    assert [("NDCG@10" in point) for point in progress.curve] == [False, True, True]
    assert progress.best_epoch == 3
    assert not torch.equal(weights(network)["item.weight"], start["item.weight"])


def test_patience_stops(log):
    falling.calls = 0
    config = replace(CONFIG, epochs=50, patience=3)
    _, progress = fit(log, "sasrec", SHAPE, config, validate=falling)
    assert progress.epoch == 5


def test_killed_and_resumed_equals_uninterrupted(log, tmp_path):
    """Stop after two epochs by an exception in the report, as Ctrl-C would."""

    def stop(progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    falling.calls = 0
    whole, expected = fit(log, "bert4rec", SHAPE, CONFIG, validate=falling)
    falling.calls = 0
    with pytest.raises(KeyboardInterrupt):
        fit(log, "bert4rec", SHAPE, CONFIG, validate=falling, checkpoint=tmp_path, report=stop)
    epochs = []
    resumed, progress = fit(
        log,
        "bert4rec",
        SHAPE,
        CONFIG,
        validate=falling,
        checkpoint=tmp_path,
        report=lambda p: epochs.append(p.epoch),
    )
    assert epochs == [3, 4]
    assert_equal(weights(whole), weights(resumed))
    assert [p["loss"] for p in progress.curve] == [p["loss"] for p in expected.curve]


def test_foreign_checkpoint_is_refused(log, tmp_path):
    fit(log, "sasrec", SHAPE, CONFIG, checkpoint=tmp_path)
    with pytest.raises(store.StoreError, match="another log, model or settings"):
        fit(log, "sasrec", SHAPE, replace(CONFIG, seed=9), checkpoint=tmp_path)
    file = tmp_path / "checkpoint.safetensors"
    whole = store.read_tensors(file)
    for lost in ("weights", "best", "generator"):
        left = {name: t for name, t in whole.items() if not name.startswith(f"{lost}/")}
        store.write_tensors(file, left)
        with pytest.raises(store.StoreError, match=f"it lacks {lost}. Delete it to start anew"):
            fit(log, "sasrec", SHAPE, CONFIG, checkpoint=tmp_path)
    text = json.loads(bytes(whole["record"].tolist()))
    for record in ({**text["record"], "mood": 1}, {}, []):
        changed = json.dumps({**text, "record": record}).encode()
        tensor = torch.frombuffer(bytearray(changed), dtype=torch.uint8)
        store.write_tensors(file, {**whole, "record": tensor})
        with pytest.raises(store.StoreError, match="its record does not hold best, "):
            fit(log, "sasrec", SHAPE, CONFIG, checkpoint=tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(store.StoreError, match=r"checkpoint\.safetensors"):
        fit(log, "sasrec", SHAPE, CONFIG, checkpoint=tmp_path)


def test_diverging_loss_is_reported(log):
    with pytest.raises(FloatingPointError, match="learning_rate"):
        fit(log, "sasrec", SHAPE, replace(CONFIG, learning_rate=1e30, clip=1e30, warmup=0))


def test_unknown_setting_is_refused():
    with pytest.raises(ValueError, match="epoches"):
        TrainConfig.from_dict({"epoches": 3})
    with pytest.raises(ValueError, match="stop_after must be at least 1"):
        TrainConfig(stop_after=0)
    with pytest.raises(ValueError, match="clip must be positive"):
        TrainConfig(clip=0)


class TestStore:
    @pytest.fixture
    def saved(self, log, tmp_path):
        network, _ = fit(log, "sasrec", SHAPE, replace(CONFIG, epochs=1))
        store.save_model(tmp_path, network, {"tau": -3.0})
        return tmp_path

    def test_round_trip(self, log, saved):
        network, card = store.load_model(saved)
        again, _ = store.load_model(saved)
        assert card["tau"] == -3.0
        assert not network.training
        assert_equal(weights(network), weights(again))
        history = torch.randint(0, 30, (5, 10))
        store.save_model(saved, network, {"tau": -3.0})  # float16 once is float16 for ever
        torch.testing.assert_close(
            store.load_model(saved)[0].scores(history), network.scores(history)
        )

    def test_truncated_weights(self, saved):
        file = saved / store.WEIGHTS
        file.write_bytes(file.read_bytes()[:-10])
        with pytest.raises(store.StoreError, match=store.WEIGHTS):
            store.load_model(saved)

    def test_altered_weights(self, saved):
        file = saved / store.WEIGHTS
        raw = bytearray(file.read_bytes())
        raw[-1] ^= 1
        file.write_bytes(bytes(raw))
        with pytest.raises(store.StoreError, match="SHA-256"):
            store.load_model(saved)

    def test_missing_foreign_and_broken_cards(self, saved, tmp_path):
        card = saved / store.CARD
        with pytest.raises(store.StoreError, match="does not exist"):
            store.load_model(tmp_path / "nowhere")
        card.write_text("{}")
        with pytest.raises(store.StoreError, match="not written by recgym"):
            store.load_model(saved)
        card.write_text("{")
        with pytest.raises(store.StoreError, match=r"model\.json"):
            store.load_model(saved)

    @pytest.mark.parametrize("part", [{"model": "gru"}, {"config": {}}, {"config": {"n_items": 0}}])
    def test_cards_of_no_model(self, saved, part):
        card = {**store.read_json(saved / store.CARD), **part}
        store.write_json(saved / store.CARD, card)
        with pytest.raises(store.StoreError, match="describes no model of recgym"):
            store.load_model(saved)


def test_progress_counts_windows(log):
    """One window per 1/windows_per_event events, whatever the batch."""
    _, progress = fit(log, "sasrec", SHAPE, replace(CONFIG, epochs=1))
    assert progress.epoch == 1
    assert np.isfinite(progress.curve[0]["loss"])
