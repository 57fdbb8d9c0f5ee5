"""Checks that every environment of the suite passes, and that a new one can be held against."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from gymnasium.utils.env_checker import data_equivalence


def check_environment(
    env_id: str, *, steps: int = 50, modes: Sequence[str] | None = None, **kwargs: Any
) -> None:
    """Hold an environment against the suite's whole contract; warnings are errors.

    Gymnasium's checker in every render mode (``human`` needs a display or SDL's dummy driver),
    Stable-Baselines3's where it is installed, determinism, spaces, rewards as weighted sums of
    their named terms, illegal actions, snapshots, specs that round-trip through JSON.

    Args:
        env_id: a registered id.
        steps: of random play.
        modes: render modes to check; None for all. Drawing is most of the time that this takes.
        kwargs: arguments of the environment.

    Raises:
        AssertionError: with what was wrong.
    """
    every: list[str] = gym.make(env_id, **kwargs).metadata["render_modes"]
    modes = every if modes is None else modes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # the checkers' own remarks on what this suite does on purpose
        warnings.filterwarnings("ignore", message=".*not within the observation space.*alias.*")
        # torch's remark on itself, when a process first differentiates forward
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
        for mode in [None, *modes]:
            env = gym.make(env_id, render_mode=mode, **kwargs)
            gymnasium_check_env(env.unwrapped, skip_render_check=mode is None)
            env.close()
        _check_sb3(env_id, modes[0] if modes else None, kwargs)
        check_determinism(env_id, steps=steps, **kwargs)
        check_step_contract(env_id, steps=steps, **kwargs)
        check_snapshots(env_id, steps=min(steps, 10), **kwargs)
        check_spec(env_id, **kwargs)


def _check_sb3(env_id: str, mode: str | None, kwargs: dict[str, Any]) -> None:
    try:
        from stable_baselines3.common.env_checker import check_env as sb3_check_env
    except ImportError:
        return
    sb3_check_env(gym.make(env_id, render_mode=mode, **kwargs), skip_render_check=mode is None)


def check_determinism(env_id: str, *, steps: int = 50, **kwargs: Any) -> None:
    """Two environments with one seed and the same actions stay equal in everything."""
    envs = [gym.make(env_id, **kwargs) for _ in range(2)]
    rng = np.random.default_rng(0)
    results = [env.reset(seed=7) for env in envs]
    assert data_equivalence(results[0], results[1]), "two resets with one seed differ"
    for step in range(steps):
        action = legal_action(envs[0], rng)
        results = [env.step(action) for env in envs]
        assert data_equivalence(results[0], results[1], exact=True), (
            f"step {step}: two equal envs differ"
        )
        if results[0][2] or results[0][3]:
            results = [env.reset() for env in envs]
            assert data_equivalence(results[0], results[1], exact=True), (
                "two resets without a seed differ"
            )


def check_step_contract(env_id: str, *, steps: int = 50, **kwargs: Any) -> None:
    """Spaces, fresh memory, Python bools, reward terms, metrics, masks, out-of-space actions."""
    env = gym.make(env_id, **kwargs)
    problem: Any = env.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
    discrete = isinstance(env.action_space, gym.spaces.Discrete)
    rng = np.random.default_rng(1)
    obs, _ = env.reset(seed=1)
    ends, illegal = 0, 0
    for _ in range(steps):
        mask = env.get_wrapper_attr("action_masks")()
        assert mask.dtype == bool, f"action_masks has dtype {mask.dtype}, expected bool"
        assert mask.any(), "no action is legal before the end of the episode"
        if "action_mask" in obs:
            assert np.array_equal(obs["action_mask"].astype(bool), mask), "masks differ"
        wrong = discrete and rng.random() < 0.1 and not mask.all()
        action = int(rng.choice(np.flatnonzero(~mask))) if wrong else legal_action(env, rng)
        before = {key: np.array(value) for key, value in obs.items()}
        new, reward, terminated, truncated, info = env.step(action)
        for key, value in before.items():
            assert np.array_equal(value, obs[key]), f"observation {key!r} was changed later"
            shared = isinstance(obs[key], np.ndarray) and np.shares_memory(obs[key], new[key])
            assert not shared, f"observation {key!r} shares memory with the one before"
        assert new in env.observation_space, f"observation outside its space: {new}"
        assert type(terminated) is bool, "terminated is not a Python bool"
        assert type(truncated) is bool, "truncated is not a Python bool"
        assert not discrete or info["invalid_action"] == wrong, "info['invalid_action'] is wrong"
        weighted = sum(problem.weights[k] * v for k, v in info["reward_terms"].items())
        assert abs(weighted - float(reward)) < 1e-9, (
            "the reward is not the weighted sum of its terms"
        )
        assert np.isfinite(info["cost"]), "the cost is not finite"
        illegal += wrong
        obs = new
        if terminated or truncated:
            ends += 1
            assert not env.unwrapped._ended or "metrics" in info, "the final info has no metrics"  # pyright: ignore
            obs, _ = env.reset()
    assert ends, f"no episode ended within {steps} steps: check more of them"
    assert_refuses_outside(env)


def assert_refuses_outside(env: gym.Env) -> None:
    """Actions outside a Discrete space raise ``ValueError`` that names the bound."""
    space = env.action_space
    if not isinstance(space, gym.spaces.Discrete):
        return
    bound = str(space.start + space.n - 1)
    for action in (-1, int(space.start + space.n)):
        try:
            env.unwrapped.step(action)
        except ValueError as error:
            assert bound in str(error), f"the error does not name the bound {bound}: {error}"
        else:
            raise AssertionError(f"action {action} outside {space} was accepted")


def check_snapshots(env_id: str, *, steps: int = 10, **kwargs: Any) -> None:
    """``set_state`` goes back exactly: the same actions bring the same future."""
    env = gym.make(env_id, **kwargs).unwrapped
    rng = np.random.default_rng(2)
    env.reset(seed=2)
    _, _, terminated, truncated, _ = env.step(legal_action(env, rng))
    if terminated or truncated:
        env.reset()
    snapshot = env.get_state()  # pyright: ignore[reportAttributeAccessIssue]
    futures = []
    for _ in range(2):
        env.set_state(snapshot)  # pyright: ignore[reportAttributeAccessIssue]
        rng, future = np.random.default_rng(3), []
        for _ in range(steps):
            result = env.step(legal_action(env, rng))
            future.append(result)
            if result[2] or result[3]:
                future.append(env.reset())
        futures.append(future)
    assert data_equivalence(futures[0], futures[1], exact=True), (
        "a restored state has another future"
    )


def check_spec(env_id: str, **kwargs: Any) -> None:
    """The spec survives JSON and pickle, and makes an equal environment."""
    env = gym.make(env_id, **kwargs)
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    json.loads(env.spec.to_json())
    pickled = gym.make(pickle.loads(pickle.dumps(env.spec)))
    first = [e.reset(seed=5) for e in (env, again, pickled)]
    assert data_equivalence(first[0], first[1]), "the spec from JSON makes another environment"
    assert data_equivalence(first[0], first[2]), "the pickled spec makes another environment"


def legal_action(env: gym.Env, rng: np.random.Generator) -> Any:
    """A uniformly random legal action; for spaces without a flat mask, any action."""
    mask = env.get_wrapper_attr("action_masks")()
    if isinstance(env.action_space, gym.spaces.Discrete):
        return int(env.action_space.start + rng.choice(np.flatnonzero(mask)))
    env.action_space.seed(int(rng.integers(2**31)))
    return env.action_space.sample()


def check_illegal_is_worst(env: gym.Env, *, states: int = 20, seed: int = 0) -> None:
    """In sampled states no illegal action is rewarded better than the worst legal one.

    Only ``Discrete`` actions can be illegal by the mask. Entries of other actions that the mask
    leaves out are ignored or dropped, which the tests of each problem show.
    """
    core: Any = env.unwrapped
    problem = core.problem
    if not isinstance(problem.action_space, gym.spaces.Discrete):
        return
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    for _ in range(states):
        mask = core.action_masks()
        legal, illegal = np.flatnonzero(mask), np.flatnonzero(~mask)
        if len(illegal):
            actions = np.append(legal, illegal[0])
            copies = core.state.rows(np.zeros(len(actions), dtype=int))
            moved = problem.step(copies, actions, [np.random.default_rng(0)] * len(actions))
            reward = problem.reward(moved.terms)
            worst = reward[:-1].min()
            assert reward[-1] < worst, f"illegal {reward[-1]:.3f}, worst legal {worst:.3f}"
        _, _, terminated, truncated, _ = env.step(legal_action(env, rng))
        if terminated or truncated:
            env.reset()
