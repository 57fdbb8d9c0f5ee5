"""IFRQE: keep what serves you more than it costs, by influence functions.

With one anchor a user's predicted loss is linear in everybody's selection, so what others do enters
as a constant, and keeping item k exactly where −e_k > λ β_k is a dominant strategy. The paper finds
it by gradient steps on a distribution over the user's 2^|S^u| selections (Algorithm 1): with the
gain of one sampled selection, ``method="sampled"``, or of all of them, ``method="projected"``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from recgym.agents.data_selection.strategies import StrategyAgent, StrategyConfig


@dataclass(frozen=True)
class IFRQEConfig(StrategyConfig):
    """How the dominant strategy is found."""

    method: Literal["closed", "projected", "sampled"] = "closed"


class IFRQE(StrategyAgent):
    """Reads from the observation what each of the user's items does, at the first anchor."""

    name = "ifrqe"
    Config = IFRQEConfig
    config: IFRQEConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def worth(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, K): −e_k − λ β_k."""
        cost = self.harm_of_disclosure * observation["willingness"].astype(np.float64)
        return -observation["influence"][:, : cost.shape[1]].astype(np.float64) - cost

    def gain(self, observation: dict[str, np.ndarray], selections: np.ndarray) -> np.ndarray:
        return np.einsum("bsk,bk->bs", selections, self.worth(observation))

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        worth = self.worth(observation)
        if self.config.method == "closed":
            return worth
        sampled = self.config.method == "sampled"
        best = (worth > 0) & (observation["own"] > 0)
        return np.where(self.strategies(observation, best, sampled=sampled), 1.0, -1.0)
