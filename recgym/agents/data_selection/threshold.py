"""What users want out is out, whatever it brings: the paper's baseline by willingness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.agents.base import AgentConfig
from recgym.agents.data_selection.selecting import SelectingAgent


@dataclass(frozen=True)
class ThresholdConfig(AgentConfig):
    """Where the line is drawn."""

    threshold: float = 0.5
    """Items of a willingness to exclude above it are out."""


class ThresholdAgent(SelectingAgent):
    """Keeps items with β up to the threshold."""

    name = "threshold"
    Config = ThresholdConfig
    config: ThresholdConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return np.where(observation["willingness"] <= self.config.threshold, 1.0, -1.0)
