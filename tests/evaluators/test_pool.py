"""Several models as one simulated user."""

import gymnasium as gym
import numpy as np
import pytest

from recgym import agents, data, evaluators
from recgym.agents import AgentError
from recgym.evaluators import MarkovEvaluator, backbones, held_out
from recgym.evaluators.pool import OpinionPool
from recgym.testing import check_sequence_evaluator
from recgym.wrappers import CandidateActions

BOTH = "bert4rec+sasrec"
HISTORIES = np.array([[5, 17, 203], [3496, 3496, 8]])


@pytest.fixture(scope="module")
def log():
    return data.load("ml-latest-small")


def of_three(*probabilities: float, name: str) -> MarkovEvaluator:
    """A user of three items who always chooses alike."""
    return MarkovEvaluator(np.log(np.tile(probabilities, (4, 1))), tau=-1.0, name=name)


@pytest.fixture
def three_items():
    columns = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 2, 0])
    return data.InteractionLog.from_columns("t", *columns, item_ids=np.arange(3))


def test_it_keeps_the_contract_of_simulated_users(log):
    check_sequence_evaluator(evaluators.load(BOTH, log), rows=16)


def test_by_hand(three_items):
    """√(.5·.02) : √(.3·.18) : √(.2·.8), normalised: what one doubts is unlikely to the pool."""
    models = [of_three(0.5, 0.3, 0.2, name="a"), of_three(0.02, 0.18, 0.8, name="b")]
    pool = OpinionPool(models, three_items)
    root = np.sqrt([0.5 * 0.02, 0.3 * 0.18, 0.2 * 0.8])
    found = np.exp(pool.log_prob(np.array([[0]])))[0]
    np.testing.assert_allclose(found, root / root.sum(), rtol=1e-5)
    assert found[0] < np.mean([0.5, 0.02])  # a mean of probabilities has no veto
    # the last items of the two users are 2 and 0
    assert pool.tau == pytest.approx(np.log(found[[2, 0]]).mean(), rel=1e-5)


def test_it_is_the_normalised_mean_of_its_models(log):
    pool = evaluators.load(BOTH, log)
    each = [evaluators.load(name, log).log_prob(HISTORIES) for name in evaluators.parts(BOTH)]
    root = np.exp(np.mean(each, axis=0, dtype=np.float64))
    expected = np.log(root / root.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(pool.log_prob(HISTORIES), expected, atol=1e-4)
    scorer = backbones.scorer(BOTH, log)
    np.testing.assert_allclose(scorer(HISTORIES, np.zeros(2, np.int64)), expected, atol=1e-4)


def test_two_models_foresee_more_than_one(log):
    pool = evaluators.load(BOTH, log)
    last = held_out.HeldOut.of(log, 50)
    found = held_out.evaluate(held_out.of_histories(pool.log_prob), last)["log_prob"]
    assert pool.tau == pytest.approx(found, abs=1e-6)
    assert pool.tau > max(evaluators.load(name, log).tau for name in evaluators.parts(BOTH))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sasrec+markov", "pool is of trained networks"),
        ("sasrec+", "got ''"),
        ("sasrec+bpr", "got 'bpr'"),
        ("sasrec+sasrec", "each once"),
    ],
)
def test_what_cannot_be_pooled(log, name, words):
    with pytest.raises(ValueError, match=words):
        evaluators.load(name, log)
    with pytest.raises(AgentError):
        agents.make("planner", gym.make("recgym/InfluencePath-v0"), user=name)


def test_models_of_other_items_cannot_be_pooled(log, three_items):
    models = [evaluators.load("sasrec", log), of_three(0.5, 0.3, 0.2, name="a")]
    with pytest.raises(ValueError, match="items; got sasrec 3,496, a 3"):
        OpinionPool(models, log)


def test_a_log_without_a_second_event_measures_nothing():
    once = data.InteractionLog.from_columns("t", np.arange(3), np.arange(3), item_ids=np.arange(3))
    models = [of_three(0.5, 0.3, 0.2, name="a"), of_three(0.02, 0.18, 0.8, name="b")]
    with pytest.raises(ValueError, match="no user with two events"):
        OpinionPool(models, once)


def test_the_order_of_its_models_makes_no_other_user(log):
    other = evaluators.load("sasrec+bert4rec", log)
    assert other.fingerprint == evaluators.load(BOTH, log).fingerprint


@pytest.mark.parametrize("name", ["my+user", ""])
def test_a_registered_name_cannot_look_like_a_pool(name):
    with pytest.raises(ValueError, match="joins networks"):
        evaluators.register(name, lambda log: of_three(0.5, 0.3, 0.2, name="a"))


def test_a_pool_is_read_again_after_one_of_its_models_was_trained(log):
    pool = evaluators.load(BOTH, log)
    assert evaluators.load(BOTH, log) is pool
    evaluators.forget("sasrec", log)
    assert evaluators.load(BOTH, log) is not pool


@pytest.mark.parametrize("name", ["planner", "model_ppo"])
def test_the_simulated_user_may_not_be_one_of_an_agents_models(name):
    env = gym.make("recgym/InfluencePath-v0")
    with pytest.raises(AgentError, match=r"user: 'bert4rec' is this .* Choose another user"):
        agents.make(name, env, user=BOTH)
    with pytest.raises(AgentError, match=r"user must be one of .* joined by \+"):
        agents.make(name, env, user="sasrec+tea")


def test_nor_one_of_a_recommenders():
    env = gym.make("recgym/InfluencePath-v0")
    with pytest.raises(AgentError, match="'bert4rec' is this environment's simulated user itself"):
        agents.make("rec2inf", env, backbone=BOTH)


@pytest.mark.parametrize("name", ["sasrec", "bert4rec", "sasrec+bert4rec"])
def test_nor_may_agents_have_a_part_of_a_pooled_user(name):
    env = gym.make("recgym/InfluencePath-v0", evaluator=BOTH)
    for agent, key in (("planner", "user"), ("rec2inf", "backbone"), ("ipg", "backbone")):
        with pytest.raises(AgentError, match="simulated user itself, or part of it"):
            agents.make(agent, env, **{key: name})
    with pytest.raises(ValueError, match="simulated user itself, or part of it"):
        CandidateActions(env, backbone=name)


def test_no_agent_practises_on_the_true_chain():
    """By the name `markov` recommenders have counts, but models of users the chain itself."""
    env = gym.make("recgym/InfluencePath-v0", dataset="synthetic", evaluator="markov")
    with pytest.raises(AgentError, match="simulated user itself"):
        agents.make("planner", env, user="markov")


def test_in_a_world_of_its_own_the_backbone_may_be_the_user():
    pytest.importorskip("sb3_contrib")
    env = gym.make("recgym/InfluencePath-v0", evaluator="markov")
    agent = agents.make("model_ppo", env, user="sasrec", backbone=BOTH, num_envs=2)
    observation, _ = env.reset(seed=0)
    assert 0 <= agent.predict(observation)[0] < 3496


def test_a_planner_over_a_pool_is_the_look_ahead_on_such_a_user():
    """Before a user who is the pool herself, the look-ahead that asks her does the same."""
    mine = gym.make_vec("recgym/InfluencePath-v0", num_envs=4, evaluator="markov")
    hers = gym.make_vec("recgym/InfluencePath-v0", num_envs=4, evaluator=BOTH)
    planner = agents.make("planner", mine, user=BOTH, k=10)
    lookahead = agents.make("lookahead", hers, k=10)
    observation, _ = mine.reset(seed=3)
    np.testing.assert_array_equal(
        planner.predict(observation)[0], lookahead.predict(observation)[0]
    )
