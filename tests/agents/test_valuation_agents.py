"""Agents of DataValuation: what they keep, what they learn, files and refusals."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

import recgym  # noqa: F401
from recgym import agents
from recgym.agents.base import AgentError
from recgym.agents.data_valuation.dvr import DVRConfig, Valuator, _Advantages, chances
from recgym.agents.data_valuation.valuing import best
from recgym.envs.data_valuation.dynamics import DataValuation
from recgym.envs.data_valuation.state import DIRECTIONS
from recgym.models.store import StoreError, write_tensors

ID, TINY = "recgym/DataValuation-v0", "recgym/DataValuationTiny-v0"
SHOWN = {"show_ids": True, "show_embeddings": True}
LEARNERS = {
    "alignment": {"epochs": 2},
    "dvr": {"episodes": 2},
    "ppo": {"timesteps": 16, "num_envs": 2, "steps": 4, "batch": 4},
}


def made(name, env_id=TINY, **settings):
    env = gym.make(env_id, **{**SHOWN, **settings})
    agent = agents.make(name, env, **LEARNERS.get(name, {}))
    return env, agent.learn()


def played(env, agent, stream=2**31):
    """Metrics of one episode."""
    observation, _ = env.reset(options={"stream": stream})
    over = False
    while not over:
        action, _ = agent.predict(observation, deterministic=True)
        observation, _, over, _, info = env.step(action)
    return info["metrics"]


@pytest.mark.parametrize("action", ["select", "weigh"])
@pytest.mark.parametrize("name", agents.names(ID))
def test_actions_are_in_the_space_and_files_come_back(name, action, tmp_path):
    if (name, action) == ("ppo", "weigh"):
        with pytest.raises(AgentError, match='action="select"'):
            made(name, action=action)
        return
    env, agent = made(name, action=action)
    observation, _ = env.reset(seed=0)
    given, _ = agent.predict(observation, deterministic=True)
    assert env.action_space.contains(np.asarray(given))
    agent.save(tmp_path)
    again = type(agent).load(tmp_path, env)
    assert again.config == agent.config
    if name != "random":
        np.testing.assert_array_equal(again.predict(observation, deterministic=True)[0], given)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"values": torch.ones(3)}, "does not hold a value of each"),
        ({"value": torch.ones(13)}, "does not hold a value of each"),
        ({"values": torch.full((13,), torch.nan)}, "not finite"),
    ],
)
def test_values_that_do_not_fit_are_refused(tensors, message, tmp_path):
    env, agent = made("alignment")
    agent.save(tmp_path)
    write_tensors(tmp_path / "values.safetensors", tensors)
    with pytest.raises(StoreError, match=message):
        type(agent).load(tmp_path, env)


def test_a_valuator_that_is_not_finite_is_refused(tmp_path):
    env, agent = made("dvr")
    with torch.no_grad():
        next(agent.valuator.parameters()).fill_(torch.inf)
    agent.save(tmp_path)
    with pytest.raises(StoreError, match="not finite"):
        type(agent).load(tmp_path, env)


def test_who_has_not_learned_leaves_no_values_of_another(tmp_path):
    env, agent = made("alignment")
    agent.save(tmp_path)
    agents.make("alignment", env, epochs=2).save(tmp_path)
    assert type(agent).load(tmp_path, env).values is None


@pytest.mark.parametrize("steps", [-1, 0, 1.5, True])
@pytest.mark.parametrize("name", ["alignment", "dvr", "ppo"])
def test_how_long_to_learn(name, steps):
    _, agent = made(name)
    with pytest.raises(AgentError, match="total_timesteps must be a whole number of at least 1"):
        agent.learn(steps)


@pytest.mark.parametrize("name", ["alignment", "dvr", "ppo"])
def test_seeds_that_are_none(name):
    _, agent = made(name)
    for seed in (-1, 1.5, "0"):
        with pytest.raises(AgentError, match="seed must be a whole number of at least 0"):
            agent.learn(10, seed=seed)


def test_a_valuator_that_diverges_is_told_of():
    env = gym.make(TINY, **SHOWN)
    agent = agents.make("dvr", env, learning_rate=1e30, episodes=20)
    with pytest.raises(AgentError, match="diverged"):
        agent.learn()
    assert np.isfinite(agent.weights({"embeddings": np.ones((1, 48), np.float32)})).all()


def test_ppo_standardises_at_least_two():
    with pytest.raises(AgentError, match="must be at least 2"):
        agents.make("ppo", gym.make(TINY), batch=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"advantage": "lvel"}, "advantage must be one of"),
        ({"episodes": 2.5}, "episodes must be of type int"),
        ({"learning_rate": "1"}, "learning_rate must be of type float"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_settings_are_checked_however_they_are_made(settings, message):
    with pytest.raises(AgentError, match=message):
        DVRConfig(**settings)
    assert DVRConfig(episodes=np.int64(2), learning_rate=1) == DVRConfig(
        episodes=2, learning_rate=1.0
    )


def test_what_the_floors_keep():
    for name, kept, auc in (("bpr", 1.0, 0.5), ("none", 0.0, 0.5), ("oracle", 0.75, 1.0)):
        metrics = played(*made(name))
        assert metrics["kept"] == kept
        assert metrics["AUC"] == auc


def test_t_ce_drops_the_largest_losses_more_and_more():
    env, agent = made("t_ce", steps=5)
    observation, _ = env.reset(seed=0)
    assert agent.predict(observation, deterministic=True)[0].all()
    observation["progress"][:] = 1.0
    action, _ = agent.predict(observation, deterministic=True)
    assert action.sum() == 6  # .2 of 8, rounded
    assert observation["loss"][action == 0].min() >= observation["loss"][action == 1].max()


def test_a_loss_threshold_keeps_pairs_in_the_right_order():
    env, agent = made("loss_threshold", warm_epochs=3)
    observation, _ = env.reset(seed=0)
    action, _ = agent.predict(observation, deterministic=True)
    np.testing.assert_array_equal(action, observation["positive"] >= observation["negative"])
    assert 0 < action.sum() < 8


def test_r_ce_weighs_by_the_sigmoid():
    env, agent = made("r_ce", action="weigh")
    observation, _ = env.reset(seed=0)
    action, _ = agent.predict(observation)
    apart = observation["positive"] - observation["negative"]
    np.testing.assert_allclose((action + 1) / 2, 1 / (1 + np.exp(-apart)) ** 0.25, atol=1e-5)


def test_best_takes_its_share():
    values = np.array([[3.0, 1.0, 2.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    assert best(values, 0.5).tolist() == [[1, 0, 1, 0], [0, 0, 1, 1]]
    assert best(values, 0.0).sum() == 0
    assert best(values, 1.0).all()


def test_alignment_tells_bought_clicks_from_true_ones():
    """Its floor, AUC .5, is that of keeping everything; popularity has .35 here."""
    env = gym.make(ID, **SHOWN, split="validation", steps=10)
    found = {}
    for of in ("everything", "items"):
        agent = agents.make("alignment", env, epochs=3, of=of).learn()
        found[of] = played(env, agent)["AUC"]
    assert found["items"] > found["everything"] > 0.62
    with pytest.raises(AgentError, match="of must be one of"):
        agents.make("alignment", env, of="users")


def test_dvr_that_learns_alignment_tells_bought_clicks_without_ids():
    env = gym.make(ID, show_embeddings=True, split="validation", steps=10)
    agent = agents.make("dvr", env, advantage="alignment", drawn=False).learn(300, seed=0)
    assert played(env, agent)["AUC"] > 0.75


@pytest.mark.parametrize("name", ["dvr", "r_ce"])
def test_what_is_defined_by_a_draw_is_drawn(name):
    """A threshold would make plain BPR of R-CE, and drop all that shares a value in DVR."""
    env, agent = made(name, ID, steps=10)
    observation, _ = env.reset(seed=0)
    batch = {key: np.asarray(value)[None] for key, value in observation.items()}
    chance = agent.weights(batch)[0]
    drawn = np.mean([agent.predict(observation, deterministic=True)[0] for _ in range(200)], axis=0)
    assert np.abs(drawn - chance).max() < 0.2
    assert np.abs(drawn - chance).mean() < 0.04


def test_shapley_values_of_dvr_add_up_and_move_with_the_samples():
    env, agent = made("dvr")
    observation, _ = env.reset(seed=0)
    batch = {key: np.asarray(value)[None] for key, value in observation.items()}
    values = agent.shapley(batch)
    order = np.random.default_rng(0).permutation(8)
    parts = batch["embeddings"].reshape(1, 8, -1)
    moved = agent.shapley({"embeddings": parts[:, order].reshape(1, -1)})
    np.testing.assert_allclose(moved, values[:, order], atol=1e-6)
    assert agent.weights(batch).min() >= 0.05
    assert agent.weights(batch).max() <= 0.95


@pytest.mark.parametrize("layout", ["paper", "equivariant"])
def test_all_of_dvr_is_trained(layout):
    """The encoder, weights and heads, and the paper's masks; the authors' code leaves some out."""
    env = gym.make(TINY, **SHOWN, steps=6)
    agent = agents.make("dvr", env, layout=layout, episodes=3)
    before = {name: p.detach().clone() for name, p in agent.valuator.named_parameters()}
    agent.learn()
    kinds = {"paper": ["logits", "weights", "heads"], "equivariant": ["singles", "of_triples"]}
    for part in ("encoder", *kinds[layout]):
        mine = [name for name in before if part in name]
        after = dict(agent.valuator.named_parameters())
        assert mine
        assert any((after[name] != before[name]).any() for name in mine), part


@pytest.mark.parametrize("advantage", ["level", "gain"])
@pytest.mark.parametrize("metric", DIRECTIONS)
def test_an_advantage_is_an_improvement(metric, advantage):
    """The paper's Eq. 5.9 minimises every metric, and is right for two of them only."""
    better = -1 if metric in ("Loss", "Gini") else 1
    assert DIRECTIONS[metric] == better
    for change, sign in ((better, 1), (-better, -1)):
        of = _Advantages(DVRConfig(advantage=advantage), DIRECTIONS[metric])
        of(0.5, 0.0)
        assert np.sign(of(0.5 + 0.1 * change, 10.0 * sign)) == sign


def test_chances_are_standardised_and_bounded():
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 100.0]])
    found = chances(values).numpy()
    standard = (values - values.mean(dim=1, keepdim=True)) / values.std(dim=1, keepdim=True)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-standard.numpy())), atol=1e-6)
    wide = chances(torch.cat([torch.zeros(1, 200), torch.full((1, 1), 9.0)], dim=1)).numpy()
    assert wide.max() == pytest.approx(0.95)
    assert (chances(torch.zeros(1, 5)) == 0.5).all()


def test_a_measurement_pays_dvr_for_all_batches_since_the_one_before(monkeypatch):
    env = gym.make(ID, steps=4, measure_every=4, batch=64, show_embeddings=True, warm_epochs=1)
    agent, seen, forward = agents.make("dvr", env), [], Valuator.forward

    def watched(self, embeddings):
        seen.append(embeddings.numpy().copy())
        return forward(self, embeddings)

    monkeypatch.setattr(Valuator, "forward", watched)
    agent.learn(8, seed=0)
    first, again = seen[:4], seen[4:7]  # the fourth is at hand
    assert len(seen) == 14
    for asked, paid in zip(first, again, strict=False):
        np.testing.assert_array_equal(asked, paid)


@pytest.mark.parametrize("every", [1, 2])
def test_dvr_selects_more_of_what_is_rewarded(every, monkeypatch):
    """A reward for selecting samples whose user has a positive first coordinate."""
    env = gym.make(
        ID, steps=50, measure_every=every, batch=32, show_embeddings=True, warm_epochs=1, width=4
    )
    config = {"advantage": "gain", "learning_rate": 0.02, "weight_decay": 0.0}
    agent, step, observe = (
        agents.make("dvr", env, **config),
        DataValuation.step,
        DataValuation.observe,
    )
    earned, good = [0.0], [np.zeros(32)]

    def shown(self, state):
        seen = observe(self, state)
        good[0] = np.sign(seen["embeddings"].reshape(32, -1)[:, 0])
        return seen

    def paid(self, state, action, rngs):
        earned[0] += float(good[0] @ action[0])
        moved = step(self, state, action, rngs)
        if moved.state.step[0] % every == 0:
            moved.terms["gain"][0], earned[0] = earned[0], 0.0
        return moved

    with monkeypatch.context() as patched:
        patched.setattr(DataValuation, "observe", shown)
        patched.setattr(DataValuation, "step", paid)
        agent.learn(600, seed=0)
    observation, _ = env.reset(seed=1)
    weights = agent.weights({k: v[None] for k, v in observation.items()})[0]
    wanted = observation["embeddings"].reshape(32, -1)[:, 0] > 0
    assert weights[wanted].mean() > weights[~wanted].mean() + 0.1


@pytest.mark.parametrize("name", ["alignment", "dvr", "ppo"])
def test_learning_is_seeded(name):
    values = []
    for _ in range(2):
        env, agent = made(name)
        observation, _ = env.reset(seed=0)
        values.append(agent.weights({k: np.asarray(v)[None] for k, v in observation.items()}))
    np.testing.assert_array_equal(*values)


def test_refusals(tmp_path):
    with pytest.raises(AgentError, match="show_ids=True"):
        agents.make("oracle", gym.make(TINY))
    with pytest.raises(AgentError, match="show_embeddings=True"):
        agents.make("dvr", gym.make(TINY))
    with pytest.raises(AgentError, match="nothing was"):
        agents.make("oracle", gym.make(ID, noise=None, show_ids=True))
    with pytest.raises(AgentError, match="plays DataValuation"):
        agents.make("bpr", gym.make(TINY)).__class__(gym.make("recgym/HarmMitigationTiny-v0"))
    for name, wrong in (
        ("t_ce", {"most": 2.0}),
        ("r_ce", {"alpha": -1.0}),
        ("loss_threshold", {"threshold": -1.0}),
        ("loss_threshold", {"threshold": float("nan")}),
        ("dvr", {"learning_rate": 0.0}),
        ("dvr", {"weight_decay": np.nan}),
        ("ppo", {"learning_rate": np.nan}),
    ):
        with pytest.raises(AgentError, match=f"{next(iter(wrong))} must"):
            agents.make(name, gym.make(TINY, **SHOWN), **wrong)
    env = gym.make(TINY, show_ids=True)
    with pytest.raises(AgentError, match="learn"):
        agents.make("alignment", env).predict(env.reset(seed=0)[0])
    _, agent = made("dvr")
    agent.save(tmp_path)
    for other in ({"backbone": "neumf"}, {"noise_draw": 1}, {"width": 4}):
        with pytest.raises(AgentError, match=r"another recommender .*Train the agent again"):
            type(agent).load(tmp_path, gym.make(TINY, show_embeddings=True, **other))
    same = gym.make(TINY, show_embeddings=True)
    (tmp_path / "valuator.safetensors").write_bytes(b"cut off")
    with pytest.raises(StoreError, match="safetensors"):
        type(agent).load(tmp_path, same)


def test_a_valuator_of_positions_is_of_its_batch(tmp_path):
    env = gym.make(TINY, **SHOWN)
    agents.make("dvr", env, layout="paper").save(tmp_path)
    smaller = gym.make(TINY, **SHOWN, batch=6)
    with pytest.raises(StoreError, match="does not fit this environment's batches"):
        agents.make("dvr", env).load(tmp_path, smaller)
