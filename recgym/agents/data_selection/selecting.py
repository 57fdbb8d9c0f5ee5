"""What the agents of DataSelection share: values of items turned into actions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError
from recgym.envs.data_selection.dynamics import DataSelection
from recgym.envs.data_selection.state import State


class SelectingAgent(Agent):
    """Gives each of the acting user's items a value, and keeps what is worth it."""

    problem: DataSelection

    def __init__(self, env: Any, config: AgentConfig | None = None):
        super().__init__(env, config)
        if not isinstance(self.problem, DataSelection):
            raise AgentError(f"{self.name} plays DataSelection, not {env}.")
        self.kind = self.problem.params.action
        if self.kind == "category":
            raise AgentError(
                f'{self.name} decides by items. Make the environment with action="items" or '
                '"recent".'
            )
        self.harm_of_disclosure = self.problem.params.harm_of_disclosure

    @abstractmethod
    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, K): what keeping each item is worth; positive to keep it."""

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        own = observation["own"] > 0
        values = np.where(own, self.values(observation), 0.0)
        if self.kind == "items":
            return (values > 0).astype(np.int8)
        return latest(values, own)


def everybody(problem: DataSelection) -> dict[str, np.ndarray]:
    """(N, ...): what every player of a problem observes at her first turn, others keeping all."""
    rng = np.random.default_rng(0)
    state = problem.start([problem.draw_task(rng, {})], [rng])
    rows = state.rows(np.zeros(problem.n_users, dtype=np.int64))
    assert isinstance(rows, State)
    return problem.observe(replace(rows, moves=np.arange(problem.n_users)))


def latest(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(B,) int64: how many of the latest items are best kept, if only the latest can be.

    Args:
        values: (B, K) of the items, the oldest first.
        own: (B, K) bool, the places that hold an item.
    """
    lengths = own.sum(axis=1)
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    ends = np.take_along_axis(total, lengths[:, None], axis=1)
    worth = ends - total  # (B, K + 1) of keeping the items from each place on
    first = np.where(np.arange(total.shape[1]) <= lengths[:, None], worth, -np.inf).argmax(axis=1)
    return lengths - first
