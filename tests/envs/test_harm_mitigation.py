"""HarmMitigation: by hand, against the formulas, directions of each dynamics, and bad input."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

import recgym  # noqa: F401
from recgym import agents
from recgym.envs.harm_mitigation.actions import encode
from recgym.envs.harm_mitigation.worlds import World, resolve, synthetic_world, with_harmful
from recgym.envs.single import RecEnv
from recgym.evaluators import choice
from recgym.testing import MODES, check_environment, check_vector_equals_single

ID, TINY = "recgym/HarmMitigation-v0", "recgym/HarmMitigationTiny-v0"
CALM, MILD, PLAIN, GATEWAY, HARSH, NONE = 0, 1, 2, 3, 4, 6
VARIANTS = [
    {"response": "mean_field"},
    {"action": "slate", "k": 3},
    {"action": "probabilities", "k": 2},
    {"action": "slate", "k": 2, "response": "mean_field", "harm": "exposure"},
    {"action": "probabilities", "k": 2, "response": "mean_field"},
    {"observation": "history", "history_length": 5},
    {"dynamics": "boredom", "explore": 0.2, "harm": "graded"},
    {"dynamics": "biased_assimilation", "constrained": True, "budget": 0.2},
    {"time_aware": True, "temperature": 2.0},
]


@pytest.fixture(autouse=True)
def windows_do_not_wait(monkeypatch):
    monkeypatch.setitem(RecEnv.metadata, "render_fps", 10_000)


def name_of(settings):
    return "-".join(f"{key}={value}" for key, value in settings.items())


@pytest.mark.parametrize("settings", VARIANTS, ids=name_of)
class TestEveryVariant:
    def test_contract(self, settings):
        check_environment(TINY, modes=["ansi"], **settings)

    @pytest.mark.parametrize("mode", MODES)
    def test_vector_equals_single(self, settings, mode):
        check_vector_equals_single(TINY, mode=mode, steps=60, tolerance=1e-9, **settings)

    def test_random_numbers_do_not_run_out(self, settings):
        """Beyond the stretch that is drawn at a time, and all of it a function of the seed."""
        runs = []
        for _ in range(2):
            env = gym.make(TINY, **{**settings, "horizon": 300})
            env.reset(seed=3)
            env.action_space.seed(0)
            runs.append([env.step(env.action_space.sample()) for _ in range(300)])
        assert data_equivalence(runs[0], runs[1], exact=True)
        assert runs[0][-1][2] or runs[0][-1][3]


def play(env, choose, seed=0, user=None):
    """The final metrics of one episode."""
    observation, _ = env.reset(seed=seed, options={} if user is None else {"user": user})
    while True:
        observation, _, terminated, truncated, info = env.step(choose(observation))
        if terminated or truncated:
            return info["metrics"]


def test_one_step_by_hand():
    """User 0 stands at .05; the gateway at 1.2 has score e^.06, c is 1."""
    env = gym.make(TINY, response="mean_field")
    env.reset(seed=0, options={"user": 0})
    observation, reward, *_, info = env.step(GATEWAY)
    places = np.array([-1.6, -0.8, 0.0, 1.2, 1.6, 2.0])
    score = np.exp(0.05 * places)
    click = score[3] / (score[3] + 1)
    organic = (1 - click) * score / score.sum()
    assert info["reward_terms"]["click"] == pytest.approx(click)
    assert info["reward_terms"]["harm"] == pytest.approx(organic[4:].sum())
    assert reward == pytest.approx(click - 10 * organic[4:].sum())
    consumed = organic + click * np.eye(6)[3]
    weight = consumed * np.array([0.25, 0.25, 0.25, 0.25, 0.5, 0.5])
    moved = 0.2 * 0.05 + weight @ places + (0.8 - weight.sum()) * 0.05
    assert observation["profile"][0] == pytest.approx(moved, abs=1e-6)


def test_truncates_and_tells_its_metrics():
    env = gym.make(TINY)
    env.reset(seed=0)
    for _ in range(7):
        assert env.step(PLAIN)[2:4] == (False, False)
    *_, terminated, truncated, info = env.step(PLAIN)
    assert (terminated, truncated) == (False, True)
    assert info["metrics"]["length"] == 8
    with pytest.raises(gym.error.ResetNeeded):
        env.step(PLAIN)


def test_an_observed_horizon_terminates():
    env = gym.make(TINY, time_aware=True)
    observation, _ = env.reset(seed=0)
    while observation["steps_left"]:
        observation, _, terminated, truncated, _ = env.step(PLAIN)
    assert (terminated, truncated) == (True, False)


def test_an_outside_limit_truncates_earlier():
    assert gym.make(TINY, max_episode_steps=2).spec.max_episode_steps == 2
    venv = gym.make_vec(TINY, num_envs=2, max_episode_steps=2, autoreset_mode="Disabled")
    venv.reset(seed=0)
    venv.step(np.array([0, 1]))
    assert venv.step(np.array([0, 1]))[3].all()


def test_stable_baselines_bootstraps_at_the_truncation():
    from recgym.agents.sb3 import as_vec_env

    for time_aware in (False, True):
        env = as_vec_env(
            gym.make_vec(TINY, num_envs=2, autoreset_mode="SameStep", time_aware=time_aware)
        )
        env.reset()
        for _ in range(8):
            _, _, dones, infos = env.step(np.zeros(2, dtype=int))
        assert dones.all()
        assert [info["TimeLimit.truncated"] for info in infos] == [not time_aware] * 2
        assert "metrics" in infos[0]
        assert "terminal_observation" in infos[0]


def test_the_mean_field_settles_at_the_stationary_profile():
    env = gym.make(ID, response="mean_field", horizon=400, dataset="synthetic")
    problem = env.unwrapped.problem
    for user in (0, 1, 2):
        item = int(problem.model.recommendable[user])
        play(env, lambda _, item=item: item, user=user)
        state = env.unwrapped.state
        family = choice.single_items(problem.model)
        weights = np.eye(family.size)[user : user + 1]
        found = choice.stationary_profile(problem.model, family, state.inherent, weights)
        np.testing.assert_allclose(state.profile, found.profile, atol=1e-6)


def test_small_steps_bring_the_long_run_to_the_stationary_objective():
    """α and β divided by ten: within 2 % of f(u*); with the paper's sizes it need not be."""
    rows, steps = 40, 3_000
    gaps = {}
    for scale in (1.0, 10.0):
        sizes = {"alpha_harmless": 0.25, "alpha_harmful": 0.5, "beta": 0.2}
        settings = {name: size / scale for name, size in sizes.items()}
        venv = gym.make_vec(
            ID,
            num_envs=rows,
            dataset="synthetic",
            horizon=steps,
            autoreset_mode="Disabled",
            **settings,
        )
        users = {"user": np.full(rows, 3)}
        venv.reset(seed=0, options=users)
        problem = venv.unwrapped.problem
        family = choice.single_items(problem.model)
        rng = np.random.default_rng(0)
        for _ in range(steps):
            venv.step(rng.choice(problem.model.recommendable, size=rows))
        metrics = venv.unwrapped.metrics()
        inherent = problem.world.inherent[3:4]
        uniform = np.full((1, family.size), 1 / family.size)
        at = choice.stationary_profile(problem.model, family, inherent, uniform).profile
        worth = choice.outcome(problem.model, family, at, uniform)
        pairs = (("p_CLK", worth.click[0]), ("p_H", worth.harm[0]))
        gaps[scale] = [abs(metrics[key].mean() / value - 1) for key, value in pairs]
    assert max(gaps[10.0]) < 0.02
    assert max(gaps[1.0]) < 0.35


def test_draws_have_the_probabilities_of_the_formulas():
    env = gym.make_vec(
        TINY, num_envs=20_000, action="slate", k=2, explore=0.1, autoreset_mode="Disabled"
    )
    env.reset(seed=0, options={"user": np.full(20_000, 8)})
    problem, before = env.unwrapped.problem, env.unwrapped.state.profile[:1]
    *_, infos = env.step(np.tile([GATEWAY, CALM], (20_000, 1)))
    family = choice.Slates(problem.model, np.array([[CALM, GATEWAY]]))
    expected = choice.choice_probabilities(problem.model, family, before, np.ones((1, 1)))[0]
    consumed = env.unwrapped.state.consumed[:, 0]
    share = np.bincount(consumed, minlength=6) / len(consumed)
    np.testing.assert_allclose(share, expected, atol=0.012)
    worth = choice.outcome(problem.model, family, before, np.ones((1, 1)))
    assert infos["reward_terms"]["click"].mean() == pytest.approx(worth.click[0], abs=0.012)
    metrics = env.unwrapped.metrics()
    np.testing.assert_allclose(metrics["p_CLK"], worth.click[0], rtol=1e-12)
    np.testing.assert_allclose(metrics["p_H"], worth.harm[0], rtol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"harm": "exposure"}, {"dataset": "synthetic"}])
def test_always_illegal_is_never_better_than_none(settings):
    """Same seeds: the same organic choices, and the penalty on top."""
    env = gym.make(ID, horizon=30, **settings)
    model = env.unwrapped.problem.model
    harmful, none = int(np.flatnonzero(model.harmful)[0]), model.n_items
    for seed in range(10):
        nothing = play(env, lambda _: none, seed)
        illegal = play(env, lambda _: harmful, seed)
        assert illegal["harm"] == nothing["harm"]
        assert illegal["return"] < nothing["return"]
        assert nothing["CTR"] == illegal["CTR"] == 0
        assert illegal["invalid"] == 1


@pytest.mark.parametrize(("harm", "k"), [("exposure", 1), ("graded", 10), ("exposure", 10)])
def test_illegal_is_worse_than_a_legal_item_that_harms(harm, k):
    """Where the label is not all, an item may be legal and harm more than one that is not."""
    items = np.zeros((202, 1))
    items[0], items[1] = 3.0, -3.0
    severity = np.zeros(202)
    severity[:2] = 0.9, 1.0
    harmful = np.arange(202) == 1
    world = World("pull", np.ones((10, 1)), items, harmful, severity=severity)
    env = gym.make(
        ID,
        dataset=world,
        c=2.0,
        response="mean_field",
        harm=harm,
        k=k,
        harm_weight=10.0,
        action="item" if k == 1 else "slate",
    )
    none, returns = len(items), []
    for item in (0, 1):
        env.reset(seed=0)
        slate = np.array([item] + [none] * (k - 1))
        returns.append(env.step(slate if k > 1 else item)[1])
    assert returns[1] < returns[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"genre": ["Action"]}, "genre must be a single value"),
        ({"n_items": 10.5}, "n_items must be a whole number"),
        ({"harmful": 5}, "harmful must be a list"),
        ({"c": "6"}, "c must be a number"),
        ({"dataset": "tiny", "variant": "paper"}, "tiny has no variant 'paper'"),
    ],
)
def test_arguments_of_the_wrong_kind(arguments, words):
    with pytest.raises(ValueError, match=words):
        gym.make(ID, **arguments)


def test_offering_more_never_changes_what_is_found_without_it():
    """With equal draws, a recommendation can only turn an organic choice into a click."""
    for seed in range(50):
        after = []
        for action in (NONE, GATEWAY):
            env = gym.make(TINY).unwrapped
            env.reset(seed=seed)
            env.step(action)
            after.append((int(env.state.consumed[0, 0]), bool(env.state.clicked[0, 0])))
        assert after[1] == ((GATEWAY, True) if after[1][1] else after[0])


def test_illegal_places_of_a_slate_are_dropped():
    env = gym.make(TINY, action="slate", k=3, response="mean_field")
    env.reset(seed=0, options={"user": 0})
    *_, info = env.step(np.array([GATEWAY, HARSH, GATEWAY]))
    assert info["invalid_action"]
    assert info["reward_terms"]["invalid"] == pytest.approx(2 / 3)
    click = info["reward_terms"]["click"]
    env.reset(seed=0, options={"user": 0})
    *_, info = env.step(np.array([NONE, GATEWAY, NONE]))
    assert not info["invalid_action"]
    assert info["reward_terms"]["click"] == pytest.approx(click)


def test_probabilities_are_projected_onto_the_budget():
    env = gym.make(TINY, action="probabilities", k=1, response="mean_field")
    model, actions = env.unwrapped.problem.model, env.unwrapped.problem.actions
    q = actions.probabilities(np.array([[1.0] * 6, [-1.0] * 6, [0.0, -1, -1, -1, 1, 1]], "f4"))
    np.testing.assert_allclose(q, [[0.25] * 4, [0.0] * 4, [0.5, 0, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(actions.probabilities(encode(q, model)), q, atol=1e-7)


class TestDynamics:
    def drift(self, item, user=0, **settings):
        """How far toward harm one consumed item moves the profile beyond the pull of u_0."""
        problem = gym.make(TINY, **settings).unwrapped.problem
        u = problem.world.inherent[user : user + 1]
        return float((problem.model.move(u, u, np.array([item])) - u)[0, 0])

    def test_attraction_and_more_so_by_harm(self):
        assert self.drift(GATEWAY) > 0 > self.drift(CALM)
        assert self.drift(HARSH) == pytest.approx(0.5 * (1.6 - 0.05))
        assert self.drift(GATEWAY) == pytest.approx(0.25 * (1.2 - 0.05))

    def test_static(self):
        assert self.drift(GATEWAY, dynamics="static") == pytest.approx(0, abs=1e-12)

    def test_boredom_pushes_away(self):
        assert self.drift(GATEWAY, dynamics="boredom") < 0 < self.drift(CALM, dynamics="boredom")

    def test_biased_assimilation_depends_on_liking(self):
        """User 0 likes what lies above the mean item: it pulls, the rest pushes."""
        assert self.drift(GATEWAY, dynamics="biased_assimilation") > 0
        assert self.drift(CALM, dynamics="biased_assimilation") > 0

    def test_boredom_lowers_the_click_rate_and_attraction_raises_it(self):
        rate = {}
        for dynamics in ("attraction", "static", "boredom"):
            env = gym.make(TINY, response="mean_field", dynamics=dynamics, horizon=50)
            rate[dynamics] = play(env, lambda _: GATEWAY, user=3)["p_CLK"]
        assert rate["boredom"] < rate["static"] < rate["attraction"]

    def test_less_rational_users_choose_more_evenly(self):
        shares = []
        for temperature in (0.5, 1.0, 4.0):
            model = gym.make(TINY, temperature=temperature).unwrapped.problem.model
            score = model.scores(np.array([[0.5]]))[0]
            shares.append(score.max() / score.sum())
        assert shares[0] > shares[1] > shares[2]

    def test_explorers_meet_harm_whatever_is_offered(self):
        harm = []
        for explore in (0.0, 0.5, 1.0):
            env = gym.make(TINY, response="mean_field", explore=explore)
            harm.append(play(env, lambda _: CALM, user=0)["p_H"])
        assert harm[0] < harm[1] < harm[2] == pytest.approx(2 / 6)


class TestHarm:
    def test_graded_counts_severity(self):
        env = gym.make(TINY, harm="graded")
        severity = env.unwrapped.problem.world.severity
        env.reset(seed=1)
        *_, info = env.step(GATEWAY)
        item = env.unwrapped.state.consumed[0, 0]
        assert info["reward_terms"]["harm"] == pytest.approx(severity[item])
        assert info["cost"] == pytest.approx(severity[item])

    def test_exposure_counts_what_is_shown(self):
        env = gym.make(TINY, harm="exposure", action="slate", k=2)
        severity = env.unwrapped.problem.world.severity
        env.reset(seed=1)
        _, reward, *_, info = env.step(np.array([GATEWAY, NONE]))
        terms = info["reward_terms"]
        assert terms["exposure"] == pytest.approx(severity[GATEWAY] / 2)
        assert reward == pytest.approx(terms["click"] - 10 * (terms["harm"] + terms["exposure"]))

    def test_constrained_takes_harm_out_of_the_reward(self):
        env = gym.make(TINY, constrained=True, budget=0.05, response="mean_field")
        env.reset(seed=0)
        _, reward, *_, info = env.step(GATEWAY)
        assert reward == pytest.approx(info["reward_terms"]["click"])
        assert info["cost"] == info["reward_terms"]["harm"] > 0
        metrics = play(env, lambda _: GATEWAY)
        assert metrics["violation"] == pytest.approx(metrics["harm"] - 0.05)
        assert env.unwrapped.problem.budget == 0.05


class TestObservations:
    def test_history_shows_items_and_clicks_and_no_profile(self):
        env = gym.make(TINY, observation="history", history_length=3)
        observation, _ = env.reset(seed=2)
        assert set(observation) == {"history", "clicked", "action_mask"}
        assert observation["history"].tolist() == [6, 6, 6]
        for _ in range(5):
            observation, *_ = env.step(GATEWAY)
        state = env.unwrapped.state
        assert observation["history"].tolist() == state.consumed[0, 2:5].tolist()
        assert observation["clicked"].tolist() == state.clicked[0, 2:5].tolist()

    @pytest.mark.parametrize("dynamics", choice.DYNAMICS)
    def test_profiles_stay_inside_the_bounds(self, dynamics):
        venv = gym.make_vec(ID, num_envs=50, dynamics=dynamics, autoreset_mode="Disabled")
        space = venv.single_observation_space
        venv.reset(seed=0)
        rng = np.random.default_rng(0)
        for _ in range(50):
            observation, *_ = venv.step(rng.integers(0, 100, 50))
            assert all({k: v[i] for k, v in observation.items()} in space for i in range(50))


class TestWorlds:
    def test_a_list_of_harm_counts_in_worlds_without_genres(self):
        world = gym.make(ID, dataset="synthetic", harmful=[0, 3]).unwrapped.problem.world
        assert np.flatnonzero(world.harmful).tolist() == [0, 3]

    def test_users_of_the_splits_are_disjoint(self):
        env = gym.make(ID, split="train")
        problem = env.unwrapped.problem
        judged = {task["user"] for task in env.unwrapped.evaluation_tasks(0)}
        validation = {t["user"] for t in problem.for_split("validation").evaluation_tasks(0)}
        trained = {task["user"] for task in problem.tasks()}
        assert not judged & trained
        assert not judged & validation
        assert not validation & trained
        assert len(judged) >= 100
        assert len(judged | validation | trained) == problem.world.n_users
        for seed in range(20):
            assert env.reset(seed=seed)[1]["task"]["user"] in trained

    @pytest.mark.parametrize("genre", ["Action", "Adventure", "Comedy", "Fantasy", "Sci-Fi"])
    def test_genres_of_the_paper_have_clicks_and_harm(self, genre):
        world = resolve("ml-latest-small", genre=genre)
        assert world.items.shape == (100, 12)
        assert 5 <= world.harmful.sum() <= 50
        model = choice.ChoiceModel(world.items, world.harmful, c=world.calibrated(1))
        family = choice.single_items(model)
        top = np.eye(family.size)[model.scores(world.inherent)[:, model.recommendable].argmax(1)]
        worth = choice.outcome(model, family, world.inherent, top)
        assert worth.click.mean() == pytest.approx(0.6, abs=1e-6)
        assert worth.harm.mean() > 0.02

    def test_a_list_of_harm(self):
        world = resolve("ml-latest-small", harmful=[1, 10, 110, 260])  # source identifiers
        assert 1 <= world.harmful.sum() <= 4
        env = gym.make(ID, harmful=[260])
        assert env.unwrapped.problem.model.harmful.sum() == 1
        assert env.spec.to_json()
        again = with_harmful(world, [0, 1])
        assert np.flatnonzero(again.harmful).tolist() == [0, 1]

    def test_a_world_of_ones_own(self):
        rng = np.random.default_rng(0)
        world = World("mine", rng.normal(size=(20, 3)), rng.normal(size=(8, 3)), np.arange(8) > 5)
        env = gym.make(ID, dataset=world, horizon=5)
        play(env, lambda _: 0)

    def test_synthetic_worlds_of_any_size_are_seeded(self):
        first, second = synthetic_world(30, 50, 4, seed=1), synthetic_world(30, 50, 4, seed=2)
        assert first.items.shape == (30, 4)
        assert not np.array_equal(first.items, second.items)
        synthetic_world.cache_clear()
        again = synthetic_world(30, 50, 4, seed=1)
        assert again.fingerprint == first.fingerprint

    def test_movielens_1m(self, shared_data, monkeypatch):
        monkeypatch.setenv("RECGYM_SHARED_DATA", str(shared_data))
        world = resolve("ml-1m", genre="Sci-Fi")
        assert world.n_users == 6_040
        assert world.harmful.sum() == 21


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"alpha_harmful": 0.9}, "beta at most 1"),
            ({"beta": -0.1}, "beta"),
            ({"k": 2}, 'Try "slate"'),
            ({"k": 5, "action": "slate"}, "at most 4"),
            ({"k": 0, "action": "slate"}, "k must be a whole number"),
            ({"horizon": 0}, "horizon"),
            ({"response": "dream"}, "mean_field"),
            ({"action": "dance"}, "probabilities"),
            ({"harm": "great"}, "graded"),
            ({"observation": "all"}, "history"),
            ({"observation": "history", "response": "mean_field"}, "no history to observe"),
            ({"harm_weight": -1.0}, "harm_weight"),
            ({"budget": 2.0, "constrained": True}, "budget"),
            ({"dynamics": "chaos"}, "attraction"),
            ({"explore": 2.0}, "explore"),
            ({"split": "exam"}, "split must be one of"),
            ({"weights": {"joy": 1.0}}, "no reward term 'joy'"),
            ({"weights": {"click": np.inf}}, "finite"),
        ],
        ids=lambda value: name_of(value) if isinstance(value, dict) else "",
    )
    def test_arguments(self, settings, words):
        with pytest.raises(ValueError, match=words):
            gym.make(TINY, **settings)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"genre": "Polka"}, "no genre 'Polka'"),
            ({"harmful": "Polka"}, "no genre 'Polka'"),
            ({"dataset": "synthetic", "genre": "Polka"}, "synthetic has no genres"),
            ({"dataset": "synthetic", "harmful": "Horror"}, "synthetic has no genres"),
            ({"dataset": "tiny", "n_items": 7}, "tiny has its own items"),
            ({"harmful": [-5]}, "identifiers \\[-5\\]"),
            ({"genre": "Documentary", "harmful": "Sci-Fi", "n_items": 3}, "is harmful"),
            ({"genre": "War", "harmful": "War"}, "Every item is harmful"),
            ({"n_items": 1}, "at least 2"),
            ({"harmful": []}, "harmful must be names of genres or identifiers"),
            ({"harmful": ["Crime", 260]}, "of one kind"),
            ({"temperature": 0.0}, "temperature must be positive"),
            ({"temperature": 1e-3}, "Scale the vectors down, or raise temperature"),
        ],
        ids=lambda value: name_of(value) if isinstance(value, dict) else "",
    )
    def test_slices(self, settings, words):
        with pytest.raises(ValueError, match=words):
            gym.make(ID, **settings)

    def test_worlds(self):
        items, users, harmful = np.eye(3), np.ones((20, 3)), np.array([True, False, False])
        bad = users.copy()
        bad[2, 1] = np.nan
        with pytest.raises(ValueError, match="inherent\\[2, 1\\]"):
            World("w", bad, items, harmful)
        with pytest.raises(ValueError, match="shape \\(U, d\\)"):
            World("w", users[:, :2], items, harmful)
        with pytest.raises(ValueError, match="Every item is harmful"):
            World("w", users, items, np.ones(3, dtype=bool))
        with pytest.raises(ValueError, match="disjoint"):
            World("w", users, items, harmful, splits={"train": [0], "validation": [0], "test": [1]})
        with pytest.raises(ValueError, match="no users for test"):
            World("w", users[:2], items, harmful)
        for c in (0.0, -1.0, np.nan):
            with pytest.raises(ValueError, match="c must be positive"):
                World("w", users, items, harmful, c=c)

    @pytest.mark.parametrize("settings", [{}, {"c": 1.0, "response": "mean_field"}])
    def test_vectors_whose_scores_overflow(self, settings):
        """They were NaN rewards before."""
        world = World("w", 40 * np.ones((20, 3)), 40 * np.eye(3), np.array([True, False, False]))
        with pytest.raises(ValueError, match="v·u / temperature may reach"):
            gym.make(ID, dataset=world, **settings)

    def test_a_world_is_kept_as_it_was_given(self):
        items, users, harmful = np.eye(3), np.ones((20, 3)), np.array([True, False, False])
        world = World("w", users, items, harmful)
        items[0], harmful[1] = 9.0, True
        assert world.items[0].tolist() == [1.0, 0.0, 0.0]
        assert world.harmful.tolist() == [True, False, False]
        with pytest.raises(ValueError, match="read-only"):
            world.items[0] = 9.0
        lists = World("w", users.tolist(), np.eye(3).tolist(), [True, False, False])
        assert lists.fingerprint == world.fingerprint
        assert gym.make(ID, dataset=lists).unwrapped.problem.model.c == world.calibrated(1)

    @pytest.mark.parametrize("items", [[-1], [3], [1.5], np.array([True, False, False])])
    def test_lists_of_harm(self, items):
        world = World("w", np.ones((20, 3)), np.eye(3), np.array([True, False, False]))
        with pytest.raises(ValueError, match=r"whole numbers in 0\.\.2"):
            with_harmful(world, items)

    def test_tasks_and_actions(self):
        env = gym.make(TINY)
        with pytest.raises(ValueError, match=r"0\.\.8"):
            env.reset(options={"user": 9})
        with pytest.raises(ValueError, match="takes \\['user'\\]"):
            env.reset(options={"item": 1})
        box = gym.make(TINY, action="probabilities")
        box.reset(seed=0)
        with pytest.raises(ValueError, match="outside"):
            box.step(np.full(6, 1.5, dtype=np.float32))


def test_random_agents_play_every_action():
    for settings in ({}, {"action": "slate", "k": 2}, {"action": "probabilities", "k": 2}):
        env = gym.make(TINY, **settings)
        agent = agents.make("random", env)
        assert play(env, lambda o, a=agent: a.predict(o)[0])["invalid"] < 0.7


def test_frames_and_texts_grow():
    env = gym.make(TINY, render_mode="ansi")
    env.reset(seed=0)
    text = env.render()
    for _ in range(8):
        env.step(GATEWAY)
        assert env.render().startswith(text)
        text = env.render()
    assert "objective" in text
    assert max(map(len, text.splitlines())) <= 100
    frames = gym.make(ID, render_mode="rgb_array", response="mean_field")
    frames.reset(seed=0)
    first = frames.render()
    frames.step(0)
    assert first.shape == (600, 1200, 3)
    assert not np.array_equal(first, frames.render())
