"""PPO: one policy for all users, which keeps or drops each item by what its owner observes.

Whoever's turn it is, the same network acts for her, on ``objective="social"``: the rewards of an
episode then add up to the change of everybody's mean z. It learns from the players of the training
split and plays for others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_selection.selecting import SelectingAgent, everybody
from recgym.agents.sb3.learner import PolicyLearner
from recgym.envs.data_selection.dynamics import DataSelection


@dataclass(frozen=True)
class PPOConfig(AgentConfig):
    """Hyper-parameters, chosen on the validation split of the embedded set (docs/decisions.md)."""

    timesteps: int = 100_000
    """Moves of single users in :meth:`PPOAgent.learn`."""
    num_envs: int = 16
    learning_rate: float = 1e-3
    """At the start; it falls to zero along a line."""
    n_steps: int = 64
    """Moves in each row between updates."""
    batch: int = 256
    epochs: int = 8
    gamma: float = 0.0
    """A move is paid for itself at once, and the next one is another user's."""
    gae_lambda: float = 0.95
    entropy: float = 0.01
    width: int = 32
    """Hidden units of the scorer that all items share."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("timesteps", "num_envs", "n_steps", "batch", "epochs", "width"):
            if getattr(self, name) < 1:
                raise AgentError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not 0 <= self.gamma <= 1:
            raise AgentError(f"gamma must lie in [0, 1], got {self.gamma}.")


class PPOAgent(PolicyLearner, SelectingAgent):
    """Stable-Baselines3's PPO; reads influences where the environment shows them."""

    name = "ppo"
    sees = "simulator"
    Config = PPOConfig
    config: PPOConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: PPOConfig | None = None):
        super().__init__(env, config)
        if self.kind != "items":
            raise AgentError(
                f'ppo decides item by item. Make the environment with action="items", not '
                f"{self.kind!r}."
            )
        self.renew(self.config.seed)

    def world(self) -> DataSelection:
        """The training split, paid for what a move does to everybody."""
        practice = self.problem.for_split("train")
        params = replace(practice.params, objective="social", final_retrain=False)
        return DataSelection(practice.world, params, "train")

    def new_model(self, seed: int) -> Any:
        """An untrained model in :meth:`world`, with rewards normalised."""
        from stable_baselines3 import PPO
        from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

        from recgym.agents.data_selection.networks import ItemFeatures, SelectionPolicy
        from recgym.agents.sb3 import as_vec_env
        from recgym.envs.vector import RecVectorEnv

        c, world = self.config, self.world()
        venv = as_vec_env(RecVectorEnv(world, c.num_envs, autoreset_mode="SameStep"))
        seen = everybody(world)
        told = np.abs(seen.get("influence", np.ones(1)))
        return PPO(
            SelectionPolicy,
            VecNormalize(VecMonitor(venv), norm_obs=False, gamma=c.gamma),
            learning_rate=self.rate,
            n_steps=c.n_steps,
            batch_size=min(c.batch, c.n_steps * c.num_envs),
            n_epochs=c.epochs,
            gamma=c.gamma,
            gae_lambda=c.gae_lambda,
            ent_coef=c.entropy,
            policy_kwargs={
                "features_extractor_class": ItemFeatures,
                "features_extractor_kwargs": {"scale": float(told[told > 0].mean())},
                "width": c.width,
            },
            seed=seed,
            device="cpu",
        )

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        action = self.ask(observation, deterministic=deterministic)
        return action.astype(np.int8)

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """Logits (B, K) of keeping each item."""
        policy = self.model.policy
        seen, _ = policy.obs_to_tensor(observation)
        return policy.get_distribution(seen).distribution.logits.detach().numpy()
