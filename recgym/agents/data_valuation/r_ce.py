"""R-CE (Wang et al., "Denoising Implicit Feedback", WSDM 2021) for BPR: large losses weigh less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_valuation.valuing import ValuingAgent


@dataclass(frozen=True)
class RCEConfig(AgentConfig):
    """How much less."""

    alpha: float = 0.25
    """α of the weight σ(x_ui − x_uj)^α."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha < np.inf:
            raise AgentError(f"alpha must be at least 0, got {self.alpha}.")


class RCEAgent(ValuingAgent):
    """Weighs a sample by σ(x_ui − x_uj)^α = exp(−α ℓ); by chance, where it may only select."""

    name = "r_ce"
    draws = True
    Config = RCEConfig
    config: RCEConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return np.exp(-self.config.alpha * observation["loss"])
