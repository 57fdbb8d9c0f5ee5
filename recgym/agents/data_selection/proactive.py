"""Proactive: a chance of its own for each pair to stay in, learned from retrained utilities.

The paper names Chen et al. (2022), "Proactively Control Privacy in Recommender Systems", without
code for this game. Ours is REINFORCE (Williams, 1992): every pair has a logit; a joint selection is
drawn, the recommender trained on it once, and each user's own pairs are reinforced by her z against
its running mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from recgym.agents.base import AgentError
from recgym.agents.data_selection.retraining import RetrainingAgent, RetrainingConfig, Trials


@dataclass(frozen=True)
class ProactiveConfig(RetrainingConfig):
    """Hyper-parameters, chosen on the validation split of ``simulation-50``."""

    learning_rate: float = 0.1
    """Of the logits, for advantages over their running standard deviation."""
    keep: float = 0.9
    """Chance of each pair to be in at first."""
    memory: float = 0.9
    """Of the running mean and variance of each user's z."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learning_rate <= 0 or not 0 < self.keep < 1 or not 0 <= self.memory < 1:
            raise AgentError("learning_rate must be positive, keep in (0, 1) and memory in [0, 1).")


class Proactive(RetrainingAgent):
    """Keeps an item whose chance is above ½; with that chance, where play is not deterministic."""

    name = "proactive"
    Config = ProactiveConfig
    config: ProactiveConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def plan(self, trials: Trials) -> np.ndarray:
        c, game, rng = self.config, trials.game, trials.rng
        owner = game.training.user
        logits = np.full(game.size, logit(c.keep))
        mean, square, seen = np.zeros(game.n_users), np.zeros(game.n_users), 0.0
        while trials.left:
            chance = expit(logits)
            selected = rng.random(game.size) < chance
            z = trials.utilities(trials.losses(selected), selected, trials.willingness())
            if seen:
                spread = np.sqrt(np.maximum(square / seen - (mean / seen) ** 2, 0)) + 1e-3
                advantage = (z - mean / seen) / spread
                logits += c.learning_rate * advantage[owner] * (selected - chance)
            mean = c.memory * mean + (1 - c.memory) * z
            square = c.memory * square + (1 - c.memory) * z**2
            seen = c.memory * seen + 1 - c.memory  # corrects the start, as in Adam
        return logits

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        self.noise = 0.0 if deterministic else self.rng.logistic(size=observation["own"].shape)
        return super().act(observation, deterministic=deterministic)

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        return self.found(observation) + self.noise
