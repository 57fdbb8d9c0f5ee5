"""Rec2Inf (IRS paper, section III-B): any recommender, bent toward the objective.

Of the recommender's top k unseen items, recommend the one nearest to the objective.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.objectives import final_offer, squared_distance
from recgym.evaluators import backbones

DISTANCES = ("genre", "embedding")


@dataclass(frozen=True)
class Rec2InfConfig(AgentConfig):
    """Which recommender, and what near means."""

    backbone: str = "sasrec"
    """A name of :func:`recgym.evaluators.backbones.names`."""
    distance: Literal["genre", "embedding"] = "embedding"
    """Hamming distance of genre bits, or Euclidean distance of unit item vectors."""
    k: int = 50
    """Candidates; 1 is the plain recommender (the paper's Vanilla)."""
    final_offer: bool = False
    """Propose the objective with the last recommendation."""


class Rec2Inf(Agent):
    """Ties in distance go to the item that the recommender ranks higher."""

    name = "rec2inf"
    Config = Rec2InfConfig
    config: Rec2InfConfig
    problem: InfluencePath

    def __init__(self, env: Any, config: Rec2InfConfig | None = None):
        super().__init__(env, config)
        log = self.problem.log
        if not 1 <= self.config.k <= log.n_items:
            raise AgentError(f"k must be in 1..{log.n_items} (the items), got {self.config.k}.")
        if self.config.distance not in DISTANCES:
            raise AgentError(f"distance must be one of {DISTANCES}, got {self.config.distance!r}.")
        if self.config.distance == "genre" and not log.genre_names:
            raise AgentError(f'{log.name} has no genres. Use distance="embedding".')
        self.score = backbones.scorer(self.config.backbone, log)
        backbones.refuse_the_user(self.config.backbone, log, self.problem.evaluator, AgentError)
        genre = self.config.distance == "genre"
        self.features = log.genres.astype(np.float32) if genre else backbones.item_vectors(log)

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        legal = observation["action_mask"] > 0
        scores = np.where(legal, self.score(observation["history"]), -np.inf)
        top = best_first(scores, self.config.k)  # (B, k)
        distance = squared_distance(self.features, top, observation)
        distance[~np.take_along_axis(legal, top, axis=1)] = np.inf
        nearest = distance.argmin(axis=1)  # the first of equals, which ranks higher
        action = top[np.arange(len(top)), nearest]
        if self.config.final_offer:
            action = final_offer(observation, action, scores)
        return action


def best_first(scores: np.ndarray, k: int) -> np.ndarray:
    """(B, k) int64: the k best columns of each row, best first."""
    k = min(k, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1)
