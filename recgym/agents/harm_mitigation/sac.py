"""SAC over inclusion probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recgym.agents.base import AgentError
from recgym.agents.harm_mitigation.learner import Learner, LearnerConfig


@dataclass(frozen=True)
class SACConfig(LearnerConfig):
    """Hyper-parameters, chosen on the validation split."""

    timesteps: int = 60_000
    num_envs: int = 16
    learning_rate: float = 1e-3
    buffer: int = 60_000
    batch: int = 256
    learning_starts: int = 2_000
    gradient_steps: int = 4
    """After each step of all rows."""
    entropy: float = 1e-3
    """Its weight at the start; with an entry for each item it is large."""
    certainty: float = 1.0
    """Entropy that is aimed at, below zero, for each item."""


class SACAgent(Learner):
    """Stable-Baselines3's SAC."""

    name = "sac"
    Config = SACConfig
    config: SACConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def check_action(self) -> None:
        if self.kind != "probabilities":
            raise AgentError(
                "sac plays probabilities only. Make the environment with "
                'action="probabilities", or take ppo.'
            )

    def new_model(self, seed: int) -> Any:
        from stable_baselines3 import SAC

        from recgym.agents.harm_mitigation.networks import ItemSACPolicy

        c = self.config
        return SAC(
            ItemSACPolicy,
            self.vec_env,
            learning_rate=self.rate,
            buffer_size=c.buffer,
            batch_size=c.batch,
            learning_starts=c.learning_starts,
            gradient_steps=c.gradient_steps,
            gamma=c.gamma,
            policy_kwargs={
                **self.extractor,
                "allowed": ~self.problem.world.harmful,  # pyright: ignore
                "budget": float(self.k),
            },
            ent_coef=f"auto_{c.entropy}",
            target_entropy=-c.certainty * self.model_items.shape[0],
            seed=seed,
            device="cpu",
        )
