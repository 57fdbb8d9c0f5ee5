"""One plain training loop for all models of a log, with validation, checkpoints and resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from recgym.data.log import InteractionLog
from recgym.models import model_class
from recgym.models.base import LogModel, NextItemModel
from recgym.models.checkpoint import Checkpoint, identity, moments, restore_moments
from recgym.models.cooccurrence import starting_bias, starting_items


@dataclass(frozen=True)
class TrainConfig:
    """Settings of :func:`fit`, the same for every model."""

    epochs: int = 60
    """Most epochs; the learning rate falls to zero along a cosine over them."""
    batch: int = 64
    """Windows (of user-item models: triples) per step."""
    windows_per_event: float = 0.04
    """Windows or triples per epoch, as a share of the log's events; drawn uniformly."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 100
    """Steps of linear warm-up."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    init_std: float = 0.1
    """Item embeddings start from PPMI vectors scaled to this standard deviation; 0: random."""
    init_window: int = 10
    """Window of the co-occurrence counts for that start, in events."""
    validate_every: int = 5
    """Epochs between validations; the best one's epoch is kept."""
    patience: int = 6
    """Validations without a better metric after which training stops."""
    metric: str = "NDCG@10"
    """Validation metric, larger is better."""
    stop_after: int | None = None
    """Stop at this epoch of the same schedule; set for the refit on all data."""
    seed: int = 0

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"TrainConfig does not know {unknown}; it knows {sorted(known)}.")
        return cls(**values)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "validate_every", "patience", "stop_after"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}.")
        if not self.clip > 0:
            raise ValueError(f"clip must be positive, got {self.clip}.")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}.")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}.")


@dataclass
class Progress:
    """Where a training stands; everything here goes into a checkpoint."""

    epoch: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def build(
    log: InteractionLog, model: str, model_config: dict[str, Any], config: TrainConfig
) -> LogModel:
    """A model for ``log`` with its starting weights.

    Next-item models start from PPMI item vectors and popularity biases, others as they define.
    """
    kind = model_class(model)
    sizes = {"n_items": log.n_items}
    if any(f.name == "n_users" for f in fields(kind.Config)):
        sizes["n_users"] = log.n_users
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = kind(kind.Config.from_dict({**model_config, **sizes}))
    if not isinstance(network, NextItemModel):
        return network
    vectors = starting_items(log, network.config.width, config.init_std, config.init_window)
    if vectors is not None:
        network.initialise_items(vectors)
    bias = getattr(network, "bias", None)
    if isinstance(bias, nn.Parameter):
        with torch.no_grad():
            bias.copy_(torch.as_tensor(starting_bias(log)))
    return network


def fit(
    log: InteractionLog,
    model: str,
    model_config: dict[str, Any],
    config: TrainConfig,
    *,
    validate: Callable[[LogModel], dict[str, float]] | None = None,
    checkpoint: Path | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> tuple[LogModel, Progress]:
    """Train ``model`` on ``log``; return it as it was at its best validation, and the record.

    Without ``validate`` it trains for all epochs. With ``checkpoint`` (a folder) each epoch is
    saved, and a call with the same arguments continues where an earlier one was stopped, to the
    same result as an uninterrupted run.

    Raises:
        FloatingPointError: the loss is not finite.
        StoreError: the checkpoint belongs to another log or other settings.
    """
    network = build(log, model, model_config, config)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    generator = torch.Generator().manual_seed(config.seed)
    progress, best = Progress(), {k: v.clone() for k, v in network.state_dict().items()}
    saved = None
    if checkpoint is not None:
        parts = log.fingerprint, model, network.config.to_dict(), asdict(config)
        saved = Checkpoint(checkpoint, identity(*parts))
    if saved is not None and saved.exists():
        progress, groups = saved.load(Progress, ("weights", "best", "generator"))
        best = groups["best"]
        network.load_state_dict(groups["weights"])
        generator.set_state(groups["generator"]["state"])
        restore_moments(optimiser, groups.get("optimiser", {}))

    n_windows = max(config.batch, round(len(log) * config.windows_per_event))
    n_batches = n_windows // config.batch
    last_epoch = min(config.epochs, config.stop_after or config.epochs)
    with torch.random.fork_rng(devices=[]):
        while progress.epoch < last_epoch and not _exhausted(progress, config, validate):
            started = time.monotonic()
            rng = np.random.default_rng([config.seed, progress.epoch])
            torch.manual_seed(config.seed * 100_003 + progress.epoch)  # dropout
            loss = 0.0
            network.train()
            rows = rng.integers(0, len(log), (n_batches, config.batch))
            for step, events in enumerate(rows, start=progress.epoch * n_batches):
                for group in optimiser.param_groups:
                    group["lr"] = _rate(step, config, config.epochs * n_batches)
                value = network.loss_of_events(log, events, rng, generator)
                if not torch.isfinite(value):
                    raise FloatingPointError(
                        f"{model}: the loss became {value.item()} in epoch {progress.epoch + 1}. "
                        f"Lower learning_rate ({config.learning_rate})."
                    )
                optimiser.zero_grad()
                value.backward()
                nn.utils.clip_grad_norm_(network.parameters(), config.clip)
                optimiser.step()
                network.after_step()
                loss += value.item() / n_batches
            progress.epoch += 1
            record = {"epoch": progress.epoch, "loss": loss}
            if validate is not None and (
                progress.epoch % config.validate_every == 0 or progress.epoch == last_epoch
            ):
                network.eval()
                record |= validate(network)
                if record[config.metric] > progress.best:
                    progress.best, progress.best_epoch = record[config.metric], progress.epoch
                    best = {k: v.clone() for k, v in network.state_dict().items()}
            progress.curve.append(record)
            progress.seconds += time.monotonic() - started
            if saved is not None:
                groups = {
                    "weights": network.state_dict(),
                    "best": best,
                    "optimiser": moments(optimiser),
                    "generator": {"state": generator.get_state()},
                }
                saved.save(asdict(progress), groups)
            report(progress)
    if validate is not None:
        network.load_state_dict(best)
    else:
        progress.best_epoch = progress.epoch
    return network.eval(), progress


def refit_config(config: TrainConfig, progress: Progress) -> TrainConfig:
    """The settings for a second training on all data: the same schedule up to the best epoch."""
    return replace(config, stop_after=progress.best_epoch)


def _exhausted(progress: Progress, config: TrainConfig, validate: Any) -> bool:
    since = progress.epoch - progress.best_epoch
    return validate is not None and since >= config.patience * config.validate_every


def _rate(step: int, config: TrainConfig, total: int) -> float:
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    return config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / total))
