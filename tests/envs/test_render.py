from __future__ import annotations

import itertools
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.data.log import InteractionLog
from recgym.envs.frame import _columns, cut
from recgym.envs.influence_path import render
from recgym.envs.item_map import item_map

MOVIES = {"dataset": "ml-latest-small", "evaluator": "markov", "split": "test"}
MAIN, TINY = "recgym/InfluencePath-v0", "recgym/InfluencePathTiny-v0"


def likely(env, rank: int = 0) -> int:
    """A legal item by the user's own taste; the least likely with rank −1; never the objective."""
    state = env.unwrapped.state
    order = np.argsort(-np.where(state.seen[0], np.inf, state.log_prob[0]))
    legal = order[np.isin(order, np.flatnonzero(~state.seen[0]))]
    legal = legal[legal != state.objective[0]]
    return int(legal[np.argsort(-state.log_prob[0][legal])][rank])


def pixels(frame: np.ndarray, colour: str) -> int:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(frame.astype(int) - wanted).max(axis=2) <= 3).sum())


def test_text_unfolds_line_by_line_within_100_columns():
    env = gym.make(MAIN, render_mode="ansi", **MOVIES)
    env.reset(seed=1)
    before, state = env.render(), env.unwrapped.state
    log = env.unwrapped.problem.log
    title = log.item_label(int(state.objective[0]))
    assert title[:30] in before
    assert f"User {int(state.user[0])}" in before
    for item in log.items_of(int(state.user[0]))[-3:]:
        assert log.item_label(int(item))[:30] in before
    for step in range(1, 20):
        item = likely(env, step % 3)
        env.step(item)
        text = env.render()
        assert text.startswith(before)
        line = text.splitlines()[-1]
        assert f"{step}/20" in line
        assert log.item_label(item)[:30] in line
        state = env.unwrapped.state
        chance = np.exp(np.float64(state.objective_curve[0, step]))
        assert f"{chance:.1e}" in line
        assert f"{np.exp(state.follow_curve[0, step - 1]):.2f}" in line
        before = text
    assert max(map(len, before.splitlines())) <= 100
    assert "SR_acc" not in before


def test_text_ends_with_the_metrics_and_marks_the_objective():
    env = gym.make(TINY, render_mode="ansi")
    observation, _ = env.reset(seed=0)
    _, _, terminated, _, info = env.step(int(observation["objective"]))
    text = env.render()
    assert terminated
    assert text.splitlines()[-3].endswith("  objective")
    assert "objective reached" in text
    for name, label in (("SR_acc", "SR_acc"), ("log_ppl", "log PPL"), ("return", "return")):
        assert f"{label} {info['metrics'][name]:.2f}" in text
    assert f"IoI {info['metrics']['IoI']:+.2f}" in text


def test_text_of_a_missed_objective_says_so():
    env = gym.make(TINY, render_mode="ansi")
    env.reset(seed=0)
    while not env.step(likely(env))[2]:
        assert "end" not in env.render().splitlines()[-1]
    assert "objective not reached" in env.render()


def test_text_marks_refused_and_illegal_items():
    env = gym.make(MAIN, render_mode="ansi", acceptance="sampled", **MOVIES)
    observation, _ = env.reset(seed=3)
    env.step(int(observation["history"][-1]))
    assert env.render().splitlines()[-1].endswith("  illegal")
    refused = likely(env, -1)
    env.step(refused)
    assert env.render().splitlines()[-1].endswith("  refused")
    state = env.unwrapped.state
    item = int(np.where(state.seen[0], -np.inf, state.log_prob[0] - state.threshold[0]).argmax())
    assert env.step(item)[0]["last_accepted"] == 1
    assert "refused" not in env.render().splitlines()[-1]
    env.step(item)  # taken a moment ago
    lines = env.render().splitlines()
    assert lines[-1].endswith("  illegal")
    assert [line.split()[0] for line in lines[-4:]] == ["1/20", "2/20", "3/20", "4/20"]


@pytest.mark.parametrize("kwargs", [MOVIES, {"dataset": "synthetic"}, None])
def test_frames_are_pictures_that_change_with_every_step(kwargs):
    env = gym.make(TINY if kwargs is None else MAIN, render_mode="rgb_array", **(kwargs or {}))
    env.reset(seed=2)
    frames = [env.render()]
    np.testing.assert_array_equal(frames[0], env.render())
    for _ in range(3):
        env.step(likely(env))
        frames.append(env.render())
    for frame in frames:
        assert frame.shape == (600, 1200, 3)
        assert frame.dtype == np.uint8
        assert frame.flags.owndata
        assert pixels(frame[:, :560], render.STAR) > 50  # the objective on the map
    for before, after in itertools.pairwise(frames):
        for part in (slice(0, 560), slice(560, 870), slice(870, 1200)):  # map, titles, curves
            assert (before[:, part] != after[:, part]).any()


def test_frame_shows_accepted_refused_and_illegal_items_apart():
    env = gym.make(MAIN, render_mode="rgb_array", acceptance="sampled", **MOVIES)
    observation, _ = env.reset(seed=3)
    start = env.render()
    assert pixels(start, render.WARN) == pixels(start[:, :560], render.PATH) == 0
    env.step(likely(env, -1))
    refused = env.render()
    assert pixels(refused[:, :560], render.WARN) > 5
    assert pixels(refused[:, :560], render.PATH) == 0  # the user did not move
    env.reset(seed=3)
    env.step(int(observation["history"][-1]))
    illegal = env.render()
    assert pixels(illegal, render.WARN) == 0
    assert (illegal[:, :560] != start[:, :560]).any()


def test_nothing_is_imported_before_the_first_frame_and_pyplot_never():
    code = (
        "import sys, gymnasium as gym, recgym\n"
        f"env = gym.make('{TINY}', render_mode='rgb_array'); env.reset(seed=0)\n"
        f"human = gym.make('{TINY}', render_mode='human')\n"
        "assert not {'matplotlib', 'pygame'} & set(sys.modules)\n"
        "env.render()\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_libraries_are_named(monkeypatch):
    env = gym.make(TINY, render_mode="rgb_array")
    env.reset(seed=0)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
        with pytest.raises(gym.error.DependencyNotInstalled, match=r'install "recgym\[plot\]"'):
            env.render()
    monkeypatch.setitem(sys.modules, "pygame", None)
    human = gym.make(TINY, render_mode="human")
    with pytest.raises(gym.error.DependencyNotInstalled, match=r'install "recgym\[render\]"'):
        human.reset(seed=0)


@pytest.fixture
def pygame(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    # the frame rate holds people's eyes, not tests
    monkeypatch.setattr(pygame.time, "Clock", lambda: type("C", (), {"tick": lambda *_: 0})())
    return pygame


def test_human_mode_shows_every_state_by_itself(pygame):
    env, same = gym.make(TINY, render_mode="human"), gym.make(TINY, render_mode="rgb_array")
    env.reset(seed=4), same.reset(seed=4)
    for _ in range(3):
        shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
        np.testing.assert_array_equal(shown, same.render())
        assert env.render() is None
        action = likely(same)
        env.step(action), same.step(action)
    assert TINY in pygame.display.get_caption()[0]
    env.close()
    assert not pygame.display.get_init()
    env.close()


def test_closing_the_window_does_not_end_the_episode(pygame):
    env = gym.make(TINY, render_mode="human")
    env.reset(seed=4)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    env.step(likely(env))
    assert not pygame.display.get_init()
    env.step(likely(env))
    assert env.render() is None
    assert not pygame.display.get_init()  # it stays closed
    env.close()


def test_vector_frames_are_those_of_single_environments():
    for mode in ("ansi", "rgb_array"):
        venv = gym.make_vec(TINY, num_envs=3, render_mode=mode)
        venv.reset(seed=6)
        actions = venv.unwrapped.action_masks().argmax(axis=1)
        venv.step(actions)
        frames = venv.render()
        assert isinstance(frames, tuple)
        for row, action in enumerate(actions):
            env = gym.make(TINY, render_mode=mode)
            env.reset(seed=6 + row)
            env.step(int(action))
            np.testing.assert_array_equal(frames[row], env.render())


def odd_log() -> InteractionLog:
    """Titles that break layouts: mathematics, wide letters, line ends, none at all; no genres."""
    titles = ["$x_1$ and {broken", "東京物語" * 12, "two\nlines\x1b[31m", "", *("x" * 200,) * 16]
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(40), 8)
    item = np.concatenate([rng.permutation(20)[:8] for _ in range(40)])
    return InteractionLog.from_columns("odd", user, item, titles=titles)


def test_odd_titles_and_no_genres_are_drawn_without_a_warning():
    env = gym.make(MAIN, dataset=odd_log(), evaluator="markov", variant="raw", render_mode="ansi")
    log = env.unwrapped.problem.log
    user = next(u for u in range(log.n_users) if log.items_of(u).min() > 3)
    env.reset(seed=0, options={"user": user, "objective": 0})
    for item in (1, 2, 3):
        env.step(item)
    text = env.render()
    assert "\x1b" not in text
    rows = text.splitlines()[-3:]
    assert [row.split()[0] for row in rows] == ["1/20", "2/20", "3/20"]
    assert sum(map(_columns, rows[0])) == sum(map(_columns, rows[2]))
    assert "item 3" in rows[2]
    env.unwrapped.render_mode = "rgb_array"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert env.render().std() > 0


def test_long_text_is_cut_to_terminal_columns():
    assert cut("short", 5) == "short"
    assert cut("longer", 5) == "long…"
    assert sum(map(_columns, cut("東京物語東京", 7))) <= 7


def test_map_separates_genres_and_is_computed_once():
    problem = gym.make(MAIN, dataset="synthetic").unwrapped.problem
    world = item_map(problem.log)
    assert item_map(problem.log) is world
    assert world.at.shape == (problem.log.n_items, 2)
    assert np.isfinite(world.at).all()
    genre = problem.log.genres.argmax(axis=1)
    means = np.stack([world.at[genre == g].mean(axis=0) for g in np.unique(genre)])
    between = ((means - means.mean(axis=0)) ** 2).sum()
    shuffled = np.random.default_rng(0).permutation(genre)
    random = np.stack([world.at[shuffled == g].mean(axis=0) for g in np.unique(genre)])
    assert between > 20 * ((random - random.mean(axis=0)) ** 2).sum()


def test_tiny_map_has_a_place_for_every_item():
    at = item_map(gym.make(TINY).unwrapped.problem.log).at
    gaps = np.linalg.norm(at[:, None] - at, axis=2) + np.eye(len(at))
    assert gaps.min() > 0.1


def test_points_of_a_path_do_not_cover_one_another_and_stay():
    points = np.zeros((20, 2))
    placed = render._apart(points, np.array([0.0, 0.0]))
    gaps = np.linalg.norm(placed[:, None] - placed, axis=2) + np.eye(20)
    assert gaps.min() >= render.CLEAR
    np.testing.assert_array_equal(render._apart(points[:7], np.zeros(2)), placed[:7])
    assert render._apart(points[:0], np.zeros(2)).shape == (0, 2)
