"""A planner over an agent-side model: it looks ahead on its own copy of what users are like.

The look-ahead of :mod:`recgym.agents.influence_path.lookahead` with a next-item model that was
trained on the log in the place of the simulated user, so that it sees the log only. Where that
model errs, the planner errs with it: it takes the steps that look best, errors included. Over
several models (``user="sasrec+caser+gru4rec"``) it takes those that look good to all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from recgym.agents.influence_path.lookahead import Lookahead, LookaheadConfig
from recgym.agents.influence_path.user_model import own_user
from recgym.evaluators.sequence import SequenceEvaluator


@dataclass(frozen=True)
class PlannerConfig(LookaheadConfig):
    """Which model is looked ahead on."""

    user: str = "sasrec"
    """A trained next-item model, not the environment's own; several are joined by ``+``."""


class Planner(Lookahead):
    """The patient look-ahead on a model of the log."""

    name = "planner"
    sees = "log"
    Config = PlannerConfig
    config: PlannerConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def user_model(self) -> SequenceEvaluator:
        """Whom recommendations are tried on: the agent's own model."""
        return own_user(self.config.user, self.problem)
