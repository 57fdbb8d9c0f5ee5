"""What an observation says about its objective: for agents and wrappers, the same for all of them.

In the observation ``objective`` is an item; where the objective is a set, ``objective_set`` holds
its members and ``objective`` is one that stands for them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Observation = Mapping[str, np.ndarray]


def members(observation: Observation) -> np.ndarray:
    """(B, N) bool: the items that make each row's objective; accepting one ends the episode."""
    if "objective_set" in observation:
        return observation["objective_set"] > 0
    found = np.zeros(observation["action_mask"].shape, dtype=bool)
    found[np.arange(len(found)), observation["objective"]] = True
    return found


def aim(observation: Observation, scores: np.ndarray) -> np.ndarray:
    """(B,) int64: the legal member that ``scores`` (B, N) or (N,) rank first.

    Where no member is legal, the item in ``objective``.
    """
    legal = members(observation) & (observation["action_mask"] > 0)
    scores = np.maximum(scores, np.finfo(np.float32).min)  # −∞ is a score, and worse is no member
    best = np.where(legal, scores, -np.inf).argmax(axis=1)
    return np.where(legal.any(axis=1), best, observation["objective"])


def final_offer(observation: Observation, action: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(B,) int64: ``action`` (B,), but the objective as the last recommendation, if it is legal."""
    last = aim(observation, scores)
    legal = observation["action_mask"][np.arange(len(last)), last] > 0
    return np.where((observation["steps_left"] == 1) & legal, last, action)


def squared_distance(
    features: np.ndarray, items: np.ndarray, observation: Observation
) -> np.ndarray:
    """(B, k): from items (B, k) to the nearest member of the objective, by ``features`` (N, d)."""
    if "objective_set" not in observation:
        target = features[observation["objective"]]
        return np.square(features[items] - target[:, None]).sum(axis=2)
    rows = zip(items, members(observation), strict=True)
    return np.stack([_to_nearest(features[item], features[member]) for item, member in rows])


def _to_nearest(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(k,): squared distances of points (k, d) to the nearest of targets (m, d)."""
    return np.square(points[:, None] - targets[None]).sum(axis=2).min(axis=1)
