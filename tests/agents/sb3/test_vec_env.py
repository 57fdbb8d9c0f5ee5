from __future__ import annotations

import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from toy import ACTIONS, Walk, WalkVector

pytest.importorskip("stable_baselines3")
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from recgym.agents.sb3 import as_vec_env
from recgym.agents.sb3.vec_env import rows_of_infos

N = 3
MODES = ["SameStep", "Disabled"]


def assert_same(left: Any, right: Any, where: str = "") -> None:
    assert type(left) is type(right) or np.ndim(left) == np.ndim(right), (where, left, right)
    if isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_same(left[key], right[key], f"{where}/{key}")
    elif isinstance(left, list):
        assert len(left) == len(right), where
        for index, (a, b) in enumerate(zip(left, right, strict=True)):
            assert_same(a, b, f"{where}[{index}]")
    elif isinstance(left, np.ndarray):
        assert left.dtype == np.asarray(right).dtype, where
        np.testing.assert_array_equal(left, right, err_msg=where)
    else:
        assert left == right, where


def assert_equal_walks(ours, dummy, steps: int, seed: int = 5) -> int:
    """Same actions through both, everything compared; the number of episode ends."""
    rng = np.random.default_rng(0)
    ours.seed(seed), dummy.seed(seed)
    assert_same(ours.reset(), dummy.reset(), "reset")
    assert_same(ours.reset_infos, dummy.reset_infos, "reset_infos")
    ends = 0
    for step in range(steps):
        actions = rng.integers(ours.action_space.n, size=ours.num_envs)
        left, right = ours.step(actions), dummy.step(actions)
        for name, a, b in zip(("obs", "reward", "done", "infos"), left, right, strict=True):
            assert_same(a, b, f"step {step} {name}")
        assert_same(ours.reset_infos, dummy.reset_infos, f"step {step} reset_infos")
        ends += int(left[2].sum())
    return ends


@pytest.mark.parametrize("mode", MODES)
def test_native_vector_env_equals_dummy_vec_env(mode):
    ours = as_vec_env(WalkVector(N, mode))
    dummy = DummyVecEnv([Walk] * N)
    assert assert_equal_walks(ours, dummy, steps=200) > 50
    ours.seed(5), dummy.seed(5)
    ours.set_options([{"home": i} for i in (7, 8, 9)])
    dummy.set_options([{"home": i} for i in (7, 8, 9)])
    assert_same(ours.reset(), dummy.reset(), "options")
    np.testing.assert_array_equal(ours.reset()["home"] == [7, 8, 9], False)


@pytest.mark.parametrize("mode", MODES)
def test_cartpole_with_truncation_equals_dummy_vec_env(mode):
    """Sync rows, a plain Box observation, both kinds of end."""

    def make():
        return gym.make("CartPole-v1", max_episode_steps=15)

    ours = as_vec_env(gym.vector.SyncVectorEnv([make] * N, autoreset_mode=mode))
    dummy = DummyVecEnv([make] * N)
    seen = {True: 0, False: 0}
    rng = np.random.default_rng(0)
    ours.seed(3), dummy.seed(3)
    assert_same(ours.reset(), dummy.reset())
    for _ in range(150):
        actions = rng.integers(2, size=N)
        left, right = ours.step(actions), dummy.step(actions)
        for a, b in zip(left, right, strict=True):
            assert_same(a, b)
        for done, info in zip(left[2], left[3], strict=True):
            if done:
                seen[info["TimeLimit.truncated"]] += 1
                assert "terminal_observation" in info
    assert min(seen.values()) > 0


def test_next_step_mode_is_refused_with_the_cure():
    with pytest.raises(ValueError, match=r'autoreset_mode="SameStep"'):
        as_vec_env(gym.make_vec("CartPole-v1", 2, vectorization_mode="vector_entry_point"))
    with pytest.raises(ValueError, match=r"NextStep|NEXT_STEP"):
        as_vec_env(WalkVector(N, "NextStep"))
    unknown = WalkVector(N, "SameStep")
    unknown.metadata = {}
    with pytest.raises(ValueError, match="None"):
        as_vec_env(unknown)


def test_a_single_environment_is_refused():
    with pytest.raises(TypeError, match=r"gym\.make_vec"):
        as_vec_env(Walk())  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
def test_attributes_and_methods_are_handed_out_by_row(mode):
    native = WalkVector(N, mode)
    env = as_vec_env(gym.vector.VectorWrapper(native))
    env.seed(0)
    observation = env.reset()
    native.rules.place[1] = -5.0
    assert env.has_attr("action_masks")
    assert not env.has_attr("nothing_such")
    with pytest.raises(AttributeError, match="nothing_such"):
        env.env_method("nothing_such")
    masks = env.env_method("action_masks")
    assert [m.shape for m in masks] == [(ACTIONS,)] * N
    assert not masks[1][0]
    assert np.stack(masks).sum() == N * ACTIONS - 1
    assert not env.get_attr("action_masks", indices=1)[0]()[0]
    assert env.get_attr("per_row", indices=[2, 0]) == [20, 0]
    assert env.get_attr("shared") == ["one for all"] * N
    assert env.get_attr("action_space", 0) == [native.single_action_space]
    assert env.env_method("describe", "u", indices=[1]) == [f"u{observation['home'][1]}"]
    env.set_attr("shared", "changed")
    assert native.shared == "changed"
    with pytest.raises(ValueError, match="share one object"):
        env.set_attr("shared", "x", indices=[0])
    with pytest.raises(ValueError, match="every row"):
        env.env_method("reset", indices=[0])
    assert env.env_is_wrapped(gym.Wrapper) == [False] * N


def test_returned_arrays_share_no_memory():
    env = as_vec_env(WalkVector(N, "Disabled"))
    env.seed(1)
    first = env.reset()
    kept = {key: value.copy() for key, value in first.items()}
    for _ in range(20):
        second, _, _, infos = env.step(np.full(N, 2))
        assert not np.shares_memory(first["place"], second["place"])
        for info in infos:
            if "terminal_observation" in info:
                terminal = info["terminal_observation"]["place"]
                assert not np.shares_memory(terminal, second["place"])
    assert_same(first, kept)


def test_rows_of_infos_follows_masks_at_every_level():
    rows = rows_of_infos(
        {
            "a": np.array([1.5, 2.5]),
            "b": {
                "c": np.array([1, 2]),
                "_c": np.array([False, True]),
                "d": np.array([True, False]),
            },
            "e": np.array([0, 9]),
            "_e": np.array([False, True]),
            "vector": np.arange(4).reshape(2, 2),
            "text": "same",
        },
        2,
    )
    assert rows[0]["a"] == 1.5
    assert type(rows[0]["a"]) is float
    assert rows[0]["b"] == {"d": True}
    assert rows[1]["b"] == {"c": 2, "d": False}
    assert "e" not in rows[0]
    assert rows[1]["e"] == 9
    np.testing.assert_array_equal(rows[1]["vector"], [2, 3])
    assert rows[1]["text"] == "same"


def test_render_tiles_the_rows():
    env = as_vec_env(WalkVector(2, "SameStep", render_mode="rgb_array"))
    env.reset()
    assert env.render_mode == "rgb_array"
    image = env.render()
    assert image.shape == (8, 6, 3)
    assert set(np.unique(image)) == {0, 1}


def test_maskable_ppo_learns_through_the_adapter_and_never_takes_a_masked_action():
    """Walking right ends in 3 to 4 steps; uniform legal choice rarely ends before the limit."""
    contrib = pytest.importorskip("sb3_contrib")

    class Checked(WalkVector):
        def step(self, actions):
            assert self.action_masks()[np.arange(self.num_envs), actions].all()
            return super().step(actions)

    env = VecMonitor(as_vec_env(Checked(8, "SameStep")))
    model = contrib.MaskablePPO(
        "MultiInputPolicy", env, n_steps=64, batch_size=128, learning_rate=3e-3, seed=0
    )
    model.learn(6_000)
    lengths = [episode["l"] for episode in model.ep_info_buffer]
    assert np.mean(lengths) < 5.0


def test_missing_extra_is_named():
    code = (
        "import sys; sys.modules['stable_baselines3'] = None\n"
        "import recgym.agents.sb3 as s\n"
        "try:\n    s.as_vec_env\n"
        "except ImportError as e:\n    print(e)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "recgym[sb3]"' in out.stdout


@pytest.mark.parametrize("mode", MODES)
def test_recgym_vector_env_equals_dummy_vec_env_over_single_envs(mode):
    env_id = "recgym/InfluencePathTiny-v0"
    native = gym.make_vec(
        env_id, num_envs=N, vectorization_mode="vector_entry_point", autoreset_mode=mode
    )
    ours, dummy = as_vec_env(native), DummyVecEnv([lambda: gym.make(env_id)] * N)
    assert assert_equal_walks(ours, dummy, steps=120) > 20
    np.testing.assert_array_equal(
        np.stack(ours.env_method("action_masks")), np.stack(dummy.env_method("action_masks"))
    )
    tasks = native.unwrapped.evaluation_tasks(0)
    tasks = [{"user": tasks[i % len(tasks)]["user"]} for i in range(N)]
    for env in (ours, dummy):
        env.seed(1)
        env.set_options(tasks)
    assert_same(ours.reset(), dummy.reset(), "reset to tasks")


def test_finished_rows_report_their_metrics():
    env = as_vec_env(
        gym.make_vec(
            "recgym/InfluencePathTiny-v0",
            num_envs=4,
            vectorization_mode="vector_entry_point",
            autoreset_mode="SameStep",
        )
    )
    env.seed(0)
    env.reset()
    ends = 0
    for _ in range(30):
        masks = np.stack(env.env_method("action_masks"))
        _, _, dones, infos = env.step(masks.argmax(axis=1))
        for done, info in zip(dones, infos, strict=True):
            assert ("metrics" in info) == bool(done)
            assert isinstance(info["reward_terms"]["interest"], float)
            if done:
                ends += 1
                assert 1 <= info["metrics"]["length"] <= 6
    assert ends


def test_evaluate_policy_runs_agents_of_recgym():
    from stable_baselines3.common.evaluation import evaluate_policy

    from recgym import agents

    native = gym.make_vec(
        "recgym/InfluencePathTiny-v0",
        num_envs=4,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
    )
    agent = agents.make("jump", native)
    env = VecMonitor(as_vec_env(native))
    returns, lengths = evaluate_policy(agent, env, n_eval_episodes=12, return_episode_rewards=True)
    assert lengths == [1] * 12
    assert np.isfinite(returns).all()


def test_a_native_limit_truncates_and_keeps_the_last_observation():
    native = gym.make_vec(
        "recgym/InfluencePathTiny-v0",
        num_envs=N,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",
        max_episode_steps=2,
    )
    env = as_vec_env(native)
    env.seed(0)
    env.reset()
    illegal = native.unwrapped.action_masks().argmin(axis=1)
    env.step(illegal)
    _, _, dones, infos = env.step(illegal)
    assert dones.all()
    for info in infos:
        assert info["TimeLimit.truncated"]
        assert info["terminal_observation"]["steps_left"] == 4
