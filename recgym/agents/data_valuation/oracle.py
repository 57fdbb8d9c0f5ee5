"""All that was planted is left out: what could be gained by knowing."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_valuation.valuing import ValuingAgent


class OracleAgent(ValuingAgent):
    """Reads which samples were planted. A reference, no competitor."""

    name = "oracle"
    sees = "privileged"
    needs = ("show_ids",)

    def __init__(self, env: Any, config: AgentConfig | None = None):
        super().__init__(env, config)
        if self.problem.world.noise is None:
            raise AgentError("oracle knows what was planted, and here nothing was. Give noise=.")

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return 1.0 - self.problem.world.rows[2][observation["row"]]
