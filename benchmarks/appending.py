"""How fast models score what follows each of K items: from one state, and over whole histories.

    python benchmarks/appending.py [--rows 64] [--items 50] [--repeats 5] [--out FILE.csv]

What a look-ahead asks (``log_prob_after``), of untrained networks as large as MovieLens 1M's. The
floor is one product, of the B·K last states with the N items, and its softmax.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measuring import measure, show

from recgym.models.base import NextItemModel
from recgym.models.gru4rec import GRU4Rec
from recgym.models.sasrec import SASRec

N_ITEMS, LENGTH, WIDTH = 3_416, 50, 64
CAUSAL: tuple[type[SASRec] | type[GRU4Rec], ...] = (SASRec, GRU4Rec)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows, items = arguments.rows, arguments.items
    generator = torch.Generator().manual_seed(0)
    histories = torch.randint(N_ITEMS, (rows, LENGTH - 1), generator=generator)
    tried = torch.randint(N_ITEMS, (rows, items), generator=generator)

    def after(model: NextItemModel, kind: type[NextItemModel]) -> Callable[[], None]:
        def run() -> None:
            with torch.inference_mode():
                torch.log_softmax(kind.scores_after(model, histories, tried), dim=2)

        return run

    work, ratios = {}, {}
    for network in CAUSAL:
        name = network.name
        config: Any = network.Config(n_items=N_ITEMS, length=LENGTH, width=WIDTH)
        model = network(config).eval()
        work[name] = (after(model, network), rows * items)
        work[f"{name}, whole histories"] = (after(model, NextItemModel), rows * items)
        ratios[f"{name}: one state / histories"] = (name, f"{name}, whole histories")
    states, matrix = torch.randn(rows * items, WIDTH), torch.randn(N_ITEMS, WIDTH)

    def floor() -> None:
        with torch.inference_mode():
            torch.log_softmax(states @ matrix.T, dim=1)

    work["floor"] = (floor, rows * items)
    ratios |= {f"{network.name} / floor": (network.name, "floor") for network in CAUSAL}
    table = measure(work, ratios, arguments.repeats, "items/s")
    show(table, arguments.out)


if __name__ == "__main__":
    main()
