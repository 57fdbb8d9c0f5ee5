from __future__ import annotations

import data_layouts as layouts
import data_tiny as tiny
import pytest
from data_server import Server
from typer.testing import CliRunner

from recgym import data
from recgym.cli.data import data_app


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    runner = CliRunner()

    def invoke(*arguments):
        result = runner.invoke(data_app, list(map(str, arguments)))
        assert not result.exception or isinstance(result.exception, SystemExit)
        return result.exit_code, result.output

    return invoke


def test_list(run):
    code, text = run("list")
    assert code == 0
    assert max(map(len, text.splitlines())) <= 80
    for name in data.names():
        assert name in text
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert lines["ml-latest-small"].rstrip().endswith("built in")
    assert lines["ml-1m"].split()[1] == "1,000,209"
    assert lines["ml-1m"].rstrip().endswith("no")


def test_info_of_what_is_here(run):
    code, text = run("info", "ml-latest-small")
    assert code == 0
    assert "3,496" in text
    assert "90,072" in text
    assert data.load("ml-latest-small").fingerprint in text
    _, raw = run("info", "ml-latest-small", "--variant", "raw")
    assert "100,004" in raw


def test_info_of_what_is_not(run):
    code, text = run("info", "ml-1m")
    assert code == 0
    assert "recgym data fetch ml-1m" in text
    assert "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20" in text


@pytest.mark.parametrize(
    "arguments",
    [("info", "nope"), ("fetch", "nope"), ("import", "nothing.zip"), ("fetch", "synthetic"),
     ("info", "ml-1m", "--variant", "dirty")],
)  # fmt: skip
def test_errors_are_one_sentence_and_no_traceback(run, arguments):
    code, text = run(*arguments)
    assert code == 2
    assert text.startswith("Error: ")
    assert "Traceback" not in text


def test_fetch_import_list(run, tmp_path, few, monkeypatch, own_cache):
    content = tiny.archive(tmp_path, few)
    tiny.register(monkeypatch, tiny.entry(content, few))
    with Server(content).running() as server:
        code, text = run("fetch", "tiny", "--url", server.url)
    assert code == 0
    assert "tiny is in" in text
    assert "For tests." in text
    _, listed = run("list")
    assert any(line.startswith("tiny") and "cache" in line for line in listed.splitlines())
    folder = layouts.as_folder(tmp_path / "unpacked", layouts.ml_csv(few))
    code, text = run("import", folder, "--name", "tiny")
    assert code == 0
    code, text = run("info", "tiny", "--variant", "raw")
    assert f"{len(few):,}" in text
