"""What the agents of DataValuation share: weights of samples turned into actions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError
from recgym.envs.data_valuation.dynamics import DataValuation


class ValuingAgent(Agent):
    """Gives each sample of a batch a weight between 0 and 1.

    Where actions are selections, a weight is the probability of being selected; with
    ``deterministic`` samples from a half on are.
    """

    problem: DataValuation
    needs: tuple[str, ...] = ()
    """Observations that an environment shows only when asked to."""

    def __init__(self, env: Any, config: AgentConfig | None = None):
        super().__init__(env, config)
        if not isinstance(self.problem, DataValuation):
            raise AgentError(f"{self.name} plays DataValuation, not {env}.")
        for need in self.needs:
            if not getattr(self.problem.params, need):
                raise AgentError(
                    f"{self.name} needs to see more. Make the environment with {need}=True."
                )
        self.selects = self.problem.params.action == "select"

    @abstractmethod
    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, n) in [0, 1]."""

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        weights = self.weights(observation)
        if not self.selects:
            return (2 * weights - 1).astype(np.float32)
        if deterministic:
            return (weights >= 0.5).astype(np.int8)
        return (self.rng.random(weights.shape) < weights).astype(np.int8)


def best(values: np.ndarray, share: float) -> np.ndarray:
    """(B, n) of 1 for the ``share`` of each row with the largest values, 0 for the rest."""
    n = values.shape[1]
    worst = n - round(share * n)
    place = values.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return (place >= worst).astype(np.float64)


def check_share(name: str, value: float) -> None:
    """Raises AgentError for what is not a share."""
    if not 0 <= value <= 1:
        raise AgentError(f"{name} must lie in [0, 1], got {value}.")
