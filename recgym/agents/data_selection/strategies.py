"""Algorithm 1 of the IFRQE paper, for many users at once: gradient steps on a mixed strategy.

A strategy α is a distribution over a list of S selections of a user's n items. Its gradient is the
gain of each selection. As printed, a step moves α by the gain of one sampled selection, which is
biased toward what α holds already; here it is divided by the chance that it was drawn with, and
taken relative to the mean gain, which the projection would remove anyway. A part of the draws is
uniform: a selection that α has left for good could not be found again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_selection.selecting import SelectingAgent
from recgym.evaluators.choice import onto_simplex

EXPLORE = 0.1  # of the draws
MOST = 100_000


def likely_selections(n: int, most: int, keep: float) -> np.ndarray:
    """(S, n) int8: all 2^n selections of n items, or the ``most`` likely ones where they are more.

    The paper's prior is α(o) ∝ keep^|o| (1 − keep)^(n − |o|): what differs in the fewest places
    from everything is likeliest, from nothing if ``keep`` is below ½.
    """
    usual = 1 if keep >= 0.5 else 0

    def places() -> Iterator[tuple[int, ...]]:
        for differing in range(n + 1):
            yield from combinations(range(n), differing)

    found = np.full((min(2**n, most), n), usual, dtype=np.int8)
    for row, changed in enumerate(islice(places(), len(found))):
        found[row, list(changed)] = 1 - usual
    return found


def prior(selections: np.ndarray, keep: float) -> np.ndarray:
    """(S,): α(o) of selections (S, n), adding up to 1."""
    held = selections.sum(axis=1)
    chance = keep**held * (1 - keep) ** (selections.shape[1] - held)
    return chance / chance.sum()


def algorithm_1(
    gain: np.ndarray,
    chance: np.ndarray,
    *,
    draws: int,
    rate: float,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """(B, S): the strategies of B users after L steps, averaged over the steps.

    Args:
        gain: (B, S) of each selection.
        chance: (B, S) α at first.
        draws: L.
        rate: γ, for gains divided by each user's largest.
        rng: draws one selection a step; None takes the whole gradient.
    """
    rows = np.arange(len(gain))
    gain = gain - gain.mean(axis=1, keepdims=True)
    gain = gain / np.maximum(np.abs(gain).max(axis=1, keepdims=True), 1e-12)
    average = np.zeros_like(chance)
    for _ in range(draws):
        step = gain
        if rng is not None:
            drawn_with = (1 - EXPLORE) * chance + EXPLORE / chance.shape[1]
            until = drawn_with.cumsum(axis=1)
            drawn = (until < rng.random((len(gain), 1)) * until[:, -1:]).sum(axis=1)
            better = gain[rows, drawn] - (gain * chance).sum(axis=1)
            step = np.zeros_like(gain)
            step[rows, drawn] = better / drawn_with[rows, drawn]
        chance = onto_simplex(chance + rate * step)
        average += chance
    return average / average.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class StrategyConfig(AgentConfig):
    """Settings of Algorithms 1 and 2."""

    draws: int = 1_000
    """L, steps of Algorithm 1."""
    rate: float = 0.1
    """γ, for gains divided by the user's largest."""
    keep: float = 0.9
    """Chance of each item to be in at first: α(o) ∝ keep^|o| (1 − keep)^(n − |o|)."""
    support: int = 256
    """A strategy is restricted to so many selections, the likeliest; 2^8 are all of 8 items."""
    passes: int = 10
    """M, calls of Algorithm 1 at most, each of which starts where the last one ended."""
    threshold: float = 1e-3
    """κ: passes end when no chance has changed by more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate <= 0 or not 0 < self.keep < 1 or self.threshold < 0:
            raise AgentError("rate must be positive, keep in (0, 1) and threshold at least 0.")
        for name in ("draws", "support", "passes"):
            if not 1 <= getattr(self, name) <= MOST:
                raise AgentError(f"{name} must lie in 1..{MOST}, got {getattr(self, name)}.")


class StrategyAgent(SelectingAgent):
    """Keeps what the strategy of the acting user holds most likely, or what is best in closed form.

    With ``action="recent"`` the K + 1 choices are listed, and the one of the highest gain is taken.
    ``training_record`` tells by how much mean predicted z the strategies have stayed behind.
    """

    Config = StrategyConfig
    config: StrategyConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: AgentConfig | None = None):
        super().__init__(env, config)
        if not self.problem.params.show_influence:
            raise AgentError(
                f"{self.name} reads what each item does to the user's loss. Make the environment "
                "with show_influence=True."
            )
        if self.problem.params.cost != "linear":
            raise AgentError(
                f'{self.name} assumes cost="linear", not {self.problem.params.cost!r}: with '
                "another cost items cannot be judged one by one."
            )
        self._users, self._behind = 0, np.zeros(2)

    @abstractmethod
    def gain(self, observation: dict[str, np.ndarray], selections: np.ndarray) -> np.ndarray:
        """(B, S): the predicted z of selections (B, S, K), up to a constant of each user."""

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        if self.kind == "items":
            return super().act(observation, deterministic=deterministic)
        own = observation["own"] > 0
        lengths, k = own.sum(axis=1), own.shape[1]
        first = np.minimum(np.arange(k + 1), lengths[:, None])  # (B, K + 1), the oldest kept
        kept = own[:, None] & (np.arange(k) >= first[:, :, None])
        best = self.gain(observation, kept.astype(np.float64)).argmax(axis=1)
        return lengths - first[np.arange(len(first)), best]

    def strategies(
        self, observation: dict[str, np.ndarray], best: np.ndarray, *, sampled: bool
    ) -> np.ndarray:
        """(B, K) bool: by Algorithm 1 until α stands still; ``best`` (B, K) is the known answer.

        Users with as many items as each other go side by side.
        """
        c, own = self.config, observation["own"] > 0
        found = np.zeros(own.shape, dtype=bool)
        lengths = own.sum(axis=1)
        for n in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == n)
            part = {key: value[rows] for key, value in observation.items()}
            listed = likely_selections(n, c.support, c.keep)
            whole = np.zeros((len(rows), len(listed), own.shape[1]))
            whole[:, :, :n] = listed
            gain = self.gain(part, whole)
            chance = np.tile(prior(listed, c.keep), (len(rows), 1))
            rng = self.rng if sampled else None
            for _ in range(c.passes):
                before = chance
                chance = algorithm_1(gain, before, draws=c.draws, rate=c.rate, rng=rng)
                if np.abs(chance - before).max() < c.threshold:
                    break
            chosen = chance.argmax(axis=1)
            found[rows, :n] = listed[chosen]
            held = gain[np.arange(len(rows)), chosen]
            most = self.gain(part, best[rows, None].astype(np.float64))[:, 0]
            self._behind += (most - held).sum(), (most - gain.max(axis=1)).sum()
        self._users += len(own)
        gap, of_support = (self._behind / self._users).tolist()
        self.training_record |= {"gap": gap, "support_gap": of_support}
        return found
