"""DVR (Jia et al., "Beyond Models!"): Shapley values of samples, trained on any metric's reward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from recgym.agents.base import AgentConfig, AgentError, steps_to_learn
from recgym.agents.data_valuation.valuing import ValuingAgent
from recgym.envs.data_valuation.dynamics import DataValuation
from recgym.envs.data_valuation.state import DIRECTIONS, State
from recgym.models.harsanyi import HarsanyiNet

LOWEST, HIGHEST = 0.05, 0.95


@dataclass(frozen=True)
class DVRConfig(AgentConfig):
    """The paper's settings unless said otherwise."""

    layout: Literal["equivariant", "paper"] = "equivariant"
    """Of the HarsanyiNet: ours, or units that belong to places in the batch."""
    advantage: Literal["level", "gain", "alignment"] = "level"
    """The metric less its running mean (Eq. 5.13); or its gain in a step, standardised (ours); or
    of each sample its own, the alignment of its items' gradients (ours), and no metric."""
    episodes: int = 40
    hidden: int = 64
    """Of the encoder."""
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    memory: float = 0.9
    """Of the running mean."""
    drawn: bool = True
    """Select with the chance ŵ, also where actions are to be deterministic; else from a half on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("episodes", "hidden"):
            if getattr(self, name) < 1:
                raise AgentError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not 0 < self.learning_rate < np.inf:
            raise AgentError(f"learning_rate must be positive, got {self.learning_rate}.")
        if not 0 <= self.weight_decay < np.inf:
            raise AgentError(f"weight_decay must be at least 0, got {self.weight_decay}.")
        if not 0 <= self.memory < 1:
            raise AgentError(f"memory must lie in [0, 1), got {self.memory}.")


class Valuator(nn.Module):
    """e = [p; q_i; q_j] of each sample → h = tanh(MLP(e)), a player → its Shapley value."""

    def __init__(self, width: int, batch: int, config: DVRConfig, seed: int):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = nn.Sequential(
                nn.Linear(3 * width, config.hidden),
                nn.ReLU(),
                nn.Linear(config.hidden, 1),
                nn.Tanh(),
            )
            self.net = HarsanyiNet(batch, layout=config.layout)

    def forward(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """(ŷ (B,), φ (B, n)) of embeddings (B, n, 3d)."""
        return self.net(self.encoder(embeddings).squeeze(2))


def chances(values: Tensor) -> Tensor:
    """ŵ (B, n) of Shapley values (B, n), standardised within each batch."""
    spread = values.std(dim=1, keepdim=True).clamp(min=1e-8)
    standard = (values - values.mean(dim=1, keepdim=True)) / spread
    return torch.sigmoid(standard).clamp(LOWEST, HIGHEST)


class DVR(ValuingAgent):
    """Learns which samples to select, from a metric (REINFORCE) and from the loss (Eq. 5.7).

    ŵ = σ((φ − mean)/deviation) in [.05, .95] is the chance of being selected. Encoder and
    HarsanyiNet are both trained, on training streams; the authors' code trains the latter only.
    A measurement pays for all batches since the one before.
    """

    name = "dvr"
    sees = "simulator"
    Config = DVRConfig
    config: DVRConfig  # pyright: ignore[reportIncompatibleVariableOverride]
    needs = ("show_embeddings",)

    def __init__(self, env: Any, config: DVRConfig | None = None):
        super().__init__(env, config)
        self.draws = self.config.drawn
        self.valuator = self._new(self.config.seed)

    def _new(self, seed: int) -> Valuator:
        world, batch = self.problem.world, self.problem.params.batch
        return Valuator(world.width, batch, self.config, seed)

    def shapley(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """(B, n): the exact Shapley values of the samples of each batch; they add up to ŷ."""
        with torch.no_grad():
            return self.valuator(self._embeddings(observation))[1].numpy()

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            return chances(self.valuator(self._embeddings(observation))[1]).numpy()

    def _embeddings(self, observation: dict[str, np.ndarray]) -> Tensor:
        e = torch.as_tensor(observation["embeddings"])
        return e.view(len(e), self.problem.params.batch, -1)

    def learn(
        self,
        total_timesteps: int | None = None,
        *,
        seed: int | None = None,
        progress: bool = False,
        watch: Callable[[np.ndarray, np.ndarray], None] | None = None,
    ) -> DVR:
        """Play training episodes; ``total_timesteps`` batches in the place of ``episodes``.

        Args:
            watch: called with φ (1, n) and the losses (1, n) of each batch.
        """
        seed = self.seed_of(seed)
        steps = steps_to_learn(total_timesteps, self.config.episodes * self.problem.params.steps)
        self.valuator = self._new(seed)
        aligned = self.config.advantage == "alignment"
        params = replace(
            self.problem.params, show_embeddings=True, show_alignment=aligned, action="select"
        )
        played = DataValuation(self.problem.world, params, "train")
        optimiser = torch.optim.Adam(
            self.valuator.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        rng = np.random.default_rng(seed)
        advantages = _Advantages(self.config, DIRECTIONS[params.metric])
        state: State | None = None
        unpaid: list[tuple[Tensor, Tensor]] = []  # (embeddings, chosen) since the measurement
        for step in range(steps):
            if state is None or step % params.steps == 0:
                state = played.start([played.draw_task(rng, {})], [rng])
                unpaid = []
            seen = played.observe(state)
            embeddings = self._embeddings(seen)
            value, shares = self.valuator(embeddings)
            if watch is not None:
                watch(shares.detach().numpy(), seen["loss"])
            chance = chances(shares)
            chosen = (rng.random(chance.shape) < chance.detach().numpy()).astype(np.int8)
            moved = played.step(state, chosen, [rng])
            state = moved.state
            loss = ((value - float(seen["loss"].mean())) ** 2).mean()
            if aligned:  # to first order, what is selected gains Σ ŵ a: no need to draw
                loss = loss - (torch.as_tensor(seen["item_alignment"]) * chance).sum()
            else:
                unpaid.append((embeddings, torch.as_tensor(chosen, dtype=torch.float32)))
            if unpaid and (step + 1) % params.measure_every == 0:
                level = state.measured[0, int(state.step[0]) // params.measure_every]
                a = advantages(float(level), float(moved.terms["gain"][0]))
                for e, s in unpaid:
                    p = chance if e is embeddings else chances(self.valuator(e)[1])
                    loss = loss - a * (s * p.log() + (1 - s) * (1 - p).log()).sum()
                unpaid = []
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if not all(bool(part.isfinite().all()) for part in self.valuator.parameters()):
            self.valuator = self._new(seed)
            raise AgentError("dvr's valuator has diverged. Choose a smaller learning_rate.")
        return self

    def save(self, path: str | Path) -> None:
        from recgym.models.store import write_tensors

        write_tensors(Path(path) / "valuator.safetensors", self.valuator.state_dict())
        super().save(path)

    @classmethod
    def load(cls, path: str | Path, env: Any) -> DVR:
        from recgym.models.store import StoreError, read_weights

        agent = super().load(path, env)
        assert isinstance(agent, cls)
        file = Path(path) / "valuator.safetensors"
        try:
            agent.valuator.load_state_dict(read_weights(file))
        except RuntimeError as error:
            raise StoreError(f"{file} does not fit this environment's batches: {error}") from None
        return agent


class _Advantages:
    """A = ±R − its running mean; or the standardised gain of a step, within ±3."""

    def __init__(self, config: DVRConfig, direction: int):
        self.config, self.direction = config, direction
        self.mean: float | None = None
        self.square = 1.0

    def __call__(self, level: float, gain: float) -> float:
        value = self.direction * level if self.config.advantage == "level" else gain
        if self.mean is None:
            self.mean = value
        apart, m = value - self.mean, self.config.memory
        self.mean = m * self.mean + (1 - m) * value
        self.square = m * self.square + (1 - m) * apart**2
        if self.config.advantage == "level":
            return apart
        return float(np.clip(apart / max(self.square**0.5, 1e-8), -3, 3))
