"""What the reinforcement learners of HarmMitigation share: worlds, normalisation, and files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.harm_mitigation.stationary_agent import SlateAgent
from recgym.agents.sb3.learner import PolicyLearner
from recgym.envs.harm_mitigation.dynamics import HarmMitigation

NORMALISATION = "normalisation.json"
NORMALISED = ("profile", "inherent")


@dataclass(frozen=True)
class LearnerConfig(AgentConfig):
    """How long to learn, and from how many users at a time."""

    timesteps: int = 400_000
    """Environment steps of :meth:`Learner.learn`."""
    num_envs: int = 64
    learning_rate: float = 3e-3
    """At the start; it falls to zero along a line."""
    gamma: float = 0.7
    """A profile forgets within about five steps, and with it what was recommended."""
    width: int = 64
    """Hidden units of each of two layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("timesteps", "num_envs", "width"):
            if getattr(self, name) < 1:
                raise AgentError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not 0 <= self.gamma <= 1:
            raise AgentError(f"gamma must lie in [0, 1], got {self.gamma}.")


class Learner(PolicyLearner, SlateAgent):
    """A Stable-Baselines3 model with VecNormalize, trained on the training users.

    It learns from rewards and the observation; items are known by their vectors.
    """

    sees = "simulator"
    Config = LearnerConfig
    config: LearnerConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: LearnerConfig | None = None):
        super().__init__(env, config)
        self.check_action()
        self.renew(self.config.seed)

    def renew(self, seed: int) -> None:
        self.vec_env = self.training_env()
        super().renew(seed)

    def check_action(self) -> None:
        """Raises AgentError for a kind of action that the algorithm does not play."""

    def world(self) -> HarmMitigation:
        """Where it practises."""
        assert isinstance(self.problem, HarmMitigation)
        return self.problem.for_split("train")

    def training_env(self) -> Any:
        """The training users, with observations and rewards normalised."""
        from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

        from recgym.agents.sb3 import as_vec_env
        from recgym.envs.vector import RecVectorEnv

        venv = RecVectorEnv(self.world(), self.config.num_envs, autoreset_mode="SameStep")
        shown = self.problem.observation_space.spaces
        keys = [key for key in NORMALISED if key in shown]
        return VecNormalize(
            self.priced(VecMonitor(as_vec_env(venv))),
            norm_obs=bool(keys),
            norm_obs_keys=keys or None,
            gamma=self.config.gamma,
        )

    def priced(self, vec_env: Any) -> Any:
        """A view of the rewards that it learns from."""
        return vec_env

    @property
    def extractor(self) -> dict[str, Any]:
        """``policy_kwargs`` that every policy takes."""
        from recgym.agents.harm_mitigation.networks import TasteExtractor

        return {
            "features_extractor_class": TasteExtractor,
            "features_extractor_kwargs": {"items": self.model_items},
            "net_arch": [self.config.width, self.config.width],
            "items": self.model_items,
        }

    @property
    def model_items(self) -> np.ndarray:
        assert isinstance(self.problem, HarmMitigation)
        return self.problem.world.items

    def learn(
        self, total_timesteps: int | None = None, *, seed: int | None = None, progress: bool = False
    ) -> Self:
        super().learn(total_timesteps, seed=seed, progress=progress)
        self.vec_env.training = False
        return self

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        seen = self.vec_env.normalize_obs(dict(observation))
        return self.ask(seen, deterministic=deterministic)

    def save(self, path: str | Path) -> None:
        from recgym.models.store import write_json

        means = getattr(self.vec_env, "obs_rms", {})
        numbers = {
            key: {"mean": rms.mean.tolist(), "var": rms.var.tolist(), "count": float(rms.count)}
            for key, rms in means.items()
        }
        write_json(Path(path) / NORMALISATION, numbers)
        super().save(path)

    @classmethod
    def load(cls, path: str | Path, env: Any) -> Self:
        from recgym.models.store import StoreError, read_json

        agent = super().load(path, env)
        assert isinstance(agent, cls)
        file = Path(path) / NORMALISATION
        try:
            for key, values in read_json(file).items():
                rms = agent.vec_env.obs_rms[key]
                rms.mean, rms.var = np.array(values["mean"]), np.array(values["var"])
                rms.count = values["count"]
        except (KeyError, TypeError) as error:
            raise StoreError(f"{file} does not fit this agent's observations: {error}") from None
        agent.vec_env.training = False
        return agent
