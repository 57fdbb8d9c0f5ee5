"""MaskablePPO over candidate sets, trained on the rewards of the simulated user.

The environment has thousands of actions; the policy chooses among 51 candidates of an agent-side
model (:mod:`recgym.wrappers.candidates`) with one scorer shared by all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recgym.agents.base import at_least
from recgym.agents.influence_path.candidate_learner import CandidateLearner, LearnerConfig


@dataclass(frozen=True)
class MaskablePPOConfig(LearnerConfig):
    """Hyper-parameters, chosen on the validation split (docs/decisions.md)."""

    n_steps: int = 40
    """Steps of each row between updates: two full episodes."""
    batch: int = 320
    epochs: int = 4
    gae_lambda: float = 0.95
    entropy: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 2, "n_steps", "batch")  # PPO normalises advantages, which takes two
        at_least(self, 1, "epochs")


class MaskablePPOAgent(CandidateLearner):
    """sb3-contrib's MaskablePPO: candidates that are not legal have no probability."""

    name = "maskable_ppo"
    Config = MaskablePPOConfig
    config: MaskablePPOConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def algorithm(self) -> tuple[Any, Any]:
        """(algorithm, policy over candidates) of Stable-Baselines3 or sb3-contrib."""
        from sb3_contrib import MaskablePPO

        from recgym.agents.sb3.policies import MaskableCandidatePolicy

        return MaskablePPO, MaskableCandidatePolicy

    def new_model(self, seed: int) -> Any:
        c, (algorithm, policy) = self.config, self.algorithm()
        return algorithm(
            policy,
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
