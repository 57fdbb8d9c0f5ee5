"""Tables in documents are what the committed CSVs say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
CHANGE = ["train_seconds", "evaluate_seconds", "peak_memory_mb", "sha256", "finished", "command"]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def publish():
    spec = importlib.util.spec_from_file_location(
        "publish_results", ROOT / "scripts" / "publish_results.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_tables_are_those_of_the_committed_results(publish, path):
    text = path.read_text(encoding="utf-8")
    assert publish.fill(text) == text, "run: python scripts/publish_results.py tables"


def test_a_table_that_was_changed_by_hand_is_found(publish):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "| jump | log |" in text
    changed = text.replace("| jump | log | −", "| jump | log | ")
    assert publish.fill(changed) == text != changed


def test_a_bench_is_taken_and_shown(publish, tmp_path, monkeypatch):
    from recgym.benchmark import runner

    for seed in (0, 1):
        for agent in ("random", "jump"):
            runner.run("recgym/InfluencePathTiny-v0", agent, seed, tmp_path / "runs")
    publish.take(tmp_path / "runs", tmp_path / "results")
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    table = publish.table("results/agents.csv", "SR,return", "jump")
    assert table.splitlines()[0] == "| agent | saw | SR ↑ | Return ↑ |"
    assert "| jump | log | 1.000 [1.000, 1.000] |" in table
    with pytest.raises(publish.BenchmarkError, match="no row fits"):
        publish.table("results/agents.csv", agents="nobody")


def test_a_papers_numbers_stand_beside_ours(publish, tmp_path, monkeypatch):
    ours = "agent,statistic,metric,value\njump,mean,SR,1\njump,best,SR,7\nrandom,mean,SR,0.25\n"
    theirs = (
        "table,dataset,agent,metric,value\nIII,a,random,SR,-0.10\nIII,a,ipg,SR,.3\nIV,a,x,SR,1\n"
    )
    (tmp_path / "ours.csv").write_text(ours)
    (tmp_path / "theirs.csv").write_text(theirs)
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    lines = publish.beside("ours.csv", "theirs.csv", "III", "a", "SR").splitlines()
    assert lines[0] == "|  | SR, paper | ours |"
    assert lines[2:] == ["| random | −0.10 | 0.250 |", "| ipg | .3 |  |"]
    lines = publish.beside("ours.csv", "theirs.csv", "III", "a", "SR", rename="ipg:jump")
    assert lines.splitlines()[2:] == ["| jump | .3 | 1.000 |"]
    with pytest.raises(publish.BenchmarkError, match="no table V"):
        publish.beside("ours.csv", "theirs.csv", "V", "a", "SR")


def test_rows_that_have_a_number_and_rows_that_have_none(publish, tmp_path, monkeypatch):
    head, row = "distance,epochs,metric,value,low,high", "SR,.25,.25,.25"
    (tmp_path / "o.csv").write_text(f"{head}\nfixed,,{row}\ntrained,20,{row}\ntrained,0.5,{row}\n")
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    lines = publish.table("o.csv", "SR", row="distance,epochs", interval="no").splitlines()
    assert lines[2:] == [
        "| fixed |  | 0.250 |",
        "| trained | 20 | 0.250 |",
        "| trained | 0.5 | 0.250 |",
    ]
    lines = publish.table("o.csv", "SR", row="distance,epochs", agents="20", interval="no")
    assert lines.splitlines()[2:] == ["| trained | 20 | 0.250 |"]


def test_how_many_an_agent_leads(publish, tmp_path, monkeypatch):
    rows = ["a,x 1,2,1,3", "a,x 2,0,-1,1", "a,y 1,-2,-3,-1", "b,x 1,-1,-2,-.5", "b,y 1,1,.5,2"]
    text = "leader,agent,value,low,high,metric\n" + "".join(f"{row},return\n" for row in rows)
    (tmp_path / "leads.csv").write_text(text)
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    lines = publish.standing("leads.csv", "a;b", "x?*;y?*").splitlines()
    assert lines[2:] == ["| a | 1 / 1 / 0 | 0 / 0 / 1 |", "| b | 0 / 0 / 1 | 1 / 0 / 0 |"]
    with pytest.raises(publish.BenchmarkError, match="nothing like"):
        publish.standing("leads.csv", "a", "z*")
    (tmp_path / "leads.csv").write_text(text.replace("return", "log_ppl"))  # less is better
    lines = publish.standing("leads.csv", "a", "x?*;y?*", "log_ppl").splitlines()
    assert lines[2:] == ["| a | 0 / 1 / 1 | 1 / 0 / 0 |"]
    with pytest.raises(publish.BenchmarkError, match="neither"):
        publish.standing("leads.csv", "a", "x?*", "SR@1")
    lines = [f"{'B' if i % 2 else 'A'},{row},return" for i, row in enumerate(rows)]  # of a study
    (tmp_path / "leads.csv").write_text("setting," + "\n".join([text.splitlines()[0], *lines]))
    lines = publish.standing("leads.csv", "a", "x*").splitlines()
    assert lines[0].startswith("| setting | agent | x: ahead")
    assert lines[2:] == ["| A | a | 1 / 0 / 0 |", "| B | a | 0 / 1 / 0 |"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(999.7, "1,000"), (999.4, "999"), (0.0123456, "0.0123"), (-1234.5, "−1,234"), (12.34, "12.3")],
)
def test_significant_digits(publish, value, shown):
    assert publish._rounded(value, "3") == shown


def test_a_bench_that_is_taken_again_keeps_other_agents(publish, tmp_path):
    from recgym.benchmark import runner

    env, whole, some, target = "recgym/InfluencePathTiny-v0", *(tmp_path / n for n in "abc")
    for agent in ("random", "jump", "popularity"):
        for seed in (0, 1):
            runner.run(env, agent, seed, whole)
            if agent != "random":
                runner.run(env, agent, seed, some)
    publish.take(whole, target, ["jump"])
    names = ("agents.csv", "runs.csv", "leads.csv")
    before = [pd.read_csv(target / name) for name in names]
    publish.take(some, target, ["jump"], keep=True)
    for name, old in zip(names, before, strict=True):
        new, old = (
            f.drop(columns=CHANGE, errors="ignore") for f in (pd.read_csv(target / name), old)
        )
        pd.testing.assert_frame_equal(new, old, check_like=True)
    with pytest.raises(publish.BenchmarkError, match="nobody"):
        publish.take(some, target, ["nobody"])
    assert "random" in (target / "agents.csv").read_text(), "replaced before leaders were looked up"
    other = tmp_path / "d"
    runner.run(env, "jump", 0, other, env_kwargs={"acceptance": "sampled"})
    with pytest.raises(publish.BenchmarkError, match="another world"):
        publish.take(other, target, keep=True)


def test_a_study_is_taken_with_leads_in_each_setting(publish, tmp_path):
    from recgym.benchmark import leads, runner, summary, table

    env, runs, parts = "recgym/InfluencePathTiny-v0", tmp_path / "runs", []
    for setting, agents in {"M = 2": ("jump", "random"), "M = 3": ("random",)}.items():
        folder = runs / setting.lower().replace(" = ", "-")
        for agent in agents:
            runner.run(env, agent, 0, folder, env_kwargs={"horizon": int(setting[-1])})
        parts.append(summary.frames(table.build(folder)))
        for frame in parts[-1]:
            frame.insert(0, "setting", setting)
    summary.save(*(pd.concat(frames) for frames in zip(*parts, strict=True)), runs)
    publish.take(runs, tmp_path / "results", ["jump"])
    found = pd.read_csv(tmp_path / "results" / "leads.csv")
    assert set(found["setting"]) == {"M = 2"}
    value = float(found.query("metric == 'return'")["value"].iloc[0])
    there = leads.leads(runs / "m-2", ["jump"]).query("metric == 'return'")["value"]
    assert value == pytest.approx(there.iloc[0], abs=1e-4)
    assert value != 0
    target = tmp_path / "none"
    for words in ({"leaders": ["nobody"]}, {"keep": True}):
        with pytest.raises(publish.BenchmarkError, match=r"nobody|--keep"):
            publish.take(runs, target, **words)
    assert not target.exists()


def test_an_agent_that_was_stopped_has_a_cell_that_says_so(publish, tmp_path, monkeypatch):
    lines = ["agent,saw,seeds,metric,statistic,value,low,high"]
    lines += ["jump,log,1,return,mean,1.5,1,2", "jump,,1,return,stopped after minutes,10,,"]
    lines += ["ppo,,3,return,stopped after minutes,10,,"]
    (tmp_path / "agents.csv").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    rows = publish.table("agents.csv", "return").splitlines()[2:]
    assert rows == ["| jump | log | 1.50 [1.00, 2.00] |", "| ppo |  | over 10 min |"]


def test_columns_may_be_the_values_of_one(publish, tmp_path, monkeypatch):
    lines = ["k,policy,harm_weight,metric,value,low,high"]
    lines += [
        f"{k},{policy},{weight},f,{k + weight},0,9"
        for k in (1, 5)
        for policy in ("alternating", "static")
        for weight in (0, 10)
    ]
    (tmp_path / "weights.csv").write_text("\n".join(lines))
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    mark = "source=weights.csv metrics=f row=k,policy by=harm_weight agents=sta* interval=no"
    text = publish.fill(f"<!-- table: {mark} -->\n<!-- table: end -->")
    assert "| k | policy | 0 | 10 |" in text
    assert "| 5 | static | 5.0000 | 15.0000 |" in text
    assert "alternating" not in text
    plain = publish.plain("weights.csv", "k,policy", where="harm_weight:0;k:5")
    assert plain.splitlines()[2:] == ["| 5 | alternating |", "| 5 | static |"]
    with pytest.raises(publish.BenchmarkError, match="k:7"):
        publish.plain("weights.csv", "k", where="k:7")
