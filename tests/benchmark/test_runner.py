from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from tiny_bench import SUITE, Here

from recgym.benchmark import files, making, studies, suites
from recgym.benchmark.bench import bench
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.runner import execute, execute_together, run
from recgym.benchmark.spec import RunSpec, specs_of
from recgym.benchmark.suites import Entry
from recgym.benchmark.table import build

ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
TINY = "recgym/InfluencePathTiny-v0"


def test_one_run_is_one_file_with_its_whole_story(tmp_path):
    path = run(TINY, "jump", 3, tmp_path, env_kwargs={"horizon": 5})
    found = files.read(path)
    assert path == tmp_path / "jump-seed3.csv"
    assert found.header["sees"] == "log"
    assert found.header["env_kwargs"] == {"horizon": 5}
    assert found.header["versions"].keys() >= {"recgym", "python", "gymnasium", "numpy", "torch"}
    assert found.header["peak_memory_mb"] > 20
    assert found.header["task_keys"][:2] == ["user", "objective"]
    tasks = making.vector_env(TINY, 1, "test", "Disabled", {}).unwrapped.evaluation_tasks(3)
    pd.testing.assert_frame_equal(
        found.episodes[found.header["task_keys"]], pd.DataFrame(tasks), check_dtype=False
    )
    assert (found.episodes["SR@1"] == 1).all()
    assert (found.episodes["length"] == 1).all()


def test_every_so_many_th_task_is_judged(tmp_path):
    ways = ({}, {"every": 3}, {"every": 3, "tasks": 2})
    paths = [run(TINY, "jump", 3, tmp_path / str(n), **way) for n, way in enumerate(ways)]
    every, third, two = (files.read(path).episodes["user"].tolist() for path in paths)
    assert third == every[::3]
    assert two == every[:6:3]
    assert "--tasks 2 --every 3" in files.read_header(paths[2])["command"]


def test_a_run_repeats_exactly_and_its_command_makes_the_same_file(tmp_path):
    first = run(TINY, "random", 1, tmp_path / "a", label="chance", env_kwargs={"horizon": 4})
    command = files.read_header(first)["command"].replace(str(tmp_path / "a"), str(tmp_path / "b"))
    assert command.startswith("recgym run ")
    subprocess.run(
        [sys.executable, "-m", *shlex.split(command)], check=True, capture_output=True, env=ENV
    )
    second = tmp_path / "b" / first.name
    pd.testing.assert_frame_equal(files.read(first).episodes, files.read(second).episodes)
    other = run(TINY, "random", 2, tmp_path / "a", label="chance", env_kwargs={"horizon": 4})
    assert not files.read(first).episodes.equals(files.read(other).episodes)


def test_training_on_the_test_split_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="never on the test split"):
        run(TINY, "random", 0, tmp_path, env_kwargs={"split": "test"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env_id": "recgym/InfluencePathTyny-v0"}, "did you mean recgym/InfluencePathTiny-v0"),
        ({"agent": "rec2ing"}, "did you mean rec2inf"),
        ({"agent": "no such thing"}, "choose one of"),
        ({"config": {"colour": "red"}}, "colour"),
        ({"env_kwargs": {"horizont": 3}}, "horizont"),
        ({"env_kwargs": {"horizon": -3}}, "horizon"),
        ({"split": "train"}, "choose one of test, validation"),
    ],
)
def test_user_errors_are_one_sentence(tmp_path, changes, message):
    arguments = {"env_id": TINY, "agent": "random", "seed": 0, "out": tmp_path, **changes}
    with pytest.raises(BenchmarkError, match=message):
        run(**arguments)
    assert not list(tmp_path.glob("*.csv"))


def test_bench_runs_what_is_missing_and_only_that(tmp_path):
    executor = Here()
    events: list[str] = []
    result = bench(SUITE, tmp_path, executor=executor)
    assert executor.submitted == len(result.finished) == 6
    contents = {path: path.read_bytes() for path in tmp_path.glob("*.csv")}
    (tmp_path / "jump-seed1.csv").unlink()
    executor = Here()
    result = bench(
        SUITE, tmp_path, executor=executor, on_event=lambda event, *_: events.append(event)
    )
    assert executor.submitted == 1
    assert [path.name for path in result.finished] == ["jump-seed1.csv"]
    assert sorted(events) == ["finished"] + ["skipped"] * 5
    for path, content in contents.items():
        if path.name != "jump-seed1.csv":
            assert path.read_bytes() == content
    rows = {row.label: row for row in build(tmp_path, 100).rows}
    assert rows["jump"].seeds == rows["random"].seeds == (0, 1, 2)


def test_a_changed_suite_in_the_same_place_is_refused_before_anything_runs(tmp_path):
    bench(SUITE, tmp_path, executor=Here())
    executor = Here()
    longer = replace(SUITE, entries=(Entry("new", "jump"), *SUITE.entries), env_kwargs={"bonus": 1})
    with pytest.raises(BenchmarkError, match=r"random-seed0\.csv holds a different run \(env_kwa"):
        bench(longer, tmp_path, executor=executor)
    assert executor.submitted == 0


def test_a_failing_run_is_reported_and_the_rest_goes_on(tmp_path):
    broken = replace(
        SUITE,
        entries=(Entry("broken", "random", {"colour": "red"}), *SUITE.entries),
        seeds=(0,),
    )
    result = bench(broken, tmp_path, executor=ThreadPoolExecutor(1))
    assert [path.name for path in result.failed] == ["broken-seed0.error.txt"]
    assert len(result.finished) == 2
    text = result.failed[0].read_text()
    assert "Traceback" in text
    assert "colour" in text
    assert "Repeat it alone: recgym run" in text
    healed = replace(broken, entries=(Entry("broken", "random"), *SUITE.entries))
    assert not bench(healed, tmp_path, executor=Here()).failed
    assert not list(tmp_path.glob("*.error.txt"))


def test_a_second_bench_in_the_same_folder_is_refused(tmp_path):
    with (
        FileLock(tmp_path / ".bench.lock"),
        pytest.raises(BenchmarkError, match="another bench is at work"),
    ):
        bench(SUITE, tmp_path, executor=Here())


def start(out: Path) -> subprocess.Popen:
    program = Path(__file__).with_name("tiny_bench.py")
    return subprocess.Popen(
        [sys.executable, str(program), str(out)],
        stdout=subprocess.PIPE,
        text=True,
        env=ENV,
        start_new_session=True,
        # a shell's background jobs ignore Ctrl-C, and so would what they start
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_bench_that_is_stopped_and_started_again_loses_and_repeats_nothing(tmp_path, stop):
    first = start(tmp_path)
    assert first.stdout is not None
    for _ in range(2):
        assert first.stdout.readline().startswith("finished")
    if stop is signal.SIGINT:
        os.killpg(first.pid, stop)  # as a terminal's Ctrl-C does: parent and workers
    else:
        os.kill(first.pid, stop)  # the parent alone: its workers must notice
    first.communicate()
    if stop is signal.SIGINT:
        assert first.returncode == 130
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}
    assert 2 <= len(kept) < 6
    for name in kept:
        files.read(tmp_path / name)
    second = start(tmp_path)
    output, _ = second.communicate()
    assert second.returncode == 0
    lines = output.split("\n")[:-1]
    assert {f"skipped {name}" for name in kept} == {x for x in lines if x.startswith("skipped")}
    assert len(lines) == 6
    for name, content in kept.items():
        assert (tmp_path / name).read_bytes() == content
    assert len(list(tmp_path.glob("*.csv"))) == 6
    assert not list(tmp_path.glob(f".*{files.TEMPORARY}"))


SIMULATED = ("data-selection-characters", "data-selection-retrainings")
SUITES = [
    *(suites.get(name, quick=quick) for name in suites.SUITES for quick in (False, True)),
    *(suites.get("influence-path", dataset=name) for name in ("ml-1m", "lastfm-2k")),
    *(
        suite
        for name in studies.names()
        for dataset in (None, *(["lastfm-2k"] if name not in SIMULATED else []))
        for suite in studies.get(name, dataset).suites.values()
    ),
]


@pytest.mark.parametrize("name", SIMULATED)
def test_studies_of_made_up_worlds_refuse_data(name):
    with pytest.raises(BenchmarkError, match="of worlds that it makes itself"):
        studies.get(name, "ml-latest-small")


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_suites_are_consistent_with_the_registry(suite):
    from recgym import agents

    assert suite.env_id in making.env_ids()
    assert {entry.agent for entry in suite.entries} <= set(agents.names(suite.env_id))
    for entry in suite.entries:
        settings = agents.agent_class(entry.agent, suite.env_id).Config
        settings.from_dict(dict(entry.config))
    paths = [spec.path(Path()) for spec in specs_of(suite)]
    assert len(set(paths)) == len(suite.entries) * len(suite.seeds)


def test_the_suites_metrics_are_the_environments():
    env = making.vector_env(TINY, 1, "test", "Disabled", {})
    env.reset(seed=0)
    while True:
        infos = env.step(np.array([env.unwrapped.action_masks()[0].argmax()]))[-1]
        if "metrics" in infos:
            break
    shown = {metric.key for metric in suites.get("influence-path").metrics}
    assert shown <= set(infos["metrics"])


def test_unknown_suites_and_clashing_labels_are_refused():
    with pytest.raises(KeyError, match="influence-path"):
        suites.get("influence")
    with pytest.raises(ValueError, match="file name"):
        replace(SUITE, entries=(Entry("a b", "jump"), Entry("a-b", "random")))
    with pytest.raises(ValueError, match="main metric"):
        replace(SUITE, main="profit")


def test_an_agent_that_several_judge_is_asked_once(tmp_path, monkeypatch):
    from recgym.agents.influence_path.lookahead import Lookahead

    asked, act = [], Lookahead.act

    def counted(self, observation, *, deterministic):
        asked.append(len(observation["user"]))
        return act(self, observation, deterministic=deterministic)

    monkeypatch.setattr(Lookahead, "act", counted)
    home, judges = {"bonus": 5.0}, (5.0, 1.0)
    specs = [
        RunSpec(
            "recgym/InfluencePath-v0",
            "lookahead",
            seed=0,
            label=f"bonus {judge:g}",
            env_kwargs={"dataset": "synthetic", "bonus": judge},
            tasks=20,
            train_env=home,
        )
        for judge in judges
    ]
    together = execute_together([(spec, tmp_path / "both") for spec in specs])
    once = len(asked)
    alone = [execute(spec, tmp_path / "alone") for spec in specs]
    assert len(asked) == 3 * once  # once together, once each alone
    for a, b in zip(together, alone, strict=True):
        pd.testing.assert_frame_equal(files.read(a).episodes, files.read(b).episodes)
    first, second = (files.read(path).episodes["return"] for path in together)
    assert not first.equals(second)
