"""Settings of agents, damaged cards, and backbones that would read the simulated user."""

from __future__ import annotations

import json

import gymnasium as gym
import pytest

import recgym  # noqa: F401
from recgym import agents, data, evaluators
from recgym.agents import AgentError
from recgym.evaluators import backbones
from recgym.wrappers import CandidateActions, VectorCandidateActions

TINY = "recgym/InfluencePathTiny-v0"
DEFAULT = "recgym/InfluencePath-v0"


@pytest.fixture(scope="module")
def markov():
    """The default data with counts of the log as the user; needs no weights."""
    return gym.make(DEFAULT, evaluator="markov")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("rec2inf", {"k": "50"}),
        ("rec2inf", {"k": 2.5}),
        ("rec2inf", {"k": True}),
        ("rec2inf", {"final_offer": "no"}),
        ("rec2inf", {"distance": 3}),
        ("rec2inf", {"backbone": None}),
        ("lookahead", {"k": "a"}),
        ("random", {"seed": -1}),
        ("random", {"seed": "a"}),
        ("random_candidates", {"pool": 10.0}),
    ],
)
def test_settings_of_a_wrong_kind_are_refused_by_name(markov, name, config):
    with pytest.raises(AgentError, match=next(iter(config))):
        agents.make(
            name, markov, **{"backbone": "popularity"} | config if "rec" in name else config
        )


def test_a_setting_with_a_choice_of_kinds_names_them(markov):
    wanted = r"gap must be of type int or one of \('left',\), got 'lef'"
    with pytest.raises(AgentError, match=wanted):
        agents.make("irn", markov, gap="lef")
    with pytest.raises(AgentError, match="decode_w_t must be of type float or None"):
        agents.make("irn", markov, decode_w_t="1")


def test_a_whole_number_will_do_for_a_float():
    from recgym.agents.influence_path.maskable_ppo import MaskablePPOConfig

    assert MaskablePPOConfig.from_dict({"gamma": 1}).gamma == 1


@pytest.mark.parametrize("name", ["rec2inf", "random_candidates", "maskable_ppo"])
def test_no_agent_takes_the_user_as_its_backbone(markov, name):
    if name == "maskable_ppo":
        pytest.importorskip("sb3_contrib")
    with pytest.raises(AgentError, match="simulated user itself"):
        agents.make(name, markov, backbone="markov")


def test_no_wrapper_takes_the_user_as_its_backbone(markov):
    with pytest.raises(ValueError, match="simulated user itself"):
        CandidateActions(markov, backbone="markov")
    rows = gym.make_vec(DEFAULT, num_envs=2, evaluator="markov")
    with pytest.raises(ValueError, match="simulated user itself"):
        VectorCandidateActions(rows, backbone="markov")


def test_other_backbones_are_not_the_user():
    log = data.load("ml-latest-small")
    user = evaluators.load("markov", log)
    for name in ("popularity", "cooccurrence"):
        backbones.refuse_the_user(name, log, user)
    true_chain = evaluators.load("markov", "synthetic")
    backbones.refuse_the_user("markov", data.load("synthetic"), true_chain)  # counts, an estimate


def test_agents_for_an_environment_made_without_an_id():
    from recgym.envs.influence_path.env import InfluencePathEnv

    env = InfluencePathEnv("tiny", horizon=6, history_length=6)
    observation, _ = env.reset(seed=0)
    agent = agents.make("jump", env)
    assert agent.predict(observation)[0] == observation["objective"]


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("maskable_ppo", {"batch": 0}, "batch must be at least 2"),
        ("ppo", {"n_steps": 1}, "n_steps must be at least 2"),
        ("model_ppo", {"epochs": 0}, "epochs must be at least 1"),
        ("maskable_ppo", {"gamma": 2.0}, "gamma must be in"),
        ("dqn", {"buffer": 0}, "buffer must be at least 1"),
        ("dqn", {"learning_rate": 0.0}, "learning_rate must be positive"),
        ("dqn", {"exploration_fraction": 1.5}, "exploration_fraction must be in"),
        ("planner", {"user": "bpr"}, "user must be one of"),
    ],
)
def test_settings_that_cannot_be(markov, name, config, words):
    if name.endswith("ppo") or name == "dqn":
        pytest.importorskip("sb3_contrib")
    with pytest.raises(AgentError, match=words):
        agents.make(name, markov, **config)


@pytest.mark.parametrize(
    "card",
    [
        {"agent": "random"},
        {"agent": "random", "config": [], "data": ""},
        {"agent": "random", "config": {}, "data": "zz"},
        {"agent": "random", "config": {}},
        {"agent": "random", "config": {"seed": "x"}, "data": "right"},
    ],
)
def test_a_damaged_card_is_refused(tmp_path, card):
    env = gym.make(TINY)
    if card.get("data") == "right":
        card = {**card, "data": env.unwrapped.problem.log.fingerprint}
    (tmp_path / "agent.json").write_text(json.dumps(card))
    with pytest.raises(AgentError):
        agents.agent_class("random", TINY).load(tmp_path, env)


def test_other_data_are_named_before_other_bounds(tmp_path, markov):
    agents.make("lookahead", markov, k=50).save(tmp_path)
    with pytest.raises(AgentError, match="made for other data"):
        agents.agent_class("lookahead", TINY).load(tmp_path, gym.make(TINY))


def test_lookahead_needs_all_that_the_user_looks_at(markov):
    """With less, its P would not be the user's, and the privileged reference no reference."""

    class Longer(evaluators.MarkovEvaluator):
        length = 7

    known = evaluators.load("markov", "ml-latest-small")
    user = Longer(known.table.astype(float), tau=known.tau)
    agents.make("lookahead", gym.make(DEFAULT, evaluator=user, history_length=7))
    with pytest.raises(AgentError, match="history_length=7"):
        agents.make("lookahead", gym.make(DEFAULT, evaluator=user, history_length=6))
