"""What the reinforcement learners over candidate sets share: worlds, playing, and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.base import AgentError, at_least
from recgym.agents.influence_path.random_candidates import CandidateConfig, RandomCandidates
from recgym.agents.sb3.learner import PolicyLearner
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.wrappers.base import VectorFace
from recgym.wrappers.candidates import FEATURES, CandidateSet, CandidateView


@dataclass(frozen=True)
class LearnerConfig(CandidateConfig):
    """How long to learn, and from how many users at a time."""

    timesteps: int = 100_000
    """Environment steps of :meth:`CandidateLearner.learn`."""
    num_envs: int = 32
    learning_rate: float = 1e-3
    """At the start; it falls to zero along a line."""
    gamma: float = 0.99
    width: int = 32
    """Hidden units of the scorer that all candidates share."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "timesteps", "num_envs", "width")
        if not 0 <= self.gamma <= 1:
            raise AgentError(f"gamma must be in [0, 1], got {self.gamma}.")
        if not 0 < self.learning_rate < np.inf:
            raise AgentError(f"learning_rate must be positive, got {self.learning_rate}.")


class CandidateLearner(PolicyLearner, RandomCandidates):
    """A Stable-Baselines3 model over :class:`recgym.wrappers.CandidateActions`.

    `learn` plays the training split of :meth:`world`; `predict` acts in any environment.
    """

    sees = "simulator"
    Config = LearnerConfig
    config: LearnerConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: LearnerConfig | None = None):
        super().__init__(env, config)
        from stable_baselines3.common.vec_env import VecMonitor

        from recgym.agents.sb3 import as_vec_env
        from recgym.envs.vector import RecVectorEnv

        c = self.config
        training = RecVectorEnv(self.world(), c.num_envs, autoreset_mode="SameStep")
        view = CandidateView(training, c.k, c.pool, c.backbone)
        self.vec_env = as_vec_env(VectorFace(training, view))
        self.policy_kwargs = {"candidate_features": len(FEATURES), "width": c.width}
        self.monitored = VecMonitor(self.vec_env)
        self.renew(c.seed)

    def world(self) -> InfluencePath:
        """Where it practises: with the environment's own user, on the training split."""
        return self.problem.for_split("train")

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        found = self.build(observation)
        flat = self.build.observation(found, observation, self.problem.params.horizon)
        choice = self.choose(flat, found, deterministic)
        return found.items[np.arange(len(choice)), choice]

    def choose(self, flat: np.ndarray, found: CandidateSet, deterministic: bool) -> np.ndarray:
        """(B,) the candidates taken; ``flat`` (B, D) is what the model sees of ``found``."""
        return self.ask(flat, action_masks=found.legal, deterministic=deterministic)
