"""Ranking metrics against hand-computed values and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from recgym.evaluators import ranking


def test_ranks_by_hand():
    scores = np.array([[0.1, 0.9, 0.5, 0.5], [4.0, 3.0, 2.0, 1.0]])
    assert ranking.ranks(scores, np.array([2, 3])).tolist() == [3, 4]  # the tie counts against
    exclude = np.array([[False, True, False, True], [True, True, False, True]])
    assert ranking.ranks(scores, np.array([2, 3]), exclude).tolist() == [1, 2]


def test_constant_scores_are_worth_nothing():
    assert ranking.ranks(np.zeros((3, 10)), np.arange(3)).tolist() == [10, 10, 10]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_raise(bad):
    """NaN compares false with everything and would silently rank first."""
    scores = np.zeros((2, 3))
    scores[1, 1] = bad
    with pytest.raises(ValueError, match="1 of 2 rows"):
        ranking.ranks(scores, np.array([0, 0]))


def test_against_an_independent_library():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(200, 40))
    target = rng.integers(0, 40, 200)
    truth = np.eye(40)[target]
    rank = ranking.ranks(scores, target)
    assert ranking.ndcg(rank, 10) == pytest.approx(ndcg_score(truth, scores, k=10))
    # with one relevant item, average precision is the reciprocal rank
    expected = label_ranking_average_precision_score(truth, scores)
    assert ranking.mrr(rank) == pytest.approx(expected)
    top = np.argsort(-scores, axis=1)[:, :20]
    assert ranking.hit_rate(rank, 20) == pytest.approx((top == target[:, None]).any(axis=1).mean())
