"""What the agents of HarmMitigation share: slates and stationary policies turned into actions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from recgym.agents.base import Agent, AgentConfig, AgentError
from recgym.envs.harm_mitigation.actions import encode
from recgym.envs.harm_mitigation.dynamics import HarmMitigation
from recgym.evaluators import choice
from recgym.evaluators.choice import ChoiceModel, PolicyFamily


def top(model: ChoiceModel, k: int, profile: np.ndarray) -> np.ndarray:
    """(B, k): the harmless items of highest score under profiles (B, d), best first."""
    scores = model.scores(profile)[:, model.recommendable]
    return model.recommendable[np.argsort(-scores, axis=1, kind="stable")[:, :k]]


def certain(model: ChoiceModel, items: np.ndarray) -> np.ndarray:
    """(B, |NH|): q that puts exactly the items (B, k) into the slate."""
    q = np.zeros((len(items), len(model.recommendable)))
    np.put_along_axis(q, np.searchsorted(model.recommendable, items), 1.0, axis=1)
    return q


class SlateAgent(Agent):
    """Offers slates of k items, whatever the kind of action."""

    def __init__(self, env: Any, config: AgentConfig | None = None):
        super().__init__(env, config)
        if not isinstance(self.problem, HarmMitigation):
            raise AgentError(f"{self.name} plays HarmMitigation, not {env}.")
        self.model, self.k = self.problem.model, self.problem.params.k
        self.kind = self.problem.params.action

    @property
    def prices(self) -> tuple[float, float]:
        """What the objective pays for harm, and for the severity of what is recommended."""
        assert isinstance(self.problem, HarmMitigation)
        p = self.problem.params
        return p.harm_weight, p.harm_weight if p.harm == "exposure" else 0.0

    def needs_profile(self) -> None:
        """Refuse environments that do not show the profile."""
        assert isinstance(self.problem, HarmMitigation)
        if self.problem.params.observation != "profile":
            raise AgentError(
                f"{self.name} reads the user's profile. Make the environment with "
                'observation="profile".'
            )

    def offering(self, items: np.ndarray) -> np.ndarray:
        """Actions that offer exactly the slates (B, k)."""
        if self.kind == "item":
            return items[:, 0]
        if self.kind == "slate":
            return items
        return self.sampling(self.certain(items))

    def sampling(self, probability: np.ndarray) -> np.ndarray:
        """(B, N) float32: actions of ``Box`` for q (B, |NH|)."""
        return encode(probability, self.model)

    def certain(self, items: np.ndarray) -> np.ndarray:
        """(B, |NH|): q that puts exactly the items (B, k) into the slate."""
        return certain(self.model, items)


class StationaryAgent(SlateAgent):
    """Solves for one stationary policy of each user, once, and plays it.

    Where actions are items or slates the policy is a distribution over slates, and one is drawn at
    each step, also when asked to be deterministic: that is the policy. Where they are
    probabilities the policy is q itself.
    """

    sees = "privileged"

    def __init__(self, env: Any, config: AgentConfig | None = None):
        super().__init__(env, config)
        self.needs_profile()
        self.family = self.policies()
        self._solved: dict[bytes, np.ndarray] = {}

    def policies(self) -> PolicyFamily:
        """What the agent chooses among; bounded cardinality, or independent sampling."""
        if self.kind == "probabilities":
            return choice.Sampling(self.model, self.k)
        try:
            return choice.all_slates(self.model, self.k)
        except ValueError as error:
            raise AgentError(
                f'{self.name}: {error} Make the environment with action="probabilities".'
            ) from None

    @abstractmethod
    def solve(self, inherent: np.ndarray) -> np.ndarray:
        """Weights (B, P) of the policies of users with inherent profiles (B, d)."""

    def act(self, observation: dict[str, np.ndarray], *, deterministic: bool) -> np.ndarray:
        inherent = np.ascontiguousarray(observation["inherent"])
        keys = [row.tobytes() for row in inherent]
        new = {key: row for row, key in enumerate(keys) if key not in self._solved}
        if new:
            weights = self.solve(inherent[list(new.values())].astype(np.float64))
            self._solved.update(zip(new, weights, strict=True))
        return self.playing(np.stack([self._solved[key] for key in keys]))

    def playing(self, weights: np.ndarray) -> np.ndarray:
        """Actions (B, ...) of policies (B, P)."""
        if not isinstance(self.family, choice.Slates):
            return self.sampling(weights)
        running = np.cumsum(weights, axis=1)
        draw = self.rng.random((len(weights), 1)) * running[:, -1:]
        return self.offering(self.family.slates[(running > draw).argmax(axis=1)])
