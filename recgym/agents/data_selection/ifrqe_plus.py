"""IFRQE++: influences at several anchors, each trusted for the selections that are nearest to it.

With one anchor what is far from everything is predicted badly. With T of them a selection o of a
user's own items has the predicted loss L_t + Σ_k (o_k − õ_tk) e_tk of its nearest anchor t
(Theorem 3), where L_t follows what others select now. That is linear in pieces only, so there is no
dominant strategy any more: users reply to each other turn by turn, and the environment's rounds are
the iterations of Algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_selection.strategies import StrategyAgent, StrategyConfig


@dataclass(frozen=True)
class IFRQEPlusConfig(StrategyConfig):
    """How a reply is found."""

    method: Literal["reply", "projected", "sampled"] = "reply"
    """``reply`` climbs item by item from every anchor's own answer; the others are Algorithm 1."""


class IFRQEPlus(StrategyAgent):
    """Reads influences, selections and losses of the anchors from the observation.

    The nearest anchor is that by the user's own items, as in the backend ``anchors``; the first one
    is everything, IFRQE's. Ties go to the first.
    """

    name = "ifrqe_plus"
    Config = IFRQEPlusConfig
    config: IFRQEPlusConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: AgentConfig | None = None):
        super().__init__(env, config)
        if self.problem.params.backend != "anchors":
            raise AgentError(
                "ifrqe_plus reads several anchors. Make the environment with "
                'backend="anchors", anchors=4 and show_influence=True.'
            )

    def gain(self, observation: dict[str, np.ndarray], selections: np.ndarray) -> np.ndarray:
        cost = self.harm_of_disclosure * observation["willingness"].astype(np.float64)
        anchors, effects = _anchors(observation)
        nearest = _distances(selections, anchors).argmin(axis=2)
        level = observation["anchor_loss"] - (anchors * effects).sum(axis=2)  # (B, T) at o = 0
        losses = level[:, None] + selections @ effects.transpose(0, 2, 1)  # (B, S, T)
        held = np.take_along_axis(losses, nearest[..., None], axis=2)[..., 0]
        return -held - np.einsum("bsk,bk->bs", selections, cost)

    def values(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        best = self.reply(observation)
        if self.config.method != "reply":
            sampled = self.config.method == "sampled"
            best = self.strategies(observation, best, sampled=sampled)
        return np.where(best, 1.0, -1.0)

    def reply(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, K) bool: the best of several climbs.

        One starts at the present selection, and two for each anchor: at what would be best if it
        were the nearest everywhere, and at its own selection. A climb turns round the one item that
        brings most, until none brings anything.
        """
        own = observation["own"] > 0
        cost = self.harm_of_disclosure * observation["willingness"].astype(np.float64)
        anchors, effects = _anchors(observation)
        starts = [-effects > cost[:, None], anchors > 0, observation["selected"][:, None] > 0]
        at = (np.concatenate(starts, axis=1) & own[:, None]).astype(np.float64)  # (B, C, K)
        (b, c, k), now = at.shape, self.gain(observation, at)
        for _ in range(4 * k):
            turned = np.abs(at[:, :, None] - np.eye(k))  # (B, C, K, K): item k turned round
            gain = self.gain(observation, turned.reshape(b, c * k, k)).reshape(b, c, k)
            gain = np.where(own[:, None], gain, -np.inf)
            item, most = gain.argmax(axis=2), gain.max(axis=2)
            better = most > now + 1e-12
            if not better.any():
                break
            chosen = np.take_along_axis(turned, item[..., None, None], axis=2)[:, :, 0]
            at = np.where(better[..., None], chosen, at)
            now = np.where(better, most, now)
        return at[np.arange(b), now.argmax(axis=1)] > 0


def _anchors(observation: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """õ and e of the user's items, (B, T, K) each."""
    shape = len(observation["own"]), -1, observation["own"].shape[1]
    anchors = observation["anchor_selected"].reshape(shape).astype(np.float64)
    return anchors, observation["influence"].reshape(shape).astype(np.float64)


def _distances(selections: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """(B, S, T): Hamming distances of selections (B, S, K) from anchors (B, T, K)."""
    both = selections @ anchors.transpose(0, 2, 1)
    return selections.sum(axis=2)[:, :, None] + anchors.sum(axis=2)[:, None] - 2 * both
