"""The PettingZoo `ParallelEnv` over a problem whose players can act at once: one batch row."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Protocol, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

from recgym.envs.arguments import mapping
from recgym.envs.core import BatchState, Problem, Task, Transition
from recgym.envs.single import SNAPSHOT, check_snapshot


class JointRules(Protocol):
    """What a :class:`recgym.envs.core.Problem` has beside, if its N players can act at once."""

    players: list[str]
    """Their names, in the order of axis 1 below."""

    def joint_step(self, state: Any, action: np.ndarray, rngs: Any) -> Transition:
        """One action of every player, (B, N, ...); terms are (B, N)."""
        ...

    def joint_observations(self, state: Any) -> Mapping[str, np.ndarray]:
        """What each player sees, name → (B, N, ...)."""
        ...


class RecParallelEnv(ParallelEnv[str, dict[str, Any], Any]):
    """All players act at once, in every step. Subclasses build ``problem``.

    Every player lives until the end of the episode. ``infos[agent]`` holds ``task`` after a reset,
    ``reward_terms`` after a step and, in the last one, the ``metrics`` of all players together.
    """

    metadata: ClassVar[dict[str, Any]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
        "is_parallelizable": True,
    }

    def __init__(self, problem: Problem, render_mode: str | None = None):
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode {render_mode!r} is not one of {self.metadata['render_modes']}."
            )
        self.problem, self.rules = problem, cast(JointRules, problem)
        self.render_mode = render_mode
        self.possible_agents = list(self.rules.players)
        self.agents: list[str] = []
        self.state_now: BatchState | None = None
        self._generator: np.random.Generator | None = None
        self._observed = {name: deepcopy(problem.observation_space) for name in self.rules.players}
        self._acted = {name: deepcopy(problem.action_space) for name in self.rules.players}

    @property
    def fingerprint(self) -> str:
        """Identifies data, evaluator and parameters of this environment."""
        return self.problem.fingerprint

    @property
    def np_random(self) -> np.random.Generator:
        """The one generator of the game."""
        if self._generator is None:
            self._generator = seeding.np_random(None)[0]
        return self._generator

    def observation_space(self, agent: str) -> spaces.Space:
        """What one player sees, always the same object."""
        return self._observed[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """What one player can do, always the same object."""
        return self._acted[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
        """Start an episode. Of ``options`` only the task's are read; PettingZoo passes others."""
        if seed is not None:
            self._generator = seeding.np_random(seed)[0]
        asked = mapping("options", options)
        known = {key: asked[key] for key in self.problem.task_keys if key in asked}
        given = {k: int(v[0]) for k, v in self.problem.given_tasks(known, 1).items()}
        task = self.problem.draw_task(self.np_random, given)
        self.state_now = self.problem.start([task], [self.np_random])
        self.agents = self.possible_agents[:]
        return self._observations(), {agent: {"task": dict(task)} for agent in self.agents}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, dict[str, Any]],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """One action of every player.

        Raises:
            ValueError: a player without an action, an unknown one, or one outside of its space.
        """
        if self.state_now is None or not self.agents:
            raise gym.error.ResetNeeded("Call reset() before step(): no episode is under way.")
        missing = [agent for agent in self.agents if agent not in actions]
        if missing or len(actions) != len(self.agents):
            unknown = sorted(set(actions) - set(self.agents))[:5]
            raise ValueError(
                "step takes one action of every agent, as all act at once: "
                f"{len(missing)} are missing, such as {missing[:5]}; unknown are {unknown}."
            )
        shape = self.problem.action_space.shape
        for agent, action in actions.items():
            if np.shape(action) != shape:
                raise ValueError(
                    f"The action of {agent} must have shape {shape}, got {np.shape(action)}."
                )
        chosen = np.stack([np.asarray(actions[agent]) for agent in self.agents])
        checked = self.problem.check_actions(chosen, len(chosen))
        moved = self.rules.joint_step(self.state_now, checked[None], [self.np_random])
        self.state_now, over = moved.state, bool(moved.terminated[0])
        terms = {name: value[0] for name, value in moved.terms.items()}
        rewards = self.problem.reward(terms)
        infos: dict[str, dict[str, Any]] = {
            agent: {"reward_terms": {name: float(value[place]) for name, value in terms.items()}}
            for place, agent in enumerate(self.agents)
        }
        if over:
            metrics = {k: v for k, v in self.metrics().items() if not np.isnan(v)}
            for info in infos.values():
                info["metrics"] = dict(metrics)
        result = (
            self._observations(),
            {agent: float(r) for agent, r in zip(self.agents, rewards, strict=True)},
            dict.fromkeys(self.agents, over),
            dict.fromkeys(self.agents, False),
            infos,
        )
        if over:
            self.agents = []
        return result

    def metrics(self) -> dict[str, float]:
        """The papers' metrics of the episode so far, over all players."""
        values = self.problem.metrics(self._current())
        return {name: float(value[0]) for name, value in values.items()}

    def evaluation_tasks(self, seed: int = 0) -> list[Task]:
        """The tasks that agents are judged on, as reset options; disjoint from training tasks."""
        return self.problem.evaluation_tasks(seed)

    def get_state(self) -> dict[str, Any]:
        """Everything the future depends on, the generator included, for exact branches."""
        return {
            "fingerprint": self.fingerprint,
            "state": self._current().copy(),
            "ended": not self.agents,
            "generator": self.np_random.bit_generator.state,
        }

    def set_state(self, snapshot: dict[str, Any]) -> None:
        """Go back to what :meth:`get_state` returned, here or in another equal environment.

        Raises:
            ValueError: the snapshot is of an environment with other data or parameters.
        """
        check_snapshot(snapshot, self.fingerprint, 1, SNAPSHOT)
        self.state_now = snapshot["state"].copy()
        self.agents = [] if snapshot["ended"] else self.possible_agents[:]
        self.np_random.bit_generator.state = snapshot["generator"]

    def render(self) -> Any:
        """A frame or a text of the present state."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode. Pass one to parallel_env.")
            return None
        return self.problem.render(self._current(), 0, self.render_mode)

    def close(self) -> None:
        """Nothing is open."""

    def _current(self) -> BatchState:
        if self.state_now is None:
            raise gym.error.ResetNeeded("Call reset() first: no episode is under way.")
        return self.state_now

    def _observations(self) -> dict[str, dict[str, Any]]:
        seen = self.rules.joint_observations(self._current())
        return {
            agent: {key: value[0, place].copy() for key, value in seen.items()}
            for place, agent in enumerate(self.agents)
        }
