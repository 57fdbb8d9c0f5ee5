"""Every registered environment against the suite's contract; none is skipped."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import recgym
from recgym.testing import MODES, check_environment, check_illegal_is_worst
from recgym.testing import check_vector_equals_single as check_vector

IDS = recgym.env_ids()
TINY = [i for i in IDS if "Tiny" in i]
PATHS = [i for i in TINY if "InfluencePath" in i]
STEPS = {
    "HarmMitigation": 250,
    "DataSelection": 150,
    "DataValuation": 60,
}  # until an episode has ended
TRAINING = {"DataSelectionTiny": 200, "DataValuation": 110}  # these train at every step
# rewards and infos of float networks and matrix products differ with the batch by rounding only
TOLERANCE = {i: 0.0 if i in PATHS else 1e-5 for i in IDS}


def test_the_suite_is_whole():
    for problem in ("InfluencePath", "HarmMitigation", "DataSelection", "DataValuation"):
        assert {f"recgym/{problem}-v0", f"recgym/{problem}Tiny-v0"} <= set(IDS)
    assert len(TINY) * 2 == len(IDS), "every problem has a tiny world"


@pytest.mark.parametrize("env_id", IDS)
def test_contract(env_id):
    check_environment(env_id, steps=next((n for k, n in STEPS.items() if k in env_id), 50))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("env_id", IDS)
def test_vector_equals_single(env_id, mode):
    rows = 3 if env_id in TINY else 2
    steps = next((n for key, n in TRAINING.items() if key in env_id), 1000)
    check_vector(env_id, mode=mode, num_envs=rows, steps=steps, tolerance=TOLERANCE[env_id])


@pytest.mark.parametrize("env_id", IDS)
def test_illegal_actions_are_never_better_than_the_worst_legal(env_id):
    check_illegal_is_worst(gym.make(env_id), states=8)


@pytest.mark.parametrize("env_id", IDS)
def test_the_page_has_all_sections(env_id):
    page = type(gym.make(env_id).unwrapped).__doc__
    sections = ["Description", "Action space", "Observation space", "Rewards", "Starting state"]
    sections += ["Episode end", "Arguments", "Metrics", "References", "Version history"]
    for section in sections:
        assert f"## {section}\n" in page, section


@pytest.mark.parametrize("env_id", IDS)
def test_spec_of_a_vector_env(env_id):
    venv = gym.make_vec(env_id, num_envs=2, autoreset_mode="SameStep")
    assert venv.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert type(venv.unwrapped).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert venv.spec.to_json()


@pytest.mark.parametrize("env_id", PATHS)
class TestTruncation:
    """An outside limit truncates, single and vector; the problem's own horizon terminates."""

    def step_illegally(self, env, obs):
        return int(np.flatnonzero(obs["action_mask"] == 0)[0])

    def test_single(self, env_id):
        env = gym.make(env_id, max_episode_steps=2)
        obs, _ = env.reset(seed=0)
        action = self.step_illegally(env, obs)
        assert env.step(action)[2:4] == (False, False)
        assert env.step(action)[2:4] == (False, True)

    def test_vector(self, env_id):
        venv = gym.make_vec(env_id, num_envs=2, max_episode_steps=2, autoreset_mode="Disabled")
        obs, _ = venv.reset(seed=0)
        action = (obs["action_mask"] == 0).argmax(axis=1)
        assert not venv.step(action)[3].any()
        _, _, terminated, truncated, infos = venv.step(action)
        assert truncated.all()
        assert not terminated.any()
        assert infos["_metrics"].all()
        _, rewards, terminated, truncated, _ = venv.step(action)  # they stand still, as they ended
        assert truncated.all()
        assert not terminated.any()
        assert not rewards.any()

    def test_horizon_terminates(self, env_id):
        env = gym.make(env_id)
        obs, _ = env.reset(seed=0)
        action, ends = self.step_illegally(env, obs), (False, False)
        while not any(ends):
            obs, _, *ends, _ = env.step(action)
        assert tuple(ends) == (True, False)
        assert obs["steps_left"] == 0


@pytest.mark.parametrize("env_id", PATHS)
class TestVectorFace:
    def test_rows_that_ended_stand_still_when_disabled(self, env_id):
        venv = gym.make_vec(env_id, num_envs=2, autoreset_mode="Disabled")
        obs, _ = venv.reset(seed=0)
        other = next(i for i in range(12) if obs["action_mask"][1, i] and i != obs["objective"][1])
        actions = np.array([obs["objective"][0], other])  # row 0 ends at once
        obs, _, terminated, _, infos = venv.step(actions)
        assert terminated.tolist() == [True, False]
        assert infos["_metrics"].tolist() == [True, False]
        again, rewards, terminated, _, infos = venv.step(obs["action_mask"].argmax(axis=1))
        assert terminated[0]
        assert rewards[0] == 0
        assert not infos["_reward_terms"][0]
        assert np.array_equal(again["history"][0], obs["history"][0])

    def test_snapshot(self, env_id):
        venv = gym.make_vec(env_id, num_envs=3, autoreset_mode="SameStep").unwrapped
        venv.reset(seed=3)
        venv.action_space.seed(0)
        actions = [venv.action_space.sample() for _ in range(30)]
        venv.step(actions[0])
        snapshot = venv.get_state()
        futures = []
        for _ in range(2):
            venv.set_state(snapshot)
            futures.append([venv.step(a) for a in actions])
        for first, second in zip(*futures, strict=True):
            assert np.array_equal(first[0]["history"], second[0]["history"])
            assert np.array_equal(first[1], second[1])

    def test_bad_arguments(self, env_id):
        for kwargs, words in [
            ({"num_envs": 0}, "num_envs"),
            ({"autoreset_mode": "sometimes"}, "NextStep, SameStep, Disabled"),
            ({"max_episode_steps": 0}, "max_episode_steps"),
            ({"render_mode": "human"}, "render_mode"),
        ]:
            with pytest.raises(ValueError, match=words):
                gym.make_vec(env_id, **kwargs)

    def test_bad_resets_and_actions(self, env_id):
        venv = gym.make_vec(env_id, num_envs=2)
        with pytest.raises(gym.error.ResetNeeded):
            venv.step(np.zeros(2, dtype=int))
        venv.reset(seed=[1, None])
        with pytest.raises(ValueError, match="3 seeds"):
            venv.reset(seed=[1, 2, 3])
        with pytest.raises(ValueError, match="reset_mask"):
            venv.reset(options={"reset_mask": np.zeros(2, dtype=bool)})
        with pytest.raises(ValueError, match=r"\(2,\)"):
            venv.step(np.zeros(3, dtype=int))
        with pytest.raises(ValueError, match="to 11"):
            venv.step(np.array([0, 12]))
        with pytest.raises(ValueError, match="numbers"):
            venv.step(np.array([0.0, 1.0]))

    def test_options_are_not_changed(self, env_id):
        venv = gym.make_vec(env_id, num_envs=2, autoreset_mode="Disabled")
        venv.reset(seed=0)
        options = {"reset_mask": np.array([True, False]), "user": 1}
        venv.reset(options=options)
        assert set(options) == {"reset_mask", "user"}
        assert venv.unwrapped.state.user[0] == 1
