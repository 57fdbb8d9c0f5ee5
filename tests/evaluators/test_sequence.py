"""Simulated users: the contract, the shipped ones, the exact one."""

import numpy as np
import pytest

from recgym import data, evaluators
from recgym.data.synthetic import MarkovGenreWorld, default_world
from recgym.evaluators import backbones, held_out
from recgym.evaluators.train import train_evaluator
from recgym.models.training import TrainConfig
from recgym.testing import check_sequence_evaluator

SHIPPED = ["bert4rec", "sasrec"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_evaluators_keep_the_contract(name):
    check_sequence_evaluator(evaluators.load(name, "ml-latest-small"), rows=16)


def test_markov_of_the_synthetic_world_is_the_true_chain():
    user = evaluators.load("markov", "synthetic")
    check_sequence_evaluator(user, tolerance=0.0)
    last = np.array([[3], [499], [500]])
    expected = default_world().log_transition(last[:, 0])
    np.testing.assert_allclose(user.log_prob(last), expected, atol=1e-5)


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_tell_the_truth(name):
    """The card's metrics are what the shipped weights score on the held-out last items."""
    log = data.load("ml-latest-small")
    user = evaluators.load(name, log)
    found = held_out.evaluate(held_out.of_histories(user.log_prob), held_out.HeldOut.of(log, 50))
    for key, value in user.card["metrics"].items():
        assert found[key] == pytest.approx(value, abs=2e-3), key
    assert user.tau == pytest.approx(found["log_prob"], abs=1e-3)
    assert user.card["data_fingerprint"] == log.fingerprint
    assert user.card["counts"] == {"users": 671, "items": 3496, "interactions": 90072}


def test_simulated_user_beats_the_floors():
    card = evaluators.load("bert4rec", "ml-latest-small").card
    assert card["metrics"]["HR@20"] >= 0.22
    assert card["metrics"]["MRR"] >= 0.065
    assert card["metrics"]["HR@20"] > 1.3 * card["floors"]["markov"]["HR@20"]
    assert card["floors"]["popularity"]["HR@20"] == pytest.approx(0.064, abs=0.001)


def test_held_out_by_hand():
    log = data.InteractionLog.from_columns(
        "t", np.array([0, 0, 0, 1, 1]), np.array([0, 1, 0, 2, 1]), item_ids=np.arange(3)
    )
    last = held_out.HeldOut.of(log, 4)
    histories, users, target, seen = last.batch(slice(None))
    assert histories.tolist() == [[3, 3, 0, 1], [3, 3, 3, 2]]
    assert users.tolist() == [0, 1]
    assert target.tolist() == [0, 1]
    # item 0 was seen by user 0, but it is what is to be predicted
    assert seen.tolist() == [[False, True, False], [False, False, True]]
    assert len(held_out.HeldOut.of(log, 4, from_end=(1, 2))) == 3  # user 1 is too short
    assert len(held_out.HeldOut.of(log, 4, from_end=(2,))) == 1


def test_networks_that_return_nan_are_caught():
    user = evaluators.load("sasrec", "ml-latest-small")
    broken = evaluators.NetworkEvaluator(type(user.model)(user.model.config), user.card)
    broken.model.bias.data[3] = np.nan
    with pytest.raises(FloatingPointError, match="row 0"):
        broken.log_prob(np.array([[1, 2]]))


@pytest.mark.parametrize(
    ("histories", "words"),
    [([1, 2], "shape"), ([[0.5]], "integers"), ([[3496, 3497]], "unknown item 3497")],
)
def test_bad_histories(histories, words):
    with pytest.raises(ValueError, match=words):
        evaluators.load("bert4rec", "ml-latest-small").log_prob(np.array(histories))


def test_unknown_names_and_untrained_models():
    with pytest.raises(ValueError, match="Known: bert4rec, caser, gru4rec, markov, sasrec"):
        evaluators.load("oracle", "ml-latest-small")
    with pytest.raises(
        data.DataError, match="recgym train evaluator --model bert4rec --dataset syn"
    ):
        evaluators.load("bert4rec", "synthetic")


def test_other_data_are_refused():
    raw = data.load("ml-latest-small", variant="raw")
    with pytest.raises(data.DataError, match="another version or variant"):
        evaluators.load("bert4rec", raw)


def test_registered_evaluators_are_found():
    flat = np.full((31, 30), -np.log(30))
    evaluators.register("flat-for-test", lambda log: evaluators.MarkovEvaluator(flat, tau=-3.4))
    log = MarkovGenreWorld(n_users=20, n_items=30, n_genres=2).log()
    assert evaluators.load("flat-for-test", log).tau == -3.4
    with pytest.raises(ValueError, match="already"):
        evaluators.register("flat-for-test", lambda log: None)


def test_markov_table_is_checked():
    with pytest.raises(ValueError, match=r"\(N \+ 1, N\)"):
        evaluators.MarkovEvaluator(np.zeros((3, 3)), tau=-1)
    with pytest.raises(ValueError, match="sums to 1"):
        evaluators.MarkovEvaluator(np.zeros((3, 2)), tau=-1)


def test_train_evaluator_end_to_end(tmp_path):
    """Training beats the popularity floor on a world with structure, and can be loaded."""
    log = MarkovGenreWorld(
        n_users=150, n_items=40, n_genres=4, mean_length=30, stay=0.8, forward=0.1, backward=0.05
    ).log()
    config = TrainConfig(epochs=8, batch=32, windows_per_event=0.2, validate_every=2)
    shape = {"length": 12, "width": 16, "layers": 1}
    stages = set()
    user = train_evaluator(
        log,
        "bert4rec",
        tmp_path / "model",
        model_config=shape,
        config=config,
        report=lambda stage, progress: stages.add(stage),
    )
    assert stages == {"validation", "refit"}
    assert user.tau > user.card["floors"]["popularity"]["log_prob"] + 0.1
    assert (tmp_path / "model" / "weights.safetensors").is_file()
    check_sequence_evaluator(user)


def test_training_needs_histories(tmp_path):
    log = data.InteractionLog.from_columns("short", np.arange(9) // 3, np.arange(9))
    with pytest.raises(data.DataError, match="markov"):
        train_evaluator(log, "sasrec", tmp_path)


class TestBackbones:
    @pytest.fixture
    def log(self):
        return MarkovGenreWorld(n_users=200, n_items=40, n_genres=4, mean_length=30).log()

    @pytest.mark.parametrize("name", ["popularity", "markov", "cooccurrence"])
    def test_scores(self, log, name):
        score = backbones.scorer(name, log)
        histories = np.array([[40, 40, 3], [1, 2, 3], [40, 40, 40]])
        users = np.arange(3)
        scores = score(histories, users)
        assert scores.shape == (3, 40)
        assert np.isfinite(scores).all()
        assert np.array_equal(score(histories[:1], users[:1])[0], scores[0])

    @pytest.mark.parametrize("name", ["markov", "cooccurrence"])
    def test_better_than_popularity(self, log, name):
        train, _ = data.leave_last_out(log)
        test = held_out.HeldOut.of(log, 10)
        floor = held_out.evaluate(backbones.scorer("popularity", train), test)
        assert held_out.evaluate(backbones.scorer(name, train), test)["MRR"] > floor["MRR"]

    @pytest.mark.parametrize("name", ["popularity", "markov", "cooccurrence"])
    def test_scores_are_log_probabilities(self, log, name):
        """Candidate features measure them in nats below the best."""
        histories = np.array([[40, 40, 3], [1, 2, 3], [40, 40, 40]])
        scores = backbones.scorer(name, log)(histories, np.arange(3))
        np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, atol=1e-6)

    def test_vectors_are_units(self, log):
        norms = np.linalg.norm(backbones.item_vectors(log), axis=1)
        np.testing.assert_allclose(norms, 1, atol=1e-5)

    def test_unknown(self, log):
        with pytest.raises(ValueError, match="cooccurrence"):
            backbones.scorer("svd", log)


def test_tau_of_counts_is_taken_on_items_they_have_not_counted():
    log = data.load("ml-latest-small")
    train, _ = data.leave_last_out(log)
    test = held_out.HeldOut.of(log, 1)
    honest = held_out.evaluate(held_out.markov_scorer(train), test)["log_prob"]
    in_sample = held_out.evaluate(held_out.markov_scorer(log), test)["log_prob"]
    assert in_sample > honest + 1
    assert evaluators.load("markov", log).tau == pytest.approx(honest)
