"""Ranking of the whole catalogue for all users, a chunk of users at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.evaluators.ranking.report import RankingReport

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 1 << 22  # scores that exist at a time


def rank_all(
    score_chunk: Callable[[Tensor], Any],
    train: Any,
    test: Any,
    k: int = 20,
    *,
    categories: np.ndarray | None = None,
    chunk: int | None = None,
) -> RankingReport:
    """Rank all items for every user with test items, training items removed.

    Args:
        score_chunk: users (B,) int64 tensor → scores (B, N), a tensor or an array; not changed.
            Of a collaborative model: ``model.scorer()``.
        train, test: (U, N) sparse matrices; what is stored is an interaction, whatever its value.
            A test item that is also a training item counts as the latter.
        k: length of the lists.
        categories: (N, G) bool for category coverage and intra-list distance (``log.genres``).
        chunk: users per call of ``score_chunk``; by default as many as make 4 million scores.

    Equal scores rank by item id, the smaller first.

    Raises:
        ValueError: k outside of 1..N, matrices or categories of unequal shape, no user with a
            test item, scores of another shape or not finite.
    """
    import torch

    train, test = pattern(train), pattern(test)
    if train.shape != test.shape:
        raise ValueError(f"train is {train.shape} and test {test.shape}; both are users × items.")
    n_users, n_items = train.shape
    if not 1 <= k <= n_items:
        raise ValueError(f"k must be in 1..{n_items}, the number of items, got {k}.")
    if categories is not None:
        categories = np.asarray(categories, dtype=bool)
        if categories.ndim != 2 or len(categories) != n_items or not categories.any():
            raise ValueError(
                f"categories must be ({n_items}, G) with at least one item in one, got "
                f"{categories.shape}. Leave them out for data without categories."
            )
    test = (test - test.multiply(train)).tocsr()
    test.eliminate_zeros()
    relevant = np.diff(test.indptr)
    users = np.flatnonzero(relevant)
    if len(users) == 0:
        raise ValueError("No user has a test item that is not a training item. Split the data.")
    chunk = chunk or max(1, CHUNK // n_items)
    lists = np.empty((len(users), k), dtype=np.int64)
    for start in range(0, len(users), chunk):
        part = users[start : start + chunk]
        with torch.no_grad():
            found = score_chunk(torch.as_tensor(part))
        if isinstance(found, np.ndarray):
            found = np.require(found, requirements="W")  # torch warns of what is read-only
        scores = torch.as_tensor(found)
        if scores.shape != (len(part), n_items):
            raise ValueError(
                f"score_chunk gave {tuple(scores.shape)} for {len(part)} users and {n_items} items."
            )
        lists[start : start + chunk] = top_k(scores, k, train[part]).cpu().numpy()
    hit = _contains(test, users, lists)
    return RankingReport(
        users, lists, hit, relevant[users], n_items, n_users - len(users), categories
    )


def top_k(scores: Tensor, k: int, exclude: Any = None) -> Tensor:
    """(B, k) int64: the best items of each row of ``scores`` (B, N), best first.

    Equal scores rank by item id. ``exclude`` (B, N) is a CSR matrix of items to leave out; where
    fewer than k remain, the row ends with N.

    Raises:
        ValueError: scores that are not finite, or k outside of 1..N.
    """
    import torch

    n = scores.shape[1]
    if not 1 <= k <= n:
        raise ValueError(f"k must be in 1..{n}, the number of items, got {k}.")
    scores = scores if scores.is_floating_point() else scores.double()
    # the sum of a row is finite if all of it is, and several times faster to take
    if not torch.isfinite(scores.sum(dim=1)).all() and not (fine := torch.isfinite(scores)).all():
        bad = int((~fine).any(dim=1).sum())
        raise ValueError(
            f"Scores of {bad} of {len(scores)} rows are not finite. A model that returns NaN or "
            "infinity cannot be ranked."
        )
    if exclude is not None:
        rows = torch.as_tensor(np.repeat(np.arange(len(scores)), np.diff(exclude.indptr)))
        columns = torch.as_tensor(exclude.indices.astype(np.int64))
        scores = scores.clone()
        scores[rows, columns] = -torch.inf
    values, items = scores.topk(min(k + 1, n), dim=1)
    if k < n:
        # topk takes any of the items that share the last place: take those of the smallest ids
        tied = torch.nonzero((values[:, k - 1] == values[:, k]) & (values[:, k] > -torch.inf))[:, 0]
        values, items = values[:, :k], items[:, :k].clone()
        for part in tied.split(256):
            items[part] = _smallest_ids(scores[part], values[part, k - 1], k)
    items = items.sort(dim=1).values
    values, order = scores.gather(1, items).sort(dim=1, descending=True, stable=True)
    return items.gather(1, order).masked_fill(values == -torch.inf, n)


def _smallest_ids(scores: Tensor, last: Tensor, k: int) -> Tensor:
    """(B, k): all items above the score ``last`` (B,) and the first that equal it."""
    import torch

    above, equal = scores > last[:, None], scores == last[:, None]
    room = k - above.sum(dim=1, keepdim=True)
    chosen = above | (equal & (equal.cumsum(dim=1, dtype=torch.int32) <= room))
    return torch.nonzero(chosen)[:, 1].view(len(scores), k)


def pattern(matrix: Any) -> Any:
    """CSR of ones where something is stored, duplicates once."""
    import scipy.sparse as sp

    coo = sp.coo_matrix(matrix)
    found = sp.csr_matrix((np.ones(coo.nnz), (coo.row, coo.col)), coo.shape)
    found.data[:] = 1
    return found


def _contains(test: Any, users: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """(V, k) bool: whether (users[v], lists[v, j]) is stored in ``test`` (U, N)."""
    n = test.shape[1] + 1  # the padding item is nobody's
    row = np.repeat(np.arange(test.shape[0]), np.diff(test.indptr)).astype(np.int64)
    keys = np.sort(row * n + test.indices)
    wanted = users[:, None] * n + lists
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return keys[place] == wanted
