"""Objectives that are genres or sets of items: by hand, against single items, tasks, bad input."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import data, wrappers
from recgym.data.log import InteractionLog
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.sets import SetInstances, genre_sets, own_sets
from recgym.envs.influence_path.state import Params
from recgym.envs.influence_path.worlds import tiny_world
from recgym.evaluators import MarkovEvaluator
from recgym.testing import (
    MODES,
    check_environment,
    check_illegal_is_worst,
    check_vector_equals_single,
    optimum,
)

ID, TINY = "recgym/InfluencePath-v0", "recgym/InfluencePathTiny-v0"
HORROR = [9, 10, 11]
MODES_OF_SETS = [
    {"objective": "genre"},
    {"objective": [HORROR, [3, 6]]},
    {"objective": "genre", "acceptance": "sampled"},
]


@pytest.mark.parametrize("kwargs", MODES_OF_SETS, ids=str)
class TestContract:
    def test_environment(self, kwargs, monkeypatch):
        monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
        check_environment(TINY, modes=["ansi"], steps=60, **kwargs)

    @pytest.mark.parametrize("mode", MODES)
    def test_vector_equals_single(self, kwargs, mode):
        check_vector_equals_single(TINY, mode=mode, steps=200, **kwargs)

    def test_illegal_is_worst(self, kwargs):
        check_illegal_is_worst(gym.make(TINY, **kwargs), states=30)


def test_contract_on_real_data():
    check_environment(ID, modes=["ansi"], evaluator="markov", objective="genre", horizon=8)


def world(sets, **params):
    """Five items; from 0, which all users have seen, it is .4 to 1, .3 to 2, .1 to 3 and to 4."""
    table = np.array(
        [
            [0.1, 0.4, 0.3, 0.1, 0.1],
            [0.1, 0.2, 0.1, 0.2, 0.4],
            [0.2, 0.2, 0.2, 0.2, 0.2],
            [0.2, 0.2, 0.2, 0.2, 0.2],
            [0.2, 0.2, 0.2, 0.2, 0.2],
            [0.2, 0.2, 0.2, 0.2, 0.2],
        ]
    )
    columns = np.array([0, 0, 1, 1, 2, 2]), np.array([4, 0, 4, 0, 1, 0])
    log = InteractionLog.from_columns("five", *columns, item_ids=np.arange(5))
    user = MarkovEvaluator(np.log(table), tau=np.log(0.5))
    instances = SetInstances(log, "test", own_sets(log, sets))
    return InfluencePath(log, user, instances, Params(**{"horizon": 4, **params}))


def play(problem, task, actions):
    rng = np.random.default_rng(0)
    state = problem.start([problem.draw_task(rng, task)], [rng])
    steps = []
    for action in actions:
        moved = problem.step(state, np.array([action]), [rng])
        steps.append({k: float(v[0]) for k, v in moved.terms.items()})
        state = moved.state
    metrics = {k: float(v[0]) for k, v in problem.metrics(state).items()}
    return steps, metrics, bool(moved.terminated[0])


class TestByHand:
    def test_interest_is_that_of_the_whole_set_and_any_member_ends(self):
        problem = world([[3, 4]])
        (first, second), metrics, ended = play(problem, {"user": 2, "set": 0}, [2, 3])
        assert ended
        assert first["interest"] == pytest.approx(np.log(0.4 / 0.2))
        assert second["interest"] == 0
        assert second["accepted_success"] == pytest.approx(0.2 / 0.5)
        assert metrics["SR"] == 1
        assert metrics["IoI"] == pytest.approx(np.log(2))

    def test_rank_is_of_the_likeliest_member_among_items_outside(self):
        _, metrics, _ = play(world([[3, 4], [3]]), {"user": 0, "set": 1}, [1])
        assert metrics["IoR"] == 3 - 1  # behind 1 and 2, 4 is seen; then before 2
        _, metrics, _ = play(world([[3, 2], [3]]), {"user": 0, "set": 0}, [1])
        assert metrics["IoR"] == 2 - 1

    def test_members_seen_at_the_start_do_not_count(self):
        problem = world([[3, 4]])
        rng = np.random.default_rng(0)
        state = problem.start([problem.draw_task(rng, {"user": 0, "set": 0})], [rng])
        seen = problem.observe(state)
        assert seen["objective_set"][0].tolist() == [0, 0, 0, 1, 0]
        assert seen["objective"][0] == 3
        assert state.objective_curve[0, 0] == pytest.approx(np.log(0.1))
        _, metrics, ended = play(problem, {"user": 0, "set": 0}, [4])
        assert not ended
        assert metrics["invalid"] == 1

    def test_the_most_popular_member_stands_for_the_set(self):
        problem = world([[1, 3, 4]])
        rng = np.random.default_rng(0)
        state = problem.start([problem.draw_task(rng, {"user": 2, "set": 0})], [rng])
        assert problem.observe(state)["objective"][0] == 4

    def test_a_refused_member_ends_nothing(self):
        problem = world([[3, 4]], acceptance="sampled")
        ends = []
        for seed in range(100):
            rng = np.random.default_rng(seed)
            state = problem.start([problem.draw_task(rng, {"user": 2, "set": 0})], [rng])
            moved = problem.step(state, np.array([3]), [rng])
            assert moved.terminated[0] == moved.state.last_accepted[0]
            assert moved.terms["accepted_success"][0] == float(moved.terminated[0])
            ends.append(moved.terminated[0])
        assert np.mean(ends) == pytest.approx(0.2, abs=0.1)


@pytest.mark.parametrize("acceptance", ["passive", "sampled"])
@pytest.mark.parametrize(
    "kwargs",
    [{"dataset": "synthetic"}, {"evaluator": "markov"}, {"evaluator": "bert4rec"}],
    ids=str,
)
def test_a_set_of_one_is_the_item(kwargs, acceptance):
    """The same in every number, to the last bit."""
    kwargs = {**kwargs, "acceptance": acceptance, "horizon": 6, "render_mode": "ansi"}
    item, one = gym.make(ID, **kwargs), gym.make(ID, objective=[[77], [5]], **kwargs)
    user = next(u for u in range(99) if 77 not in item.unwrapped.problem.log.items_of(u))
    rng = np.random.default_rng(0)
    for seed in range(3):
        obs, _ = item.reset(seed=seed, options={"user": user, "objective": 77})
        other, info = one.reset(seed=seed, options={"user": user, "set": 0})
        assert info["task"]["set"] == 0
        ended = False
        while not ended:
            assert np.flatnonzero(other.pop("objective_set")).tolist() == [77]
            assert all(np.array_equal(obs[key], other[key]) for key in obs)
            action = int(rng.choice(np.flatnonzero(obs["action_mask"])))
            action = 77 if rng.random() < 0.3 else action
            obs, reward, ended, _, found = item.step(action)
            other, other_reward, other_ended, _, info = one.step(action)
            assert (reward, ended, found) == (other_reward, other_ended, info)
        assert item.render().splitlines()[2:] == one.render().splitlines()[2:]


def test_metrics_are_sums_of_terms():
    env = gym.make(ID, objective="genre", split="test")
    user = env.unwrapped.problem.evaluator
    obs, _ = env.reset(seed=0)
    start = env.unwrapped.state
    inside, total, ended = obs["objective_set"] > 0, 0.0, False
    rng = np.random.default_rng(1)
    while not ended:
        before = env.unwrapped.state
        action = int(rng.choice(np.flatnonzero(obs["action_mask"])))
        obs, _, ended, _, info = env.step(action)
        total += info["reward_terms"]["interest"]
    last = before if info["metrics"]["SR"] else env.unwrapped.state
    mass = [np.log(np.exp(user.log_prob(s.tokens)[0, inside]).sum()) for s in (start, last)]
    assert info["metrics"]["IoI"] == pytest.approx(mass[1] - mass[0], abs=1e-4) == total


class TestTasks:
    def test_genres_that_the_user_does_not_know(self):
        log = data.load("ml-latest-small")
        parts = {s: SetInstances(log, s, genre_sets(log)) for s in ("train", "validation", "test")}
        pairs = {s: {tuple(p) for p in part.objectives.tolist()} for s, part in parts.items()}
        for user, genre in set.union(*pairs.values()):
            assert not log.genres[log.items_of(user), genre].any()
        sizes = [len(pairs[s]) for s in ("train", "validation", "test")]
        assert sum(sizes) == len(set.union(*pairs.values()))
        np.testing.assert_allclose(np.array(sizes) / sum(sizes), [0.7, 0.1, 0.2], atol=0.01)
        genres = {genre for _, genre in pairs["test"]}
        assert {log.genre_names[g] for g in genres} >= {"Western", "Horror", "Film-Noir"}
        assert len({log.genre_names.index("Drama")} & genres) == 0  # everybody has seen one

    def test_training_and_evaluation_pairs_are_disjoint(self):
        env = gym.make(ID, evaluator="markov", objective="genre").unwrapped
        tasks = env.evaluation_tasks(3)
        assert tasks == env.evaluation_tasks(3) != env.evaluation_tasks(4)
        users = [t["user"] for t in tasks]
        assert users == sorted(set(users))
        judged = {(t["user"], t["genre"]) for t in tasks}
        log, cuts = env.problem.log, []
        for seed in range(200):
            task = env.reset(seed=seed)[1]["task"]
            assert (task["user"], task["genre"]) not in judged
            cuts.append(task["cut"] < len(log.items_of(task["user"])))
        assert any(cuts)
        for task in tasks[:5]:
            assert task["cut"] == len(log.items_of(task["user"]))
            assert env.reset(options=task)[1]["task"] == task

    def test_every_task_and_the_exact_optimum_of_the_tiny_world(self):
        env = gym.make(TINY, objective="genre")
        tasks = env.unwrapped.problem.tasks()
        assert tasks == [{"user": t["user"], "genre": t["genre"], "cut": 1} for t in tasks]
        exact = optimum(env)
        jumps = []
        for task in tasks:
            obs, _ = env.reset(options=task)
            jumps.append(env.step(int(obs["objective"]))[1])
        assert exact.value > np.mean(jumps) + 1
        assert exact.random_value < np.mean(jumps)

    def test_options(self):
        env = gym.make(ID, evaluator="markov", objective="genre")
        log = env.unwrapped.problem.log
        western = log.genre_names.index("Western")
        for seed in range(20):
            obs, info = env.reset(seed=seed, options={"genre": western})
            assert info["task"]["genre"] == western
            assert np.array_equal(obs["objective_set"] > 0, log.genres[:, western])
        drama = log.genre_names.index("Drama")
        obs, _ = env.reset(options={"user": 3, "genre": drama})
        unseen = log.genres[:, drama] & (obs["action_mask"] > 0)
        assert np.array_equal(obs["objective_set"] > 0, unseen)

    def test_rows_of_a_vector(self):
        venv = gym.make_vec(TINY, num_envs=2, objective="genre", autoreset_mode="Disabled")
        _, infos = venv.reset(options={"user": np.array([0, 1]), "genre": np.array([3, 2])})
        assert infos["task"]["genre"].tolist() == [3, 2]


class TestBadInput:
    @pytest.mark.parametrize(
        ("objective", "words"),
        [
            ("drama", "objective must be one of"),
            (None, "list of lists"),
            (3, "list of lists"),
            ([3, 4], "list of lists"),
            ([], "there are no sets"),
            ([[1], []], "set 1 is empty"),
            ([[1.5]], "set 0 must be a list of whole numbers"),
            ([["a"]], "set 0 must be a list of whole numbers"),
            ([[True]], "set 0 must be a list of whole numbers"),
            ([[1], [3, 12]], r"item 12 of set 1 is not in 0\.\.11"),
            ([[-1]], "item -1 of set 0"),
        ],
    )
    def test_sets(self, objective, words):
        with pytest.raises(ValueError, match=words):
            gym.make(TINY, objective=objective)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"genre": 4}, r"genre must be in 0\.\.3 \(0 Comedy, 1 Romance"),
            ({"genre": -1}, "genre must be in"),
            ({"genre": "Horror"}, "whole number"),
            ({"objective": 3}, r"Unknown reset options.*user.*genre.*cut"),
            ({"genre": 0}, r"every user has taken something of genre 0 \(Comedy\)"),
            ({"user": 3}, "user must be in"),
        ],
    )
    def test_options(self, options, words):
        with pytest.raises(ValueError, match=words):
            gym.make(TINY, objective="genre").reset(options=options)

    def test_a_set_that_the_user_knows_whole(self):
        env = gym.make(TINY, objective=[[0], HORROR])
        with pytest.raises(ValueError, match=r"Every item of set 0.*history of user 0"):
            env.reset(options={"user": 0, "set": 0})

    def test_a_user_without_a_task_in_the_split(self):
        env = gym.make(TINY, objective="genre", split="validation")
        mine = env.unwrapped.problem.instances.eligible
        other = next(user for user in range(3) if user not in mine)
        with pytest.raises(ValueError, match=f"User {other} has no genre in the validation split"):
            env.reset(options={"user": other})

    def test_data_without_genres_or_without_tasks(self):
        log = InteractionLog.from_columns("plain", np.array([0, 0, 1]), np.array([0, 1, 0]))
        with pytest.raises(ValueError, match="plain has no genres"):
            genre_sets(log)
        with pytest.raises(ValueError, match="0 pairs"):
            SetInstances(log, "train", own_sets(log, [[0]]))
        with pytest.raises(ValueError, match="split"):
            SetInstances(log, "dev", own_sets(log, [[1]]))


def test_fingerprints():
    prints = [
        gym.make(TINY, **kwargs).unwrapped.fingerprint
        for kwargs in ({}, *MODES_OF_SETS, {"objective": [HORROR, [3]]})
    ]
    assert len(set(prints)) == len(prints)
    same = gym.make(TINY, objective=([11, 9, 10, 9], np.array([6, 3]))).unwrapped.fingerprint
    assert same == prints[2]
    assert "objective" not in Params().to_dict()  # fingerprints of single items did not change


@pytest.mark.parametrize("kwargs", MODES_OF_SETS[:2], ids=str)
def test_pictures_name_the_set(kwargs):
    env = gym.make(TINY, render_mode="ansi", **kwargs)
    key = "genre" if kwargs["objective"] == "genre" else "set"
    env.reset(seed=0, options={key: 3 if key == "genre" else 0})
    env.step(6)
    env.step(10)
    text = env.render()
    assert ("Horror (3 items)" if key == "genre" else "set 0 (3 items)") in text
    assert "objective reached" in text
    assert max(map(len, text.splitlines())) <= 100
    env.unwrapped.render_mode = "rgb_array"
    frame = env.render()
    env.reset(seed=0)
    assert (env.render() != frame).any()


@pytest.mark.parametrize(
    "wrap",
    [
        wrappers.FlatEmbeddings,
        wrappers.EmbeddedHistory,
        wrappers.NearestItem,
        lambda env: wrappers.CandidateActions(env, k=5, pool=8, backbone="popularity"),
    ],
)
def test_wrappers(wrap):
    env = wrap(gym.make(TINY, objective="genre"))
    env.action_space.seed(0)
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        ended = False
        while not ended:
            assert observation in env.observation_space
            observation, _, ended, _, _ = env.step(env.action_space.sample())


def test_candidates_hold_the_likeliest_member_and_no_other():
    env = wrappers.CandidateActions(gym.make(ID, dataset="synthetic", objective="genre"))
    env.reset(seed=0)
    state, log = env.unwrapped.state, env.unwrapped.problem.log
    items = env.candidates.items[0]
    assert state.members[0, items].tolist() == [False] * 50 + [True]
    scores = np.where(state.members, env.view.build.score(state.tokens, state.user), -np.inf)
    assert items[-1] == scores.argmax()
    assert log.genres[items[-1], state.target[0]]


def test_to_a_genre_without_items_nobody_is_led():
    log = tiny_world().log
    genres = np.concatenate([log.genres, np.zeros((log.n_items, 1), dtype=bool)], axis=1)
    log = replace(log, genres=genres, genre_names=(*log.genre_names, "none"))
    instances = SetInstances(log, "train", genre_sets(log))
    assert not (instances.objectives[:, 1] == len(log.genre_names) - 1).any()
    with pytest.raises(ValueError, match="every user has taken something of genre"):
        instances.draw(np.random.default_rng(0), {"genre": len(log.genre_names) - 1})
