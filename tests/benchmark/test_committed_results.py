"""Committed numbers come from their committed commands: some of them are run again."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from recgym.benchmark import files
from recgym.cli import app

RUNS = Path(__file__).parents[2] / "benchmarks/results/influence-path/ml-latest-small/runs.csv"
CHEAP = ("jump", "vanilla[popularity]", "rec2inf[cooccurrence, embedding]")


@pytest.mark.slow
@pytest.mark.parametrize("label", CHEAP)
def test_a_committed_run_comes_out_again(label, tmp_path):
    runs = pd.read_csv(RUNS)
    mine = runs[runs["label"] == label]
    if mine.empty:
        pytest.fail(f"{RUNS} has no run of {label}")
    row = mine.sort_values("seed").iloc[-1]
    words = shlex.split(row["command"])[1:]
    words[words.index("--out") + 1] = str(tmp_path)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    (path,) = tmp_path.glob("*.csv")
    again = files.read(path)
    assert again.episodes["return"].mean() == pytest.approx(row["return"], abs=2e-4)
    assert again.header["fingerprint"].startswith(str(row["fingerprint"])[:16])
