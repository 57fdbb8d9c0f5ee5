"""Plain PPO over candidate sets: it learns by penalties which candidates are not legal.

Only users who may refuse make some of them so: with passive users it learns what MaskablePPO
does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recgym.agents.influence_path.maskable_ppo import MaskablePPOAgent
from recgym.wrappers.candidates import CandidateSet


class PPOAgent(MaskablePPOAgent):
    """Stable-Baselines3's PPO with the hyper-parameters of MaskablePPO, and no masks."""

    name = "ppo"

    def algorithm(self) -> tuple[Any, Any]:
        from stable_baselines3 import PPO

        from recgym.agents.sb3.policies import CandidatePolicy

        return PPO, CandidatePolicy

    def choose(self, flat: np.ndarray, found: CandidateSet, deterministic: bool) -> np.ndarray:
        return self.ask(flat, deterministic=deterministic)
