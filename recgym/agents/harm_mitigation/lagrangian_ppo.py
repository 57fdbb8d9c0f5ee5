"""PPO that pays for harm at a price, which rises while its budget is exceeded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from recgym.agents.base import AgentError
from recgym.agents.harm_mitigation.ppo import PPOAgent, PPOConfig
from recgym.envs.harm_mitigation.dynamics import HarmMitigation


@dataclass(frozen=True)
class LagrangianPPOConfig(PPOConfig):
    """The dual ascent."""

    budget: float | None = None
    """Cost per step that is allowed; None is the environment's."""
    price: float = 1.0
    """At the start."""
    price_rate: float = 5.0
    """By how much it rises after each update, per unit of cost above the budget."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.price < np.inf and 0 < self.price_rate < np.inf):
            raise AgentError("price must be at least 0, price_rate positive, and both finite.")
        if self.budget is not None and not self.budget >= 0:
            raise AgentError(f"budget must be at least 0, got {self.budget}.")


class LagrangianPPO(PPOAgent):
    """max E[click] s.t. E[cost] ≤ budget, as min over prices μ ≥ 0 of max E[click − μ cost].

    It trains on the constrained form of the environment, whatever form it is given.
    """

    name = "lagrangian_ppo"
    Config = LagrangianPPOConfig
    config: LagrangianPPOConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def world(self) -> HarmMitigation:
        p = super().world()
        return HarmMitigation(p.world, p.model, replace(p.params, constrained=True), "train")

    @property
    def budget(self) -> float:
        """Cost per step that is allowed."""
        params = self.problem.params  # pyright: ignore[reportAttributeAccessIssue]
        return params.budget if self.config.budget is None else self.config.budget

    def priced(self, vec_env: Any) -> Any:
        from recgym.agents.harm_mitigation.price import Priced

        self.market = Priced(vec_env, self.config.price)
        return self.market

    def callback(self) -> Any:
        from recgym.agents.harm_mitigation.price import RaisePrice

        self.training_record["prices"] = prices = []
        return RaisePrice(self.market, self.budget, self.config.price_rate, prices)

    def learn(
        self, total_timesteps: int | None = None, *, seed: int | None = None, progress: bool = False
    ) -> Self:
        super().learn(total_timesteps, seed=seed, progress=progress)
        record = self.training_record
        record["prices"] = [round(float(price), 3) for price in np.array(record["prices"])[-10:]]
        return self
