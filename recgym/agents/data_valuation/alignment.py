"""Gradient alignment: a sample is worth what a step on it does to the validation loss (ours)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recgym.agents.base import AgentConfig, AgentError, steps_to_learn
from recgym.agents.data_valuation.valuing import ValuingAgent, check_share, gathered
from recgym.envs.data_valuation.dynamics import DataValuation

VALUES = "values.safetensors"
SHOWN = {"everything": "alignment", "items": "item_alignment"}


@dataclass(frozen=True)
class AlignmentConfig(AgentConfig):
    """What is kept, and how long values are gathered."""

    share: float = 0.77
    """Of the training interactions; the rest is worth the least."""
    epochs: int = 10
    """Passes over the training data in which values add up."""
    of: Literal["everything", "items"] = "everything"
    """Whose gradients: all parameters', or those alone that stand for items."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("share", self.share)
        if self.epochs < 1:
            raise AgentError(f"epochs must be at least 1, got {self.epochs}.")


class AlignmentAgent(ValuingAgent):
    """Adds up ⟨∇ℓ_m, ∇L_val⟩ of every interaction while a recommender learns from all of them.

    One batch says little; over epochs, with a fresh negative each time, what is left is the
    interaction's own. The validation loss is against negatives drawn by popularity, so that
    raising what is merely frequent, or promoted, does not count as good. Compare TracIn (Pruthi et
    al., NeurIPS 2020).

    A user's own vector answers to a handful of interactions, and what it gains by one of them is
    mostly about the others. With ``of="items"`` only items' gradients count, as TracIn-WE counts
    those of word embeddings (Yeh et al., NeurIPS 2022).
    """

    name = "alignment"
    sees = "simulator"  # the validation loss is what the reward measures
    Config = AlignmentConfig
    config: AlignmentConfig  # pyright: ignore[reportIncompatibleVariableOverride]
    needs = ("show_ids",)

    def __init__(self, env: Any, config: AlignmentConfig | None = None):
        super().__init__(env, config)
        self.values: np.ndarray | None = None  # (R,) of the training interactions

    def learn(
        self, total_timesteps: int | None = None, *, seed: int | None = None, progress: bool = False
    ) -> AlignmentAgent:
        """Watch plain BPR learn; ``total_timesteps`` batches in the place of ``config.epochs``."""
        usual = self.config.epochs * self.problem.stream(0).per_epoch
        batches = steps_to_learn(total_timesteps, usual)
        params = replace(
            self.problem.params,
            show_alignment=True,
            metric="Loss",
            steps=batches,
            measure_every=batches,
        )
        watched = DataValuation(self.problem.world, params, "train")
        rng = np.random.default_rng(self.seed_of(seed))
        shown = SHOWN[self.config.of]
        self.values = gathered(watched, lambda seen: seen[shown], batches, rng)
        return self

    def weights(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        if self.values is None:
            raise AgentError("alignment has not learned yet. Call learn() first.")
        least = np.quantile(self.values, 1 - self.config.share)
        return (self.values[observation["row"]] >= least).astype(np.float64)

    def save(self, path: str | Path) -> None:
        import torch

        from recgym.models.store import write_tensors

        if self.values is None:  # nor those of whoever was saved here before
            (Path(path) / VALUES).unlink(missing_ok=True)
        else:
            write_tensors(Path(path) / VALUES, {"values": torch.tensor(self.values)})
        super().save(path)

    @classmethod
    def load(cls, path: str | Path, env: Any) -> AlignmentAgent:
        from recgym.models.store import StoreError, read_weights

        agent = super().load(path, env)
        assert isinstance(agent, cls)
        file = Path(path) / VALUES
        if file.is_file():
            tensors, size = read_weights(file), len(agent.problem.world.rows[0])
            if list(tensors) != ["values"] or tensors["values"].shape != (size,):
                raise StoreError(
                    f"{file} does not hold a value of each of the {size} training interactions. "
                    "Train the agent again."
                )
            agent.values = tensors["values"].numpy()
        return agent
