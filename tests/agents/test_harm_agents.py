"""Agents of HarmMitigation: what they offer, orderings of the note, files, and refusals."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy

import recgym  # noqa: F401
from recgym import agents
from recgym.agents.base import AgentError
from recgym.agents.harm_mitigation.gradient import slsqp
from recgym.agents.harm_mitigation.projected_gradient import ascend
from recgym.envs.harm_mitigation.worlds import resolve, synthetic_world
from recgym.evaluators import choice
from recgym.models.store import StoreError

ID, TINY = "recgym/HarmMitigation-v0", "recgym/HarmMitigationTiny-v0"
PPO = {"timesteps": 400, "num_envs": 4, "n_steps": 20, "batch": 40, "width": 8}
QUICK = {
    "ppo": PPO,
    "lagrangian_ppo": PPO,
    "sac": {"timesteps": 200, "num_envs": 4, "learning_starts": 50, "batch": 16, "width": 8},
}
ACTIONS = {"item": 1, "slate": 2, "probabilities": 2}
PLAYS = {
    name: [kind for kind in ACTIONS if (kind == "probabilities") == (name == "sac")]
    if name in QUICK
    else list(ACTIONS)
    for name in agents.names(ID)
}
PAIRS = [(name, kind) for name, kinds in PLAYS.items() for kind in kinds]
DRAWS = {"random", "uniform", "gradient", "projected_gradient"}


def made(name, kind, **settings):
    env = gym.make_vec(
        TINY, num_envs=4, action=kind, k=ACTIONS[kind], autoreset_mode="Disabled", **settings
    )
    return env, agents.make(name, env, **QUICK.get(name, {}))


@pytest.mark.parametrize(("name", "kind"), PAIRS)
class TestEveryAgent:
    def test_offers_what_is_legal(self, name, kind):
        env, agent = made(name, kind)
        observation, _ = env.reset(seed=0)
        for _ in range(3):
            action, state = agent.predict(observation, deterministic=True)
            assert state is None
            assert np.asarray(action).shape == env.action_space.shape
            observation, *_, infos = env.step(action)
            drawn_blindly = (name, kind) == ("random", "slate") or name in QUICK
            assert drawn_blindly or not infos["invalid_action"].any()
        one = {key: value[0] for key, value in observation.items()}
        single, _ = agent.predict(one, deterministic=True)
        assert np.shape(single) == env.single_action_space.shape

    def test_save_and_load(self, name, kind, tmp_path):
        env, agent = made(name, kind)
        agent.learn(seed=0)
        agent.save(tmp_path)
        again = type(agent).load(tmp_path, env)
        observation, _ = env.reset(seed=1)
        assert again.config == agent.config
        if name not in DRAWS:
            both = [a.predict(observation, deterministic=True)[0] for a in (agent, again)]
            np.testing.assert_allclose(*both, rtol=1e-6)
        with pytest.raises(AgentError, match="other data"):
            type(agent).load(
                tmp_path, gym.make(ID, dataset="synthetic", action=kind, k=ACTIONS[kind])
            )


@pytest.mark.parametrize("name", ["static", "ppo", "closed_loop"])
def test_evaluate_policy_runs_them(name):
    env = gym.make(TINY)
    agent = agents.make(name, env, **QUICK.get(name, {}))
    mean, _ = evaluate_policy(agent, env, n_eval_episodes=2, warn=False)
    assert np.isfinite(mean)


def test_marks_are_honest():
    """Who reads c, the step sizes or the dynamics is privileged; profiles and items are shown."""
    sees = {name: agents.agent_class(name, ID).sees for name in agents.names(ID)}
    privileged = {"alternating", "gradient", "projected_gradient", "closed_loop"}
    assert {name for name, mark in sees.items() if mark == "privileged"} == privileged
    assert {name for name, mark in sees.items() if mark == "simulator"} == set(QUICK)


def test_refusals():
    env = gym.make(TINY)
    with pytest.raises(AgentError, match='action="probabilities"'):
        agents.make("sac", env)
    with pytest.raises(AgentError, match="take sac"):
        agents.make("ppo", gym.make(TINY, action="probabilities", k=2))
    with pytest.raises(AgentError, match='observation="profile"'):
        agents.make("gradient", gym.make(TINY, observation="history"))
    big = gym.make(ID, dataset="synthetic", action="slate", k=5)
    with pytest.raises(AgentError, match='action="probabilities"'):
        agents.make("projected_gradient", big)
    with pytest.raises(AgentError, match="plays HarmMitigation"):
        agents.agent_class("static", ID)(gym.make("recgym/InfluencePathTiny-v0"))
    for name, setting in (
        ("ppo", {"gamma": 1.5}),
        ("ppo", {"width": 0}),
        ("alternating", {"rounds": -1}),
        ("gradient", {"iterations": 0}),
        ("gradient", {"draws": -1}),
        ("projected_gradient", {"iterations": 0}),
        ("lagrangian_ppo", {"budget": -1.0}),
        ("lagrangian_ppo", {"price": np.nan}),
    ):
        with pytest.raises(AgentError, match=next(iter(setting))):
            agents.make(name, env, **setting)


def test_damaged_files_are_refused(tmp_path):
    env, agent = made("ppo", "item")
    agent.save(tmp_path)
    (tmp_path / "policy.safetensors").write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"policy\.safetensors"):
        type(agent).load(tmp_path, env)


def worth(model, inherent, weights, harm_weight, family):
    settled = choice.stationary_profile(model, family, inherent, weights)
    return choice.outcome(model, family, settled.profile, weights).objective(harm_weight)


def observation_of(inherent, n_items):
    shown = inherent.astype(np.float32)
    mask = np.ones((len(inherent), n_items + 1), dtype=np.int8)
    return {"inherent": shown, "profile": shown, "action_mask": mask}


@pytest.mark.parametrize("harm_weight", [1.0, 10.0, 100.0])
def test_gradient_beats_alternating_beats_uniform(harm_weight):
    """The ordering of the note on synthetic means (n = 40, 10 harmful, d = 6)."""
    world = synthetic_world(40, 200, 6)
    env = gym.make(ID, dataset=world, harm_weight=harm_weight, c=6.0)
    problem = env.unwrapped.problem
    inherent = world.inherent[problem.users[:12]]
    family = choice.single_items(problem.model)
    observation, found = observation_of(inherent, 40), {}
    for name in ("projected_gradient", "gradient", "alternating", "static"):
        items = agents.make(name, env).act(observation, deterministic=True)
        weights = (family.slates[:, 0] == items[:, None]).astype(np.float64)
        found[name] = worth(problem.model, inherent, weights, harm_weight, family).mean()
    uniform = np.full((12, family.size), 1 / family.size)
    found["uniform"] = worth(problem.model, inherent, uniform, harm_weight, family).mean()
    assert found["projected_gradient"] >= found["gradient"] - 1e-6
    assert found["gradient"] > found["alternating"] > found["uniform"]
    assert found["gradient"] > found["static"] > found["uniform"]


def test_alternating_does_not_know_the_weight_of_harm_and_its_gap_grows():
    world = synthetic_world(40, 200, 6)
    offers, gaps = [], []
    for harm_weight in (1.0, 10.0, 100.0):
        env = gym.make(ID, dataset=world, harm_weight=harm_weight)
        problem = env.unwrapped.problem
        inherent = world.inherent[problem.users[:12]]
        family = choice.single_items(problem.model)
        items = agents.make("alternating", env).act(
            observation_of(inherent, 40), deterministic=True
        )
        offers.append(items.tolist())
        weights = (family.slates[:, 0] == items[:, None]).astype(np.float64)
        best = ascend(problem.model, family, inherent, harm_weight)[1]
        gaps.append((best - worth(problem.model, inherent, weights, harm_weight, family)).mean())
    assert offers[0] == offers[1] == offers[2]
    assert gaps[0] < gaps[1] < gaps[2]
    assert gaps[2] > 5 * gaps[1]


def test_projected_gradient_is_the_enumerated_optimum_for_single_items():
    for world in (synthetic_world(30, 50, 4), resolve("ml-latest-small")):
        model = choice.ChoiceModel(world.items, world.harmful, c=world.calibrated(1))
        family, inherent = choice.single_items(model), world.inherent[:20]
        users = np.repeat(inherent, family.size, axis=0)
        pure = np.tile(np.eye(family.size), (20, 1))
        values = worth(model, users, pure, 10.0, family).reshape(20, -1).max(axis=1)
        weights, found = ascend(model, family, inherent, 10.0)
        assert (found >= values - 1e-6 * np.abs(values)).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-9)


def test_sampled_solutions_against_exact_enumeration():
    """|NH| = 12: SLSQP on quadrature, on 256 draws, and projected gradient, all judged exactly."""
    world = synthetic_world(16, 50, 4, 0.25)
    model = choice.ChoiceModel(world.items, world.harmful, c=world.calibrated(3))
    assert len(model.recommendable) == 12
    exact, rng = choice.Subsets(model, 3), np.random.default_rng(0)
    quadrature = choice.Sampling(model, 3)
    draws = choice.Draws(model, 3, rng.random((256, 12)))
    inherent = world.inherent[:2]
    for user in inherent:
        best = worth(model, user[None], slsqp(model, exact, user, 10.0, rng)[0][None], 10.0, exact)
        for family, error in ((quadrature, 1e-6), (draws, 0.05)):
            weights = slsqp(model, family, user, 10.0, rng)[0]
            found = worth(model, user[None], weights[None], 10.0, exact)
            assert found >= best - error * np.abs(best) - error
    ours = ascend(model, quadrature, inherent, 10.0)[1]
    theirs = [slsqp(model, exact, user, 10.0, rng)[1] for user in inherent]
    assert (ours >= np.array(theirs) - 0.005 * np.abs(theirs)).all()


def test_projected_gradient_of_many_users_at_once_is_no_worse_than_slsqp_one_by_one():
    """On the default world; how much faster it is stands in benchmarks/results."""
    world = resolve("ml-latest-small")
    model = choice.ChoiceModel(world.items, world.harmful, c=world.calibrated(1))
    family = choice.single_items(model)
    theirs = [
        slsqp(model, family, u, 10.0, np.random.default_rng(0))[1] for u in world.inherent[:4]
    ]
    ours = ascend(model, family, world.inherent[:200], 10.0)[1]
    assert (ours[:4] >= np.array(theirs) - 0.005 * np.abs(theirs)).all()


def test_closed_loop_reacts_to_where_the_profile_is():
    env = gym.make(TINY)
    agent = agents.make("closed_loop", env)
    places = np.array([[0.05], [1.5]])
    observation = {**observation_of(np.full((2, 1), 0.05), 6), "profile": places.astype("f4")}
    calm, lost = agent.act(observation, deterministic=True)
    assert calm == 0
    assert lost == 3


def test_ppo_learns():
    """On the tiny world it must come half of the way from random to static, and does more."""
    env = gym.make_vec(TINY, num_envs=64, autoreset_mode="Disabled", split="train")
    agent = agents.make("ppo", env, timesteps=20_000, num_envs=32, seed=0)
    agent.learn(seed=0)
    scores = {}
    for name, player in (
        ("ppo", agent),
        ("static", agents.make("static", env)),
        ("random", agents.make("random", env)),
    ):
        observation, _ = env.reset(seed=5)
        total = np.zeros(64)
        for _ in range(8):
            observation, reward, *_ = env.step(player.predict(observation, deterministic=True)[0])
            total += reward
        scores[name] = total.mean()
    assert scores["ppo"] > scores["random"] + 0.5 * (scores["static"] - scores["random"])


def test_the_price_of_harm_rises_above_the_budget_and_falls_below():
    env = gym.make(TINY, constrained=True, budget=0.0)
    settings = {**PPO, "timesteps": 2_000, "price": 1.0}
    rising = agents.make("lagrangian_ppo", env, **settings).learn(seed=0)
    assert rising.training_record["prices"][-1] > 1.0
    falling = agents.make("lagrangian_ppo", env, budget=1.0, **settings).learn(seed=0)
    assert falling.training_record["prices"][-1] == 0.0
