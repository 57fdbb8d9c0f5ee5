from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest
from made_up import spec, write_run

from recgym.benchmark import files
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.spec import RunSpec

FRAME = pd.DataFrame(
    {"user": [0, 1, 2], "objective": [7, 8, 9], "return": [0.1, np.nan, 1 / 3], "SR": [1.0, 0, 1]}
)


def test_round_trip_is_exact(tmp_path):
    path = write_run(tmp_path, spec("rec2inf[sasrec, genre]", "rec2inf", config={"k": 50}), FRAME)
    assert path.name == "rec2inf-sasrec-genre-seed0.csv"
    found = files.read(path)
    pd.testing.assert_frame_equal(found.episodes, FRAME)
    assert found.header["config"] == {"k": 50}
    first = path.read_text().splitlines()[0]
    assert json.loads(first[2:])["schema"] == files.SCHEMA
    assert os.listdir(tmp_path) == [path.name]
    pd.testing.assert_frame_equal(pd.read_csv(path, comment="#"), FRAME)


def test_a_finished_run_is_never_overwritten(tmp_path):
    path = write_run(tmp_path, spec(), FRAME)
    before = path.read_bytes()
    with pytest.raises(BenchmarkError, match="never overwrites"):
        write_run(tmp_path, spec(), FRAME * 2)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_resume_knows_the_same_run_from_another(tmp_path):
    one = spec(config={"k": 50, "sizes": [1, 2]}, tasks=100)
    assert not files.finished(one.path(tmp_path), one.identity)
    write_run(tmp_path, one, FRAME)
    assert files.finished(one.path(tmp_path), one.identity)
    tuples = spec(config={"k": 50, "sizes": (1, 2)}, tasks=100)
    assert files.finished(tuples.path(tmp_path), tuples.identity)
    for other in (
        spec(config={"k": 51, "sizes": [1, 2]}, tasks=100),
        spec(config={"k": 50, "sizes": [1, 2]}),
        spec(config={"k": 50, "sizes": [1, 2]}, tasks=100, every=2),
        spec(config={"k": 50, "sizes": [1, 2]}, tasks=100, timesteps=10),
        spec(config={"k": 50, "sizes": [1, 2]}, tasks=100, env_kwargs={"horizon": 5}),
    ):
        with pytest.raises(BenchmarkError, match=r"different run .* now.*--out"):
            files.finished(other.path(tmp_path), other.identity)


def test_a_file_from_before_tasks_could_be_skipped_judges_every_one(tmp_path):
    path = write_run(tmp_path, spec(), FRAME)
    _damage(path, '"every": 1, ', "")
    assert files.read(path).header["every"] == 1
    assert files.finished(path, spec().identity)
    with pytest.raises(BenchmarkError, match="every is 1 there, 2 now"):
        files.finished(path, spec(every=2).identity)


def _damage(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: p.write_text("user,return\n1,2\n"), "first line"),
        (lambda p: p.write_bytes(b"\xff\xfe\x00"), "UTF-8"),
        (lambda p: p.write_text(""), "first line"),
        (lambda p: p.write_text("# {not json\n1,2\n"), "not JSON"),
        (lambda p: p.write_text(p.read_text()[:-4]), "digest"),
        (lambda p: _damage(p, ",0.1,", ",9.1,"), "digest"),
        (lambda p: _damage(p, '"schema": 2', '"schema": 99'), "schema 99"),
        (lambda p: _damage(p, '"sees"', '"seen"'), "lacks sees"),
    ],
)
def test_foreign_and_damaged_files_are_named_with_the_reason(tmp_path, damage, reason):
    path = write_run(tmp_path, spec(), FRAME)
    damage(path)
    with pytest.raises(BenchmarkError) as caught:
        files.read(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    with pytest.raises(BenchmarkError):
        files.finished(path, spec().identity)


def test_leftovers_of_killed_runs_are_removed_but_fresh_ones_are_not(tmp_path):
    old, fresh = (tmp_path / f".run.{name}{files.TEMPORARY}" for name in ("old", "fresh"))
    old.touch()
    fresh.touch()
    os.utime(old, (0, 0))
    files.remove_leftovers(tmp_path)
    assert not old.exists()
    assert fresh.exists()


def test_training_on_the_test_split_is_refused():
    for split in ("test", "validation", "train"):
        with pytest.raises(BenchmarkError, match="never on the test split"):
            spec(env_kwargs={"split": split})
    with pytest.raises(BenchmarkError, match="choose one of test, validation"):
        spec(split="train")
    with pytest.raises(BenchmarkError, match="not JSON"):
        spec(config={"model": object()})


def test_the_command_of_a_run_repeats_it(tmp_path):
    run = spec(
        "rec2inf[a b]", "rec2inf", 3, config={"k": 5, "name": "x"}, timesteps=10, tasks=7, every=3
    )
    command = run.command(tmp_path)
    assert "--label 'rec2inf[a b]'" in command
    assert "--set k=5 --set name=x" in command
    assert "--tasks 7 --every 3" in command
    assert "--every" not in spec().command(tmp_path)
    assert isinstance(run, RunSpec)
