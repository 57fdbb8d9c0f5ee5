"""Training a recommender from its initialisation to the end, the way a method has it.

All methods share the world's split, its optimiser, the order of the data (by seed) and the rule
that ends training: validation NDCG has not risen for so many epochs, or a budget is spent. The test
part is looked at once, with the weights that validation chose.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recgym.envs.arguments import plain, whole
from recgym.envs.data_valuation.measuring import of_users, ranked
from recgym.envs.data_valuation.state import DIRECTIONS
from recgym.envs.data_valuation.worlds import World
from recgym.evaluators.learner import Learner, Triplets, Weights
from recgym.evaluators.learner.samplers import SAMPLERS, Interactions, Sampler, Vectors

Metrics = Mapping[str, np.ndarray]
DECIDING = 20_242  # fixed: the same users decide in every run


@dataclass(frozen=True)
class Settings:
    """What all methods share; the last group matters to those that need it."""

    seed: int = 0
    """Of initialisation, order and negatives, and of what a method learns itself."""
    batch: int = 512
    """Positives of an update."""
    most_updates: int = 50_000
    """0 leaves the recommender at its initialisation."""
    patience: int = 20
    """Epochs without a better validation NDCG after which training ends. Where clicks were bought,
    BPR learns those first and stands still for epochs before it learns what users like."""
    k: int = 20
    """Length of the lists."""
    deciding_users: int | None = None
    """Whose validation NDCG ends training and chooses the epoch: so many drawn once of all users,
    of whom those with validation items count; None for all. What is told in the end is of all."""

    shares: tuple[float, ...] = (0.77,)
    """Of the training interactions, which methods that drop some keep: each is tried, and
    validation chooses."""
    valuing_epochs: int = 10
    """Passes over the training data in which values add up."""
    episodes: int = 40
    """That DVR learns from."""
    timesteps: int = 20_000
    """That PPO learns from."""
    plain_epochs: int = 100
    """Of TIL-MI, before its controller begins, and at most of DVR, before its valuator does."""
    ramp_epochs: int = 20
    """Until T-CE drops as much as it will."""

    def __post_init__(self) -> None:
        least = {"batch": 2, "seed": 0, "most_updates": 0, "plain_epochs": 0}
        for name, number in vars(self).items():
            if name == "shares" or (name == "deciding_users" and number is None):
                continue
            whole(name, number, least.get(name, 1))
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise ValueError(f"shares must be above 0 and at most 1, got {self.shares}.")
        plain(self)

    @property
    def key(self) -> dict[str, Any]:
        """For what is cached; a choice that is not made is left out: keys are older than it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Outcome:
    """The recommender that validation chose, and what it took."""

    validation: Metrics
    """Recall, NDCG, Gini and where there are categories CC and ILD: (V,) by user, Gini (1,)."""
    test: Metrics
    updates: int
    """Until training ended, those of a valuation before it included."""
    best_update: int
    """Of the weights that were chosen."""
    seconds: float
    """Likewise of all of it, measurements included."""


@dataclass(frozen=True)
class Batch:
    """What a :class:`Weighting` may look at before an update."""

    learner: Learner
    values: np.ndarray  # (1, P) the recommender's parameters
    triplets: Triplets  # (1, n)
    rows: np.ndarray  # (n,) of the training data
    update: int  # how many there were


class Weighting:
    """Gives the triplets of a batch weights of at least 0, and may learn from them."""

    name: str = "plain"
    plain_epochs: int = 0
    """Epochs before it is asked; they do not count for the patience."""

    def start_epoch(self, epoch: int, item_vectors: np.ndarray, rng: np.random.Generator) -> None:
        """Look at the recommender's vectors (N, d), ``epoch`` epochs after the plain ones."""

    def weigh(self, batch: Batch, rng: np.random.Generator) -> np.ndarray:
        """(n,) weights."""
        return np.ones(len(batch.rows))

    def arrays(self) -> dict[str, np.ndarray]:
        """What it has learned, for a checkpoint."""
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from :meth:`arrays`."""


@dataclass
class _Progress:
    """How far a training is: all that a checkpoint holds besides the weighting."""

    weights: Weights
    best: np.ndarray  # (1, P)
    best_ndcg: float = -1.0
    best_update: int = 0
    epoch: int = 0
    updates: int = 0
    stale: int = 0
    seconds: float = 0.0

    NUMBERS = ("best_ndcg", "best_update", "epoch", "updates", "stale", "seconds")


@dataclass(eq=False)
class _Training:
    world: World
    settings: Settings
    sampler: str
    row_weights: np.ndarray  # (R,)
    weighting: Weighting
    checkpoint: Path | None
    kept: np.ndarray = field(init=False)  # rows with a weight above 0
    deciding: np.ndarray | None = field(init=False)  # users
    learner: Learner = field(init=False)
    negatives: Sampler = field(init=False)

    def __post_init__(self) -> None:
        world, s = self.world, self.settings
        user, item, _ = world.rows
        self.kept = np.flatnonzero(self.row_weights > 0)
        whole = len(self.kept) == len(user)
        self.learner = world.new_learner(s.seed, None if whole else self.kept)
        self.negatives = SAMPLERS[self.sampler](Interactions(user, item, world.log.n_items))
        self.size = min(s.batch, len(self.kept))
        self.deciding = None
        if s.deciding_users is not None:
            n = min(s.deciding_users, world.log.n_users)
            self.deciding = np.random.default_rng(DECIDING).permutation(world.log.n_users)[:n]

    def run(self) -> Outcome:
        s, state = self.settings, self._load()
        while state.updates < s.most_updates and state.stale < s.patience:
            started = time.perf_counter()
            self._epoch(state)
            self._measure(state)
            state.seconds += time.perf_counter() - started
            self._save(state)
        started = time.perf_counter()
        validation, test = (self._metrics(state.best, test=test) for test in (False, True))
        seconds = state.seconds + time.perf_counter() - started
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
        return Outcome(validation, test, state.updates, state.best_update, seconds)

    def _epoch(self, state: _Progress) -> None:
        s, world = self.settings, self.world
        rng = np.random.default_rng([s.seed, state.epoch])
        own = np.random.default_rng([s.seed, state.epoch, 1])  # every method sees the same data
        order = rng.permutation(self.kept)
        vectors = self._vectors(state)
        self.negatives.start_epoch(vectors, own)
        weighs = state.epoch >= self.weighting.plain_epochs
        if weighs:
            epoch = state.epoch - self.weighting.plain_epochs
            self.weighting.start_epoch(epoch, vectors()[1], own)
        user, item, _ = world.rows
        for start in range(0, len(order) - self.size + 1, self.size):
            if state.updates == s.most_updates:
                break
            rows = order[start : start + self.size]
            negatives = self.negatives.draw(user[rows], vectors, rng)
            triplets = Triplets.with_many(user[rows], item[rows], negatives)
            weights = self._importance(state, triplets, negatives.shape)
            rows = np.repeat(rows, self.negatives.m)
            weights = weights * self.row_weights[rows]
            if weighs:
                values = state.weights.values
                batch = Batch(self.learner, values, triplets, rows, state.updates)
                weights = weights * self.weighting.weigh(batch, own)
            state.weights = self.learner.step(state.weights, triplets, weights[None], reuse=True)
            state.updates += 1
        state.epoch += 1

    def _vectors(self, state: _Progress) -> Vectors:
        def vectors() -> tuple[np.ndarray, np.ndarray]:
            import torch

            log = self.world.log
            model = self.learner.recommender(state.weights.values[0])
            with torch.no_grad():
                found = model.embeddings(torch.arange(log.n_users), torch.arange(log.n_items))
            return found[0].numpy(), found[1].numpy()

        return vectors

    def _importance(
        self, state: _Progress, triplets: Triplets, shape: tuple[int, ...]
    ) -> np.ndarray:
        """(n·m,), adding up to 1 for each positive."""
        m = self.negatives.m
        if m == 1:
            return np.ones(shape[0])
        scores = self.learner.signals(state.weights.values, triplets).negative[0]
        user, negatives = triplets.user[0, ::m], triplets.negative[0].reshape(shape)
        return self.negatives.importance(scores.reshape(shape), user, negatives).ravel()

    def _measure(self, state: _Progress) -> None:
        report = self._report(state.weights.values, test=False, users=self.deciding)
        ndcg = float(report.ndcg().mean())
        if ndcg > state.best_ndcg:
            state.best_ndcg, state.best_update, state.stale = ndcg, state.updates, 0
            state.best = state.weights.values.copy()
        elif state.epoch > self.weighting.plain_epochs:
            state.stale += 1

    def _report(self, values: np.ndarray, *, test: bool, users: np.ndarray | None = None):
        k = min(self.settings.k, self.world.log.n_items)
        return ranked(self.world, self.learner.scorer(values[0]), k, test=test, users=users)

    def _metrics(self, values: np.ndarray, *, test: bool) -> Metrics:
        report = self._report(values, test=test)
        names = [name for name in DIRECTIONS if name != "Loss"]
        if report.categories is None:
            names = [name for name in names if name not in ("CC", "ILD")]
        return {name: of_users(report, name) for name in names}

    def _identity(self) -> np.ndarray:
        """(32,) uint8: a digest of everything that the outcome depends on."""
        told = [self.world.fingerprint, self.settings.key, self.sampler, self.weighting.name]
        digest = hashlib.sha256(json.dumps(told).encode())
        digest.update(np.ascontiguousarray(self.row_weights).tobytes())
        return np.frombuffer(digest.digest(), dtype=np.uint8)

    def _load(self) -> _Progress:
        from recgym.models.store import StoreError, read_tensors

        start = self.learner.start()
        if self.checkpoint is None or not self.checkpoint.is_file():
            return _Progress(start, start.values.copy())
        arrays = {name: t.numpy() for name, t in read_tensors(self.checkpoint).items()}
        if not np.array_equal(arrays.pop("identity", np.empty(0)), self._identity()):
            raise StoreError(
                f"{self.checkpoint} is of another training. Give another checkpoint, or delete it."
            )
        weights = Weights(**{name: arrays.pop(name) for name in vars(start)})
        state = _Progress(weights, arrays.pop("best"))
        for name in _Progress.NUMBERS:
            setattr(state, name, arrays.pop(name).item())
        self.weighting.restore(arrays)
        return state

    def _save(self, state: _Progress) -> None:
        import torch

        from recgym.models.store import write_tensors

        if self.checkpoint is None:
            return
        numbers = {name: np.array(getattr(state, name)) for name in _Progress.NUMBERS}
        arrays = {
            "identity": self._identity().copy(),
            "best": state.best.copy(),
            **vars(state.weights),
            **numbers,
            **self.weighting.arrays(),
        }
        write_tensors(self.checkpoint, {n: torch.from_numpy(a) for n, a in arrays.items()})


def train(
    world: World,
    settings: Settings | None = None,
    *,
    sampler: str = "uniform",
    row_weights: np.ndarray | None = None,
    weighting: Weighting | None = None,
    checkpoint: Path | None = None,
) -> Outcome:
    """Train the world's backbone until validation NDCG stops rising or the budget is spent.

    Args:
        sampler: of negatives, a key of :data:`recgym.evaluators.learner.samplers.SAMPLERS`.
        row_weights: (R,) of the training interactions (``world.rows``), None for all 1. Those of
            weight 0 are in no batch and in no graph; they are no negatives either.
        weighting: of the triplets of each batch, besides.
        checkpoint: a file that is written after each epoch, from which the same call goes on, and
            which is gone in the end. An interrupted training ends as one that was not.

    Raises:
        ValueError: an unknown sampler, or weights that are negative, not finite, all 0 or too few.
        StoreError: the checkpoint is of another training.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler must be one of {tuple(SAMPLERS)}, got {sampler!r}.")
    n = len(world.rows[0])
    weights = np.ones(n) if row_weights is None else np.asarray(row_weights, dtype=np.float64)
    if weights.shape != (n,) or not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError(f"row_weights must be {n} finite numbers of at least 0.")
    if not weights.any():
        raise ValueError("row_weights are all 0: nothing would be learnt from.")
    return _Training(
        world, settings or Settings(), sampler, weights, weighting or Weighting(), checkpoint
    ).run()
