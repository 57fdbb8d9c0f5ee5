"""MaskablePPO over candidate sets, trained on the rewards of the simulated user.

The environment has 3,496 actions; the policy chooses among 51 candidates of an agent-side model
(:mod:`recgym.wrappers.candidates`) with one scorer shared by all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recgym.agents.influence_path.candidates import CandidateConfig, RandomCandidates
from recgym.wrappers.candidates import FEATURES, VectorCandidateActions


@dataclass(frozen=True)
class MaskablePPOConfig(CandidateConfig):
    """Hyper-parameters, chosen on the validation split (docs/decisions.md)."""

    timesteps: int = 100_000
    """Environment steps of :meth:`MaskablePPOAgent.learn`."""
    num_envs: int = 32
    n_steps: int = 40
    """Steps of each row between updates: two full episodes."""
    batch: int = 320
    epochs: int = 4
    learning_rate: float = 1e-3
    gamma: float = 0.99
    gae_lambda: float = 0.95
    entropy: float = 0.005
    width: int = 32


class MaskablePPOAgent(RandomCandidates):
    """sb3-contrib's MaskablePPO; `learn` plays the training split, `predict` any environment."""

    name = "maskable_ppo"
    sees = "simulator"
    Config = MaskablePPOConfig
    config: MaskablePPOConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: MaskablePPOConfig | None = None):
        super().__init__(env, config)
        from recgym.agents.sb3 import as_vec_env
        from recgym.envs.vector import RecVectorEnv

        training = RecVectorEnv(
            self.problem.for_split("train"), self.config.num_envs, autoreset_mode="SameStep"
        )
        c = self.config
        self.vec_env = as_vec_env(VectorCandidateActions(training, c.k, c.pool, c.backbone))
        self.model = self._model(c.seed)

    def _model(self, seed: int) -> Any:
        from sb3_contrib import MaskablePPO
        from stable_baselines3.common.vec_env import VecMonitor

        from recgym.agents.sb3.policies import CandidatePolicy

        c = self.config
        return MaskablePPO(
            CandidatePolicy,
            VecMonitor(self.vec_env),
            learning_rate=lambda left: c.learning_rate * left,
            n_steps=c.n_steps,
            batch_size=c.batch,
            n_epochs=c.epochs,
            gamma=c.gamma,
            gae_lambda=c.gae_lambda,
            ent_coef=c.entropy,
            policy_kwargs={"candidate_features": len(FEATURES), "width": c.width},
            seed=seed,
            device="cpu",
        )

    def learn(
        self, total_timesteps: int | None = None, *, seed: int | None = None, progress: bool = False
    ) -> MaskablePPOAgent:
        """Train anew on the training split; the default length is ``config.timesteps``."""
        self.model = self._model(self.config.seed if seed is None else seed)
        self.model.learn(total_timesteps or self.config.timesteps, progress_bar=progress)
        return self

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        found = self.build(observation)
        flat = self.build.observation(found, observation, self.problem.params.horizon)
        choice, _ = self.model.predict(flat, action_masks=found.legal, deterministic=deterministic)
        return found.items[np.arange(len(choice)), choice]

    def save(self, path: str | Path) -> None:
        from recgym.models.store import write_tensors

        write_tensors(Path(path) / "policy.safetensors", self.model.policy.state_dict())
        super().save(path)

    @classmethod
    def load(cls, path: str | Path, env: Any) -> MaskablePPOAgent:
        from recgym.models.store import StoreError, read_tensors

        agent = super().load(path, env)
        assert isinstance(agent, cls)
        file = Path(path) / "policy.safetensors"
        try:
            agent.model.policy.load_state_dict(read_tensors(file))
        except RuntimeError as error:
            raise StoreError(f"{file} does not fit this agent's networks: {error}") from None
        return agent
