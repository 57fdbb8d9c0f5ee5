from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_up import write_bench
from typer.testing import CliRunner

from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.leads import leads
from recgym.cli import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    write_bench(out, seeds=3, users=60)
    return out


def test_lead_is_the_mean_difference_on_the_same_tasks(folder):
    found = leads(folder, ["maskable_ppo", "jump"], resamples=200)
    row = found.query("leader == 'maskable_ppo' and agent == 'random' and metric == 'return'")
    runs = {
        name: pd.concat(pd.read_csv(p, comment="#") for p in sorted(folder.glob(f"{name}-seed*")))
        for name in ("maskable_ppo", "random")
    }
    mine = runs["maskable_ppo"]["return"].to_numpy() - runs["random"]["return"].to_numpy()
    (value,), (low,), (high,) = row["value"], row["low"], row["high"]
    assert value == pytest.approx(np.mean(mine))
    assert low < value < high
    assert row["seeds"].item() == 3
    back = found.query("leader == 'jump' and agent == 'maskable_ppo' and metric == 'return'")
    there = found.query("leader == 'maskable_ppo' and agent == 'jump' and metric == 'return'")
    assert back["value"].item() == pytest.approx(-there["value"].item())


def test_an_agent_without_runs_is_named(folder):
    with pytest.raises(BenchmarkError, match="maskable_ppo"):
        leads(folder, ["maskabel_ppo"])


def test_the_command_prints_them(folder):
    result = CliRunner().invoke(app, ["report", str(folder), "--lead", "jump"])
    assert result.exit_code == 0, result.output
    assert "jump minus" in result.output
