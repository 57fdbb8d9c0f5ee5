"""What the agents of DataValuation share: weights of samples turned into actions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError
from recgym.envs.data_valuation.dynamics import DataValuation


class ValuingAgent(Agent):
    """Gives each sample of a batch a weight between 0 and 1.

    Where actions are selections, a weight is the probability of being selected; with
    ``deterministic`` samples from a half on are, unless ``draws``.
    """

    problem: DataValuation
    needs: tuple[str, ...] = ()
    """Observations that an environment shows only when asked to."""
    draws: bool = False
    """Whether the method is to draw, so that selections are drawn always, from ``config.seed``."""

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
        if deterministic and not self.draws:
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


def gathered(
    problem: DataValuation,
    value_of: Callable[[dict[str, np.ndarray]], np.ndarray],
    batches: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(R,) mean value of each training interaction while a recommender learns from all of them.

    Args:
        problem: its episodes are played, one after another.
        value_of: an observation of one row → values (1, n) of the samples of its batch.
        batches: how many are seen; an interaction that is in none is worth 0.
        rng: draws the order of the data and the negatives.
    """
    everything = np.ones((1, problem.params.batch), dtype=problem.action_space.dtype)
    total, count = np.zeros((2, len(problem.world.rows[0])))
    state = None
    for step in range(batches):
        if state is None or step % problem.params.steps == 0:
            state = problem.start([problem.draw_task(rng, {})], [rng])
        rows = problem.batch(state)[1][0]
        total[rows] += value_of(problem.observe(state))[0]
        count[rows] += 1
        state = problem.step(state, everything, [rng]).state
    return total / np.maximum(count, 1)
