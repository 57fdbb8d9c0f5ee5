"""Full and sampled ranking against brute force, scikit-learn and hand-computed values."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.metrics import (
    label_ranking_average_precision_score,
    ndcg_score,
    precision_recall_fscore_support,
)

from recgym.evaluators import ranking

U, N, G = 40, 60, 7


def world(seed=0):
    """(scores, train, test, categories): dense; some users have no test items, some pairs both."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(U, N))
    train, test = rng.random((U, N)) < 0.2, rng.random((U, N)) < 0.1
    test[:5] = False
    test[5] = train[5]  # nothing but training items
    categories = rng.random((N, G)) < 0.2
    return scores, train, test, categories


def rank(scores, train, test, k, **options):
    return ranking.rank_all(
        lambda users: scores[users.numpy()], sp.csr_matrix(train), sp.csr_matrix(test), k, **options
    )


@pytest.mark.parametrize("k", [1, 5, 20])
def test_every_metric_against_brute_force(k):
    scores, train, test, categories = world()
    report = rank(scores, train, test, k, categories=categories, chunk=7)
    assert report.n_excluded == 6
    assert report.users.tolist() == list(range(6, U))
    lists = []
    for v, u in enumerate(report.users):
        order = [i for i in np.argsort(-scores[u]) if not train[u, i]][:k]
        wanted = set(np.flatnonzero(test[u] & ~train[u]))
        hits = len(wanted & set(order))
        assert report.lists[v].tolist() == order
        assert report.relevant[v] == len(wanted)
        assert report.recall()[v] == pytest.approx(hits / len(wanted))
        assert report.recall(capped=True)[v] == pytest.approx(hits / min(k, len(wanted)))
        precision, recall = hits / k, hits / len(wanted)
        assert report.precision()[v] == pytest.approx(precision)
        f1 = 2 * precision * recall / (precision + recall) if hits else 0
        assert report.f1()[v] == pytest.approx(f1)
        assert report.hit_rate()[v] == (hits > 0)
        first = next((1 / (j + 1) for j, i in enumerate(order) if i in wanted), 0)
        assert report.mrr()[v] == pytest.approx(first)
        groups = [set(np.flatnonzero(categories[i])) for i in order]
        assert report.category_coverage()[v] == pytest.approx(len(set().union(*groups)) / G)
        pairs = list(itertools.combinations(groups, 2))
        apart = sum(not a & b for a, b in pairs) / max(1, len(pairs))
        assert report.intra_list_distance()[v] == pytest.approx(apart)
        lists += order
    counts = [lists.count(i) for i in range(N)]
    assert report.counts().tolist() == counts
    # the other way to write Gini's index: mean absolute difference over twice the mean
    apart = np.abs(np.subtract.outer(counts, counts)).mean()
    assert report.gini() == pytest.approx(apart / (2 * np.mean(counts)))


@pytest.mark.parametrize("k", [1, 5, 20, 48])
def test_ndcg_against_an_independent_library(k):
    scores, train, test, _ = world(1)
    report = rank(scores, np.zeros_like(train), test, k)
    expected = [ndcg_score(test[u : u + 1], scores[u : u + 1], k=k) for u in report.users]
    np.testing.assert_allclose(report.ndcg(), expected)
    report = rank(scores, train, test, 5)  # with training items removed
    expected = [
        ndcg_score((test & ~train)[u : u + 1, ~train[u]], scores[u : u + 1, ~train[u]], k=5)
        for u in report.users
    ]
    np.testing.assert_allclose(report.ndcg(), expected)


@pytest.mark.parametrize("k", [1, 5, 20, 30])
def test_lists_against_an_independent_library(k):
    """Recall, precision and F1 of lists; MRR where there is a single wanted item."""
    scores, train, test, _ = world(2)
    report = rank(scores, train, test, k)
    wanted = (test & ~train)[report.users]
    listed = np.zeros_like(wanted)
    np.put_along_axis(listed, report.lists, True, axis=1)
    for user, (true, given) in enumerate(zip(wanted, listed, strict=True)):
        precision, recall, f1, _ = precision_recall_fscore_support(
            true, given, average="binary", zero_division=0
        )
        assert report.precision()[user] == pytest.approx(precision)
        assert report.recall()[user] == pytest.approx(recall)
        assert report.f1()[user] == pytest.approx(f1)
    single = np.eye(U, N, dtype=bool)
    found = rank(scores, np.zeros_like(train), single, N).mrr()
    expected = [label_ranking_average_precision_score(single[u : u + 1], scores[u : u + 1])
                for u in range(U)]  # fmt: skip
    np.testing.assert_allclose(found, expected)


def test_categories_and_gini_by_hand():
    scores = np.array([[4.0, 3, 2, 1], [4, 3, 2, 1]])
    test = np.array([[1, 0, 0, 0], [0, 0, 0, 1]])
    categories = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], dtype=bool)
    report = rank(scores, np.zeros((2, 4)), test, 3, categories=categories)
    assert report.lists.tolist() == [[0, 1, 2]] * 2
    assert report.category_coverage().tolist() == [1, 1]
    assert report.intra_list_distance() == pytest.approx([1 / 3, 1 / 3])  # 0 and 2 share nothing
    assert report.gini() == pytest.approx((-1 + 1 + 3) * 2 / (4 * 6))  # counts 0, 2, 2, 2
    found = report.summary()
    assert found["Recall@3"] == 0.5
    assert found["MRR@3"] == 0.5
    assert set(found) == {
        f"{name}@3"
        for name in ("Recall", "NDCG", "Precision", "F1", "HR", "MRR", "CC", "ILD", "Gini")
    }
    wide = np.eye(4, dtype=bool)
    report = rank(scores, np.zeros((2, 4)), test, 2, categories=wide)
    assert report.category_coverage().tolist() == [0.5, 0.5]
    assert report.category_coverage(of_list=True).tolist() == [1, 1]


def test_ties_go_to_the_smaller_item():
    rng = np.random.default_rng(0)
    for levels in (1, 2, 5):
        scores = torch.as_tensor(rng.integers(0, levels, (300, 50)).astype(np.float32))
        for k in (1, 7, 49, 50):
            expected = np.lexsort((np.broadcast_to(np.arange(50), (300, 50)), -scores.numpy()))
            assert np.array_equal(ranking.top_k(scores, k).numpy(), expected[:, :k])


def test_chunks_make_no_difference_and_scores_are_not_changed():
    scores, train, test, categories = world(2)
    scores = np.round(scores, 1)  # ties
    before = scores.copy()
    whole = rank(scores, train, test, 10, categories=categories)
    for chunk in (1, 3, 1000):
        part = rank(scores, train, test, 10, categories=categories, chunk=chunk)
        assert np.array_equal(part.lists, whole.lists)
    shared = torch.as_tensor(scores)
    ranking.rank_all(lambda users: shared[: len(users)], *map(sp.csr_matrix, (train, test)), 10)
    assert np.array_equal(scores, before)


@pytest.mark.filterwarnings("error")
def test_one_row_for_all_users():
    """Popularity, broadcast: read-only, and full of ties."""
    _, train, test, _ = world()
    score = np.arange(N) // 10
    report = ranking.rank_all(
        lambda users: np.broadcast_to(score, (len(users), N)),
        *map(sp.csr_matrix, (np.zeros_like(train), test)),
        3,
    )
    assert (report.lists == [50, 51, 52]).all()


def test_a_list_longer_than_what_is_unseen_ends_with_padding():
    scores = np.arange(5.0)[None]
    train, test = np.array([[1, 1, 1, 0, 0]]), np.array([[0, 0, 0, 1, 0]])
    categories = np.eye(5, dtype=bool)
    report = rank(scores, train, test, 4, categories=categories)
    assert report.lists.tolist() == [[4, 3, 5, 5]]
    assert report.hit.tolist() == [[False, True, False, False]]
    assert report.intra_list_distance().tolist() == [1.0]
    assert report.category_coverage().tolist() == [0.4]
    assert report.counts().tolist() == [0, 0, 0, 1, 1]


def test_stored_values_and_repeats_do_not_count():
    scores, train, test, _ = world(3)
    expected = rank(scores, train, test, 5)
    coo = sp.coo_matrix(test)
    twice = sp.coo_matrix(
        (np.full(2 * coo.nnz, 0.5), (np.tile(coo.row, 2), np.tile(coo.col, 2))), coo.shape
    )
    found = ranking.rank_all(
        lambda users: scores[users.numpy()], sp.csr_matrix(train * 4.0), twice, 5
    )
    assert np.array_equal(found.hit, expected.hit)
    assert np.array_equal(found.relevant, expected.relevant)


def test_what_cannot_be_ranked_is_refused():
    scores, train, test, categories = world()
    for k in (0, N + 1):
        with pytest.raises(ValueError, match=rf"k must be in 1\.\.{N}, the number of items"):
            rank(scores, train, test, k)
    report = rank(scores, train, test, 5)
    for metric in (report.category_coverage, report.intra_list_distance):
        with pytest.raises(ValueError, match="need the items' categories"):
            metric()
    assert "CC@5" not in report.summary()
    for bad in (categories[:-1], np.zeros((N, G), bool), np.zeros((N, 0), bool)):
        with pytest.raises(ValueError, match="categories must be"):
            rank(scores, train, test, 5, categories=bad)
    with pytest.raises(ValueError, match="No user has a test item"):
        rank(scores, train, train, 5)
    with pytest.raises(ValueError, match="both are users × items"):
        rank(scores, train[:-1], test, 5)
    with pytest.raises(ValueError, match="score_chunk gave"):
        rank(scores[:, 1:], train, test, 5)
    for bad in (np.nan, np.inf, -np.inf):
        broken = scores.copy()
        broken[10, 3] = bad
        with pytest.raises(ValueError, match=r"1 of 34 rows are not finite"):
            rank(broken, train, test, 5)


def test_huge_but_finite_scores_are_ranked():
    """Their sum is infinite, they are not."""
    scores = torch.full((1, 4), 3e38)
    scores[0, 2] = 3.2e38
    assert ranking.top_k(scores, 2).tolist() == [[2, 0]]


def pairs(known):
    users, items = np.nonzero(known)
    return users, items


def test_candidates_are_distinct_and_nobodys_positives():
    _, train, test, _ = world()
    known = train | test
    found = ranking.sampled_candidates(*pairs(test), sp.csr_matrix(known), negatives=20)
    assert np.array_equal(found.items[:, 0], np.nonzero(test)[1])
    assert not known[found.users[:, None], found.items[:, 1:]].any()
    assert all(len(set(row)) == 21 for row in found.items.tolist())
    again = ranking.sampled_candidates(*pairs(test), sp.csr_matrix(known), negatives=20)
    assert np.array_equal(found.items, again.items)
    other = ranking.sampled_candidates(*pairs(test), sp.csr_matrix(known), negatives=20, seed=1)
    assert not np.array_equal(found.items, other.items)


@pytest.mark.parametrize("negatives", [5, 30])  # by rejection, and by permutation
def test_negatives_are_uniform(negatives):
    known = np.zeros((1, 50))
    known[0, :8] = 1
    users, items = np.zeros(4000, int), np.full(4000, 3)
    found = ranking.sampled_candidates(users, items, sp.csr_matrix(known), negatives=negatives)
    share = np.bincount(found.items[:, 1:].ravel(), minlength=50) / 4000
    assert (share[:8] == 0).all()
    np.testing.assert_allclose(share[8:], negatives / 42, atol=0.04)


def test_the_positive_itself_is_no_negative():
    found = ranking.sampled_candidates([0, 0], [1, 2], sp.csr_matrix((1, 4)), negatives=2)
    assert [sorted(row[1:]) for row in found.items.tolist()] == [[0, 3], [0, 3]]


def test_random_scores_meet_the_line_of_chance():
    _, train, test, _ = world()
    rng = np.random.default_rng(0)
    users, items = (np.repeat(column, 100) for column in pairs(test))
    found = ranking.sampled_candidates(users, items, sp.csr_matrix(train), negatives=19)
    report = ranking.rank_sampled(lambda u, i: rng.random(len(u)), found, 5)
    assert report.chance_hr == 0.25
    assert report.hr == pytest.approx(0.25, abs=0.02)
    assert report.f1 == pytest.approx(report.chance_f1, abs=0.01)
    assert set(report.summary()) == {
        "HR@5 (of 20)", "F1@5 (of 20)", "chance HR@5 (of 20)", "chance F1@5 (of 20)"
    }  # fmt: skip


def test_the_chance_line_of_one_and_ninety_nine():
    report = ranking.SampledReport(np.array([1, 6]), 100, 5)
    assert report.chance_f1 == pytest.approx(1 / 60)  # 1.67 %
    assert report.hr == 0.5
    assert report.f1 == pytest.approx(0.5 * 2 * 0.2 * 1 / 1.2)


def test_sampled_ranks_by_hand_and_in_chunks():
    candidates = ranking.Candidates(np.array([0, 1]), np.array([[2, 0, 1], [1, 0, 2]]))
    table = torch.tensor([[0.1, 0.9, 0.5], [0.3, 0.3, 0.2]])
    for chunk in (1, 10):
        report = ranking.rank_sampled(lambda u, i: table[u, i], candidates, 1, chunk=chunk)
        assert report.rank.tolist() == [2, 2]  # the tie counts against


def test_what_cannot_be_sampled_is_refused():
    known = sp.csr_matrix(np.ones((2, 5)))
    with pytest.raises(ValueError, match="User 0 has 0 items that are not her own"):
        ranking.sampled_candidates([0], [1], known, negatives=1)
    with pytest.raises(ValueError, match=r"items must be in 0\.\.4"):
        ranking.sampled_candidates([0], [5], known, negatives=1)
    with pytest.raises(ValueError, match="equally long"):
        ranking.sampled_candidates([0], [1, 2], known)
    candidates = ranking.Candidates(np.array([0]), np.array([[0, 1]]))
    with pytest.raises(ValueError, match=r"k must be in 1\.\.2"):
        ranking.rank_sampled(lambda u, i: u, candidates, 3)
    empty = ranking.sampled_candidates([], [], known)
    with pytest.raises(ValueError, match="no candidates"):
        ranking.rank_sampled(lambda u, i: u, empty, 1)
