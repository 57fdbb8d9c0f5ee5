"""Ranking metrics: of one held-out item by its rank, and of lists for all users.

>>> from recgym.evaluators import ranking
>>> report = ranking.rank_all(model.scorer(), train, test, k=20)
>>> report.summary()["NDCG@20"]
"""

from recgym.evaluators.ranking.full import rank_all, top_k
from recgym.evaluators.ranking.one_item import gains, hit_rate, hits, mrr, ndcg, ranks
from recgym.evaluators.ranking.report import RankingReport
from recgym.evaluators.ranking.sampled import (
    Candidates,
    SampledReport,
    rank_sampled,
    sampled_candidates,
)

__all__ = [
    "Candidates",
    "RankingReport",
    "SampledReport",
    "gains",
    "hit_rate",
    "hits",
    "mrr",
    "ndcg",
    "rank_all",
    "rank_sampled",
    "ranks",
    "sampled_candidates",
    "top_k",
]
