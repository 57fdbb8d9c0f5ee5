"""IRN as an agent: decoding, what it refuses, files, and the pattern of the gap."""

from __future__ import annotations

from dataclasses import fields

import gymnasium as gym
import numpy as np
import pytest
import torch

import recgym  # noqa: F401
from recgym import agents
from recgym.agents.base import AgentError
from recgym.agents.influence_path.irn import IRNAgentConfig
from recgym.evaluators.top_k import best_first
from recgym.models.irn import IRNConfig
from recgym.models.irn_training import IRNTraining
from recgym.models.store import StoreError

ID = "recgym/InfluencePath-v0"
SMALL = {"epochs": 2, "width": 16, "layers": 1, "shortest": 8, "longest": 12, "length": 30}


@pytest.fixture(scope="module")
def world():
    return gym.make_vec(ID, num_envs=12, dataset="synthetic", autoreset_mode="Disabled")


@pytest.fixture(scope="module")
def trained(world):
    return agents.make("irn", world, **SMALL).learn(seed=0)


def with_config(trained, world, **config):
    """The same weights under other settings of decoding."""
    agent = agents.make("irn", world, **{**SMALL, **config})
    agent.network.load_state_dict(trained.network.state_dict())
    return agent


def scores(agent, obs, gap):
    gaps = np.full(len(obs["objective"]), gap)
    found = agent.scores(obs["history"], obs["objective"], obs["user"], gaps)
    return np.where(obs["action_mask"] > 0, found, -np.inf)


def test_greedy_takes_the_best_legal_item(trained, world):
    obs, _ = world.reset(seed=0)
    assert np.array_equal(trained.predict(obs)[0], scores(trained, obs, 20).argmax(axis=1))


def test_the_gap_is_the_steps_left_or_a_number(trained, world):
    obs, _ = world.reset(seed=0)
    mixed = {**obs, "steps_left": np.arange(12) + 1}
    chosen = trained.predict(mixed)[0]
    for row in range(12):
        assert chosen[row] == scores(trained, obs, row + 1)[row].argmax()
    fixed = with_config(trained, world, gap=3)
    assert np.array_equal(fixed.predict(mixed)[0], scores(trained, obs, 3).argmax(axis=1))


def test_nearest_of_the_best(trained, world):
    obs, _ = world.reset(seed=0)
    agent = with_config(trained, world, nearest=True, k=20)
    top = best_first(scores(trained, obs, 20), 20)
    chosen = agent.predict(obs)[0]
    for row, objective in enumerate(obs["objective"]):
        distance = np.linalg.norm(agent.vectors[top[row]] - agent.vectors[objective], axis=1)
        assert chosen[row] == top[row][distance.argmin()]
    one = with_config(trained, world, nearest=True, k=1)
    assert np.array_equal(one.predict(obs)[0], trained.predict(obs)[0])
    everything = with_config(trained, world, nearest=True, k=500)
    assert np.array_equal(everything.predict(obs)[0], obs["objective"])


def test_final_offer(trained, world):
    obs, _ = world.reset(seed=0)
    agent = with_config(trained, world, final_offer=True)
    last = {**obs, "steps_left": np.where(np.arange(12) % 2, 1, 9)}
    offered = agent.predict(last)[0] == obs["objective"]
    assert offered[1::2].all()
    assert not offered[::2].all()


def test_rows_do_not_depend_on_their_batch(trained, world, monkeypatch):
    obs, _ = world.reset(seed=1)
    whole = scores(trained, obs, 5)
    monkeypatch.setattr("recgym.agents.influence_path.irn.CHUNK", 5)
    np.testing.assert_allclose(scores(trained, obs, 5), whole, atol=1e-5)


def test_learning_is_seeded_and_reports(world, trained, capsys):
    again = agents.make("irn", world, **SMALL, resume=False).learn(seed=0, progress=True)
    for key, value in again.network.state_dict().items():
        assert torch.equal(value, trained.network.state_dict()[key])
    assert "validation" in capsys.readouterr().err
    other = agents.make("irn", world, **SMALL).learn(seed=1)
    assert not torch.equal(other.network.item.weight, trained.network.item.weight)


def test_a_finished_training_is_shared_by_agents_of_other_decoding(world, trained):
    assert trained.training_record["epochs"] == SMALL["epochs"]
    other = agents.make("irn", world, **SMALL, gap=0, final_offer=True).learn(seed=0)
    assert other.training_record == trained.training_record  # its seconds too: it was read
    assert torch.equal(other.network.item.weight, trained.network.item.weight)
    assert other.checkpoint(0) == trained.checkpoint(0) != trained.checkpoint(1)


def test_impressionability_is_every_users_own(trained, world):
    r = trained.impressionability()
    assert r.shape == (trained.problem.log.n_users,)
    assert np.isfinite(r).all()
    assert r.std() > 0
    fresh = agents.make("irn", world, **SMALL)
    assert (fresh.impressionability() == 1).all()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"heads": 0}, "heads must be at least 1"),
        ({"init_std": -1.0}, "init_std must be at least 0"),
        ({"shortest": 40, "longest": 40}, "at most length"),
        ({"mask_type": 1, "decode_w_t": 2.0}, "no effect with mask_type 1"),
    ],
)
def test_settings_that_cannot_be(world, config, words):
    with pytest.raises(AgentError, match=words):
        agents.make("irn", world, **{**SMALL, **config})


@pytest.mark.parametrize("key", ["user", "objective", "history"])
def test_what_this_world_does_not_have(trained, world, key):
    observation, _ = world.reset(seed=0)
    wrong = {**observation, key: np.asarray(observation[key]) + 100_000}
    with pytest.raises(AgentError, match=rf"observation\['{key}'\] must be in 0\.\."):
        trained.predict(wrong)


def test_more_steps_than_its_input_has_places(trained, world):
    observation, _ = world.reset(seed=0)
    left = np.full_like(observation["steps_left"], 59)
    with pytest.raises(AgentError, match=r"steps_left is 59, but of 30 tokens .* at most 28"):
        trained.predict({**observation, "steps_left": left})
    with pytest.raises(AgentError, match=r"'steps_left'\] is a single value among batches"):
        trained.predict({**observation, "steps_left": 5})


def test_an_observation_of_another_world(trained):
    observation, _ = gym.make("recgym/InfluencePathTiny-v0").reset(seed=0)
    with pytest.raises(AgentError, match="in the agent's world it is"):
        trained.predict(observation)


class TestFiles:
    def test_the_loaded_agent_scores_equally(self, trained, world, tmp_path):
        trained.save(tmp_path)
        again = type(trained).load(tmp_path, world)
        obs, _ = world.reset(seed=2)
        assert np.array_equal(scores(again, obs, 4), scores(trained, obs, 4))

    def test_damaged_weights(self, trained, world, tmp_path):
        trained.save(tmp_path)
        file = tmp_path / "weights.safetensors"
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(StoreError, match="not a whole safetensors file"):
            type(trained).load(tmp_path, world)
        altered = bytearray(whole)
        altered[-9] ^= 1  # a number, still finite
        file.write_bytes(bytes(altered))
        with pytest.raises(StoreError, match="altered after it was written"):
            type(trained).load(tmp_path, world)
        file.unlink()
        with pytest.raises(StoreError, match="does not exist"):
            type(trained).load(tmp_path, world)
        agents.make("irn", world, **{**SMALL, "width": 8}).save(tmp_path / "other")
        (tmp_path / "other" / "weights.safetensors").replace(file)
        with pytest.raises(StoreError, match="does not fit"):
            type(trained).load(tmp_path, world)

    def test_another_data_set(self, trained, tmp_path):
        trained.save(tmp_path)
        env = gym.make("recgym/InfluencePathTiny-v0")
        with pytest.raises(AgentError, match="other data"):
            type(trained).load(tmp_path, env)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"k": 0}, "k must be at least 1"),
        ({"nearest": True, "k": 501}, "k must be in 1..500"),
        ({"gap": -1}, r"gap must be .* 0..58"),
        ({"gap": 59}, r"gap must be .* 0..58"),
        ({"gap": "right"}, "gap"),
        ({"gap": 1.5}, "gap"),
        ({"length": 20}, "with 20 steps. Raise length"),
        ({"mask_type": 4}, "mask_type"),
        ({"mask_type": True}, "mask_type"),
        ({"w_t": float("nan")}, "w_t must be finite"),
        ({"decode_w_t": float("inf")}, "decode_w_t must be finite"),
        ({"width": 15}, "multiple of heads"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"shortest": 1}, "shortest"),
        ({"shortest": 30, "longest": 20}, "shortest"),
    ],
)
def test_bad_settings(world, config, words):
    with pytest.raises(AgentError, match=words):
        agents.make("irn", world, **config)


def test_too_little_to_learn_from():
    tiny = gym.make("recgym/InfluencePathTiny-v0")
    agent = agents.make("irn", tiny)
    observation, _ = tiny.reset(seed=0)
    assert observation["action_mask"][agent.predict(observation)[0]] == 1
    with pytest.raises(AgentError, match="Lower shortest"):
        agent.learn()


@pytest.mark.slow
def test_the_gap_decides_whether_it_jumps():
    """Next to the objective IRN copies it (.66 of 256 tasks), three places away it does not (0).

    Trained without the objective in its loss it has nothing to copy. About a minute.
    """
    venv = gym.make_vec(ID, num_envs=256, dataset="synthetic", split="test")
    tasks = venv.unwrapped.evaluation_tasks(0)[:256]
    obs, _ = venv.reset(
        seed=0, options={key: np.array([t[key] for t in tasks]) for key in tasks[0]}
    )
    config = {**SMALL, "epochs": 12, "patience": 0, "width": 32, "layers": 2}
    config["learning_rate"] = 3e-3

    def jumps(agent, gap):
        return (scores(agent, obs, gap).argmax(axis=1) == obs["objective"]).mean()

    learned = agents.make("irn", venv, **config).learn(seed=0)
    assert jumps(learned, 0) > 0.4
    assert jumps(learned, 3) < 0.05
    assert jumps(learned, 20) < jumps(learned, 0) / 2  # 20: the steps left at the start
    without = agents.make("irn", venv, **config, objective_in_loss=False).learn(seed=0)
    assert jumps(without, 0) < jumps(learned, 0) / 2


def test_the_agents_defaults_are_those_of_its_network_and_its_training():
    mine = {field.name: field.default for field in fields(IRNAgentConfig)}
    for kind in (IRNConfig, IRNTraining):
        shared = [field for field in fields(kind) if field.name in mine]
        assert len(shared) >= 9
        for field in shared:
            assert mine[field.name] == field.default, field.name
