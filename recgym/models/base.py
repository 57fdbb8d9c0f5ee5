"""What every trainable model is to the training loop, the store and the evaluators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from recgym.data.log import InteractionLog
from recgym.data.splits import windows


@dataclass(frozen=True)
class Settings:
    """What every model's configuration can do. :meth:`from_dict` refuses unknown fields."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]):
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{cls.__name__} does not know {unknown}; it knows {sorted(known)}.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Fields shared by all models of a log."""

    n_items: int
    length: int = 50
    """Longest input, in tokens."""
    width: int = 64
    """Dimension of the embeddings and the hidden states."""

    def __post_init__(self) -> None:
        for name in ("n_items", "length", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("layers", "heads"):
            if getattr(self, name, 1) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.width % (heads := getattr(self, "heads", 1)):
            raise ValueError(f"width {self.width} is not a multiple of heads {heads}.")
        if not 0 <= (dropout := getattr(self, "dropout", 0)) < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}.")


class LogModel(nn.Module, ABC):
    """A network that is trained on the events of a log and scores items.

    Items are 0..N−1 and padding is N, on the left. Subclasses define ``name`` and ``Config``.
    """

    name: ClassVar[str]
    Config: ClassVar[type[ModelConfig]]
    config: Any  # an instance of Config

    @abstractmethod
    def loss_of_events(
        self,
        log: InteractionLog,
        events: np.ndarray,
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> Tensor:
        """The training loss (scalar) of a batch of rows (B,) of the log."""

    @abstractmethod
    def user_scores(self, histories: Tensor, users: Tensor) -> Tensor:
        """Logits (B, N) of the item after each history (B, L) int64 of users (B,) int64."""

    def after_step(self) -> None:
        """Called after each step of the optimiser; a place for constraints."""

    def as_stored(self) -> LogModel:
        """Round the weights to float16, in which :func:`recgym.models.store.save_model` writes."""
        self.load_state_dict({key: value.half() for key, value in self.state_dict().items()})
        return self.eval()

    @property
    def n_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())


class NextItemModel(LogModel):
    """Scores the next item of a history, whoever's it is: can be a simulated user P(i | history).

    Subclasses define :meth:`loss` and :meth:`scores`.
    """

    @abstractmethod
    def loss(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """The training loss (scalar) of windows of histories, tokens (B, L) int64."""

    @abstractmethod
    def scores(self, histories: Tensor) -> Tensor:
        """Logits (B, N) of the item that follows each history (B, L) int64."""

    def scores_after(self, histories: Tensor, items: Tensor) -> Tensor:
        """Logits (B, K, N) after each history (B, L) with each of the items (B, K) appended."""
        (b, k), length = items.shape, histories.shape[1]
        after = torch.cat([histories[:, None].expand(b, k, length), items[:, :, None]], dim=2)
        parts = after.reshape(b * k, length + 1).split(64)
        return torch.cat([self.scores(part) for part in parts]).view(b, k, -1)

    @abstractmethod
    def initialise_items(self, vectors: np.ndarray) -> None:
        """Start the item embeddings from ``vectors`` (N, d), learned from the training log."""

    def loss_of_events(
        self,
        log: InteractionLog,
        events: np.ndarray,
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> Tensor:
        """The loss of the windows that end with these events."""
        tokens = windows(log, events + 1, log.user[events], self.config.length + 1)
        return self.loss(torch.as_tensor(tokens), generator)

    def user_scores(self, histories: Tensor, users: Tensor) -> Tensor:
        return self.scores(histories)


def left_fit(tokens: Tensor, length: int, pad: int) -> Tensor:
    """The last ``length`` columns of pre-padded tokens, with more padding where there are fewer."""
    missing = length - tokens.shape[1]
    if missing > 0:
        return torch.nn.functional.pad(tokens, (missing, 0), value=pad)
    return tokens[:, tokens.shape[1] - length :]
