"""A walk on a line, written once over rows: the smallest native vector environment with masks.

It has what the adapter must translate: a Dict observation with a Discrete part, masks, nested
infos, metrics at the end only, termination, truncation and per-row generators.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

GOAL, LIMIT, ACTIONS = 3, 7, 3
SPACE = gym.spaces.Dict(
    {
        "place": gym.spaces.Box(-10, 10, (2,), np.float32),
        "home": gym.spaces.Discrete(50),
        "action_mask": gym.spaces.Box(0, 1, (ACTIONS,), np.int8),
    }
)


class WalkRules:
    """Rows of (place, home, steps, generator); an action moves by action − 1 and by luck."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.place = np.zeros(n)
        self.home = np.zeros(n, dtype=np.int64)
        self.steps = np.zeros(n, dtype=np.int64)
        self.random = [np.random.default_rng() for _ in range(n)]

    def start(self, row: int, seed: int | None, home: int | None) -> None:
        if seed is not None:
            self.random[row] = np.random.default_rng(seed)
        drawn = int(self.random[row].integers(50))
        self.home[row] = drawn if home is None else home
        self.place[row] = self.random[row].normal() * 0.1
        self.steps[row] = 0

    def observe(self) -> dict[str, np.ndarray]:
        place = np.stack([self.place, self.steps], axis=1).astype(np.float32)
        return {"place": place, "home": self.home.copy(), "action_mask": self.mask()}

    def mask(self) -> np.ndarray:
        mask = np.ones((self.n, ACTIONS), dtype=np.int8)
        mask[self.place < -1, 0] = 0
        return mask

    def move(self, actions: np.ndarray, rows: np.ndarray) -> tuple[Any, ...]:
        luck = np.array([self.random[r].normal() if rows[r] else 0.0 for r in range(self.n)])
        self.place = np.where(rows, self.place + (actions - 1) + 0.2 * luck, self.place)
        self.steps += rows
        terminated = (self.place >= GOAL) & rows
        truncated = (self.steps >= LIMIT) & rows
        reward = np.where(rows, self.place / 10 - 1, 0.0)
        return reward, terminated, truncated


class WalkVector(gym.vector.VectorEnv):
    def __init__(self, num_envs: int, autoreset_mode: str, render_mode: str | None = None):
        self.num_envs, self.render_mode = num_envs, render_mode
        self.mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": ["rgb_array"], "autoreset_mode": self.mode}
        self.single_observation_space, self.single_action_space = (
            SPACE,
            gym.spaces.Discrete(ACTIONS),
        )
        self.observation_space = batch_space(SPACE, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.rules = WalkRules(num_envs)
        self.over = np.zeros(num_envs, dtype=bool)
        self.shared = "one for all"
        self.per_row = np.arange(num_envs) * 10

    def reset(self, *, seed=None, options=None):
        options = dict(options or {})
        which = options.pop("reset_mask", np.ones(self.num_envs, dtype=bool))
        homes = options.get("home", [None] * self.num_envs)
        for row in np.flatnonzero(which):
            self.rules.start(row, None if seed is None else seed + int(row), homes[row])
        self.over = self.over & ~which
        return self.rules.observe(), {"home": self.rules.home.copy(), "_home": which.copy()}

    def step(self, actions):
        rows = ~self.over
        reward, terminated, truncated = self.rules.move(actions, rows)
        infos: dict[str, Any] = {
            "reward_terms": {"place": reward + 1, "cost": np.zeros(self.num_envs)},
            "steps": self.rules.steps.copy(),
        }
        done = terminated | truncated
        if done.any():
            ended = {"return": self.rules.place.copy(), "success": terminated.astype(float)}
            infos |= {"metrics": ended, "_metrics": done.copy()}
        observation = self.rules.observe()
        if self.mode is AutoresetMode.SAME_STEP and done.any():
            final = np.full(self.num_envs, None, dtype=object)
            for row in np.flatnonzero(done):
                final[row] = {key: value[row].copy() for key, value in observation.items()}
            final_info = infos
            infos = {key: infos[key] for key in ("reward_terms", "steps")}
            infos |= {"_reward_terms": ~done, "_steps": ~done}
            observation, reset_infos = self.reset(options={"reset_mask": done})
            infos |= reset_infos
            infos |= {
                "final_obs": final,
                "_final_obs": done,
                "final_info": final_info,
                "_final_info": done,
            }
        elif self.mode is AutoresetMode.DISABLED:
            self.over = self.over | done
        return observation, reward, terminated, truncated, infos

    def action_masks(self) -> np.ndarray:
        return self.rules.mask().astype(bool)

    def describe(self, prefix: str) -> list[str]:
        return [f"{prefix}{home}" for home in self.rules.home]

    def render(self):
        return tuple(np.full((4, 6, 3), row, dtype=np.uint8) for row in range(self.num_envs))


class Walk(gym.Env):
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    observation_space, action_space = SPACE, gym.spaces.Discrete(ACTIONS)

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode
        self.rules = WalkRules(1)

    def _observation(self):
        return {key: value[0] for key, value in self.rules.observe().items()}

    def reset(self, *, seed=None, options=None):
        self.rules.start(0, seed, (options or {}).get("home"))
        return self._observation(), {"home": int(self.rules.home[0])}

    def step(self, action):
        reward, terminated, truncated = self.rules.move(np.array([action]), np.array([True]))
        info: dict[str, Any] = {
            "reward_terms": {"place": float(reward[0] + 1), "cost": 0.0},
            "steps": int(self.rules.steps[0]),
        }
        if terminated[0] or truncated[0]:
            info["metrics"] = {
                "return": float(self.rules.place[0]),
                "success": float(terminated[0]),
            }
        return (
            self._observation(),
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            info,
        )

    def action_masks(self) -> np.ndarray:
        return self.rules.mask()[0].astype(bool)
