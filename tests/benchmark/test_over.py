"""Runs that take longer than their suite allows: stopped, told of, and not tried again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_bench import SUITE

from recgym.benchmark import over, summary, table
from recgym.benchmark.bench import bench
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.spec import specs_of
from recgym.benchmark.suites import Entry

IMPATIENT = replace(SUITE, entries=(Entry("jump", "jump"),), seeds=(0,), minutes=1e-4)


def test_a_run_over_its_cap_is_stopped_and_tried_again_only_with_a_larger_one(tmp_path):
    events: list[str] = []

    def tell(event, spec, path):
        events.append(event)

    first = bench(IMPATIENT, tmp_path, jobs=1, on_event=tell)
    (run,) = specs_of(IMPATIENT)
    assert first.over == (over.path(run, tmp_path),)
    assert first.over[0].is_file()
    assert (first.failed, first.finished) == ((), ())
    bench(IMPATIENT, tmp_path, jobs=1, on_event=tell)
    third = bench(replace(IMPATIENT, minutes=5.0), tmp_path, jobs=1, on_event=tell)
    assert third.finished
    assert not first.over[0].exists()
    assert events == ["over", "over", "finished"]


def test_the_table_and_its_csv_tell_of_stopped_runs(tmp_path):
    patient = replace(SUITE, entries=(Entry("jump", "jump"),), minutes=5.0)
    bench(patient, tmp_path, jobs=1)
    for spec in specs_of(replace(SUITE, entries=(Entry("random", "random"),), seeds=(0, 2))):
        over.write(spec, tmp_path, 10.0)
    made = table.build(tmp_path)
    assert "random: stopped after 10 minutes with seeds 0, 2." in made.notes
    agents, _ = summary.frames(made)
    row = agents[agents["agent"] == "random"]
    assert row[["seeds", "metric", "statistic", "value"]].to_numpy().tolist() == [
        [2, "return", summary.OVER, 10.0]
    ]


def test_a_damaged_note_is_refused_by_name(tmp_path):
    (run,) = specs_of(IMPATIENT)
    over.path(run, tmp_path).write_text("[", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"jump-seed0\.over\.json is damaged"):
        over.stopped(run, tmp_path, 1.0)


def test_a_cap_holds_where_all_runs_of_a_training_have_one():
    assert over.seconds([1.0, 2.0]) == 180.0
    assert over.seconds([1.0, None]) is None
    with pytest.raises(ValueError, match="minutes must be above 0"):
        replace(SUITE, minutes=0.0)
