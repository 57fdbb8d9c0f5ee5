"""A patient look-ahead that reads the simulated user: a privileged reference, not a method.

Of the k most natural items it tries each on the user itself and takes the one that raises
log P(objective) most, less what its own unnaturalness costs. It offers the objective only with the
last recommendation: a myopic look-ahead offers it as soon as it pays and earns far less. It is no
upper bound; the exact optimum exists on the tiny world (:func:`recgym.testing.optimum`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from recgym.agents.base import Agent, AgentConfig, AgentError, some_items
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.objectives import aim, final_offer, members
from recgym.envs.influence_path.rewards import log_acceptance
from recgym.evaluators.sequence import SequenceEvaluator
from recgym.evaluators.top_k import best_first


@dataclass(frozen=True)
class LookaheadConfig(AgentConfig):
    """How widely it looks."""

    k: int = 50
    """Items tried at each step."""


class Lookahead(Agent):
    """One step of look-ahead over the user's k most likely unseen items."""

    name = "lookahead"
    sees = "privileged"
    repeatable = True
    Config = LookaheadConfig
    config: LookaheadConfig
    problem: InfluencePath

    def __init__(self, env: Any, config: LookaheadConfig | None = None):
        super().__init__(env, config)
        some_items(self.config.k, self.problem.log.n_items)
        self.user = self.user_model()
        shown, read = self.problem.params.history_length, self.user.length
        if shown < read:
            raise AgentError(
                f"The user looks at {read} items, observations show {shown}: what would follow "
                f"cannot be tried out. Make the environment with history_length={read}."
            )

    def user_model(self) -> SequenceEvaluator:
        """Whom recommendations are tried on: the simulated user herself."""
        return self.problem.evaluator

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        user, weights = self.user, self.problem.weights
        history, objective = observation["history"], members(observation)
        legal = (observation["action_mask"] > 0) & ~objective
        log_prob = user.log_prob(history)
        top = best_first(np.where(legal, log_prob, -np.inf), self.config.k)  # (B, k)
        pairs = zip(user.log_prob_after(history, top), objective, strict=True)
        interest = np.stack([logsumexp(row[:, chosen], axis=1) for row, chosen in pairs])
        follow = log_acceptance(np.take_along_axis(log_prob, top, axis=1), user.tau)
        value = weights["interest"] * interest + weights["follow"] * follow
        value[~np.take_along_axis(legal, top, axis=1)] = -np.inf
        action = top[np.arange(len(top)), value.argmax(axis=1)]
        action = np.where(legal.any(axis=1), action, aim(observation, log_prob))
        return final_offer(observation, action, log_prob)
