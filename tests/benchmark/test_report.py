from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
from made_up import AGENTS, spec, write_bench, write_run
from rich.console import Console

from recgym.benchmark import table
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.report import print_table, report

RESAMPLES = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    write_bench(out, seeds=3, users=60)
    return out


@pytest.fixture(scope="module")
def made(folder):
    return report(folder, resamples=RESAMPLES)


def printed(found, width: int) -> str:
    buffer = io.StringIO()
    print_table(found, Console(file=buffer, width=width))
    return buffer.getvalue()


def test_rows_are_sorted_and_compared_with_the_best_that_is_not_privileged(made):
    labels = [row.label for row in made.table.rows]
    means = [row.means["return"].value for row in made.table.rows]
    assert means == sorted(means, reverse=True)
    assert sorted(labels) == sorted(label for label, *_ in AGENTS)
    assert labels[:2] == ["lookahead", "maskable_ppo"]
    assert made.table.reference == "maskable_ppo"
    by_label = {row.label: row for row in made.table.rows}
    assert by_label["lookahead"].difference.value > 0
    assert by_label["random"].difference.excludes(0.0)
    assert by_label["maskable_ppo"].difference.value == 0.0


def test_numbers_are_those_of_the_files(folder, made):
    frames = [pd.read_csv(path, comment="#") for path in sorted(folder.glob("jump-seed*.csv"))]
    row = next(row for row in made.table.rows if row.label == "jump")
    assert row.means["return"].value == pytest.approx(pd.concat(frames)["return"].mean())
    np.testing.assert_allclose(row.per_seed, [frame["return"].mean() for frame in frames])
    assert row.means["SR"].value == 1.0
    assert row.seeds == (0, 1, 2)


@pytest.mark.parametrize("width", [80, 110, 160])
def test_terminal_table_always_shows_agent_source_and_main_metric(made, width):
    text = printed(made.table, width)
    for row in made.table.rows:
        assert row.label.split(",")[0] in text
        mean = row.means["return"]
        assert f"{mean.value:.2f}".replace("-", "−") in text
    assert "privileged: reads the simulated user" in text
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert ("IQM" in text) == (width >= 100)


def test_markdown_has_a_row_per_agent_and_every_command(made):
    text = made.markdown.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(AGENTS)
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
    assert text.count("recgym run ") == 3 * len(AGENTS)
    assert "3 seeds are few" in text


def test_page_is_self_contained_and_follows_the_colour_scheme(made):
    text = made.html.read_text()
    assert not re.search(r"(?:src|href)=\"(?!#)", text)
    assert "http" not in re.sub(r'xmlns[^=]*="[^"]*"', "", text)
    assert "prefers-color-scheme: dark" in text
    assert text.count("<svg") == 2
    assert "var(--simulator)" in text
    # No fixed colour is left inside the figures.
    for figure in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}", figure)
        assert "maskable_ppo" in figure or "lookahead" in figure
    assert "<metadata" not in text


def test_a_report_is_reproducible(folder, made):
    before = made.html.read_text(), made.markdown.read_text()
    again = report(folder, resamples=RESAMPLES)
    assert (again.html.read_text(), again.markdown.read_text()) == before


def test_labels_are_escaped_in_the_page(tmp_path):
    frame = pd.DataFrame({"user": [0, 1], "objective": [1, 2], "return": [1.0, 2.0]})
    write_run(tmp_path, spec("<script>alert(1)</script>", "random"), frame)
    text = report(tmp_path, resamples=50).html.read_text()
    assert "<script" not in text


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    frame = pd.DataFrame({"user": [0, 1], "objective": [1, 2], "return": [1.0, 2.0]})
    write_run(tmp_path, spec("jump"), frame)
    write_run(tmp_path, spec("random"), frame, fingerprint="another world")
    with pytest.raises(BenchmarkError, match=r"random-seed0\.csv .*fingerprint is 'another world'"):
        table.load(tmp_path)


def test_foreign_files_empty_and_missing_folders_are_refused_by_name(tmp_path):
    with pytest.raises(BenchmarkError, match="no runs"):
        table.load(tmp_path)
    with pytest.raises(BenchmarkError, match="not a folder"):
        table.load(tmp_path / "nowhere")
    (tmp_path / "ratings.csv").write_text("user,item\n1,2\n")
    with pytest.raises(BenchmarkError, match=r"ratings\.csv is not a run of recgym"):
        table.load(tmp_path)


def test_missing_seeds_and_failures_are_said(tmp_path):
    frame = pd.DataFrame({"user": [0, 1], "objective": [1, 2], "return": [1.0, 2.0]})
    for seed in (0, 1):
        write_run(tmp_path, spec("jump", seed=seed), frame)
    write_run(tmp_path, spec("random"), frame)
    (tmp_path / "lookahead-seed0.error.txt").write_text("…")
    notes = " ".join(table.build(tmp_path, RESAMPLES).notes)
    assert "random: seeds 1 are missing" in notes
    assert "1 runs failed" in notes
    assert "lookahead-seed0.error.txt" in notes


def test_an_unknown_environment_shows_all_its_metrics(tmp_path):
    frame = pd.DataFrame({"shop": [0, 1], "objective": [1, 2], "profit": [1.0, np.nan]})
    write_run(
        tmp_path,
        spec("random", env_id="recgym/Other-v0", suite=""),
        frame.rename(columns={"shop": "user"}),
    )
    found = table.build(tmp_path, RESAMPLES)
    assert found.main.key == "profit"
    assert found.rows[0].means["profit"].value == 1.0
    report(tmp_path, resamples=RESAMPLES)
