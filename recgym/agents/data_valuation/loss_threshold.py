"""What the recommender ranks wrong is left out: a floor for any valuation to be shown against."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_valuation.valuing import ValuingAgent


@dataclass(frozen=True)
class LossThresholdConfig(AgentConfig):
    """What is too much."""

    threshold: float = math.log(2)
    """Of the loss; ln 2 is that of x_ui = x_uj, so that pairs in the wrong order go."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.threshold >= 0:
            raise AgentError(f"threshold must be at least 0, got {self.threshold}.")


class LossThresholdAgent(ValuingAgent):
    """Keeps the samples whose loss is at most the threshold, however many those are."""

    name = "loss_threshold"
    Config = LossThresholdConfig
    config: LossThresholdConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return (observation["loss"] <= self.config.threshold).astype(np.float64)
