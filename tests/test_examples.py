"""Every example runs as a newcomer would run it, with small settings, and says what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(script: str, *arguments: str, cwd: Path) -> str:
    root = str(EXAMPLES.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(EXAMPLES / script), *arguments],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert list(cwd.iterdir()) == [], "an example left files behind"
    return done.stdout


def test_q_learning_converges_to_the_exact_optimum(tmp_path):
    output = run("tabular_q_learning.py", cwd=tmp_path)
    regrets = [float(value) for value in re.findall(r"regret (\S+)", output)]
    assert len(regrets) == 10
    assert regrets[-1] <= 0.02
    assert regrets[-1] <= regrets[0]


def test_maskable_ppo(tmp_path):
    pytest.importorskip("sb3_contrib")
    small = ["--timesteps", "1280", "--episodes", "8"]
    output = run(
        "maskable_ppo.py", *small, "--dataset", "synthetic", "--backbone", "cooccurrence",
        cwd=tmp_path,
    )  # fmt: skip
    assert re.findall(r"^(untrained|trained) +return +-?\d", output, re.M) == [
        "untrained",
        "trained",
    ]


def test_own_data(tmp_path):
    output = run("own_data.py", cwd=tmp_path)
    assert "InteractionLog('music-shop': 300 users, 120 items, 9,000 interactions)" in output
    assert re.search(r" 1/10  \w+ record \d+ ", output)
    assert "objective reached" in output
    assert "SR 1" in output


def test_own_data_takes_a_file(tmp_path):
    work, folder = tmp_path / "work", tmp_path / "data"
    work.mkdir(), folder.mkdir()
    rows = [f"{u},film {(u * 7 + k * k) % 30},{k}" for u in range(60) for k in range(12)]
    (folder / "views.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows]))
    output = run("own_data.py", "--path", str(folder / "views.csv"), "--seed", "1", cwd=work)
    assert "InteractionLog('views': 60 users" in output
    assert " film " in output


def test_every_example_is_tested():
    tested = set(re.findall(r'"(\w+\.py)"', Path(__file__).read_text(encoding="utf-8")))
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested
