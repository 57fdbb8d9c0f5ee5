"""Studies: every setting in its own folder, one table of all, a figure and a page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tiny_bench import SUITE, Here

from recgym.agents.random import RandomAgent
from recgym.benchmark import figures, files, studies, summary
from recgym.benchmark.bench import bench, bench_all
from recgym.benchmark.files import BenchmarkError
from recgym.benchmark.studies import Study
from recgym.benchmark.study_page import study_page
from recgym.benchmark.suites import Entry

SMALL = replace(SUITE, seeds=(0, 1))
HORIZONS = {f"M = {m}": replace(SMALL, env_kwargs={"horizon": m}) for m in (2, 4)}
STUDY = Study("tiny-horizon", "Path length", "M", HORIZONS, ("SR", "return"))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    result = studies.run(STUDY, folder, jobs=1)
    assert len(result.finished) == 8
    assert not result.failed
    return folder


def test_a_study_continues_and_holds_every_setting(out):
    again = studies.run(STUDY, out, jobs=1)
    assert (len(again.finished), len(again.skipped)) == (0, 8)
    agents, runs = studies.frames(STUDY, out, 100)
    assert list(dict.fromkeys(agents["setting"])) == ["M = 2", "M = 4"]
    assert len(runs) == 8
    for setting, mine in runs.groupby("setting"):
        assert mine["command"].str.contains(f"horizon={str(setting)[-1]}").all()
    jump = agents[(agents.agent == "jump") & (agents.metric == "SR") & (agents.statistic == "mean")]
    assert (jump["value"] == 1).all()


def test_a_setting_without_runs_is_named(out):
    more = replace(STUDY, suites={**HORIZONS, "M = 9": SMALL})
    with pytest.raises(BenchmarkError, match="m-9"):
        studies.frames(more, out)


def test_files_figure_and_page(out, tmp_path):
    agents, runs = studies.frames(STUDY, out, 100)
    read = pd.read_csv(summary.save(agents, runs, tmp_path)[0])
    assert len(read) == len(agents)
    picture = figures.save(figures.study_figure(STUDY, agents), tmp_path / "figure.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    page = study_page(STUDY, agents, picture)
    assert "M: M = 4" in page
    assert "data:image/png;base64," in page
    assert "−" in page
    assert "http" not in page.replace("http-equiv", "")


def _texts(figure):
    return {text.get_text() for text in figure.findobj(lambda o: hasattr(o, "get_text"))}


def test_the_figure_follows_what_varies(out):
    agents, _ = studies.frames(STUDY, out, 100)
    by_number = figures.study_figure(STUDY, agents)
    assert {"SR ↑", "Return ↑", "M", "jump", "random"} <= _texts(by_number)
    renamed = agents.assign(setting=agents["setting"].map({"M = 2": "short", "M = 4": "long"}))
    named = replace(STUDY, suites={"short": SMALL, "long": SMALL})
    assert {"short", "long", "jump"} <= _texts(figures.study_figure(named, renamed))
    judged, marked = replace(named, matrix=True), renamed.assign(own=renamed["agent"] == "jump")
    figure = figures.study_figure(judged, marked)
    assert {"short", "jump", "1.000"} <= _texts(figure)
    bold = [text.get_text() for text in figure.axes[0].texts if text.get_weight() == "bold"]
    assert len(bold) == 2  # jump under both
    levels = {"jump": ("k", "sasrec", 10.0), "random": ("k", "caser", 20.0)}
    one = agents[agents["setting"] == "M = 2"]
    panels = figures.study_figure(replace(STUDY, levels=levels), one)
    assert {"k", "sasrec", "caser"} <= _texts(panels)
    without = figures.study_figure(replace(STUDY, levels={"jump": levels["jump"]}), one)
    assert "k" in _texts(without)


def test_a_matrix_says_who_was_made_with_the_judge(tmp_path):
    judged = replace(
        STUDY,
        matrix=True,
        suites={
            name: replace(SMALL, entries=(Entry("jump", "jump"), Entry("jump[caser, x]", "jump")))
            for name in ("caser", "sasrec")
        },
    )
    studies.run(judged, tmp_path, jobs=1)
    agents, _ = studies.frames(judged, tmp_path, 100)
    own = agents[agents["own"]][["agent", "setting"]].drop_duplicates()
    assert own.to_numpy().tolist() == [["jump[caser, x]", "caser"]]
    assert figures.study_figure(judged, agents) is not None
    plain, _ = studies.frames(replace(judged, matrix=False), tmp_path, 100)
    assert "own" not in plain


def test_a_bench_prepares_once_and_only_where_something_is_to_be_run(tmp_path):
    asked = []

    def prepare(suite, tell, jobs):
        asked.append((suite.name, jobs))
        tell("a model", "validation", 0.5)

    heard = []
    suite = replace(SMALL, entries=(Entry("jump", "jump"),), prepare=prepare)
    bench(suite, tmp_path, jobs=1, on_prepare=lambda *what: heard.append(what))
    bench(suite, tmp_path, jobs=1)
    assert asked == [("tiny", 1)]
    assert heard == [("a model", "validation", 0.5)]


def test_runs_of_one_training_train_once_and_come_out_as_alone(tmp_path, monkeypatch):
    """The agents of a transfer matrix are made in one world and judged in many."""
    learned = []

    def learn(self, *args, seed=None, **kwargs):
        learned.append(seed)
        self.rng.random(5)  # training uses the agent's randomness up, differently each time
        return self

    monkeypatch.setattr(RandomAgent, "learn", learn)
    entry = Entry("random", "random", train_env={"horizon": 3})
    alone = {m: replace(SMALL, entries=(entry,), env_kwargs={"horizon": m}) for m in (2, 3, 4)}
    bench_all({tmp_path / f"all{m}": s for m, s in alone.items()}, executor=Here())
    assert learned == [0, 1]
    for m, suite in alone.items():
        bench(suite, tmp_path / f"one{m}", executor=Here())
        for seed in SMALL.seeds:
            pair = [
                files.read(tmp_path / f"{how}{m}" / f"random-seed{seed}.csv")
                for how in ("all", "one")
            ]
            pd.testing.assert_frame_equal(pair[0].episodes, pair[1].episodes)
    assert len(learned) == 8


def test_seeds_that_share_a_training_train_once_and_come_out_as_alone(tmp_path, monkeypatch):
    learned = []

    def learn(self, *args, seed=None, **kwargs):
        learned.append(seed)
        return self

    monkeypatch.setattr(RandomAgent, "learn", learn)
    suite = replace(SMALL, entries=(Entry("random", "random", train_seed=7),))
    bench(suite, tmp_path / "all", executor=Here())
    assert learned == [7]
    found = [files.read(tmp_path / "all" / f"random-seed{s}.csv").episodes for s in SMALL.seeds]
    assert not found[0]["return"].equals(found[1]["return"])  # tasks and choices are each seed's
    for seed, together in zip(SMALL.seeds, found, strict=True):
        bench(replace(suite, seeds=(seed,)), tmp_path / "one", executor=Here())
        alone = files.read(tmp_path / "one" / f"random-seed{seed}.csv").episodes
        pd.testing.assert_frame_equal(together, alone)


def test_a_run_that_fails_does_not_take_those_of_its_training_with_it(tmp_path):
    entry = Entry("jump", "jump", train_env={"horizon": 3, "bonus": 1.0})
    good = replace(SMALL, entries=(entry,), seeds=(0,), env_kwargs={"horizon": 2})
    bad = replace(good, env_kwargs={"horizon": 2, "bonus": "a lot"})
    result = bench_all({tmp_path / "good": good, tmp_path / "bad": bad}, executor=Here())
    assert [path.parent.name for path in result.finished] == ["good"]
    assert [path.parent.name for path in result.failed] == ["bad"]
    healed = bench_all({tmp_path / "bad": good}, executor=Here())
    assert len(healed.finished) == 1
    assert not list((tmp_path / "bad").glob("*.error.txt"))


def test_names():
    assert "influence-path-horizon" in studies.names()
    with pytest.raises(KeyError, match="influence-path-horizon"):
        studies.get("horizon")


@pytest.mark.parametrize(
    ("values", "scale"),
    [((5, 10, 30), "linear"), ((0.01, 1.0), "log"), ((0, 0.001, 1), "symlog"), ((0, 0), "linear")],
)
def test_settings_of_several_magnitudes_are_spread(values, scale):
    axis = Figure().subplots()
    figures.spread(axis, np.array(values, dtype=float))
    assert axis.get_xscale() == scale
    assert list(axis.get_xticks()) == sorted(set(values))
    assert len(axis.get_xticks(minor=True)) == 0


def test_labels_of_ticks_keep_apart():
    axis = figures.canvas(3, 2).subplots()
    figures.spread(axis, np.array([1e-4, 5e-4, 1e-3, 3e-3, 8e-3, 1e-2]))
    words = [label.get_text() for label in axis.get_xticklabels()]
    assert words == ["0.0001", "0.0005", "0.001", "0.003", "0.008", ""]


def test_many_settings_have_ticks_of_their_own():
    axis = Figure().subplots()
    figures.spread(axis, np.arange(40.0))
    assert len(axis.get_xticks()) < 40


@pytest.mark.parametrize("values", [np.arange(8.0), 2.0 ** np.arange(8)])
def test_whole_numbers_are_written_as_such(values):
    figure = Figure()
    axis = figure.subplots()
    axis.plot(values, values)
    figures.spread(axis, values)
    figure.draw_without_rendering()
    texts = [label.get_text().replace("−", "-") for label in axis.get_xticklabels(which="both")]
    low, high = axis.get_xlim()
    assert sum(low <= float(text) <= high for text in texts) >= 4
    assert all(float(text).is_integer() for text in texts if float(text) >= 1)
