"""What agents around a Stable-Baselines3 model share: learning, and files that are safe to load."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np

from recgym.agents.base import Agent, steps_to_learn

POLICY = "policy.safetensors"


class PolicyLearner(Agent):
    """Stands before the problem's own base among an agent's bases.

    ``config`` has ``timesteps``, and ``__init__`` ends with ``renew(config.seed)``.
    """

    config: Any
    model: Any
    """Stable-Baselines3's algorithm."""

    @abstractmethod
    def new_model(self, seed: int) -> Any:
        """An untrained algorithm on the training split."""

    def renew(self, seed: int) -> None:
        """Forget what was learned."""
        self.model = self.new_model(seed)

    def callback(self) -> Any:
        """What Stable-Baselines3 calls while it learns."""
        return None

    def rate(self, left: float) -> float:
        """The learning rate when this share of the training is left: it falls to 0 along a line."""
        return self.config.learning_rate * left

    def ask(self, seen: Any, *, deterministic: bool, **more: Any) -> np.ndarray:
        """The model's actions; what is sampled depends on :meth:`reseed` and on nothing else."""
        if deterministic:
            return self.model.predict(seen, deterministic=True, **more)[0]
        import torch

        with torch.random.fork_rng(devices=[]):  # Stable-Baselines3 samples from torch's own
            torch.manual_seed(int(self.rng.integers(2**63)))
            return self.model.predict(seen, deterministic=False, **more)[0]

    def learn(
        self, total_timesteps: int | None = None, *, seed: int | None = None, progress: bool = False
    ) -> Self:
        """Train anew; the default length is ``config.timesteps``."""
        steps = steps_to_learn(total_timesteps, self.config.timesteps)
        self.renew(self.seed_of(seed))
        self.model.learn(steps, callback=self.callback(), progress_bar=progress)
        return self

    def save(self, path: str | Path) -> None:
        from recgym.models.store import write_tensors

        write_tensors(Path(path) / POLICY, self.model.policy.state_dict())
        super().save(path)

    @classmethod
    def load(cls, path: str | Path, env: Any) -> Self:
        """
        Raises:
            StoreError: a missing or damaged file, or one of other networks.
        """
        from recgym.models.store import StoreError, read_weights

        agent = super().load(path, env)
        assert isinstance(agent, cls)
        file = Path(path) / POLICY
        try:
            agent.model.policy.load_state_dict(read_weights(file))
        except RuntimeError:
            raise StoreError(
                f"{file} does not fit the networks that agent.json describes. "
                "Train and save the agent again."
            ) from None
        return agent
