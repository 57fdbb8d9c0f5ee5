"""SCR: IFRQE with true retraining in the place of influence functions.

What a pair does to its owner's loss is measured: train with it and without it. The first pass does
so for one pair after another while everybody keeps everything, IFRQE's anchor; each further pass
does so in the selection that the effects known by then would lead to. A pass costs Z + 1 trainings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_selection.retraining import RetrainingAgent, Trials

UNMEASURED = -1e3  # an effect that keeps the item in


class SCR(RetrainingAgent):
    """Keeps an item where −e_k > λ β_k, by the latest measured effect e_k.

    Where the budget does not reach, items stay in, as they are at first.
    """

    name = "scr"

    def __init__(self, env: Any, config: AgentConfig | None = None):
        super().__init__(env, config)
        if self.problem.params.cost != "linear":
            raise AgentError(
                f'scr assumes cost="linear", not {self.problem.params.cost!r}: with another cost '
                "items cannot be judged one by one."
            )

    def plan(self, trials: Trials) -> np.ndarray:
        owner, size = trials.game.training.user, trials.game.size
        effect = np.full(size, UNMEASURED)
        context = np.ones(size, dtype=bool)
        while trials.left > 1:
            now = trials.losses(context)
            for pair in trials.rng.permutation(size)[: trials.left].tolist():
                turned = context.copy()
                turned[pair] = not context[pair]
                change = (trials.losses(turned) - now)[owner[pair]]
                effect[pair] = change if turned[pair] else -change
            context = -effect > self.harm_of_disclosure * trials.willingness()
        return effect

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return -self.found(observation) - self.harm_of_disclosure * observation["willingness"]
