"""The contract of simulated users, for ours and for your own."""

from __future__ import annotations

import numpy as np

from recgym.evaluators.sequence import SequenceEvaluator


def check_sequence_evaluator(
    evaluator: SequenceEvaluator, *, rows: int = 32, tolerance: float = 1e-5, seed: int = 0
) -> None:
    """Normalised, finite, float32, batch-invariant, defined when empty, strict about items.

    Raises:
        AssertionError: with what was wrong.
    """
    rng = np.random.default_rng(seed)
    n, length = evaluator.n_items, max(evaluator.length, 2)
    histories = rng.integers(0, n, (rows, length))
    kept = rng.integers(0, length + 1, rows)
    kept[0] = 0  # an empty history
    histories[np.arange(length) < length - kept[:, None]] = n
    scores = evaluator.log_prob(histories)
    assert scores.shape == (rows, n), f"shape {scores.shape}, expected {(rows, n)}"
    assert scores.dtype == np.float32, f"dtype {scores.dtype}, expected float32"
    assert np.isfinite(scores).all(), "scores are not finite"
    total = np.exp(scores.astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(total, 1, atol=1e-4, err_msg="not normalised over all items")
    alone = np.concatenate([evaluator.log_prob(row[None]) for row in histories])
    np.testing.assert_allclose(alone, scores, atol=tolerance, rtol=0, err_msg="batch matters")
    padded = np.concatenate([np.full((rows, 3), n), histories], axis=1)
    np.testing.assert_allclose(
        evaluator.log_prob(padded), scores, atol=tolerance, rtol=0, err_msg="padding matters"
    )
    tried = rng.integers(0, n, (rows, 3))
    after = evaluator.log_prob_after(histories, tried)
    for column in range(3):
        appended = np.concatenate([histories, tried[:, column : column + 1]], axis=1)
        np.testing.assert_allclose(
            after[:, column],
            evaluator.log_prob(appended),
            atol=tolerance,
            rtol=0,
            err_msg="log_prob_after is not log_prob of what was appended",
        )
    nothing = evaluator.log_prob(np.zeros((1, 0), dtype=np.int64))
    np.testing.assert_allclose(nothing[0], scores[0], atol=tolerance, rtol=0)
    for wrong in (-1, n + 1):
        bad = histories.copy()
        bad[-1, -1] = wrong
        try:
            evaluator.log_prob(bad)
        except ValueError as error:
            assert str(wrong) in str(error), f"the error does not name item {wrong}: {error}"
        else:
            raise AssertionError(f"unknown item {wrong} was accepted")
    assert np.isfinite(evaluator.tau), "tau is not finite"
    assert evaluator.tau < 0, "tau is a log-probability and must be negative"
