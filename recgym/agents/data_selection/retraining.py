"""What the agents that train again and again share: a budget, and plans for groups of players.

A recommender trained on a selection tells every player her loss. Such an agent asks for it as often
as its budget allows, and what it finds is of these players and their items: nothing is carried over
to others, so there is nothing to learn before they are met.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from recgym.agents.base import AgentConfig, AgentError
from recgym.agents.data_selection.selecting import SelectingAgent, everybody
from recgym.envs.data_selection.dynamics import DataSelection
from recgym.envs.data_selection.game import SPLITS


@dataclass(frozen=True)
class RetrainingConfig(AgentConfig):
    """How much may be spent."""

    retrainings: int = 1_000
    """For each group of players."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.retrainings < 1:
            raise AgentError(f"retrainings must be at least 1, got {self.retrainings}.")


class Trials:
    """Trainings of one group of players, counted; the same selection twice counts twice."""

    def __init__(self, problem: DataSelection, budget: int, rng: np.random.Generator):
        self.problem, self.game, self.rng = problem, problem.game.data, rng
        self.left = budget

    def losses(self, selected: np.ndarray) -> np.ndarray:
        """(N,): everybody's validation loss, trained on a selection (Z,)."""
        if self.left < 1:
            raise AgentError("The budget of retrainings is spent.")
        self.left -= 1
        return self.problem.truth.losses(np.asarray(selected, dtype=np.float64)[None])[0]

    def willingness(self) -> np.ndarray:
        """(Z,): a draw for these players; some worlds have one only."""
        task = self.problem.draw_task(self.rng, {})
        return self.problem.game.willingness(task["draw"])

    def utilities(
        self, losses: np.ndarray, selected: np.ndarray, willingness: np.ndarray
    ) -> np.ndarray:
        """(N,): z of everybody."""
        selected = np.asarray(selected, dtype=np.float64)[None]
        return self.problem.utilities(selected, willingness[None], losses[None])[0]


class RetrainingAgent(SelectingAgent):
    """Plans for the players of a split when it first meets one of them, and acts on that.

    Players are known by what the recommender predicts of their items.
    """

    sees = "simulator"
    Config = RetrainingConfig
    config: RetrainingConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, env: Any, config: AgentConfig | None = None):
        super().__init__(env, config)
        self.plans: dict[str, np.ndarray] = {}
        """Split → (Z,) float64, what was found of each pair."""
        self._players: dict[bytes, tuple[str, int]] = {}
        self._met: set[str] = set()
        self.seed = self.config.seed

    def learn(
        self, total_timesteps: int | None = None, *, seed: int | None = None, progress: bool = False
    ) -> Self:
        """Forget the plans; those to come are made with that seed, when players are met."""
        super().learn(total_timesteps, seed=seed, progress=progress)
        self.seed, self.plans = self.seed_of(seed), {}
        return self

    @abstractmethod
    def plan(self, trials: Trials) -> np.ndarray:
        """(Z,): what is worth knowing of each pair, for at most the trials that are left."""

    def found(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, K): what was found of the acting users' items; 0 where there is none."""
        keys = _signatures(observation)
        result = np.zeros(observation["own"].shape)
        for row, key in enumerate(keys):
            split, user = self._recognised(key)
            data, plan = self._of(split).game.data, self._planned(split)
            first, last = data.offsets[user], data.offsets[user + 1]
            result[row, : last - first] = plan[first:last]
        return result

    def _of(self, split: str) -> DataSelection:
        return self.problem.for_split(split)

    def _recognised(self, key: bytes) -> tuple[str, int]:
        for split in (self.problem.split, *reversed(SPLITS)):
            if key in self._players:
                break
            if split not in self._met:
                self._met.add(split)
                for user, other in enumerate(_signatures(everybody(self._of(split)))):
                    self._players.setdefault(other, (split, user))
        if key not in self._players:
            raise AgentError(
                f"{self.name} was made for {self.problem.world.name}, and this is none of its "
                "players. Make it with the environment that it is to play."
            )
        return self._players[key]

    def _planned(self, split: str) -> np.ndarray:
        if split not in self.plans:
            started = time.perf_counter()
            rng = np.random.default_rng(self.seed)
            trials = Trials(self._of(split), self.config.retrainings, rng)
            self.plans[split] = self.plan(trials)
            self.training_record[split] = {
                "retrainings": self.config.retrainings - trials.left,
                "seconds": round(time.perf_counter() - started, 3),
            }
        return self.plans[split]

    def _card(self) -> dict[str, Any]:
        return {**super()._card(), "utility": self._utility()}

    def _utility(self) -> dict[str, Any]:
        """What plans depend on besides the data."""
        params = self.problem.params
        return {"harm_of_disclosure": params.harm_of_disclosure, "cost": params.cost}

    def save(self, path: str | Path) -> None:
        import torch

        from recgym.models.store import write_tensors

        tensors = {split: torch.as_tensor(plan) for split, plan in self.plans.items()}
        write_tensors(Path(path) / "plans.safetensors", tensors)
        super().save(path)

    @classmethod
    def load(cls, path: str | Path, env: Any) -> RetrainingAgent:
        from recgym.models.store import StoreError, read_json, read_tensors

        agent = super().load(path, env)
        assert isinstance(agent, cls)
        made_for = read_json(Path(path) / "agent.json").get("utility")
        if made_for != agent._utility():
            raise AgentError(
                f"{path} was planned for {made_for}, and this environment has {agent._utility()}. "
                "Plan again with it."
            )
        file = Path(path) / "plans.safetensors"
        agent.plans = {split: plan.numpy() for split, plan in read_tensors(file).items()}
        for split, plan in agent.plans.items():
            if split not in SPLITS or plan.shape != (agent._of(split).size,):
                raise StoreError(f"{file} does not fit the players of this environment.")
        return agent


def _signatures(observation: dict[str, np.ndarray]) -> list[bytes]:
    """One for each row: the scores of the items do not change while users play."""
    return [np.asarray(row, dtype=np.float32).tobytes() for row in observation["score"]]
