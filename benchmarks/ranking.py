"""How fast all users are ranked over the whole catalogue, beside the bare product and topk.

    python benchmarks/ranking.py [--sizes beauty gowalla] [--repeats 1] [--out FILE.csv]

Random factors (d = 64) and interactions of the sizes of the data-valuation paper's data sets;
Beauty's has 41 categories, so that all metrics are computed. The floor computes the same scores
and the k largest of each row, without masks, order of ties, checks or metrics.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from measuring import measure, show

from recgym.evaluators.ranking import rank_all
from recgym.evaluators.ranking.full import CHUNK

SIZES = {
    "beauty": (8_159, 5_862, 98_566, 41),
    "gowalla": (29_858, 40_981, 1_027_370, 0),
}
K, WIDTH = 20, 64


def works(size: str) -> dict[str, tuple[Callable[[], None], int]]:
    """The floor, the lists, and the lists with all metrics; each of all users."""
    n_users, n_items, n_events, n_categories = SIZES[size]
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, n_users, n_events), rng.integers(0, n_items, n_events)
    held = rng.random(n_events) < 0.2
    held[np.unique(user, return_index=True)[1]] = True  # everybody has a test item
    train, test = (
        sp.csr_matrix((np.ones(rows.sum()), (user[rows], item[rows])), (n_users, n_items))
        for rows in (~held, held)
    )
    users, items = (torch.randn(n, WIDTH) for n in (n_users, n_items))
    categories = None
    if n_categories:
        categories = np.eye(n_categories, dtype=bool)[rng.integers(0, n_categories, n_items)]

    def floor() -> None:
        for part in users.split(CHUNK // n_items):
            (part @ items.T).topk(K, dim=1)

    def lists() -> None:
        rank_all(lambda u: users[u] @ items.T, train, test, K, categories=categories)

    def metrics() -> None:
        rank_all(lambda u: users[u] @ items.T, train, test, K, categories=categories).summary()

    return {
        f"{size}: floor": (floor, n_users),
        f"{size}: lists": (lists, n_users),
        f"{size}: lists and metrics": (metrics, n_users),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    table = []
    for size in arguments.sizes:
        work = works(size)
        name = f"{size}: lists and metrics"
        ratios = {f"{name} / floor": (name, f"{size}: floor")}
        lines = measure(work, ratios, arguments.repeats, "users/s")
        n_users = SIZES[size][0]
        _, middle, slowest, fastest, _ = next(line for line in lines if line[0] == name)
        seconds = (name, *(n_users / rate for rate in (middle, fastest, slowest)), "s")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        table += [*lines, seconds, (f"{size}: peak of the process", peak, peak, peak, "GB")]
    print(f"k {K}, d {WIDTH}, {arguments.threads} threads, {arguments.repeats} repeats")
    show(table, arguments.out)


if __name__ == "__main__":
    main()
