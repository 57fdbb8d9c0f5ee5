"""IPG (Bi et al., "Proactive Recommendation with Iterative Preference Guidance", WWW 2024).

At each step the item that the user is likely to like and that pulls her toward the objective:

    argmax_v  σ(u·v) · (cos(v, v_t) − cos(u, v_t)).

As printed this proposes the objective at once, since no item is nearer to it than itself. Here it
is held back until the user would probably accept it, by an agent-side estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.objectives import aim, members
from recgym.evaluators import backbones
from recgym.evaluators.held_out import HeldOut, evaluate

CALIBRATION_USERS = 1_000


@dataclass(frozen=True)
class IPGConfig(AgentConfig):
    """How the user is represented, and when the objective is ripe."""

    recent: int = 10
    """u is the mean of the unit vectors of so many latest items of the history."""
    backbone: str = "cooccurrence"
    """Agent-side model of the log (`backbones.scorer`): how likely the objective is accepted."""
    threshold: float = 1.0
    """Least estimated acceptance at which the objective may be proposed; 0 is IPG as printed."""


class IPG(Agent):
    """Greedy in the score above over unseen items; the last recommendation may be the objective.

    Acceptance is estimated as the environment defines it, with a model of the log in the place of
    the user: a(i|s) = min(1, exp(log P(i|s) − τ)), τ the mean log P of users' last items in the log
    (which a model of counts has seen: its τ is somewhat high, so the objective waits longer).
    """

    name = "ipg"
    Config = IPGConfig
    config: IPGConfig
    problem: InfluencePath

    def __init__(self, env: Any, config: IPGConfig | None = None):
        super().__init__(env, config)
        c, log = self.config, self.problem.log
        if c.recent < 1:
            raise AgentError(f"recent must be at least 1 item, got {c.recent}.")
        if not 0 <= c.threshold <= 1:
            raise AgentError(f"threshold must be in [0, 1] (an acceptance), got {c.threshold}.")
        self.score = backbones.scorer(c.backbone, log)
        backbones.refuse_the_user(c.backbone, log, self.problem.evaluator, AgentError)
        last = HeldOut.of(log, 50, most_users=CALIBRATION_USERS)
        self.tau = evaluate(self.score, last)["log_prob"] if len(last) else 0.0
        vectors = backbones.item_vectors(log)
        self.vectors = np.vstack([vectors, np.zeros((1, vectors.shape[1]), np.float32)])

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        history, legal = observation["history"], observation["action_mask"] > 0
        acceptance = self.acceptance(history, observation["user"])
        objective = aim(observation, acceptance)
        rows, items = np.arange(len(objective)), self.vectors[:-1]
        user = self._user(history)  # (B, d)
        target = items[objective]
        pull = target @ items.T - self._cosine(user, target)[:, None]  # (B, N)
        value = pull / (1 + np.exp(-user @ items.T))
        ripe = acceptance[rows, objective] >= self.config.threshold
        ripe |= observation["steps_left"] == 1
        value[~legal] = -np.inf
        value[members(observation) & ~ripe[:, None]] = -np.inf
        nothing_else = ~np.isfinite(value).any(axis=1)
        return np.where(nothing_else, objective, value.argmax(axis=1))

    def acceptance(self, history: np.ndarray, user: np.ndarray) -> np.ndarray:
        """(B, N): the estimated chance of each item after histories (B, L) of users (B,)."""
        return np.exp(np.minimum(self.score(history, user) - self.tau, 0.0))

    def _user(self, history: np.ndarray) -> np.ndarray:
        """(B, d): the mean of the latest items' vectors, zero for an empty history."""
        recent = history[:, -self.config.recent :]
        known = (recent < len(self.vectors) - 1).sum(axis=1, keepdims=True)
        return self.vectors[recent].sum(axis=1) / np.maximum(known, 1)

    @staticmethod
    def _cosine(user: np.ndarray, unit: np.ndarray) -> np.ndarray:
        norm = np.maximum(np.linalg.norm(user, axis=1), 1e-12)
        return (user * unit).sum(axis=1) / norm
