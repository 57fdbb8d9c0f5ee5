"""What many users like is kept: a floor that any valuation must be shown against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.agents.base import AgentConfig
from recgym.agents.data_valuation.valuing import ValuingAgent, best, check_share


@dataclass(frozen=True)
class PopularityConfig(AgentConfig):
    """How much is kept."""

    share: float = 0.77
    """Of each batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("share", self.share)


class PopularityAgent(ValuingAgent):
    """Keeps the samples of each batch with the most popular items."""

    name = "popularity"
    Config = PopularityConfig
    config: PopularityConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return best(observation["item_popularity"], self.config.share)
