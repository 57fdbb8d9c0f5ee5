"""Plain PPO over candidate sets: it learns by penalties which candidates are not legal."""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.agents.influence_path.candidate_learner import CandidateLearner
from recgym.agents.influence_path.maskable_ppo import MaskablePPOConfig
from recgym.wrappers.candidates import CandidateSet


class PPOAgent(CandidateLearner):
    """Stable-Baselines3's PPO with the hyper-parameters of MaskablePPO."""

    name = "ppo"
    Config = MaskablePPOConfig
    config: MaskablePPOConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def new_model(self, seed: int) -> Any:
        from stable_baselines3 import PPO

        from recgym.agents.sb3.policies import CandidatePolicy

        c = self.config
        return PPO(
            CandidatePolicy,
            self.monitored,
            learning_rate=self.rate,
            n_steps=c.n_steps,
            batch_size=c.batch,
            n_epochs=c.epochs,
            gamma=c.gamma,
            gae_lambda=c.gae_lambda,
            ent_coef=c.entropy,
            policy_kwargs=self.policy_kwargs,
            seed=seed,
            device="cpu",
        )

    def choose(self, flat: np.ndarray, found: CandidateSet, deterministic: bool) -> np.ndarray:
        choice, _ = self.model.predict(flat, deterministic=deterministic)
        return choice
