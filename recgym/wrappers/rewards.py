"""Rewards as vectors, for multi-objective and constrained agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class RewardTerms(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """The reward as an array of named terms, unweighted, as in MO-Gymnasium.

    With the default terms, ``reward @ env.weights`` is the scalar reward. ``("reward", "cost")``
    is the constrained problem: the return, and what is to be bounded.

    Args:
        terms: names of reward terms, ``"reward"`` (the scalar) and ``"cost"``, in the order
            wanted; ``None`` is every reward term in the environment's order.

    Attributes:
        terms: the names, (k,).
        reward_space: Box (k,) float64.
        weights: (k,) float64, those of the scalar reward; 1 for ``reward``, 0 for ``cost``.

    Raises:
        ValueError: a term that the environment does not have, or none at all.
    """

    def __init__(self, env: gym.Env, terms: Sequence[str] | None = None):
        gym.utils.RecordConstructorArgs.__init__(self, terms=terms)
        gym.Wrapper.__init__(self, env)
        known: Any = env.unwrapped.problem.weights  # pyright: ignore[reportAttributeAccessIssue]
        self.terms = tuple(known) if terms is None else tuple(terms)
        weights = {**known, "reward": 1.0, "cost": 0.0}
        if unknown := [name for name in self.terms if name not in weights]:
            raise ValueError(f"There is no term {unknown[0]!r}. Terms: {', '.join(weights)}.")
        if not self.terms:
            raise ValueError(f"At least one term is needed. Terms: {', '.join(weights)}.")
        self.weights = np.array([weights[name] for name in self.terms])
        self.reward_space = spaces.Box(-np.inf, np.inf, (len(self.terms),), np.float64)

    def step(self, action: Any) -> tuple[Any, np.ndarray, bool, bool, dict[str, Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        observation, reward, terminated, truncated, info = self.env.step(action)
        values = {**info["reward_terms"], "reward": reward, "cost": info["cost"]}
        vector = np.array([values[name] for name in self.terms], dtype=np.float64)
        return observation, vector, terminated, truncated, info
