"""The Gymnasium `Env` over a problem's rules: a batch of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from recgym.envs.arguments import mapping
from recgym.envs.core import BatchState, Problem, Task

SNAPSHOT = frozenset({"fingerprint", "state", "ended", "generator"})


class RecEnv(gym.Env):
    """A single environment. Subclasses build ``problem`` and carry the docs-page docstring."""

    metadata: ClassVar[dict[str, Any]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        "render_modes": ["ansi", "rgb_array", "human"],
        "render_fps": 4,
    }

    def __init__(self, problem: Problem, render_mode: str | None = None):
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode {render_mode!r} is not one of {self.metadata['render_modes']}."
            )
        self.problem = problem
        self.observation_space = problem.observation_space
        self.action_space = problem.action_space
        self.render_mode = render_mode
        self.state: BatchState | None = None
        self._ended = False
        self._window: Any = None

    @property
    def fingerprint(self) -> str:
        """Identifies data, evaluator and parameters of this environment."""
        return self.problem.fingerprint

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        given = self.problem.given_tasks(mapping("options", options), 1)
        task = self.problem.draw_task(self.np_random, {k: int(v[0]) for k, v in given.items()})
        self.state = self.problem.start([task], [self.np_random])
        self._ended = False
        self._show()
        return _first(self.problem.observe(self.state)), {"task": dict(task)}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        if self.state is None or self._ended:
            raise gym.error.ResetNeeded("Call reset() before step(): no episode is under way.")
        batch = self.problem.check_actions(np.asarray(action)[None], 1)
        state, self.state = self.state, None  # what is stopped midway is no state any more
        moved = self.problem.step_over(state, batch, [self.np_random])
        terminated = bool(moved.terminated[0])
        truncated = not terminated and moved.truncated is not None and bool(moved.truncated[0])
        self.state, self._ended = moved.state, terminated or truncated
        info: dict[str, Any] = {
            "reward_terms": {name: float(value[0]) for name, value in moved.terms.items()},
            "invalid_action": bool(moved.invalid[0]),
            "cost": float(moved.cost[0]),
            **{name: value[0].copy() for name, value in (moved.info or {}).items()},
        }
        if self._ended:
            metrics = self.problem.metrics(self.state)
            info["metrics"] = {k: float(v[0]) for k, v in metrics.items() if not np.isnan(v[0])}
        self._show()
        reward = float(self.problem.reward(moved.terms)[0])
        return _first(self.problem.observe(self.state)), reward, terminated, truncated, info

    def action_masks(self) -> np.ndarray:
        """(A,) bool: the legal actions now, as sb3-contrib asks for them of ``Discrete`` actions.

        Of ``MultiBinary`` actions, the bits that mean something now.
        """
        return self.problem.action_masks(self._current())[0]

    def metrics(self) -> dict[str, float]:
        """The papers' metrics of the episode so far; NaN where one is not defined.

        The final ``info["metrics"]`` leaves those out: checkers hold NaN to be indeterminate.
        """
        values = self.problem.metrics(self._current())
        return {name: float(value[0]) for name, value in values.items()}

    def evaluation_tasks(self, seed: int = 0) -> list[Task]:
        """The tasks that agents are judged on, as reset options; disjoint from training tasks."""
        return self.problem.evaluation_tasks(seed)

    def current(self) -> dict[str, Any]:
        """The observation of the state that is."""
        return _first(self.problem.observe(self._current()))

    def get_state(self) -> dict[str, Any]:
        """Everything the future depends on, the generator included, for exact branches."""
        return {
            "fingerprint": self.fingerprint,
            "state": self._current().copy(),
            "ended": self._ended,
            "generator": self.np_random.bit_generator.state,
        }

    def set_state(self, snapshot: dict[str, Any]) -> None:
        """Go back to what :meth:`get_state` returned, here or in another equal environment.

        Raises:
            ValueError: the snapshot is of an environment with other data or parameters.
        """
        check_snapshot(snapshot, self.fingerprint, 1, SNAPSHOT)
        self.state = snapshot["state"].copy()
        self._ended = snapshot["ended"]
        self.np_random.bit_generator.state = snapshot["generator"]

    def render(self) -> Any:
        """A frame or a text of the current state; in ``human`` mode the window shows it."""
        if self.render_mode is None:
            gym.logger.warn(
                "render() was called without a render_mode. Pass one to gym.make, "
                'e.g. render_mode="ansi".'
            )
            return None
        if self.render_mode == "human":
            return self._show()
        return self.problem.render(self._current(), 0, self.render_mode)

    def close(self) -> None:
        if self._window is not None:
            self._window.close()
            self._window = None

    def _current(self) -> BatchState:
        if self.state is None:
            raise gym.error.ResetNeeded("Call reset() first: no episode is under way.")
        return self.state

    def _show(self) -> None:
        if self.render_mode != "human":
            return
        if self._window is None:
            from recgym.envs.window import Window

            self._window = Window(str(self.spec.id if self.spec else type(self).__name__))
        if self._window.wanted():
            frame = self.problem.render(self._current(), 0, "rgb_array")
            self._window.show(frame, self.metadata["render_fps"])


def check_snapshot(
    snapshot: dict[str, Any], fingerprint: str, rows: int, parts: frozenset[str]
) -> None:
    """Refuse a snapshot before anything is changed."""
    if not isinstance(snapshot, Mapping) or set(snapshot) != parts:
        raise ValueError(
            "A state must be what get_state() of this kind of environment (single, vector or "
            f"parallel) returned, got {type(snapshot)}."
        )
    if snapshot["fingerprint"] != fingerprint:
        raise ValueError("This state is of an environment with other data or parameters.")
    if len(snapshot["state"]) != rows:
        raise ValueError(f"This state has {len(snapshot['state'])} rows, here are {rows}.")


def _first(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """Row 0 of a batched observation; Gymnasium's Discrete takes numpy integers."""
    return {key: value[0] for key, value in batch.items()}
