from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recgym.benchmark import files
from recgym.cli import pairs

ROOT = Path(__file__).parents[1]
TINY = "recgym/InfluencePathTiny-v0"


def recgym(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recgym", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160", "PYTHONPATH": str(ROOT)},
    )


def test_help_is_light_and_lists_the_commands():
    code = (
        "import sys; sys.argv = ['recgym', '--help']\n"
        "from recgym.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'scipy', 'matplotlib', 'stable_baselines3'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    for command in ("list", "info", "play", "run", "bench", "report", "demo", "train", "data"):
        assert command in out
    assert "LOADED []" in out


def test_list_names_every_environment_and_agent():
    from recgym import agents, env_ids

    out = recgym("list")
    assert out.returncode == 0, out.stderr
    for env_id in env_ids():
        assert env_id in out.stdout
        for name in agents.names(env_id):
            assert name in out.stdout


def test_info_shows_spaces_arguments_and_documentation():
    out = recgym("info", TINY, "--env", "horizon=4")
    assert out.returncode == 0, out.stderr
    for text in ("Discrete(12)", "steps_left: Discrete(5)", "acceptance = 'passive'", "Rewards"):
        assert text in out.stdout


def test_info_shows_an_agent_and_its_settings():
    out = recgym("info", TINY, "--agent", "irn")
    assert out.returncode == 0, out.stderr
    for text in ("sees: log", "gap: int | Literal['left'] = 'left'", "Candidates of ``nearest``."):
        assert text in out.stdout
    assert ":mod:" not in out.stdout
    unknown = recgym("info", TINY, "--agent", "oracle")
    assert unknown.returncode == 2
    assert "'oracle'" in unknown.stderr


def test_a_bench_that_takes_no_files_says_what_does(tmp_path):
    (tmp_path / "own.csv").write_text("user,item\n0,0\n")
    words = ("--dataset", str(tmp_path / "own.csv"), "--out", str(tmp_path / "runs"))
    out = recgym("bench", "influence-path", *words)
    assert out.returncode == 2
    assert "--env dataset=PATH" in out.stderr


def test_play_shows_one_episode():
    out = recgym("play", TINY, "--agent", "jump")
    assert out.returncode == 0, out.stderr
    assert "SR 1" in out.stdout
    again = recgym("play", TINY, "--agent", "jump")
    assert again.stdout == out.stdout


def test_play_saves_pictures(tmp_path):
    out = recgym(
        "play",
        TINY,
        "--agent",
        "random",
        "--render",
        "rgb_array",
        "--out",
        str(tmp_path / "frames"),
    )
    assert out.returncode == 0, out.stderr
    frames = sorted((tmp_path / "frames").iterdir())
    assert [frame.suffix for frame in frames] == [".png"] * len(frames)
    assert len(frames) >= 2


def test_run_then_report(tmp_path):
    for agent in ("random", "jump"):
        out = recgym(
            "run", TINY, "--agent", agent, "--seed", "1", "--out", str(tmp_path), "--env", "bonus=2"
        )
        assert out.returncode == 0, out.stderr
        assert files.read(Path(out.stdout.strip())).header["env_kwargs"] == {"bonus": 2}
    out = recgym("report", str(tmp_path))
    assert out.returncode == 0, out.stderr
    assert "jump" in out.stdout
    assert "One seed" in out.stdout
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "report.md").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("info", "recgym/Nothing-v0"), "unknown environment 'recgym/Nothing-v0'"),
        (("info", TINY, "--env", "colour=red"), "colour"),
        (("play", TINY, "--agent", "jumb"), "did you mean jump?"),
        (("play", TINY, "--agent", "jump", "--render", "ascii"), "did you mean ansi?"),
        (("play", TINY, "--agent", "jump", "--out", "x"), "--render rgb_array"),
        (("run", TINY, "--agent", "jump", "--seed", "0", "--out", "x", "--set", "k"), "key=value"),
        (
            ("run", TINY, "--agent", "jump", "--seed", "0", "--out", "x", "--env", "split=test"),
            "never on the test split",
        ),
        (("bench", "influense-path", "--out", "x"), "did you mean influence-path?"),
        (("bench", "influence-path", "--out", "x", "--jobs", "0"), "at least 1"),
        (("report", "nowhere"), "not a folder"),
        (("run", TINY, "--agent", "jump"), "Missing option"),
    ],
)
def test_user_errors_are_one_sentence_and_exit_code_2(tmp_path, arguments, sentence):
    out = recgym(*arguments, cwd=tmp_path)
    assert out.returncode == 2
    assert sentence in out.stderr
    assert "Traceback" not in out.stderr + out.stdout
    assert not list(tmp_path.iterdir())


def test_values_are_json_or_text():
    assert pairs(["a=1", "b=x=y", 'c=["z"]', "d=true"], "--set") == {
        "a": 1,
        "b": "x=y",
        "c": ["z"],
        "d": True,
    }
    with pytest.raises(files.BenchmarkError, match="twice"):
        pairs(["a=1", "a=2"], "--set")


@pytest.mark.parametrize("flags", [("--tasks", "0"), ("--tasks", "-1"), ("--timesteps", "-5")])
def test_run_refuses_counts_below_one(tmp_path, flags):
    out = recgym("run", TINY, "--agent", "random", "--seed", "0", "--out", str(tmp_path), *flags)
    assert out.returncode == 2
    assert f"{flags[0].strip('-')} must be at least 1" in out.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "runs"
    out = recgym("run", TINY, "--agent", "random", "--seed", "0", "--out", str(target))
    assert out.returncode == 2
    assert "Traceback" not in out.stderr
    assert str(target) in out.stderr


def test_every_command_computes_with_one_thread(tmp_path):
    """A run alone and the same run in a bench must give the same numbers."""
    code = (
        "import sys, os\n"
        "os.environ.pop('OMP_NUM_THREADS', None)\n"
        "sys.argv = ['recgym', 'list']\n"
        "from recgym.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "import torch\n"
        "print(torch.get_num_threads())\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split()[-1] == "1"


def test_a_suite_may_know_worlds_that_are_no_data_set():
    from recgym.benchmark import suites
    from recgym.cli.bench import _check
    from recgym.data import DataError

    for name in ("simulation", "simulation-50"):
        _check(None, name, "clean", suites.SUITES["data-selection"])
        with pytest.raises(DataError, match=f"No data set is called '{name}'"):
            _check(None, name, "clean", suites.SUITES["influence-path"])
