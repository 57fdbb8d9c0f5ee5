"""DQN over candidate sets, with the candidates' shared scorer as the Q-network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.base import AgentError, at_least, choose_uniformly
from recgym.agents.influence_path.candidate_learner import CandidateLearner, LearnerConfig
from recgym.wrappers.candidates import CandidateSet


@dataclass(frozen=True)
class DQNConfig(LearnerConfig):
    """Hyper-parameters, chosen on the validation split (docs/decisions.md)."""

    buffer: int = 50_000
    """Transitions kept."""
    batch: int = 256
    train_freq: int = 4
    """Steps of all rows between updates."""
    gradient_steps: int = 8
    learning_starts: int = 2_000
    target_update: int = 2_000
    """Environment steps between updates of the target network."""
    exploration_fraction: float = 0.3
    """Share of the training over which the chance of a random candidate falls."""
    exploration_final: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("buffer", "batch", "train_freq", "gradient_steps", "target_update")
        at_least(self, 1, *counts)
        at_least(self, 0, "learning_starts")
        for name in ("exploration_fraction", "exploration_final"):
            if not 0 <= getattr(self, name) <= 1:
                raise AgentError(f"{name} must be in [0, 1], got {getattr(self, name)}.")


class DQNAgent(CandidateLearner):
    """Stable-Baselines3's DQN. It explores candidates that are not legal, but never plays them."""

    name = "dqn"
    Config = DQNConfig
    config: DQNConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def new_model(self, seed: int) -> Any:
        from stable_baselines3 import DQN

        from recgym.agents.sb3.policies import CandidateDQNPolicy

        c = self.config
        return DQN(
            CandidateDQNPolicy,
            self.monitored,
            learning_rate=self.rate,
            buffer_size=c.buffer,
            batch_size=c.batch,
            train_freq=c.train_freq,
            gradient_steps=c.gradient_steps,
            learning_starts=c.learning_starts,
            target_update_interval=c.target_update,
            exploration_fraction=c.exploration_fraction,
            exploration_final_eps=c.exploration_final,
            gamma=c.gamma,
            policy_kwargs=self.policy_kwargs,
            seed=seed,
            device="cpu",
        )

    def choose(self, flat: np.ndarray, found: CandidateSet, deterministic: bool) -> np.ndarray:
        import torch

        with torch.inference_mode():
            values = self.model.q_net(torch.as_tensor(flat)).numpy()
        best = np.where(found.legal, values, -np.inf).argmax(axis=1)
        if deterministic:
            return best
        explore = self.rng.random(len(best)) < self.config.exploration_final
        return np.where(explore, choose_uniformly(found.legal, self.rng), best)
