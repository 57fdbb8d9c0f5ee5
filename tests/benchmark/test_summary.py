"""The committed CSVs of a report: every number of the table, and where each run came from."""

import pandas as pd
import pytest

from recgym.benchmark import runner, summary
from recgym.benchmark.table import build

TINY = "recgym/InfluencePathTiny-v0"


def test_summary_holds_the_table(tmp_path):
    for seed in (0, 1):
        for agent in ("random", "jump"):
            runner.run(TINY, agent, seed, tmp_path / "runs")
    table = build(tmp_path / "runs", 200)
    agents, runs = map(pd.read_csv, summary.write(table, tmp_path / "out"))
    best = table.rows[0]
    row = agents[
        (agents.agent == best.label) & (agents.metric == "return") & (agents.statistic == "mean")
    ]
    assert row["value"].item() == pytest.approx(best.means["return"].value, abs=1e-4)
    assert row["low"].item() <= row["value"].item() <= row["high"].item()
    assert set(agents.statistic) >= {"mean", "iqm", f"difference from {table.reference}"}
    assert len(runs) == 4
    assert runs["command"].str.startswith("recgym run").all()
    assert runs["fingerprint"].nunique() == 1
