from __future__ import annotations

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

import recgym  # noqa: F401
from recgym.benchmark.evaluation import evaluate

TINY = "recgym/InfluencePathTiny-v0"


def tiny(rows: int, mode: str = "Disabled", **kwargs) -> gym.vector.VectorEnv:
    return gym.make_vec(
        TINY,
        num_envs=rows,
        vectorization_mode="vector_entry_point",
        split="test",
        autoreset_mode=mode,
        **kwargs,
    )


class FirstLegal:
    """The legal item of lowest number, so that episodes end at different steps."""

    def __init__(self) -> None:
        self.starts: list[np.ndarray] = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.starts.append(episode_start)
        return np.asarray(observation["action_mask"]).argmax(axis=-1), (state or 0) + 1


@pytest.fixture(scope="module")
def tasks():
    env = tiny(1).unwrapped
    return [task for seed in range(4) for task in env.evaluation_tasks(seed)][:10]


def by_single_env(tasks, seed: int, **kwargs) -> pd.DataFrame:
    """The same episodes, one after another in single environments."""
    rows = []
    for index, task in enumerate(tasks):
        env = gym.make(TINY, split="test", **kwargs)
        observation, info = env.reset(seed=seed + index, options=dict(task))
        ended = False
        while not ended:
            action = int(observation["action_mask"].argmax())
            observation, _, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
        rows.append({**task, **info["metrics"]})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("acceptance", ["passive", "sampled"])
@pytest.mark.parametrize("rows", [1, 4, 10, 16])
def test_batches_of_any_size_equal_single_episodes(tasks, rows, acceptance):
    found = evaluate(FirstLegal(), tiny(rows, acceptance=acceptance), tasks, seed=50)
    expected = by_single_env(tasks, seed=50, acceptance=acceptance)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert found["length"].nunique() >= 1
    assert list(found.columns[: len(tasks[0])]) == list(tasks[0])


def test_agents_learn_where_episodes_start_and_keep_their_state(tasks):
    agent = FirstLegal()
    counted: list[int] = []
    evaluate(agent, tiny(4), tasks, seed=0, progress=counted.append)
    assert counted == [4, 4, 2]
    assert sum(start.all() for start in agent.starts) == 3
    assert agent.starts[0].shape == (4,)
    assert sum(start.any() for start in agent.starts) == 3


def test_wrong_modes_and_missing_metrics_are_refused(tasks):
    with pytest.raises(ValueError, match='autoreset_mode="Disabled"'):
        evaluate(FirstLegal(), tiny(2, "SameStep"), tasks, seed=0)
    with pytest.raises(ValueError, match="at least one task"):
        evaluate(FirstLegal(), tiny(2), [], seed=0)

    class Silent(gym.vector.VectorWrapper):
        def step(self, actions):
            *rest, infos = self.env.step(actions)
            return *rest, {k: v for k, v in infos.items() if "metrics" not in k}

    with pytest.raises(ValueError, match=r'row \d ended without infos\["metrics"\]'):
        evaluate(FirstLegal(), Silent(tiny(2)), tasks[:2], seed=0)
