"""A native vector environment against `SyncVectorEnv` over single ones, step for step."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

MODES = ("NextStep", "SameStep", "Disabled")


def check_vector_equals_single(
    env_id: str,
    *,
    num_envs: int = 3,
    steps: int = 1000,
    mode: str = "NextStep",
    tolerance: float = 0.0,
    seed: int = 11,
    **kwargs: Any,
) -> None:
    """Observations, rewards, ends and infos are equal for ``steps`` random steps.

    A tenth of the actions is drawn from the whole space, illegal ones included.

    Args:
        tolerance: absolute and relative (metrics are sums over an episode), on rewards and float
            infos; 0 where the evaluator is exact.
    """
    native = gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=mode, **kwargs)
    single = gym.make_vec(
        env_id,
        num_envs=num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode(mode)},
        **kwargs,
    )
    rng = np.random.default_rng(seed)
    results = native.reset(seed=seed), single.reset(seed=seed)
    _assert_same(results[0], results[1], tolerance, "reset")
    for step in range(steps):
        actions = _actions(native, rng)
        results = native.step(actions), single.step(actions)
        _assert_same(results[0], results[1], tolerance, f"step {step}")
        ended = results[0][2] | results[0][3]
        if mode == "Disabled" and ended.any():
            resets = [e.reset(options={"reset_mask": ended.copy()}) for e in (native, single)]
            _assert_same(resets[0], resets[1], tolerance, f"reset after step {step}")
    native.close()
    single.close()


def _actions(env: Any, rng: np.random.Generator) -> np.ndarray:
    if not isinstance(env.single_action_space, gym.spaces.Discrete):
        env.action_space.seed(int(rng.integers(2**31)))
        return env.action_space.sample()
    masks = env.unwrapped.action_masks()
    anything = np.ones(masks.shape[1], dtype=bool)
    allowed = [anything if rng.random() < 0.1 or not mask.any() else mask for mask in masks]
    return np.array([rng.choice(np.flatnonzero(mask)) for mask in allowed])


def _assert_same(first: Any, second: Any, tolerance: float, where: str) -> None:
    """Equal structure and values; floats within ``tolerance``."""
    if isinstance(first, dict):
        assert set(first) == set(second), f"{where}: keys {set(first) ^ set(second)} differ"
        for key in first:
            _assert_same(first[key], second[key], tolerance, f"{where}, {key}")
    elif isinstance(first, tuple | list) or getattr(first, "dtype", None) == np.dtype(object):
        assert len(first) == len(second), f"{where}: lengths differ"
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            _assert_same(a, b, tolerance, f"{where}[{index}]")
    elif first is None or second is None:
        assert first is second, f"{where}: {first} and {second}"
    else:
        a, b = np.asarray(first), np.asarray(second)
        assert a.shape == b.shape, f"{where}: shapes {a.shape} and {b.shape}"
        assert a.dtype.kind == b.dtype.kind, f"{where}: types {a.dtype} and {b.dtype}"
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, atol=tolerance, rtol=tolerance, err_msg=where)
        else:
            np.testing.assert_array_equal(a, b, err_msg=where)
