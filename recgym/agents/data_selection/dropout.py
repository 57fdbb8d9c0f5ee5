"""Each item is out by chance: the paper's Random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_selection.selecting import SelectingAgent


@dataclass(frozen=True)
class DropoutConfig(AgentConfig):
    """How often."""

    chance: float = 0.02
    """That an item is out; the published code's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.chance <= 1:
            raise AgentError(f"chance must lie in [0, 1], got {self.chance}.")


class DropoutAgent(SelectingAgent):
    """Drops each item with a small chance, also when asked to be deterministic."""

    name = "dropout"
    Config = DropoutConfig
    config: DropoutConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        drawn = self.rng.random(observation["own"].shape)
        return np.where(drawn < self.config.chance, -1.0, 1.0)
