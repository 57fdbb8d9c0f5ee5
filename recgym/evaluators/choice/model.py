"""One step of a user: how attractive items are, what she consumes, where her profile moves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real

import numpy as np

LARGEST = 300.0  # of v·u / temperature: the exponential of it, squared, still is a float64
DYNAMICS = ("attraction", "biased_assimilation", "boredom", "static")
"""
attraction: toward what is consumed, the paper's.
biased_assimilation: toward items that she likes better than the average one, away from the others.
boredom: away from whatever is consumed; the inherent profile pulls back.
static: the profile stays where it is.
"""


@dataclass(frozen=True, eq=False)
class ChoiceModel:
    """The items, and how users choose among them and are changed by them.

    A user with profile u is offered a slate E. She clicks with probability s_E / (s_E + c), on an
    item of E in proportion to its score s_v = exp(v·u); otherwise she consumes organically, any
    item in proportion to its score. Then u ← β u_0 + α_v v + (1 − α_v − β) u.

    Args:
        items: (N, d) item vectors v.
        harmful: (N,) bool: items that are never recommended.
        severity: (N,) in [0, 1]: the harm of consuming an item; default 1 where harmful, else 0.
        c: attractiveness of looking elsewhere, in units of the scores.
        alpha_harmless, alpha_harmful: α_v, how far a consumed item moves the profile.
        beta: β, how far the inherent profile pulls it back.
        dynamics: one of :data:`DYNAMICS`.
        temperature: of choice: scores are exp(v·u / temperature).
        explore: the share of steps in which she consumes any item, uniformly, whatever is offered.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite or out of range, α + β > 1,
            or no harmless item.
    """

    items: np.ndarray
    harmful: np.ndarray
    severity: np.ndarray | None = None
    c: float = 6.0
    alpha_harmless: float = 0.25
    alpha_harmful: float = 0.5
    beta: float = 0.2
    dynamics: str = "attraction"
    temperature: float = 1.0
    explore: float = 0.0
    harm: np.ndarray = field(init=False, repr=False)  # (N,) float64: `severity`, with its default

    def __post_init__(self) -> None:
        items = np.array(self.items, dtype=np.float64)
        if items.ndim != 2 or 0 in items.shape:
            raise ValueError(f"items must have shape (N, d), got {items.shape}.")
        check_finite("items", items)
        harmful = np.array(self.harmful)
        if harmful.shape != (len(items),) or harmful.dtype != bool:
            raise ValueError(
                f"harmful must be a bool array of shape ({len(items)},), "
                f"got {harmful.dtype} of shape {harmful.shape}."
            )
        if harmful.all():
            raise ValueError("Every item is harmful: there is none to recommend.")
        harm = np.array(harmful if self.severity is None else self.severity, dtype=np.float64)
        if harm.shape != (len(items),) or not ((harm >= 0) & (harm <= 1)).all():
            raise ValueError(f"severity must be ({len(items)},) numbers in [0, 1].")
        self._check_numbers()
        for name, array in (("items", items), ("harmful", harmful), ("harm", harm)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def _check_numbers(self) -> None:
        for name in ("c", "temperature", "explore", "beta", "alpha_harmless", "alpha_harmful"):
            if not isinstance(value := getattr(self, name), Real) or isinstance(value, bool):
                raise ValueError(f"{name} must be a number, got {value!r}.")
        if not 0 < self.c < np.inf:
            raise ValueError(f"c must be positive and finite, got {self.c}.")
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature must be positive and finite, got {self.temperature}.")
        if not 0 <= self.explore <= 1:
            raise ValueError(f"explore must lie in [0, 1], got {self.explore}.")
        if self.dynamics not in DYNAMICS:
            raise ValueError(f"dynamics must be one of {DYNAMICS}, got {self.dynamics!r}.")
        if not 0 <= self.beta <= 1:
            raise ValueError(f"beta must lie in [0, 1], got {self.beta}.")
        for name in ("alpha_harmless", "alpha_harmful"):
            alpha = getattr(self, name)
            if not (alpha >= 0 and alpha + self.beta <= 1 + 1e-12):
                raise ValueError(
                    f"{name} must be at least 0, and {name} + beta at most 1, got {alpha} and "
                    f"{self.beta}: the profile would leave the space of tastes. Lower one of them."
                )

    @property
    def n_items(self) -> int:
        return self.items.shape[0]

    @property
    def width(self) -> int:
        """d, of items and profiles."""
        return self.items.shape[1]

    @cached_property
    def recommendable(self) -> np.ndarray:
        """(|NH|,) int64: the items that may be recommended, in order."""
        return np.flatnonzero(~self.harmful)

    @cached_property
    def alpha(self) -> np.ndarray:
        """(N,) float64: α_v, zero if the profile is static."""
        moving = self.dynamics != "static"
        return moving * np.where(self.harmful, self.alpha_harmful, self.alpha_harmless)

    @cached_property
    def _longest(self) -> float:
        return float(np.linalg.norm(self.items, axis=1).max())

    @cached_property
    def _transposed(self) -> np.ndarray:
        return np.ascontiguousarray(self.items.T / self.temperature)

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for array in (self.items, self.harmful, self.harm):
            digest.update(array.tobytes())
        numbers = (self.c, self.alpha_harmless, self.alpha_harmful, self.beta)
        digest.update(repr((*numbers, self.dynamics, self.temperature, self.explore)).encode())
        return digest.hexdigest()

    def scores(self, profile: np.ndarray) -> np.ndarray:
        """(B, N): s_v = exp(v·u / temperature) under profiles (B, d)."""
        logits = profile @ self._transposed
        return np.exp(logits, out=logits)

    def check_scores(self, inherent: np.ndarray) -> None:
        """Refuse vectors whose scores a float64 may not hold.

        Profiles are convex combinations of inherent ones (U, d) and ± items.

        Raises:
            ValueError: |v·u| / temperature may pass 300.
        """
        farthest = np.linalg.norm(inherent, axis=1).max(initial=self._longest)
        if not (reach := self._longest * farthest / self.temperature) <= LARGEST:
            raise ValueError(
                f"v·u / temperature may reach {reach:.3g}, and scores are its exponential: at most "
                f"{LARGEST:g} can be computed. Scale the vectors down, or raise temperature."
            )

    def bounds(self, inherent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(low, high), (d,) each: where profiles of users (U, d) stay, coordinate by coordinate.

        A profile is a convex combination of the inherent one and of what pulls.
        """
        ends = [inherent]
        if self.dynamics in ("attraction", "biased_assimilation"):
            ends.append(self.items)
        if self.dynamics in ("boredom", "biased_assimilation"):
            ends.append(-self.items)
        stacked = np.concatenate(ends)
        return stacked.min(axis=0), stacked.max(axis=0)

    def valence(self, profile: np.ndarray) -> np.ndarray:
        """(B, N) or (1, N): +1 for items that pull the profile toward them, −1 away."""
        if self.dynamics == "boredom":
            return np.full((1, self.n_items), -1.0)
        if self.dynamics == "biased_assimilation":
            liking = profile @ self.items.T
            return np.where(liking >= liking.mean(axis=1, keepdims=True), 1.0, -1.0)
        return np.ones((1, self.n_items))

    def move(self, profile: np.ndarray, inherent: np.ndarray, consumed: np.ndarray) -> np.ndarray:
        """(B, d): the profiles after the items ``consumed`` (B,)."""
        alpha = self.alpha[consumed][:, None]
        pull = self.items[consumed]
        if self.dynamics in ("boredom", "biased_assimilation"):
            sign = np.broadcast_to(self.valence(profile), (len(profile), self.n_items))
            pull = pull * sign[np.arange(len(consumed)), consumed][:, None]
        return self.beta * inherent + alpha * pull + (1 - alpha - self.beta) * profile

    def expected_move(
        self, profile: np.ndarray, inherent: np.ndarray, probability: np.ndarray
    ) -> np.ndarray:
        """(B, d): the mean of :meth:`move` when items are consumed with ``probability`` (B, N)."""
        weight = probability * self.alpha
        pull = (weight * self.valence(profile)) @ self.items
        rest = 1 - self.beta - weight.sum(axis=1, keepdims=True)
        return self.beta * inherent + pull + rest * profile

    def consumption(self, scores: np.ndarray, clicks: np.ndarray) -> np.ndarray:
        """(B, N): the probability of consuming each item, clicked or organic.

        Args:
            scores: (B, N).
            clicks: (B, N) probability of clicking each item, were it not for ``explore``.
        """
        elsewhere = 1 - clicks.sum(axis=1, keepdims=True)
        chosen = clicks + scores * (elsewhere / scores.sum(axis=1, keepdims=True))
        return (1 - self.explore) * chosen + self.explore / self.n_items


def check_finite(what: str, array: np.ndarray) -> None:
    """Raises ValueError that names the first place where an array is not finite."""
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{what} must be finite, but {what}{list(place)} is {array[place]}.")
