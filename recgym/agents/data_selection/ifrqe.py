"""IFRQE: keep what serves you more than it costs, by influence functions.

With one anchor a user's predicted loss is linear in everybody's selection, so what others do enters
as a constant, and keeping item k exactly where −e_k > λ β_k is a dominant strategy. The paper finds
it by gradient steps on a distribution over the user's 2^|S^u| selections (Algorithm 1): with the
gain of one sampled selection, ``method="sampled"``, or of all of them, ``method="projected"``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_selection.selecting import SelectingAgent
from recgym.evaluators.choice import onto_simplex

MOST_LISTED = 8  # items of a user whose 2^|S^u| selections are listed


@dataclass(frozen=True)
class IFRQEConfig(AgentConfig):
    """Settings of Algorithm 1."""

    method: Literal["closed", "projected", "sampled"] = "closed"
    draws: int = 1_000
    """L of Algorithm 1."""
    rate: float = 0.1
    """γ."""
    keep: float = 0.9
    """Chance of each item to be in at first: α(o) ∝ keep^|o| (1 − keep)^(n − |o|)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draws < 1 or self.rate <= 0 or not 0 < self.keep < 1:
            raise AgentError("draws must be at least 1, rate positive and keep in (0, 1).")


class IFRQE(SelectingAgent):
    """Reads the influence of each of the user's items from the observation."""

    name = "ifrqe"
    Config = IFRQEConfig
    config: IFRQEConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: IFRQEConfig | None = None):
        super().__init__(env, config)
        if not self.problem.params.show_influence:
            raise AgentError(
                "ifrqe reads what each item does to the user's loss. Make the environment with "
                "show_influence=True."
            )
        if self.problem.params.cost != "linear":
            raise AgentError(
                f'ifrqe assumes cost="linear", not {self.problem.params.cost!r}: with another cost '
                "items cannot be judged one by one."
            )

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        cost = self.harm_of_disclosure * observation["willingness"].astype(np.float64)
        worth = -observation["influence"][:, : cost.shape[1]].astype(np.float64) - cost
        if self.config.method == "closed":
            return worth
        own = observation["own"] > 0
        return np.stack([self._algorithm_1(w, o) for w, o in zip(worth, own, strict=True)])

    def _algorithm_1(self, worth: np.ndarray, own: np.ndarray) -> np.ndarray:
        """(K,) ±1 for one user.

        A sampled gain is divided by its chance, which the paper leaves out, and taken relative to
        the mean gain: the step is then unbiased.
        """
        n, c = int(own.sum()), self.config
        if n > MOST_LISTED:
            raise AgentError(
                f"Algorithm 1 lists all selections of a user, and one of {n} items has {2**n:,}. "
                f"Make the environment with per_user={MOST_LISTED}, or use method='closed'."
            )
        selections = (np.arange(2**n)[:, None] >> np.arange(n)) & 1  # (2^n, n)
        gain = selections @ worth[own]
        gain = gain / max(np.abs(gain).max(), 1e-12)
        held = selections.sum(axis=1)
        chance = c.keep**held * (1 - c.keep) ** (n - held)
        average = np.zeros(len(chance))
        for _ in range(c.draws):
            step = gain
            if c.method == "sampled":
                drawn = self.rng.choice(len(chance), p=chance)
                step = np.zeros(len(chance))
                step[drawn] = (gain[drawn] - gain @ chance) / chance[drawn]
            chance = onto_simplex((chance + c.rate * step)[None])[0]
            chance /= chance.sum()
            average += chance
        found = -np.ones(len(own))
        found[np.flatnonzero(own)] = 2.0 * selections[average.argmax()] - 1.0
        return found
