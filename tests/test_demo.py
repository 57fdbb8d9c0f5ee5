from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from recgym.benchmark import scoring, suites
from recgym.benchmark.table import build, load

pytestmark = pytest.mark.slow


def test_the_demo_ends_with_the_published_ordering_and_an_episode_with_titles(tmp_path):
    """On the default world random < popularity < jump < Rec2Inf < MaskablePPO < look-ahead."""
    out = subprocess.run(
        [sys.executable, "-m", "recgym", "demo", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "140"},
    )
    assert out.returncode == 0, out.stderr
    table = build(tmp_path)
    order = [row.headers[0]["agent"] for row in table.rows]
    assert order == ["lookahead", "maskable_ppo", "rec2inf", "jump", "popularity", "random"]
    returns = {
        run.header["agent"]: run.episodes.sort_values("user")["return"].to_numpy()
        for run in load(tmp_path)
    }
    for better, worse in pairwise(order):
        gap = scoring.paired_difference([returns[better]], [returns[worse]])
        assert gap.low > 0, (better, worse, gap)
    assert (tmp_path / "report.html").exists()
    assert len(returns["jump"]) == suites.get("influence-path", quick=True).tasks
    assert "(19" in out.stdout or "(20" in out.stdout  # titles carry years
