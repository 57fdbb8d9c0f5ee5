"""PPO of Stable-Baselines3 with one head that is shared by all samples of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_valuation.valuing import ValuingAgent
from recgym.agents.sb3.learner import PolicyLearner


@dataclass(frozen=True)
class PPOConfig(AgentConfig):
    """Hyper-parameters, chosen on the validation streams."""

    timesteps: int = 20_000
    num_envs: int = 8
    learning_rate: float = 3e-3
    """At the start; it falls to zero along a line."""
    steps: int = 50
    """Of each row between updates."""
    batch: int = 100
    epochs: int = 4
    gamma: float = 0.0
    """What a batch teaches shows in the next measurement, if that is every step."""
    width: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("timesteps", "num_envs", "steps", "batch", "epochs", "width"):
            if getattr(self, name) < 1:
                raise AgentError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.batch < 2 or self.num_envs * self.steps < 2:
            raise AgentError("batch, and num_envs × steps, must be at least 2: PPO standardises.")
        if not 0 < self.learning_rate < np.inf:
            raise AgentError(f"learning_rate must be positive, got {self.learning_rate}.")
        if not 0 <= self.gamma <= 1:
            raise AgentError(f"gamma must lie in [0, 1], got {self.gamma}.")


class PPOAgent(PolicyLearner, ValuingAgent):
    """Learns from rewards and the plain features of each sample, on the training streams."""

    name = "ppo"
    sees = "simulator"
    Config = PPOConfig
    config: PPOConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: PPOConfig | None = None):
        super().__init__(env, config)
        if not self.selects:
            raise AgentError('ppo selects. Make the environment with action="select".')
        self.renew(self.config.seed)

    def new_model(self, seed: int) -> Any:
        from stable_baselines3 import PPO
        from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

        from recgym.agents.data_valuation.networks import SamplePolicy
        from recgym.agents.sb3 import as_vec_env
        from recgym.envs.vector import RecVectorEnv

        c = self.config
        rows = RecVectorEnv(self.problem.for_split("train"), c.num_envs, autoreset_mode="SameStep")
        venv = VecNormalize(VecMonitor(as_vec_env(rows)), norm_obs=False, gamma=c.gamma)
        return PPO(
            SamplePolicy,
            venv,
            learning_rate=self.rate,
            n_steps=c.steps,
            batch_size=c.batch,
            n_epochs=c.epochs,
            gamma=c.gamma,
            gae_lambda=1.0,
            policy_kwargs={"width": c.width},
            seed=seed,
            device="cpu",
        )

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        import torch

        policy = self.model.policy
        with torch.no_grad():
            seen, _ = policy.obs_to_tensor(dict(observation))
            return policy.get_distribution(seen).distribution.probs.numpy()
