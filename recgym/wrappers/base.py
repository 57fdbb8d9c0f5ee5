"""Wrappers written once, over a batch, with a single and a vector face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

Observation = Mapping[str, np.ndarray]


class View:
    """What a policy sees and chooses from, as functions of a batch of B rows; keeps no state.

    Subclasses override what they change. ``memory`` is what :meth:`observe` found out about the
    current observation and :meth:`actions` needs, e.g. the candidates that actions refer to.
    """

    observation_space: spaces.Space | None = None
    """Of one row; ``None`` leaves the environment's."""
    action_space: spaces.Space | None = None

    def observe(self, observation: Any) -> tuple[Any, Any]:
        """The observation (B, ...) that the policy gets, and the memory."""
        return observation, None

    def actions(self, action: np.ndarray, memory: Any, legal: Callable[[], np.ndarray]) -> Any:
        """The environment's actions (B, ...) for the policy's; ``legal()`` is its mask (B, A).

        Raises:
            ValueError: an action outside the space, with its bound.
        """
        return action

    def masks(self, memory: Any, legal: Callable[[], np.ndarray]) -> np.ndarray:
        """(B, A) bool: the legal actions among the policy's."""
        return legal()


class SingleFace(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """A view over a single environment. ``arguments`` are those that the spec records."""

    def __init__(self, env: gym.Env, view: View, **arguments: Any):
        gym.utils.RecordConstructorArgs.__init__(self, **arguments)
        gym.Wrapper.__init__(self, env)
        self.view, self.memory, self._state = view, None, None
        self.observation_space = view.observation_space or env.observation_space
        self.action_space = view.action_space or env.action_space

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        return self._see(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        if self.view.action_space is not None:
            self._look_again()
            chosen = self.view.actions(np.asarray(action)[None], self.memory, self._legal)
            action = chosen[0]
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self.view.action_space is not None:
            info = {**info, "item": int(action)}
        return self._see(observation), reward, terminated, truncated, info

    def action_masks(self) -> np.ndarray:
        """(A,) bool: the legal actions now."""
        self._look_again()
        return self.view.masks(self.memory, self._legal)[0]

    def current(self) -> Any:
        """The observation of the state that is."""
        return self._see(self.env.get_wrapper_attr("current")())

    def _look_again(self) -> None:
        """After ``set_state`` actions refer to what is seen there."""
        if self.view.observation_space is not None and _state(self.env) is not self._state:
            self.current()

    def _legal(self) -> np.ndarray:
        return self.env.get_wrapper_attr("action_masks")()[None]

    def _see(self, observation: Any) -> Any:
        if self.view.observation_space is None:
            return observation
        batch = {key: np.asarray(value)[None] for key, value in observation.items()}
        seen, self.memory = self.view.observe(batch)
        self._state = _state(self.env)
        return _row(seen, 0)


class VectorFace(gym.vector.VectorWrapper):
    """A view over a native vector environment: one call for all rows, final observations too."""

    def __init__(self, env: gym.vector.VectorEnv, view: View):
        super().__init__(env)
        self.view, self.memory, self._state = view, None, None
        if view.observation_space is not None:
            self.single_observation_space = view.observation_space
            self.observation_space = batch_space(view.observation_space, self.num_envs)
        if view.action_space is not None:
            self.single_action_space = view.action_space
            self.action_space = batch_space(view.action_space, self.num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        observation, infos = self.env.reset(seed=seed, options=options)
        return self._see(observation), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        if self.view.action_space is not None:
            actions = np.asarray(actions)
            if len(actions) != self.num_envs:
                raise ValueError(f"{len(actions)} actions were given for {self.num_envs} rows.")
            self._look_again()
            actions = self.view.actions(actions, self.memory, self._legal)
        observation, rewards, terminated, truncated, infos = self.env.step(actions)
        infos = dict(infos)
        if self.view.action_space is not None:
            _note_items(infos, np.asarray(actions))
        if self.view.observation_space is not None and "final_obs" in infos:
            infos["final_obs"] = self._final(infos["final_obs"], infos["_final_obs"])
        return self._see(observation), rewards, terminated, truncated, infos

    def action_masks(self) -> np.ndarray:
        """(n, A) bool: the legal actions now."""
        self._look_again()
        return self.view.masks(self.memory, self._legal)

    def current(self) -> Any:
        """The observation (n, ...) of the state that is."""
        return self._see(self._below("current")())

    def _look_again(self) -> None:
        """After ``set_state`` actions refer to what is seen there."""
        if self.view.observation_space is not None and _state(self.env) is not self._state:
            self.current()

    def _legal(self) -> np.ndarray:
        return self._below("action_masks")()

    def _below(self, name: str) -> Any:
        holder: Any = self.env
        while not hasattr(holder, name) and holder is not holder.unwrapped:
            holder = holder.env
        return getattr(holder, name)

    def _see(self, observation: Any) -> Any:
        if self.view.observation_space is None:
            return observation
        seen, self.memory = self.view.observe(observation)
        self._state = _state(self.env)
        return seen

    def _final(self, final: np.ndarray, ended: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero(ended)
        batch = {key: np.stack([final[row][key] for row in rows]) for key in final[rows[0]]}
        seen, _ = self.view.observe(batch)
        changed = np.full(len(final), None, dtype=object)
        for index, row in enumerate(rows):
            changed[row] = _row(seen, index)
        return changed


def _state(env: Any) -> Any:
    return getattr(env.unwrapped, "state", None)


def _row(batch: Any, index: int) -> Any:
    if isinstance(batch, dict):
        return {key: value[index] for key, value in batch.items()}
    return batch[index]


def _note_items(infos: dict[str, Any], items: np.ndarray) -> None:
    """``item``, what was recommended, in the infos of the rows that took a step."""
    if "final_info" in infos:
        infos["final_info"] = dict(infos["final_info"])
    for info in (infos, infos.get("final_info", {})):
        if (stepped := info.get("_reward_terms")) is not None:
            info["item"], info["_item"] = np.where(stepped, items, 0), stepped.copy()


def check_choice(action: np.ndarray, n: int) -> np.ndarray:
    """(B,) integers within 0..n−1.

    Raises:
        ValueError: other shapes, kinds of numbers or values.
    """
    if action.ndim != 1 or action.dtype.kind not in "iu":
        raise ValueError(
            f"Actions must be one integer for each row, got {action.dtype} of shape {action.shape}."
        )
    if len(bad := action[(action < 0) | (action >= n)]):
        raise ValueError(f"Action {bad[0]} lies outside 0..{n - 1}.")
    return action
