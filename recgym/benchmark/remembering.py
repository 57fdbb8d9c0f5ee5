"""An agent that several judges ask the same questions answers each of them once.

Where agents are judged by several simulated users, each of whom follows, the paths are the same
and their replies alone differ. What costs is then the agent, not the judging.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from recgym.agents.base import Agent


def remember(agent: Agent) -> None:
    """Let an agent whose answers depend on observations alone look up those it has given."""
    if not agent.repeatable:
        return
    act, known = agent.act, {}

    def remembered(observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        asked = hashlib.blake2b(str(deterministic).encode())
        for key in sorted(observation):
            asked.update(np.asarray(observation[key]).tobytes())
        answer = asked.digest()
        if answer not in known:
            known[answer] = act(observation, deterministic=deterministic)
        return known[answer].copy()

    agent.act = remembered
