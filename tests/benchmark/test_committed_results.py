"""Committed numbers come from their committed commands: some of them are run again."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from recgym.benchmark import exhibits, files
from recgym.benchmark.influence_path import predictions
from recgym.benchmark.influence_path import suite as suites
from recgym.cli import app

RESULTS = Path(__file__).parents[2] / "benchmarks/results"
PATHS, SELECTION, VALUATION = (
    f"{name}/ml-latest-small" for name in ("influence-path", "data-selection", "data-valuation")
)
CHEAP = (
    (PATHS, "jump", "return", 2e-4),
    (PATHS, "vanilla[popularity]", "return", 2e-4),
    (PATHS, "rec2inf[cooccurrence, embedding]", "return", 2e-4),
    (PATHS, "ipg", "return", 2e-4),
    (PATHS, "planner", "return", 0.02),
    (PATHS, "irn[gap 0]", "return", 0.15),  # trained: other processors add up in another order
    (PATHS, "random", "return", 2e-4),
    (PATHS, "random_candidates", "return", 2e-4),
    ("influence-path/genre-ml-latest-small", "popularity", "return", 2e-4),
    ("influence-path/graphs-ml-latest-small", "pf2inf[mst]", "return", 2e-4),
    (SELECTION, "threshold[0.5]", "z_retrained", 2e-4),
    (VALUATION, "bpr", "return", 0.01),  # 700 steps of warm-up make rounding larger
)


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "label", "metric", "within"), CHEAP)
def test_a_committed_run_comes_out_again(folder, label, metric, within, tmp_path):
    runs = pd.read_csv(RESULTS / folder / "runs.csv")
    mine = runs[runs["label"] == label]
    if mine.empty:
        pytest.fail(f"{folder} has no run of {label}")
    row = mine.sort_values("seed").iloc[-1]
    words = shlex.split(row["command"])[1:]
    words[words.index("--out") + 1] = str(tmp_path)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    (path,) = tmp_path.glob("*.csv")
    again = files.read(path)
    assert again.episodes[metric].mean() == pytest.approx(row[metric], abs=within)
    assert again.header["fingerprint"].startswith(str(row["fingerprint"])[:16])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "row"), [("evaluators", "model"), ("next-item", "agent")])
def test_a_committed_exhibit_comes_out_again(name, row, tmp_path, monkeypatch):
    """Of Tables II and IV what runs from the package: its two networks, and what counts."""
    monkeypatch.setattr(predictions, "NETWORKS", ("sasrec", "bert4rec"))
    monkeypatch.setattr(predictions, "FACTORS", ())
    monkeypatch.setattr(suites, "BACKBONES", ("popularity", "sasrec"))
    monkeypatch.setattr(suites, "GAPS", ())
    exhibits.write(f"influence-path-{name}", tmp_path)
    file = f"{name.replace('-', '_')}.csv"
    committed = RESULTS / f"influence-path/{name}-ml-latest-small" / file
    key = [row, "metric"]
    again = pd.read_csv(tmp_path / file).set_index(key)
    before = pd.read_csv(committed).set_index(key)
    assert len(again) >= 10
    for column in ("value", "low", "high"):
        assert again[column].to_dict() == pytest.approx(
            before.loc[again.index, column].to_dict(), abs=2e-4
        )
