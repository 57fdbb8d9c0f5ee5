"""The agent's own model of users, for agents that imagine what would follow."""

from __future__ import annotations

from recgym import evaluators
from recgym.agents.base import AgentError
from recgym.data.log import DataError
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.evaluators import backbones
from recgym.evaluators.sequence import SequenceEvaluator


def own_user(name: str, problem: InfluencePath) -> SequenceEvaluator:
    """A next-item model of the problem's log by name (:func:`recgym.evaluators.load`).

    Raises:
        AgentError: it is the environment's own simulated user or holds a part of it, or it is no
            model of users at all.
        DataError: it has not been trained on these data; the message says how to.
    """
    known = evaluators.names()
    if not set(evaluators.parts(name)) <= set(known):
        raise AgentError(
            f"user must be one of {', '.join(known)}, which score any history, or networks of "
            f"these joined by +; got {name!r}."
        )
    try:
        user = evaluators.load(name, problem.log)
    except DataError:
        raise
    except ValueError as error:
        raise AgentError(f"user: {error}") from error
    backbones.refuse_the_user(
        name,
        problem.log,
        problem.evaluator,
        AgentError,
        read=backbones.user_scorer,
        setting="user",
    )
    return user
