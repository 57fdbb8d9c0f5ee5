"""A native Gymnasium vector environment as Stable-Baselines3's ``VecEnv``.

Stable-Baselines3 has its own vector interface and no adapter for Gymnasium's. The two differ in
four ways: the observation of the finishing step is the one after the reset, ``done`` merges
termination and truncation, infos are a list of dicts, and seeds and options wait for the next
reset. :func:`as_vec_env` translates without ever looping over environments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

_SINGLE_SPACES = {
    "observation_space": "single_observation_space",
    "action_space": "single_action_space",
}
_NOT_INFO = frozenset({"final_obs", "_final_obs", "final_info", "_final_info"})


def as_vec_env(venv: gym.vector.VectorEnv) -> GymnasiumVecEnv:
    """Adapt a native vector environment to Stable-Baselines3.

    The result equals ``DummyVecEnv`` over single environments step for step: row i, seeded with
    ``seed + i``, is the single environment seeded so. Wrap it in ``VecMonitor`` for episode
    statistics.

    Args:
        venv: vector environment of n rows in autoreset mode SameStep or Disabled, whose infos
            follow Gymnasium's convention (arrays of n rows, masks under ``_key``).

    Raises:
        ValueError: in autoreset mode NextStep, which would add one fictitious transition per
            episode, or in none that is known.
        TypeError: a single environment.
    """
    if not isinstance(venv, gym.vector.VectorEnv):
        raise TypeError(f"{venv} is not a vector environment: make one with gym.make_vec")
    return GymnasiumVecEnv(venv)


class GymnasiumVecEnv(VecEnv):
    """``VecEnv`` face of one Gymnasium vector environment; made by :func:`as_vec_env`.

    ``env_method(name)`` calls the method **once** on the vector environment and hands out its
    rows: ``action_masks()`` returns (n, A) there and n arrays (A,) here.
    """

    actions: np.ndarray

    def __init__(self, venv: gym.vector.VectorEnv) -> None:
        self.mode = _autoreset_mode(venv)
        self.venv = venv
        # Sync and Async vector environments hold single ones and can be asked row by row.
        self._holds_singles = hasattr(venv.unwrapped, "call")
        super().__init__(venv.num_envs, venv.single_observation_space, venv.single_action_space)
        self.metadata = {**venv.metadata, "render_modes": self.metadata["render_modes"]}

    def reset(self) -> VecEnvObs:
        kwargs: dict[str, Any] = {}
        if (options := self._stacked_options()) is not None:
            kwargs["options"] = options
        observations, infos = self.venv.reset(seed=self._stacked_seeds(), **kwargs)
        self.reset_infos = rows_of_infos(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return self._observations(observations)

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = np.asarray(actions)

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, terminated, truncated, infos = self.venv.step(self.actions)
        dones = np.logical_or(terminated, truncated)
        rows = rows_of_infos(infos, self.num_envs)
        finished = np.flatnonzero(dones).tolist()
        if self.mode is AutoresetMode.SAME_STEP:
            terminal = [_row(infos["final_obs"], index) for index in finished]
            if "final_info" in infos:
                final_rows = _final_info_rows(infos["final_info"], self.num_envs)
                for index in finished:
                    self.reset_infos[index] = rows[index]
                    rows[index] = final_rows[index]
        elif finished:
            terminal = [_row(observations, index) for index in finished]
            observations, reset_infos = self.venv.reset(options={"reset_mask": dones.copy()})
            reset_rows = rows_of_infos(reset_infos, self.num_envs)
            for index in finished:
                self.reset_infos[index] = reset_rows[index]
        else:
            terminal = []
        for row, over, limit in zip(rows, terminated, truncated, strict=True):
            row["TimeLimit.truncated"] = bool(limit and not over)
        for index, observation in zip(finished, terminal, strict=True):
            rows[index]["terminal_observation"] = observation
        return (
            self._observations(observations),
            np.array(rewards, dtype=np.float32),
            dones,
            rows,
        )

    def close(self) -> None:
        self.venv.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """One frame per row; needs ``render_mode="rgb_array"``."""
        frames: Any = self.venv.render()
        return [None] * self.num_envs if frames is None else list(frames)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """One value per row: a method bound to its row, a row of an array, else the value.

        Raises:
            AttributeError: neither the environment nor its wrappers have the attribute.
        """
        rows = self._rows(indices)
        if attr_name in _SINGLE_SPACES:
            return [getattr(self.venv, _SINGLE_SPACES[attr_name])] * len(rows)
        holder = self._holder(attr_name)
        if holder is None:
            values = self.venv.unwrapped.get_attr(attr_name)  # type: ignore[attr-defined]
            return [values[index] for index in rows]
        value = getattr(holder, attr_name)
        if callable(value):
            return [partial(self._call_row, value, index) for index in rows]
        if isinstance(value, np.ndarray) and value.ndim and len(value) == self.num_envs:
            return [value[index] for index in rows]
        return [value] * len(rows)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the whole vector environment.

        Raises:
            ValueError: for a part of the rows, since they share one object.
        """
        if len(self._rows(indices)) != self.num_envs:
            raise ValueError(
                f"set_attr({attr_name!r}) on some rows of {self.venv}: its rows share one object. "
                "Set it for all rows, or use DummyVecEnv over single environments."
            )
        if self._holds_singles:
            self.venv.unwrapped.set_attr(attr_name, value)  # type: ignore[attr-defined]
        else:
            setattr(self._holder(attr_name) or self.venv.unwrapped, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of the vector environment once and return one result per row."""
        if method_name in {"reset", "step"}:
            raise ValueError(
                f"env_method({method_name!r}) would move every row of {self.venv}: "
                f"call {method_name}() of the VecEnv itself."
            )
        rows = self._rows(indices)
        holder = self._holder(method_name)
        if holder is None:
            call = self.venv.unwrapped.call  # type: ignore[attr-defined]
            results = call(method_name, *method_args, **method_kwargs)
        else:
            results = getattr(holder, method_name)(*method_args, **method_kwargs)
        return [self._result_row(results, index) for index in rows]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Whether the *vector* environment is wrapped so: single wrappers never are."""
        env: Any = self.venv
        found = False
        while isinstance(env, gym.vector.VectorWrapper):
            found = found or isinstance(env, wrapper_class)
            env = env.env
        return [found] * len(self._rows(indices))

    def _rows(self, indices: VecEnvIndices) -> list[int]:
        return list(self._get_indices(indices))

    def _holder(self, name: str) -> Any:
        """The outermost wrapper, or the environment, that has the attribute itself.

        None where single environments have to be asked.
        """
        env: Any = self.venv
        while True:
            if hasattr(env, name) and not (
                self._holds_singles and not isinstance(env, gym.vector.VectorWrapper)
            ):
                return env
            if not isinstance(env, gym.vector.VectorWrapper):
                break
            env = env.env
        if self._holds_singles:
            return None
        raise AttributeError(f"{self.venv} has no attribute {name!r}")

    def _call_row(
        self, method: Callable[..., Any], index: int, /, *args: Any, **kwargs: Any
    ) -> Any:
        return self._result_row(method(*args, **kwargs), index)

    def _result_row(self, results: Any, index: int) -> Any:
        if isinstance(results, dict):
            return {key: self._result_row(value, index) for key, value in results.items()}
        if isinstance(results, np.ndarray | list | tuple) and len(results) == self.num_envs:
            return results[index]
        return results

    def _observations(self, observations: Any) -> Any:
        """Fresh arrays of n rows in the dtype of the single space."""
        space = self.observation_space
        if isinstance(space, gym.spaces.Dict):
            return {
                key: np.array(observations[key], dtype=part.dtype)
                for key, part in space.spaces.items()
            }
        if isinstance(space, gym.spaces.Tuple):
            return tuple(
                np.array(part, dtype=sub.dtype)
                for part, sub in zip(observations, space.spaces, strict=True)
            )
        return np.array(observations, dtype=space.dtype)

    def _stacked_seeds(self) -> Any:
        seeds = self._seeds
        if seeds[0] is None:
            return None
        if seeds == [seeds[0] + index for index in range(self.num_envs)]:
            return seeds[0]
        if self._holds_singles:
            return list(seeds)
        raise ValueError(f"rows are seeded with seed + row, so these seeds cannot be had: {seeds}")

    def _stacked_options(self) -> dict[str, Any] | None:
        """Options per row as arrays of n rows, which is what a native environment takes."""
        options = self._options
        if not any(options):
            return None
        if self._holds_singles:
            if any(repr(row) != repr(options[0]) for row in options):
                raise ValueError(f"{self.venv} gives all rows the same options")
            return dict(options[0])
        keys = set(options[0])
        if any(set(row) != keys for row in options):
            raise ValueError(
                "set_options: every row needs the same keys, got "
                f"{sorted({tuple(sorted(row)) for row in options})}"
            )
        return {key: np.stack([np.asarray(row[key]) for row in options]) for key in sorted(keys)}


def rows_of_infos(infos: dict[str, Any], n: int) -> list[dict[str, Any]]:
    """Gymnasium's vector infos as n dicts: a masked-out key is absent, scalars are Python's.

    Nested dicts are taken apart the same way. ``final_obs`` and ``final_info`` are left out.
    """
    rows: list[dict[str, Any]] = [{} for _ in range(n)]
    for key, value in infos.items():
        if key in _NOT_INFO or (key.startswith("_") and key[1:] in infos):
            continue
        mask = infos.get(f"_{key}")
        column: Sequence[Any]
        if isinstance(value, dict):
            column = rows_of_infos(value, n)
        elif isinstance(value, np.ndarray) and value.ndim and len(value) == n:
            column = value.tolist() if value.ndim == 1 else list(value.copy())
        elif isinstance(value, list | tuple) and len(value) == n:
            column = value
        else:
            column = [value] * n
        if mask is None:
            for row, item in zip(rows, column, strict=True):
                row[key] = item
        else:
            for index in np.flatnonzero(mask).tolist():
                rows[index][key] = column[index]
    return rows


def _final_info_rows(final_info: Any, n: int) -> list[dict[str, Any]]:
    if isinstance(final_info, dict):
        return rows_of_infos(final_info, n)
    return [dict(info) if info is not None else {} for info in final_info]


def _row(batch: Any, index: int) -> Any:
    """A copy of row ``index`` of arrays (n, ...) in any nesting, or of an object array (n,)."""
    if isinstance(batch, dict):
        return {key: _row(value, index) for key, value in batch.items()}
    if isinstance(batch, tuple):
        return tuple(_row(value, index) for value in batch)
    return _copied(batch[index])


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_copied(part) for part in value)
    return value if np.isscalar(value) else np.array(value)


def _autoreset_mode(venv: gym.vector.VectorEnv) -> AutoresetMode:
    found = venv.metadata.get("autoreset_mode")
    try:
        mode = AutoresetMode(found)
    except ValueError:
        mode = None
    if mode in {AutoresetMode.SAME_STEP, AutoresetMode.DISABLED}:
        return mode  # type: ignore[return-value]
    why = (
        "would show Stable-Baselines3 one fictitious transition per episode"
        if mode is AutoresetMode.NEXT_STEP
        else "is not one of Gymnasium's"
    )
    raise ValueError(
        f"{venv}: autoreset mode {found!r} {why}. Make it with "
        'gym.make_vec(..., autoreset_mode="SameStep") (for a Sync or Async vector environment, '
        'vector_kwargs={"autoreset_mode": "SameStep"}).'
    )
