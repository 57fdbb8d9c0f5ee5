"""Training of IRN (:mod:`recgym.models.irn`): segments of histories whose last item is i_t."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recgym.data.log import DataError, InteractionLog
from recgym.data.splits import Segments, leave_last_out, segments, windows
from recgym.models.checkpoint import Checkpoint, identity, moments, restore_moments
from recgym.models.irn import IRN, IRNConfig, new_irn

POOL = 16  # batches whose segments are sorted by length, so that each has little padding


@dataclass(frozen=True)
class IRNTraining:
    """Settings of :func:`fit_irn`: the paper's, with less patience."""

    epochs: int = 30
    batch: int = 32
    learning_rate: float = 2e-3
    shortest: int = 20
    longest: int = 60
    """Segments of histories have so many items (l_min, l_max), the objective included."""
    patience: int = 4
    """Epochs without a better validation loss after which training stops.

    The rate halves after ``patience // 2 + 1`` of them. 0: all epochs, at one rate, and the last
    one's weights.
    """
    init_std: float = 0.1
    """Item embeddings start from PPMI vectors scaled to this standard deviation; 0: random."""
    objective_in_loss: bool = True
    keep_short: bool = False
    """Whether a history shorter than ``shortest`` is a segment too, padded, as in the paper."""

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("patience", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}.")
        if not 2 <= self.shortest <= self.longest:
            raise ValueError(
                f"Need 2 <= shortest <= longest, got {self.shortest} and {self.longest}."
            )
        if self.shortest < 3 and not self.objective_in_loss:
            raise ValueError(
                "Need shortest >= 3 where objective_in_loss is False: of a segment of two items "
                "nothing is left to predict."
            )

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        if not self.keep_short:  # as before there was a choice: digests stay
            del values["keep_short"]
        return values


@dataclass
class IRNProgress:
    """Where a training stands."""

    epoch: int = 0
    best: float = math.inf
    """Validation loss of the best epoch."""
    best_epoch: int = 0
    finished: bool = False
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    schedule: dict = field(default_factory=dict)


def fit_irn(
    log: InteractionLog,
    config: IRNConfig,
    training: IRNTraining,
    seed: int,
    *,
    checkpoint: Path | None = None,
    report: Callable[[IRNProgress], None] = lambda progress: None,
) -> tuple[IRN, IRNProgress]:
    """Train on ``log`` without each user's last item; keep the best epoch by validation loss.

    With ``checkpoint`` (a folder) each epoch is saved; a call with the same arguments continues
    an interrupted training to the same result, and returns a finished one at once. ``report`` is
    called after each epoch.

    Raises:
        DataError: histories too short to cut into segments.
        FloatingPointError: the loss is not finite.
        StoreError: a damaged checkpoint, or another training's.
    """
    t, log = training, leave_last_out(log)[0]
    train, validation = _pieces(log, config, training, seed)
    if len(train) == 0 or len(validation) == 0:
        raise DataError(
            f"{log.name}: too few histories of {t.shortest} items and more to train on "
            f"({len(train) + len(validation)} segments). Lower shortest."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = new_irn(log, config, t.init_std)
        optimiser = torch.optim.Adam(
            network.parameters(), lr=t.learning_rate, betas=(0.9, 0.98), eps=1e-9
        )
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser, factor=0.5, patience=t.patience // 2
        )
        progress, best = IRNProgress(), _copy(network)
        saved = None
        if checkpoint is not None:
            parts = log.fingerprint, config.to_dict(), training.to_dict(), seed
            saved = Checkpoint(checkpoint, identity("irn", *parts))
        if saved is not None and saved.exists():
            progress, groups = saved.load(IRNProgress, ("weights", "best", "optimiser"))
            best = groups["best"]
            network.load_state_dict(groups["weights"])
            restore_moments(optimiser, groups["optimiser"])
            schedule.load_state_dict(progress.schedule)
            rates = progress.schedule["_last_lr"]
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate
        while not progress.finished:
            started = time.monotonic()
            loss = _epoch(network, optimiser, log, train, t, seed, progress.epoch + 1)
            now = validation_loss(network, log, validation, t)
            progress.epoch += 1
            progress.curve.append({"epoch": progress.epoch, "loss": loss, "validation": now})
            if t.patience:
                schedule.step(now)
            if now < progress.best or not t.patience:
                progress.best, progress.best_epoch, best = now, progress.epoch, _copy(network)
            waited = progress.epoch - progress.best_epoch
            progress.finished = progress.epoch == t.epochs or (0 < t.patience <= waited)
            progress.seconds += time.monotonic() - started
            progress.schedule = schedule.state_dict() | {"_last_lr": schedule.get_last_lr()}
            if saved is not None:
                groups = {"weights": network.state_dict(), "best": best}
                saved.save(asdict(progress), groups | {"optimiser": moments(optimiser)})
            report(progress)
    network.load_state_dict(best)
    return network.eval(), progress


def trained_users(
    log: InteractionLog, config: IRNConfig, training: IRNTraining, seed: int
) -> np.ndarray:
    """(U,) bool: whose segments :func:`fit_irn` learns from.

    Others have histories too short for one, or all theirs in the validation part: their vectors,
    and with them r_u, depend on the draw that they started from.
    """
    train, _ = _pieces(leave_last_out(log)[0], config, training, seed)
    return np.isin(np.arange(log.n_users), train.user)


def _pieces(
    log: InteractionLog, config: IRNConfig, training: IRNTraining, seed: int
) -> tuple[Segments, Segments]:
    """(train, validation), of a log without each user's last item."""
    longest = min(training.longest, config.length)
    least = 2 if training.objective_in_loss else 3  # so that something is left to predict
    return segments(
        log, training.shortest, longest, seed=seed, keep_short=training.keep_short, least=least
    )


def _epoch(
    network: IRN,
    optimiser: torch.optim.Optimizer,
    log: InteractionLog,
    train: Segments,
    training: IRNTraining,
    seed: int,
    epoch: int,
) -> float:
    """One pass over the training segments; the mean loss of its steps."""
    network.train()
    rng = np.random.default_rng([seed, epoch])
    torch.manual_seed(seed * 100_003 + epoch)  # dropout
    losses = []
    for tokens, user in batches(log, train, network.config.length, training.batch, rng):
        loss = network.loss(tokens, user, objective_in_loss=training.objective_in_loss)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"IRN: the loss became {loss.item()} in epoch {epoch}. "
                f"Lower learning_rate ({training.learning_rate})."
            )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def batches(
    log: InteractionLog, pieces: Segments, length: int, batch: int, rng: np.random.Generator | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """(tokens (B, L), users (B,)) of all segments, each pre-padded with its objective last.

    L is the longest of the batch, at most ``length``: a third of the tokens would be padding.
    Without ``rng`` they come in order.
    """
    size = np.minimum(pieces.stop - pieces.start, length)
    order = np.arange(len(pieces))
    if rng is not None:
        order = rng.permutation(len(pieces))
        pool = np.arange(len(pieces)) // (batch * POOL)
        order = order[np.lexsort((size[order], pool))]
    starts = np.arange(0, len(order), batch)
    for start in starts if rng is None else rng.permutation(starts):
        chosen = order[start : start + batch]
        user, longest = pieces.user[chosen].astype(np.int64), int(size[chosen].max())
        tokens = windows(log, pieces.stop[chosen], user, longest)
        outside = pieces.stop[chosen, None] + np.arange(-longest, 0) < pieces.start[chosen, None]
        yield torch.as_tensor(np.where(outside, log.n_items, tokens)), torch.as_tensor(user)


@torch.inference_mode()
def validation_loss(
    network: IRN, log: InteractionLog, pieces: Segments, training: IRNTraining
) -> float:
    """The loss per batch, averaged over segments."""
    network.eval()
    total = 0.0
    for tokens, user in batches(log, pieces, network.config.length, training.batch, None):
        loss = network.loss(tokens, user, objective_in_loss=training.objective_in_loss)
        total += loss.item() * len(tokens)
    return total / len(pieces)


def _copy(network: IRN) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
