"""Uniform choice among the candidates that MaskablePPO chooses from: the floor of its gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError, choose_uniformly
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.evaluators import backbones
from recgym.wrappers.candidates import CandidateFeatures


@dataclass(frozen=True)
class CandidateConfig(AgentConfig):
    """The candidate set of :class:`recgym.wrappers.CandidateActions`."""

    k: int = 50
    """Candidates besides the objective."""
    pool: int = 200
    """Most likely unseen items that they are chosen from, by nearness to the objective."""
    backbone: str = "cooccurrence"
    """Agent-side model of the log (`backbones.scorer`) that says which items are likely."""


class RandomCandidates(Agent):
    """Draws uniformly among the legal candidates, the objective included."""

    name = "random_candidates"
    Config = CandidateConfig
    config: CandidateConfig
    problem: InfluencePath

    def __init__(self, env: Any, config: CandidateConfig | None = None):
        super().__init__(env, config)
        c = self.config
        log, user = self.problem.log, self.problem.evaluator
        backbones.refuse_the_user(c.backbone, log, user, AgentError)
        self.build = CandidateFeatures(log, c.k, c.pool, c.backbone)

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        found = self.build(observation)
        choice = choose_uniformly(found.legal, self.rng)
        return found.items[np.arange(len(choice)), choice]
