"""The state of DataValuation: B recommenders under training, and the frozen parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from recgym.envs.arguments import flag, plain, whole
from recgym.envs.core import BatchState

ACTIONS = ("select", "weigh")
# Metrics of the paper's Tables 2 to 4, and whether more (+1) or less (−1) of each is better.
DIRECTIONS: Mapping[str, int] = {
    "Loss": -1,
    "Recall": +1,
    "NDCG": +1,
    "CC": +1,
    "ILD": +1,
    "Gini": -1,
}


@dataclass(frozen=True)
class Params:
    """What makes one DataValuation differ from another, apart from its world."""

    metric: str = "Loss"
    """A key of :data:`DIRECTIONS`."""
    k: int = 20
    """Length of the ranked lists."""
    measure_every: int = 1
    """K: steps between measurements."""
    steps: int = 50
    """Batches of an episode, T."""
    batch: int = 512
    """n, triplets."""
    action: str = "select"
    show_ids: bool = False
    """Whether users, items and rows of the log are observed."""
    show_embeddings: bool = False
    show_alignment: bool = False
    """Whether each triplet's effect on the validation loss is observed, to first order."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of named reward terms that take the place of the defaults."""

    def __post_init__(self) -> None:
        for name, known in (("action", ACTIONS), ("metric", tuple(DIRECTIONS))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {known}, got {getattr(self, name)!r}.")
        for name, least in (("k", 1), ("measure_every", 1), ("steps", 1), ("batch", 2)):
            whole(name, getattr(self, name), least)
        for name in ("show_ids", "show_embeddings", "show_alignment"):
            flag(name, getattr(self, name))
        if self.steps % self.measure_every:
            raise ValueError(
                f"steps must be a multiple of measure_every, got {self.steps} and "
                f"{self.measure_every}: the last batches would be paid nothing."
            )
        plain(self)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "weights": dict(self.weights)}


@dataclass(frozen=True)
class State(BatchState):
    """B recommenders with P parameters each, n triplets a batch, T batches an episode."""

    stream: np.ndarray  # (B,) int64, the order of the data
    report_test: np.ndarray  # (B,) int64, 1 where the metrics shall have the test data
    step: np.ndarray  # (B,) int64, batches so far
    values: np.ndarray  # (B, P) float32
    first: np.ndarray  # (B, P) float32, of Adam
    second: np.ndarray  # (B, P) float32, of Adam
    optimiser_steps: np.ndarray  # (B,) int64
    measured: np.ndarray  # (B, T/K + 1) float64, the metric; NaN where not yet measured
    last_weights: np.ndarray  # (B, n) float32, of the action before; NaN at the start
    kept: np.ndarray  # (B,) float64, sum of all weights
    separation: np.ndarray  # (B,) float64, sum over batches of the AUC against planted noise
    separable: np.ndarray  # (B,) int64, batches with planted and other triplets
    rewards: np.ndarray  # (B,) float64, their sum
