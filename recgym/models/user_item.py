"""What models that know their users share: Bayesian personalised ranking of sampled triples."""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recgym.data.log import InteractionLog
from recgym.data.splits import windows
from recgym.models.base import LogModel, ModelConfig


@dataclass(frozen=True)
class UserItemConfig(ModelConfig):
    """Fields shared by user-item models; one item of history is all that any of them reads."""

    n_users: int = 1
    length: int = 1
    width: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_users < 1:
            raise ValueError(f"n_users must be at least 1, got {self.n_users}.")

    def check_penalties(self, *names: str) -> None:
        for name in names:
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}.")


class UserItemModel(LogModel):
    """Scores items for a known user and her last item.

    Trained by BPR (Rendle et al., UAI 2009): −log σ(s_i − s_j) for an event (u, i) and an item j
    that u has not had, drawn uniformly, with a penalty on the parameters of that triple.
    """

    @abstractmethod
    def pair_scores(self, user: Tensor, previous: Tensor, item: Tensor) -> Tensor:
        """Scores (B,) of one item for each user and last item, N where there is none; all (B,)."""

    @abstractmethod
    def penalty(self, user: Tensor, previous: Tensor, items: tuple[Tensor, Tensor]) -> Tensor:
        """The regularisation (B,) of each triple."""

    def loss(self, user: Tensor, previous: Tensor, item: Tensor, other: Tensor) -> Tensor:
        """Mean loss of triples: ``item`` is to rank above ``other``; all (B,) int64."""
        above = self.pair_scores(user, previous, item) - self.pair_scores(user, previous, other)
        return (F.softplus(-above) + self.penalty(user, previous, (item, other))).mean()

    def loss_of_events(
        self,
        log: InteractionLog,
        events: np.ndarray,
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> Tensor:
        user = log.user[events].astype(np.int64)
        previous = windows(log, events, user, 1)[:, 0]
        triple = user, previous, log.item[events].astype(np.int64), unseen_items(log, user, rng)
        return self.loss(*(torch.as_tensor(column) for column in triple))


def unseen_items(log: InteractionLog, user: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B,) int64: for each user an item that she has not had; any, if she has had them all."""
    keys, complete = _had(log)
    item = rng.integers(0, log.n_items, len(user))
    pending = np.flatnonzero(~complete[user])
    while len(pending):
        key = user[pending] * log.n_items + item[pending]
        place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        pending = pending[keys[place] == key]
        item[pending] = rng.integers(0, log.n_items, len(pending))
    return item


@functools.lru_cache(maxsize=2)
def _had(log: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
    """(sorted keys user·N + item of all pairs, which users have had every item)."""
    keys = np.unique(log.user.astype(np.int64) * log.n_items + log.item)
    counts = np.bincount(keys // log.n_items, minlength=log.n_users)
    return keys, counts == log.n_items


def squared(*vectors: Tensor) -> Tensor:
    """(B,): the sum of the squares of each row of all (B, d)."""
    return torch.stack([vector.square().sum(dim=1) for vector in vectors]).sum(dim=0)
