"""Rec2Inf (IRS paper, section III-B): any recommender, bent toward the objective.

Of the recommender's top k unseen items, recommend the one nearest to the objective.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError, at_least, some_items
from recgym.data.log import InteractionLog
from recgym.envs.influence_path.dynamics import InfluencePath
from recgym.envs.influence_path.objectives import final_offer, squared_distance
from recgym.evaluators import backbones
from recgym.evaluators.top_k import best_first, moved_up


@dataclass(frozen=True)
class Rec2InfConfig(AgentConfig):
    """Which recommender, and what near means."""

    backbone: str = "sasrec"
    """A name for :func:`recgym.evaluators.backbones.scorer`; networks may be joined by ``+``."""
    distance: Literal["genre", "embedding", "item2vec"] = "embedding"
    """Hamming distance of genre bits; Euclidean distance of unit item vectors, or of item2vec's."""
    item2vec_epochs: int = 5
    """Passes of item2vec over the log, where it is the distance; 0 leaves its vectors as drawn."""
    k: int = 50
    """Candidates; 1 is the plain recommender (the paper's Vanilla)."""
    final_offer: bool = False
    """Propose the objective with the last recommendation."""


class Rec2Inf(Agent):
    """Ties in distance go to the item that the recommender ranks higher."""

    name = "rec2inf"
    repeatable = True
    Config = Rec2InfConfig
    config: Rec2InfConfig
    problem: InfluencePath

    def __init__(self, env: Any, config: Rec2InfConfig | None = None):
        super().__init__(env, config)
        log = self.problem.log
        some_items(self.config.k, log.n_items)
        at_least(self.config, 0, "item2vec_epochs")
        if self.config.distance == "genre" and not log.genre_names:
            raise AgentError(f'{log.name} has no genres. Use distance="embedding".')
        self.score = backbones.scorer(self.config.backbone, log)
        backbones.refuse_the_user(self.config.backbone, log, self.problem.evaluator, AgentError)
        self.features = self.features_of(log)

    def features_of(self, log: InteractionLog) -> np.ndarray:
        """(N, d) float32: what distances are between, from a log."""
        if self.config.distance == "genre":
            return log.genres.astype(np.float32)
        if self.config.distance == "embedding":
            return backbones.item_vectors(log)
        try:
            return backbones.skip_gram_vectors(log, self.config.item2vec_epochs, self.config.seed)
        except ValueError as error:
            raise AgentError(str(error)) from None

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        scores = self._scores(observation)
        action = nearest_first(scores, self.config.k, self.features, observation)[:, 0]
        if self.config.final_offer:
            action = final_offer(observation, action, scores)
        return action

    def preferences(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, N) finite: what it would recommend first has the most (Table IV)."""
        scores = self._scores(observation)
        order = nearest_first(scores, self.config.k, self.features, observation)
        return moved_up(scores, order)

    def _scores(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, N): the recommender's, −inf where an item is not legal."""
        scores = self.score(observation["history"], observation["user"])
        return np.where(observation["action_mask"] > 0, scores, -np.inf)


def nearest_first(
    scores: np.ndarray, k: int, features: np.ndarray, observation: dict[str, np.ndarray]
) -> np.ndarray:
    """(B, k) int64: of the k best by ``scores`` (B, N) the nearest to the objective first.

    Of equals the one that ranks higher is first; items of score −inf are last.
    """
    top = best_first(scores, k)  # (B, k)
    distance = squared_distance(features, top, observation)
    distance[~np.isfinite(np.take_along_axis(scores, top, axis=1))] = np.inf
    return np.take_along_axis(top, np.argsort(distance, axis=1, kind="stable"), axis=1)
