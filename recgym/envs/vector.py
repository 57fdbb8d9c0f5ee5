"""The Gymnasium `VectorEnv` over a problem's rules: n rows, every evaluator call batched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from recgym.envs.arguments import mapping, whole
from recgym.envs.core import BatchState, Problem, Task
from recgym.envs.single import check_snapshot

SNAPSHOT = frozenset({"fingerprint", "state", "ended", "truncated", "elapsed", "generators"})


class RecVectorEnv(VectorEnv):
    """Row i, seeded with seed + i, equals the single environment seeded so.

    Args:
        num_envs: number of rows.
        autoreset_mode: ``"NextStep"``, ``"SameStep"`` or ``"Disabled"``; a string, because specs
            are JSON. With ``"Disabled"``, a row that has ended stands still, with reward 0, until
            ``reset(options={"reset_mask": ...})`` names it.
        max_episode_steps: truncate episodes after so many steps; ``None`` leaves them alone.
        render_mode: of every row; ``human`` is for single environments.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        problem: Problem,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = "NextStep",
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
    ):
        for name, count in (("num_envs", num_envs), ("max_episode_steps", max_episode_steps)):
            if count is None and name == "max_episode_steps":
                continue
            whole(name, count)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode {render_mode!r} is not one of {self.metadata['render_modes']}."
            )
        self.problem, self.num_envs, self.render_mode = problem, num_envs, render_mode
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}  # pyright: ignore
        self.single_observation_space = problem.observation_space
        self.single_action_space = problem.action_space
        self.observation_space = batch_space(problem.observation_space, num_envs)
        self.action_space = batch_space(problem.action_space, num_envs)
        self.max_episode_steps = max_episode_steps
        self.state: BatchState | None = None
        self._rngs: list[np.random.Generator] = []
        self._seeds: list[int] = []
        self._ended = np.zeros(num_envs, dtype=bool)
        self._truncated = np.zeros(num_envs, dtype=bool)  # how an ended row ended
        self._elapsed = np.zeros(num_envs, dtype=np.int64)

    @property
    def fingerprint(self) -> str:
        """Identifies data, evaluator and parameters of this environment."""
        return self.problem.fingerprint

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:  # pyright: ignore
        """The generators of the rows."""
        return tuple(self._rngs)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # pyright: ignore
        """The seeds of the rows."""
        return tuple(self._seeds)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start episodes in all rows, or in those of ``options["reset_mask"]`` (n,) bool.

        Other options are tasks: a number for all rows or an array (n,), e.g. ``user``.
        """
        options = dict(mapping("options", options))
        rows = self._rows_to_reset(options.pop("reset_mask", None))
        self._seed_rows(seed, rows)
        given = self.problem.given_tasks(options, self.num_envs)
        infos: dict[str, Any] = {}
        self._start(rows, infos, given)
        return self.problem.observe(self._current()), infos

    def step(
        self, actions: Any
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        state = self._current()
        actions = self.problem.check_actions(actions, self.num_envs)
        active = np.flatnonzero(~self._ended)
        rewards = np.zeros(self.num_envs)
        terminated = np.zeros(self.num_envs, dtype=bool)
        truncated = np.zeros(self.num_envs, dtype=bool)
        infos: dict[str, Any] = {}
        waiting = np.flatnonzero(self._ended)

        if len(active):
            everyone = len(active) == self.num_envs
            before = state if everyone else state.rows(active)
            rngs = self._rngs if everyone else [self._rngs[row] for row in active.tolist()]
            self.state = None  # what is stopped midway is no state any more
            moved = self.problem.step_over(before, actions if everyone else actions[active], rngs)
            self.state = moved.state if everyone else state.with_rows(active, moved.state)
            self._elapsed[active] += 1
            rewards[active] = self.problem.reward(moved.terms)
            terminated[active] = moved.terminated
            if moved.truncated is not None:
                truncated[active] = moved.truncated & ~moved.terminated
            if self.max_episode_steps is not None:
                truncated[active] |= self._elapsed[active] >= self.max_episode_steps
            ended = (terminated | truncated)[active]
            step_info: dict[str, Any] = {
                "reward_terms": dict(moved.terms),
                "invalid_action": moved.invalid,
                "cost": moved.cost,
                **(moved.info or {}),
            }
            final_info: dict[str, Any] = {}
            if ended.any():
                finished = active[ended]
                metrics = self.problem.metrics(self._current().rows(finished))
                if self.autoreset_mode == AutoresetMode.SAME_STEP:
                    self._put(final_info, _take(step_info, ended), finished)
                    self._put_metrics(final_info, metrics, finished)
                    infos |= self._final(finished, final_info)
                    self._put(infos, _take(step_info, ~ended), active[~ended])
                    self._start(finished, infos, {})
                else:
                    self._put(infos, step_info, active)
                    self._put_metrics(infos, metrics, finished)
                    self._ended[finished] = True
                    self._truncated[finished] = (truncated & ~terminated)[finished]
            else:
                self._put(infos, step_info, active)

        if len(waiting) and self.autoreset_mode == AutoresetMode.NEXT_STEP:
            self._start(waiting, infos, {})
        elif len(waiting):
            truncated[waiting] = self._truncated[waiting]
            terminated[waiting] = ~truncated[waiting]
        return self.problem.observe(self._current()), rewards, terminated, truncated, infos

    def action_masks(self) -> np.ndarray:
        """(n, A) bool: the legal actions now."""
        return self.problem.action_masks(self._current())

    def metrics(self) -> dict[str, np.ndarray]:
        """The papers' metrics of the episodes so far, name → (n,); NaN where not defined."""
        return self.problem.metrics(self._current())

    def evaluation_tasks(self, seed: int = 0) -> list[Task]:
        """The tasks that agents are judged on, as reset options; disjoint from training tasks."""
        return self.problem.evaluation_tasks(seed)

    def current(self) -> dict[str, np.ndarray]:
        """The observation (n, ...) of the state that is."""
        return self.problem.observe(self._current())

    def get_state(self) -> dict[str, Any]:
        """Everything the future depends on, the generators included, for exact branches."""
        return {
            "fingerprint": self.fingerprint,
            "state": self._current().copy(),
            "ended": self._ended.copy(),
            "truncated": self._truncated.copy(),
            "elapsed": self._elapsed.copy(),
            "generators": [rng.bit_generator.state for rng in self._rngs],
        }

    def set_state(self, snapshot: dict[str, Any]) -> None:
        """Go back to what :meth:`get_state` returned, here or in another equal environment.

        Raises:
            ValueError: the snapshot is of an environment with other data, parameters or rows.
        """
        check_snapshot(snapshot, self.fingerprint, self.num_envs, SNAPSHOT)
        self.state = snapshot["state"].copy()
        self._ended = snapshot["ended"].copy()
        self._truncated = snapshot["truncated"].copy()
        self._elapsed = snapshot["elapsed"].copy()
        if not self._rngs:
            self._seed_rows(None, np.arange(self.num_envs))
        for rng, saved in zip(self._rngs, snapshot["generators"], strict=True):
            rng.bit_generator.state = saved

    def render(self) -> tuple[Any, ...] | None:
        """One frame or text for each row."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode. Pass one to gym.make_vec.")
            return None
        state = self._current()
        return tuple(self.problem.render(state, i, self.render_mode) for i in range(self.num_envs))

    def _current(self) -> BatchState:
        if self.state is None:
            raise gym.error.ResetNeeded("Call reset() first: no episode is under way.")
        return self.state

    def _rows_to_reset(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.arange(self.num_envs)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(
                f"options['reset_mask'] must be a bool array of shape ({self.num_envs},) with at "
                f"least one True, got {mask.dtype} of shape {mask.shape}."
            )
        if self.state is None and not mask.all():
            raise gym.error.ResetNeeded("The first reset starts all rows; leave reset_mask out.")
        return np.flatnonzero(mask)

    def _seed_rows(self, seed: int | Sequence[int | None] | None, rows: np.ndarray) -> None:
        if seed is None or isinstance(seed, int | np.integer):
            base = None if seed is None else int(seed)
            seeds = [None if base is None else base + i for i in range(self.num_envs)]
        else:
            seeds = [None if s is None else int(s) for s in seed]
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds were given for {self.num_envs} rows.")
        if not self._rngs:
            pairs = [seeding.np_random(s) for s in seeds]
            self._rngs, self._seeds = [rng for rng, _ in pairs], [s for _, s in pairs]
            return
        for row in rows:
            if seeds[row] is not None:
                self._rngs[row], self._seeds[row] = seeding.np_random(seeds[row])

    def _start(self, rows: np.ndarray, infos: dict[str, Any], given: dict[str, Any]) -> None:
        """New episodes in ``rows``; their tasks go into ``infos``."""
        rngs = [self._rngs[row] for row in rows]
        tasks = [
            self.problem.draw_task(rng, {key: int(value[row]) for key, value in given.items()})
            for row, rng in zip(rows, rngs, strict=True)
        ]
        old, self.state = self.state, None  # as above
        fresh = self.problem.start(tasks, rngs)
        if old is None or len(rows) == self.num_envs:
            self.state = fresh
        else:
            self.state = old.with_rows(rows, fresh)
        self._ended[rows] = False
        self._elapsed[rows] = 0
        self._put(infos, {"task": self.problem.tasks_of(fresh)}, rows)

    def _final(self, rows: np.ndarray, final_info: dict[str, Any]) -> dict[str, Any]:
        """``final_obs`` and ``final_info`` of the rows that end in this very step."""
        last = self.problem.observe(self._current().rows(rows))
        final_obs = np.full(self.num_envs, None, dtype=object)
        for index, row in enumerate(rows):
            final_obs[row] = {key: value[index] for key, value in last.items()}
        mask = np.zeros(self.num_envs, dtype=bool)
        mask[rows] = True
        return {
            "final_obs": final_obs,
            "_final_obs": mask,
            "final_info": final_info,
            "_final_info": mask.copy(),
        }

    def _put_metrics(self, infos: dict[str, Any], metrics: dict, rows: np.ndarray) -> None:
        """Metrics of finished rows; the mask of one that is not defined (NaN) is false."""
        found: dict[str, Any] = infos.setdefault("metrics", {})
        for name, value in metrics.items():
            self._put(found, {name: value[~np.isnan(value)]}, rows[~np.isnan(value)])
        infos.setdefault("_metrics", np.zeros(self.num_envs, dtype=bool))[rows] = True

    def _put(self, infos: dict[str, Any], values: dict[str, Any], rows: np.ndarray) -> None:
        """Write batched values into ``infos`` at ``rows``, with Gymnasium's ``_key`` masks."""
        if len(rows) == 0:
            return
        for key, value in values.items():
            if isinstance(value, dict):
                self._put(infos.setdefault(key, {}), value, rows)
            else:
                shape = (self.num_envs, *value.shape[1:])
                infos.setdefault(key, np.zeros(shape, dtype=value.dtype))[rows] = value
            infos.setdefault(f"_{key}", np.zeros(self.num_envs, dtype=bool))[rows] = True


def _autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    by_name = {m.value: m for m in AutoresetMode} | {m.name: m for m in AutoresetMode}
    if mode not in by_name:
        known = ", ".join(m.value for m in AutoresetMode)
        raise ValueError(f"autoreset_mode {mode!r} is not one of {known}.")
    return by_name[mode]


def _take(values: dict[str, Any], index: np.ndarray) -> dict[str, Any]:
    """The rows at ``index`` of nested batched values."""
    return {k: _take(v, index) if isinstance(v, dict) else v[index] for k, v in values.items()}
