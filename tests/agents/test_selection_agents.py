"""Agents of DataSelection: what they keep, the dominant strategy, and refusals."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym import agents
from recgym.agents.base import AgentError
from recgym.agents.data_selection.selecting import latest

ID, TINY = "recgym/DataSelection-v0", "recgym/DataSelectionTiny-v0"


def made(name, env_id=TINY, rows=2, config=None, **settings):
    settings = {"show_influence": True, "backend": "influence", **settings}
    env = gym.make_vec(env_id, num_envs=rows, autoreset_mode="Disabled", **settings)
    return env, agents.make(name, env, **(config or {}))


def played(env, agent, seed=0):
    """Final selections (B, Z) and metrics of one episode."""
    observation, _ = env.reset(seed=seed)
    over = np.zeros(env.num_envs, dtype=bool)
    while not over.all():
        action, _ = agent.predict(observation, deterministic=True)
        observation, _, terminated, _, infos = env.step(action)
        over |= terminated
    return env.unwrapped.state.selected, infos["metrics"]


@pytest.mark.parametrize("kind", ["items", "recent"])
@pytest.mark.parametrize("name", agents.names(ID))
def test_actions_are_in_the_space(name, kind, tmp_path):
    env, agent = made(name, action=kind)
    observation, _ = env.reset(seed=0)
    action, state = agent.predict(observation, deterministic=True)
    assert state is None
    assert env.action_space.contains(np.asarray(action))
    one = {key: value[0] for key, value in observation.items()}
    assert env.single_action_space.contains(agent.predict(one, deterministic=True)[0])
    agent.save(tmp_path)
    again = type(agent).load(tmp_path, env)
    assert again.config == agent.config


def test_all_none_and_threshold():
    for name, kept in (("all", 1.0), ("none", 0.0)):
        assert (played(*made(name))[1]["kept"] == kept).all()
    env, agent = made("threshold", config={"threshold": 0.4})
    selected, _ = played(env, agent)
    np.testing.assert_array_equal(selected, env.unwrapped.state.willingness <= 0.4)


def test_dropout_drops_its_share():
    env, agent = made("dropout", ID, 4, {"chance": 0.25}, rounds=1)
    _, metrics = played(env, agent)
    assert metrics["kept"].mean() == pytest.approx(0.75, abs=0.03)


def test_ifrqe_is_the_dominant_strategy():
    """No unilateral deviation pays under the influence backend, whatever the others do."""
    env, agent = made("ifrqe")
    selected, _ = played(env, agent)
    problem = env.unwrapped.problem
    for user in range(problem.n_users):
        mine = slice(problem.game.data.offsets[user], problem.game.data.offsets[user + 1])
        for bits in range(2 ** (mine.stop - mine.start)):
            other = selected.astype(float)
            other[:, mine] = (bits >> np.arange(mine.stop - mine.start)) & 1
            z = [
                problem.utilities(o, env.unwrapped.state.willingness, problem.backend.losses(o))
                for o in (selected.astype(float), other)
            ]
            assert (z[0][:, user] >= z[1][:, user] - 1e-7).all()


@pytest.mark.parametrize("method", ["projected", "sampled"])
def test_algorithm_1_agrees_with_the_closed_form(method):
    expected, _ = played(*made("ifrqe"))
    found, _ = played(*made("ifrqe", config={"method": method, "draws": 3_000, "rate": 0.01}))
    assert (expected == found).mean() > (0.99 if method == "projected" else 0.85)


def test_ifrqe_beats_what_ignores_influence():
    z = {}
    for name in ("ifrqe", "all", "none", "threshold"):
        _, metrics = played(*made(name, ID, 2, final_retrain=True, split="validation"))
        z[name] = metrics["z_retrained"].mean()
    assert z["ifrqe"] > max(z["all"], z["none"], z["threshold"]) + 0.02


def test_the_latest_that_are_best():
    values = np.array([[1.0, -3.0, 2.0, -1.0], [-1.0, 4.0, 0.0, 0.0], [-1.0, -1.0, -1.0, 0.0]])
    own = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]], dtype=bool)
    np.testing.assert_array_equal(latest(values, own), [2, 1, 0])


def test_what_an_agent_cannot_play_is_refused():
    with pytest.raises(AgentError, match="show_influence=True"):
        made("ifrqe", show_influence=False)
    with pytest.raises(AgentError, match="cost"):
        made("ifrqe", cost="saturating")
    with pytest.raises(AgentError, match="decides by items"):
        made("all", ID, action="category")
    env, agent = made("ifrqe", ID, 1, {"method": "projected"})
    with pytest.raises(AgentError, match="per_user=8"):
        agent.predict(env.reset(seed=0)[0])
    with pytest.raises(AgentError, match="chance"):
        made("dropout", config={"chance": 2.0})
