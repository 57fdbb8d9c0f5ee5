"""MaskablePPO that practises on a model of the log and never meets the simulated user.

The agent's own next-item model plays the user; the rewards are those of the environment with that
model in the user's place. What the policy learns there it takes to the real environment: a
planner whose plan is a policy (Sutton's Dyna, 1991, without the real experience).
"""

from __future__ import annotations

from dataclasses import dataclass

from recgym.agents.influence_path.maskable_ppo import MaskablePPOAgent, MaskablePPOConfig
from recgym.agents.influence_path.user_model import own_user
from recgym.envs.influence_path.dynamics import InfluencePath


@dataclass(frozen=True)
class ModelPPOConfig(MaskablePPOConfig):
    """MaskablePPO's hyper-parameters, and who plays the user."""

    user: str = "sasrec"
    """A trained next-item model, not the environment's own; several are joined by ``+``."""


class ModelPPOAgent(MaskablePPOAgent):
    """MaskablePPO in a world of its own making: it sees the log only."""

    name = "model_ppo"
    sees = "log"
    Config = ModelPPOConfig
    config: ModelPPOConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def world(self) -> InfluencePath:
        """The training split with the agent's model as the user."""
        problem, user = self.problem, own_user(self.config.user, self.problem)
        return InfluencePath(
            problem.log, user, problem.instances.for_split("train"), problem.params
        )
