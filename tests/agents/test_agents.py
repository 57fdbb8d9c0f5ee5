"""Reference agents: what they do, what they refuse, and that they survive a file."""

import json
import warnings

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy

import recgym  # noqa: F401
from recgym import agents, data
from recgym.agents.base import AgentError
from recgym.evaluators import backbones, recipes
from recgym.evaluators.top_k import best_first
from recgym.models.item2vec import item2vec
from recgym.models.store import StoreError

ID, TINY = "recgym/InfluencePath-v0", "recgym/InfluencePathTiny-v0"
QUICK = {
    "maskable_ppo": {"timesteps": 400, "num_envs": 4, "n_steps": 20, "batch": 40},
    "model_ppo": {"timesteps": 400, "num_envs": 4, "n_steps": 20, "batch": 40},
    "ppo": {"timesteps": 400, "num_envs": 4, "n_steps": 20, "batch": 40},
    "dqn": {"timesteps": 400, "num_envs": 4, "learning_starts": 100, "buffer": 1_000},
    "irn": {"epochs": 1, "width": 8, "layers": 1, "shortest": 8, "longest": 12, "length": 30},
}


@pytest.fixture(scope="module")
def world():
    """A small synthetic world: exact user, 500 items, and a SASRec for agents with a model."""
    recipe = recipes.Recipe({"width": 8, "layers": 1, "length": 12}, {"epochs": 1})
    recipes.train("sasrec", data.load("synthetic"), recipe)
    return gym.make_vec(ID, num_envs=6, dataset="synthetic", autoreset_mode="Disabled")


def configured(name):
    config = dict(QUICK.get(name, {}))
    if name == "rec2inf":
        config["backbone"] = "cooccurrence"
    return config


@pytest.mark.parametrize("name", agents.names(ID))
class TestEveryAgent:
    def test_predicts_legal_items_for_batches_and_single(self, world, name):
        agent = agents.make(name, world, **configured(name))
        obs, _ = world.reset(seed=0)
        actions, state = agent.predict(obs, deterministic=True)
        assert state is None
        assert actions.shape == (6,)
        assert world.action_masks()[np.arange(6), actions].all()
        one = {key: value[0] for key, value in obs.items()}
        action, _ = agent.predict(one, deterministic=True)
        assert np.ndim(action) == 0
        if name not in ("random", "random_candidates"):
            assert action == actions[0]

    def test_same_seed_same_actions(self, world, name):
        obs, _ = world.reset(seed=1)
        made = [agents.make(name, world, seed=5, **configured(name)) for _ in range(2)]
        first, second = (agent.predict(obs, deterministic=True)[0] for agent in made)
        assert np.array_equal(first, second)

    def test_runs_in_evaluate_policy(self, world, name):
        env = gym.make(ID, dataset="synthetic", horizon=3)
        agent = agents.make(name, env, **configured(name))
        mean, _ = evaluate_policy(agent, env, n_eval_episodes=2, warn=False)
        assert np.isfinite(mean)

    def test_save_and_load(self, world, name, tmp_path):
        agent = agents.make(name, world, **configured(name)).learn(seed=0)
        agent.save(tmp_path)
        again = type(agent).load(tmp_path, world)
        obs, _ = world.reset(seed=2)
        assert again.config == agent.config
        if name not in ("random", "random_candidates"):
            both = [a.predict(obs, deterministic=True)[0] for a in (agent, again)]
            assert np.array_equal(*both)

    def test_refuses_unknown_settings_and_foreign_files(self, world, name, tmp_path):
        with pytest.raises(AgentError, match="colour"):
            agents.make(name, world, colour="red")
        agent = agents.make(name, world, **configured(name))
        with pytest.raises(StoreError, match=r"agent\.json"):
            type(agent).load(tmp_path, world)
        agent.save(tmp_path)
        card = json.loads((tmp_path / "agent.json").read_text())
        (tmp_path / "agent.json").write_text(json.dumps({**card, "agent": "another"}))
        with pytest.raises(AgentError, match="another"):
            type(agent).load(tmp_path, world)
        (tmp_path / "agent.json").write_text(json.dumps({**card, "data": "other"}))
        with pytest.raises(AgentError, match="other data"):
            type(agent).load(tmp_path, world)


def test_registry():
    assert "jump" in agents.names(TINY)
    with pytest.raises(AgentError, match="Known: random, popularity"):
        agents.agent_class("greedy", ID)
    with pytest.raises(AgentError, match="not an environment of recgym"):
        agents.make("random", gym.make("CartPole-v1"))


def test_what_each_agent_saw():
    saw = {name: agents.agent_class(name, ID).sees for name in agents.names(ID)}
    assert saw["lookahead"] == "privileged"
    assert saw["maskable_ppo"] == "simulator"
    assert {
        saw[n] for n in ("random", "popularity", "jump", "rec2inf", "pf2inf", "ipg", "irn")
    } == {"log"}


class TestRec2Inf:
    def test_vanilla_is_the_recommender(self, world):
        obs, _ = world.reset(seed=0)
        agent = agents.make("rec2inf", world, backbone="cooccurrence", k=1)
        scores = agent.score(obs["history"], obs["user"])
        scores = np.where(obs["action_mask"] > 0, scores, -np.inf)
        assert np.array_equal(agent.predict(obs)[0], scores.argmax(axis=1))

    def test_all_candidates_is_the_objective(self, world):
        obs, _ = world.reset(seed=0)
        agent = agents.make("rec2inf", world, backbone="popularity", k=500)
        assert np.array_equal(agent.predict(obs)[0], obs["objective"])

    def test_genre_ties_go_to_the_better_ranked(self, world):
        obs, _ = world.reset(seed=0)
        agent = agents.make("rec2inf", world, backbone="popularity", distance="genre", k=500)
        log = world.unwrapped.problem.log
        same = (log.genres[:, None] == log.genres[obs["objective"]][None]).all(axis=2).T
        scores = np.where((obs["action_mask"] > 0) & same, log.popularity, -1)
        assert np.array_equal(agent.predict(obs)[0], scores.argmax(axis=1))

    def test_by_item2vec_the_nearest_of_the_candidates(self, world):
        obs, _ = world.reset(seed=0)
        agent = agents.make(
            "rec2inf", world, backbone="cooccurrence", distance="item2vec", item2vec_epochs=2, k=5
        )
        vectors = item2vec(world.unwrapped.problem.log, epochs=2, seed=agent.config.seed)
        scores = agent.score(obs["history"], obs["user"])
        top = best_first(np.where(obs["action_mask"] > 0, scores, -np.inf), 5)
        away = np.linalg.norm(vectors[top] - vectors[obs["objective"]][:, None], axis=2)
        assert np.array_equal(agent.predict(obs)[0], top[np.arange(len(top)), away.argmin(axis=1)])

    def test_final_offer(self, world):
        obs, _ = world.reset(seed=0)
        agent = agents.make("rec2inf", world, backbone="popularity", k=1, final_offer=True)
        last = {**obs, "steps_left": np.array([1, 2, 1, 2, 1, 2])}
        offers = agent.predict(last)[0] == obs["objective"]
        assert offers.tolist() == [True, False, True, False, True, False]

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"k": 0}, "k must be in 1..500"),
            ({"k": 501}, "k must be in 1..500"),
            ({"distance": "taste"}, "distance"),
            ({"item2vec_epochs": -1}, "item2vec_epochs must be at least 0"),
            ({"distance": "item2vec", "seed": 2**32}, "seed must be in"),
            ({"backbone": "svd"}, "svd"),
        ],
    )
    def test_bad_settings(self, world, config, words):
        with pytest.raises(ValueError, match=words):
            agents.make("rec2inf", world, **{"backbone": "popularity", **config})

    def test_the_simulated_user_is_no_backbone(self):
        env = gym.make(ID, evaluator="sasrec")
        with pytest.raises(AgentError, match="simulated user itself"):
            agents.make("rec2inf", env, backbone="sasrec")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda o: {k: v for k, v in o.items() if k != "user"}, r"lacks user\. Give"),
        (lambda o: {**o, "objective_set": o["action_mask"]}, r"holds besides objective_set\. Give"),
        (lambda o: dict.fromkeys(range(9), o), "lacks action_mask, .* besides 0, 1, .* and 4 more"),
        (lambda o: o["history"], "an observation is a dict of action_mask, .*, got ndarray"),
        (lambda o: {**o, "history": o["history"] + 0.7}, "'history'.* whole numbers, got float64"),
        (lambda o: {**o, "user": o["user"].astype(str)}, "'user'.* whole numbers, got <U"),
        (lambda o: {**o, "user": None}, r"'user'\] is a single value among batches"),
        (lambda o: {**o, "steps_left": o["steps_left"] - 99}, r"'steps_left'\] must be in 0"),
        (lambda o: {k: np.stack([v])[:0] for k, v in o.items()}, "no rows. Give at least one"),
    ],
)
def test_observations_of_another_world(world, change, words):
    observation, _ = world.reset(seed=0)
    with pytest.raises(AgentError, match=words):
        agents.make("jump", world).predict(change(observation))


def test_cooccurrence_is_silent_about_items_that_nobody_took():
    log = data.InteractionLog.from_columns("t", [0, 0], [0, 1], item_ids=np.arange(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = backbones.scorer("cooccurrence", log)(np.array([[0]]), np.array([0]))
    assert scores[0, 2] == -np.inf
    assert np.exp(scores).sum() == pytest.approx(1)


def test_jump_prefers_the_objective_then_what_is_popular(world):
    observation, _ = world.reset(seed=0)
    agent = agents.make("jump", world)
    order = np.argsort(-agent.preferences(observation), axis=1, kind="stable")
    assert np.array_equal(order[:, 0], observation["objective"])
    legal = observation["action_mask"][0] > 0
    legal[observation["objective"][0]] = False
    popular = np.where(legal, world.unwrapped.problem.log.popularity, -1)
    assert order[0, 1] == popular.argmax()


def test_lookahead_beats_what_does_not_look(world):
    from recgym.benchmark.evaluation import evaluate

    tasks = world.unwrapped.evaluation_tasks(0)[:12]
    score = {
        name: evaluate(agents.make(name, world, **configured(name)), world, tasks, 0)[
            "return"
        ].mean()
        for name in ("lookahead", "rec2inf", "random")
    }
    assert score["lookahead"] > score["rec2inf"] > score["random"]


def test_best_first():
    scores = np.array([[1.0, 3.0, 2.0], [0.0, -np.inf, 5.0]])
    assert best_first(scores, 2).tolist() == [[1, 2], [2, 0]]
    rng = np.random.default_rng(0)
    tied = rng.integers(0, 6, (40, 300)).astype(float)  # many share the last place
    tied[rng.random(tied.shape) < 0.1] = -np.inf
    for k in (1, 7, 100, 300, 400):
        expected = np.argsort(-tied, axis=1, kind="stable")[:, :k]
        assert (best_first(tied, k) == expected).all()


def test_candidate_network_is_equivariant():
    """A permutation of the candidates permutes the logits and leaves the value alone."""
    import torch

    from recgym.agents.sb3.policies import CandidateNetwork

    torch.manual_seed(0)
    network = CandidateNetwork(candidates=5, features=3, context=2, width=8)
    items, context = torch.randn(4, 5, 3), torch.randn(4, 2)
    order = torch.randperm(5)
    flat = torch.cat([items.flatten(1), context], dim=1)
    moved = torch.cat([items[:, order].flatten(1), context], dim=1)
    torch.testing.assert_close(network.forward_actor(moved), network.forward_actor(flat)[:, order])
    torch.testing.assert_close(network.forward_critic(moved), network.forward_critic(flat))


def test_item_extractor_reads_the_tokens():
    import torch
    from stable_baselines3.common.preprocessing import preprocess_obs

    from recgym.agents.sb3.policies import ItemExtractor

    env = gym.make(TINY)
    space = env.observation_space
    extractor = ItemExtractor(space, width=4)
    obs, _ = env.reset(seed=0)
    batch = {key: torch.as_tensor(np.asarray(value)[None]) for key, value in obs.items()}
    features = extractor(preprocess_obs(batch, space))
    item = extractor.item.weight
    assert features.shape == (1, extractor.features_dim)
    torch.testing.assert_close(features[0, 4:8], item[int(obs["history"][-1])])
    torch.testing.assert_close(features[0, 8:12], item[int(obs["objective"])])
    assert features[0, 12] == 1  # all the time is left


@pytest.mark.slow
def test_maskable_ppo_learns():
    """On the default world uniform choice among its candidates scores about 2.8, Rec2Inf about 8.

    After 20,000 steps it must have passed Rec2Inf on held-out objectives (validation split).
    """
    from recgym.benchmark.evaluation import evaluate

    venv = gym.make_vec(ID, num_envs=64, split="validation", autoreset_mode="Disabled")
    tasks = venv.unwrapped.evaluation_tasks(0)[:192]
    floor = agents.make("random_candidates", venv)
    rival = agents.make("rec2inf", venv, backbone="cooccurrence", final_offer=True)
    learner = agents.make("maskable_ppo", venv).learn(30_000, seed=0)
    scores = [evaluate(a, venv, tasks, 0)["return"].mean() for a in (floor, rival, learner)]
    assert scores == sorted(scores), scores


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("rec2inf", {"backbone": "cooccurrence", "k": 7}),
        ("rec2inf", {"backbone": "popularity", "k": 1}),
        ("irn", {"width": 8, "layers": 1}),
        ("irn", {"width": 8, "layers": 1, "nearest": True, "k": 7}),
    ],
)
def test_preferences_are_the_whole_ranking_behind_the_recommendation(world, name, config):
    agent = agents.make(name, world, **config)
    observation, _ = world.reset(seed=5)
    preferences = agent.preferences(observation)
    assert np.isfinite(preferences).all()
    illegal = observation["action_mask"] == 0
    assert illegal.any()
    left_out = np.where(illegal, preferences, -np.inf).max(axis=1)
    least = np.where(illegal, np.inf, preferences).min(axis=1)
    assert (left_out < least).all()
    assert np.array_equal(preferences.argmax(axis=1), agent.predict(observation)[0])
