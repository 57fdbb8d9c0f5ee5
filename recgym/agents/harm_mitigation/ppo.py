"""PPO over items or slates: one head scores the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.base import AgentError
from recgym.agents.harm_mitigation.learner import Learner, LearnerConfig


@dataclass(frozen=True)
class PPOConfig(LearnerConfig):
    """Hyper-parameters, chosen on the validation split."""

    n_steps: int = 32
    """Steps of each row between updates."""
    batch: int = 512
    epochs: int = 8
    gae_lambda: float = 0.9
    entropy: float = 0.003
    linear: bool = True
    """The point in item space is linear in what is observed; False puts two layers between."""


class PPOAgent(Learner):
    """Stable-Baselines3's PPO; harmful items have no probability."""

    name = "ppo"
    Config = PPOConfig
    config: PPOConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def check_action(self) -> None:
        if self.kind == "probabilities":
            raise AgentError(f"{self.name} plays items and slates. For probabilities take sac.")

    def new_model(self, seed: int) -> Any:
        from stable_baselines3 import PPO

        from recgym.agents.harm_mitigation.networks import ItemPolicy

        c = self.config
        layers = [c.width, c.width]
        allowed = np.append(~self.problem.world.harmful, True)  # pyright: ignore
        return PPO(
            ItemPolicy,
            self.vec_env,
            learning_rate=self.rate,
            n_steps=c.n_steps,
            batch_size=min(c.batch, c.n_steps * c.num_envs),
            n_epochs=c.epochs,
            gamma=c.gamma,
            gae_lambda=c.gae_lambda,
            ent_coef=c.entropy,
            policy_kwargs={
                **self.extractor,
                "net_arch": {"pi": [] if c.linear else layers, "vf": layers},
                "allowed": allowed,
                "places": self.k,
            },
            seed=seed,
            device="cpu",
        )
