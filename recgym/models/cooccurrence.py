"""Item vectors and next-item scores from windowed co-occurrence counts, in closed form."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from recgym.data.log import InteractionLog


def cooccurrence_counts(
    log: InteractionLog, window: int = 10, *, decay: float = 1.0, directed: bool = False
) -> sp.csr_matrix:
    """(N, N) counts of pairs at most ``window`` events apart; a pair d apart counts decay^(d−1).

    Directed counts have the earlier item as the row.
    """
    n = log.n_items
    total = sp.csr_matrix((n, n), dtype=np.float64)
    for distance in range(1, window + 1):
        same = log.user[distance:] == log.user[:-distance]
        first, second = log.item[:-distance][same], log.item[distance:][same]
        weight = np.full(len(first), decay ** (distance - 1))
        total = total + sp.csr_matrix((weight, (first, second)), shape=(n, n))
    return total if directed else (total + total.T).tocsr()


def ppmi_vectors(
    log: InteractionLog, width: int, *, window: int = 10, smoothing: float = 0.75, seed: int = 0
) -> np.ndarray:
    """(N, width) float32: truncated SVD of the shifted positive pointwise mutual information.

    Context probabilities are raised to ``smoothing`` (Levy & Goldberg, NeurIPS 2014). Columns are
    U·√S, so inner products approximate the PPMI.
    """
    vectors = np.zeros((log.n_items, width), dtype=np.float32)
    counts = cooccurrence_counts(log, window).tocoo()
    if counts.nnz == 0:
        return vectors
    row_sum = np.asarray(counts.sum(axis=1)).ravel()
    context = row_sum**smoothing
    context /= context.sum()
    pmi = np.log(counts.data / (row_sum[counts.row] * context[counts.col]))
    keep = pmi > 0
    matrix = sp.csr_matrix((pmi[keep], (counts.row[keep], counts.col[keep])), shape=counts.shape)
    width_kept = min(width, log.n_items - 1)
    u, s, _ = svds(matrix, k=width_kept, rng=np.random.default_rng(seed))
    assert u is not None
    order = np.argsort(-s)
    u, s = u[:, order], s[order]
    u *= np.where(u.sum(axis=0) < 0, -1.0, 1.0)  # the sign of a singular vector is arbitrary
    vectors[:, :width_kept] = u * np.sqrt(s)
    return vectors


def starting_items(
    log: InteractionLog, width: int, std: float, window: int = 10
) -> np.ndarray | None:
    """(N, width) float32 of :func:`ppmi_vectors` with that standard deviation.

    None where no two items are nearer than chance has them, or ``std`` is 0.
    """
    vectors = ppmi_vectors(log, width, window=window) if std > 0 else np.zeros(1)
    return vectors * (std / vectors.std()) if vectors.any() else None


def starting_bias(log: InteractionLog) -> np.ndarray:
    """(N,) log(1 + count) of each item, less the mean."""
    log_count = np.log1p(log.popularity)
    return log_count - log_count.mean()
