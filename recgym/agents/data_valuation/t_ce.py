"""T-CE (Wang et al., "Denoising Implicit Feedback", WSDM 2021) for BPR: large losses go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recgym.agents.base import AgentConfig
from recgym.agents.data_valuation.valuing import ValuingAgent, best, check_share


@dataclass(frozen=True)
class TCEConfig(AgentConfig):
    """How much is dropped, and from when on."""

    most: float = 0.2
    """ε_max, the share that is dropped in the end."""
    ramp: float = 0.5
    """Share of the episode in which it grows from 0, along a line."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("most", self.most)
        check_share("ramp", self.ramp)


class TCEAgent(ValuingAgent):
    """Drops the ε(t) of a batch with the largest losses; noise is learnt last (their claim)."""

    name = "t_ce"
    Config = TCEConfig
    config: TCEConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        c, progress = self.config, observation["progress"][:, 0]
        dropped = c.most * np.minimum(1.0, progress / max(c.ramp, 1e-9))
        loss = observation["loss"]
        return np.concatenate(
            [best(-row[None], 1 - e) for row, e in zip(loss, dropped, strict=True)]
        )
