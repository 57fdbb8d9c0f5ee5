"""Rewards less a price times costs, and the callback that moves the price."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnvWrapper


class Priced(VecEnvWrapper):
    """r − μ · ``info["cost"]``; keeps the mean cost since it was last asked."""

    def __init__(self, venv: Any, price: float):
        super().__init__(venv)
        self.price = price
        self._spent, self._steps = 0.0, 0

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        observations, rewards, dones, infos = self.venv.step_wait()
        costs = np.array([info["cost"] for info in infos])
        self._spent += float(costs.sum())
        self._steps += len(costs)
        return observations, rewards - self.price * costs.astype(np.float32), dones, infos

    def mean_cost(self) -> float:
        """Cost per step since the last call."""
        mean = self._spent / max(self._steps, 1)
        self._spent, self._steps = 0.0, 0
        return mean


class RaisePrice(BaseCallback):
    """Dual ascent after each rollout: μ ← max(0, μ + rate · (mean cost − budget))."""

    def __init__(self, market: Priced, budget: float, rate: float, prices: list[float]):
        super().__init__()
        self.market, self.budget, self.rate, self.prices = market, budget, rate, prices

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        excess = self.market.mean_cost() - self.budget
        self.market.price = max(0.0, self.market.price + self.rate * excess)
        self.prices.append(self.market.price)
