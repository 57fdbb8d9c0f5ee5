"""The data-selection paper's simulated world: random features, and willingness from them.

"Would You Like Your Data to Be Trained?" (AAAI 2024), section Experiments, Datasets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import expit

from recgym.data.log import DataError, InteractionLog

FEATURES = 4
DRAWS = 20_243  # seed of characters drawn anew
# (a1, a2, a3) of the paper's four kinds of users
CHARACTERS: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "A": (0.6, 2.0, 1.2),
        "B": (0.4, 2.0, 0.8),
        "C": (0.6, 1.0, 1.5),
        "D": (0.5, 1.0, 1.0),
    }
)


@dataclass(frozen=True, eq=False)
class SimulatedWorld:
    """Users, items, who took what, and how much he wants it left out."""

    log: InteractionLog
    user_features: np.ndarray  # (U, 4) float64
    item_features: np.ndarray  # (I, 4) float64
    willingness: np.ndarray  # (E,) float64 in [0, 1], of the log's rows
    sensitivity: np.ndarray  # (U,) float64, s_u
    level: np.ndarray  # (U,) float64, b_u
    likes: np.ndarray  # (E,) float64, g of the log's rows
    a: tuple[float, float, float]

    def drawn(self, draw: int) -> np.ndarray:
        """(E,) float64: willingness with the ``draw``-th characters (s_u, b_u); 0 is the world's.

        Raises:
            DataError: ``draw`` is negative.
        """
        if draw < 0:
            raise DataError(f"The draw of users' characters must be at least 0, got {draw}.")
        if draw == 0:
            return self.willingness
        rng = np.random.default_rng([DRAWS, draw])
        sensitivity, level = _characters(rng, self.log.n_users, self.a)
        return expit(sensitivity[self.log.user] * self.likes + level[self.log.user])

    def __deepcopy__(self, memo: dict) -> SimulatedWorld:
        return self  # immutable


def simulate(
    seed: int,
    n_users: int = 1000,
    n_items: int = 1000,
    *,
    a: tuple[float, float, float] = (0.5, 1.0, 1.0),
    per_user: tuple[int, int] = (5, 20),
    eta: float = 0.5,
) -> SimulatedWorld:
    """Draw the world of a seed.

    Users and items have four features e ~ N(0, 1). A user may take the items of σ(e_u · e_v) ≥ η;
    of these he takes a number drawn uniformly from ``per_user``, or all if they are fewer, chosen
    and ordered uniformly. (As printed, the paper takes all: half of the million pairs, not its
    6,148.) Willingness is β = σ(s_u g(e_u, e_v) + b_u), with s_u ~ U[a1, a2] and b_u ~ N(0, a3).

    What the paper leaves open: a3 is the *variance* of b_u, as the second argument of N usually is
    (the two readings agree at a3 = 1, the paper's setting; characters A to C differ). The network
    is one layer g = tanh(w · [e_u, e_v] + c) with w, c ~ N(0, 1/8): signed, so that willingness
    falls on both sides of ½, and of a variance near one before tanh.

    Args:
        seed: of everything. Worlds of one seed and shape have the same features and log whatever
            ``a`` is, so that :data:`CHARACTERS` can be compared on the same interactions.
        n_users, n_items: sizes; time and memory grow as their product.
        a: (a1, a2, a3).
        per_user: fewest and most items, both included.
        eta: threshold in [0, 1).

    Raises:
        DataError: an argument is out of range; no pair passes the threshold.
    """
    least, most = per_user
    low, high, variance = a
    if n_users < 1 or not 1 <= least <= most <= n_items:
        raise DataError(
            "simulate: need n_users >= 1 and 1 <= per_user[0] <= per_user[1] <= n_items, got "
            f"n_users={n_users}, per_user={per_user}, n_items={n_items}."
        )
    if not (0 <= low <= high < np.inf and 0 <= variance < np.inf):
        raise DataError(f"simulate: a needs 0 <= a1 <= a2 and a3 >= 0, all finite, got {a}.")
    if not 0 <= eta < 1:
        raise DataError(f"simulate: eta must lie in [0, 1), got {eta}.")

    features, choice, network, character = np.random.default_rng(seed).spawn(4)
    user_features = features.standard_normal((n_users, FEATURES))
    item_features = features.standard_normal((n_items, FEATURES))
    allowed = expit(user_features @ item_features.T) >= eta
    wanted = choice.integers(least, most, size=n_users, endpoint=True)
    # The items of the smallest keys are a uniform choice in uniform order.
    keys = np.where(allowed, choice.random(allowed.shape), np.inf)
    chosen = np.argpartition(keys, most - 1, axis=1)[:, :most]
    order = np.argsort(np.take_along_axis(keys, chosen, axis=1), axis=1)
    chosen = np.take_along_axis(chosen, order, axis=1)
    taken = np.minimum(wanted, allowed.sum(axis=1))
    user, place = np.nonzero(np.arange(most) < taken[:, None])
    item = chosen[user, place]
    if not len(user):
        raise DataError(f"simulate: no pair passes eta={eta}. Lower it, or draw more users.")

    weights = network.normal(scale=(2 * FEATURES) ** -0.5, size=2 * FEATURES + 1)
    sensitivity, level = _characters(character, n_users, a)
    pairs = np.concatenate([user_features[user], item_features[item]], axis=1)
    likes = np.tanh(pairs @ weights[:-1] + weights[-1])
    world = SimulatedWorld(
        log=InteractionLog.from_columns(  # rows are sorted by user, and stay as they are
            "selection-world",
            user,
            item,
            user_ids=np.arange(n_users),
            item_ids=np.arange(n_items),
        ),
        user_features=user_features,
        item_features=item_features,
        willingness=expit(sensitivity[user] * likes + level[user]),
        sensitivity=sensitivity,
        level=level,
        likes=likes,
        a=(float(low), float(high), float(variance)),
    )
    for array in (user_features, item_features, world.willingness, sensitivity, level, likes):
        array.flags.writeable = False
    return world


def _characters(
    rng: np.random.Generator, n_users: int, a: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """(U,) s_u ~ U[a1, a2] and (U,) b_u ~ N(0, a3)."""
    low, high, variance = a
    sensitivity = low + (high - low) * rng.random(n_users)
    return sensitivity, np.sqrt(variance) * rng.standard_normal(n_users)
