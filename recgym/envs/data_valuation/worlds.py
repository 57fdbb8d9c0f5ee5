"""Worlds of DataValuation: a log that is split, noise in it, and a recommender that is warm."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from recgym.data import DataError, InteractionLog
from recgym.data.planted import plant
from recgym.data.selection_split import check_pairs, first_events
from recgym.data.splits import k_core, ratio
from recgym.envs.arguments import number, plain, single, whole
from recgym.envs.data_valuation.streams import Epochs, Stream, batch_of
from recgym.evaluators.influence import draw_negatives
from recgym.evaluators.learner import Learner, Optimiser, Triplets, Weights
from recgym.models.arrays import kept

SPLIT_SEED = 20_241  # fixed: the same interactions are held out in every run
SHARES = (0.8, 0.1, 0.1)
LIKED = 4  # ratings from here on are interactions (paper, section 6.1)
CORE = 5
BACKBONES = ("mf", "neumf", "lightgcn", "mgcf")
MEASURING = 2  # negatives for each validation interaction, in the validation loss
REDRAWS = 50  # of negatives by popularity; then a uniform one stays
WARM_STREAM = 2**40  # of no episode
_LEAST = {
    "width": 1,
    "warm_epochs": 0,
    "warm_batch": 2,
    "noise_draw": 0,
    "validation_users": 1,
    "init_seed": 0,
}


@dataclass(frozen=True, eq=False)
class World:
    """A log with noise in its training part, and the recommender that is to learn from it.

    Args:
        log: each (user, item) pair once.
        noise: kind of what is planted into the training part, or None; see
            :data:`recgym.data.planted.NOISES`.
        noise_share: planted / true training interactions.
        noise_draw: which of the interactions that could be planted are; another number, others.
        backbone: ``"mf"``, ``"neumf"``, ``"lightgcn"`` or ``"mgcf"``.
        width: d.
        warm_epochs: plain BPR before an episode starts.
        warm_batch: its batches.
        held_out: numbers of the log's rows for validation and for the test; None splits at random.
        validation_users: whose validation interactions are measured, so many drawn once; None for
            all. Ranking costs users × items. The other users' are in no training part either.

    Raises:
        ValueError: an unknown choice, or a size that is out of range.
        DataError: pairs that are in the log more than once, rows that cannot be held out.
    """

    name: str
    log: InteractionLog
    noise: str | None = None
    noise_share: float = 0.3
    noise_draw: int = 0
    backbone: str = "mf"
    width: int = 64
    optimiser: Optimiser = field(default_factory=Optimiser)
    warm_epochs: int = 10
    warm_batch: int = 512
    held_out: tuple[np.ndarray, np.ndarray] | None = None
    validation_users: int | None = None
    init_seed: int = SPLIT_SEED
    """Of the recommender's initialisation, and so of the axes of its vectors."""

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone must be one of {BACKBONES}, got {self.backbone!r}.")
        for name, least in _LEAST.items():
            if name != "validation_users" or self.validation_users is not None:
                whole(name, getattr(self, name), least)
        number("noise_share", self.noise_share)
        for name, kind in (("log", InteractionLog), ("optimiser", Optimiser)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(
                    f"{name} must be of type {kind.__name__}, got {getattr(self, name)!r}."
                )
        plain(self)
        check_pairs(self.name, self.log)
        self._check_held_out()

    def _check_held_out(self) -> None:
        if self.held_out is None:
            return
        try:
            validation, test = (np.asarray(rows) for rows in self.held_out)
        except (TypeError, ValueError):
            validation = test = np.empty(0)
        rows = np.concatenate([validation.ravel(), test.ravel()])
        if rows.dtype.kind not in "iu" or len(np.unique(rows)) < len(rows):
            raise DataError(
                f"{self.name}: held_out must be two arrays of row numbers, each row in one of them "
                "once: (validation, test). np.flatnonzero makes them of a mask."
            )
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self.log):
            raise DataError(f"{self.name}: held_out must lie in 0..{len(self.log) - 1}.")

    def __deepcopy__(self, memo: dict) -> World:
        return self

    @functools.cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.log.fingerprint.encode())
        digest.update(repr((self.noise, self.noise_share, self._recipe)).encode())
        if self.noise_draw:
            digest.update(f"draw {self.noise_draw}".encode())
        if self.validation_users is not None:
            digest.update(f"measures {self.validation_users}".encode())
        if self.init_seed != SPLIT_SEED:
            digest.update(f"initialised {self.init_seed}".encode())
        for rows in self.held_out or ():
            digest.update(f"{len(rows)} rows".encode())
            digest.update(np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()

    @property
    def choices(self) -> dict[str, Any]:
        """What it was made with, by the names of the environment's arguments."""
        made = ("noise", "noise_share", "noise_draw", "backbone", "width", "warm_epochs")
        return {
            **{name: getattr(self, name) for name in (*made, "validation_users")},
            "learning_rate": self.optimiser.learning_rate,
            "weight_decay": self.optimiser.weight_decay,
        }

    @property
    def _recipe(self) -> tuple[Any, ...]:
        optimiser = tuple(sorted(asdict(self.optimiser).items()))
        return self.backbone, self.width, optimiser, self.warm_epochs, self.warm_batch

    @functools.cached_property
    def parts(self) -> tuple[InteractionLog, InteractionLog, InteractionLog]:
        """Training (without noise), validation and test: 8:1:1 of each user, shuffled."""
        if self.held_out is None:
            found = ratio(self.log, SHARES, seed=SPLIT_SEED)
        else:
            parts = [np.isin(np.arange(len(self.log)), rows) for rows in self.held_out]
            found = tuple(self.log.keep(part) for part in (~(parts[0] | parts[1]), *parts))
        for part, what in zip(found, ("training", "validation", "test"), strict=True):
            if len(part) == 0:
                raise DataError(
                    f"{self.name}: no user has enough items for a {what} part. Users of ten "
                    "items or more have all three."
                )
        return found[0], found[1], found[2]

    @functools.cached_property
    def measured(self) -> InteractionLog:
        """The validation part, of the users in whom the recommender is measured."""
        part = self.parts[1]
        users = np.unique(part.user)
        if self.validation_users is None or self.validation_users >= len(users):
            return part
        rng = np.random.default_rng([SPLIT_SEED, 4])
        drawn = rng.choice(users, self.validation_users, replace=False)
        return part.keep(np.isin(part.user, drawn))

    @property
    def unmeasured(self) -> int:
        """Users who are not measured: without validation items, or not drawn."""
        return self.log.n_users - len(np.unique(self.measured.user))

    @functools.cached_property
    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(user, item, planted), each (R,): the training interactions, planted ones last."""
        train = self.parts[0]
        user, item = train.user.astype(np.int64), train.item.astype(np.int64)
        if self.noise is None:
            return user, item, np.zeros(len(user), dtype=bool)
        seed = SPLIT_SEED + self.noise_draw
        noisy = plant(train, self.noise, self.noise_share, seed=seed, known=self._true)
        planted = np.repeat([False, True], [len(user), len(noisy[0])])
        return np.append(user, noisy[0]), np.append(item, noisy[1]), planted

    @functools.cached_property
    def taken(self) -> np.ndarray:
        """(R,) sorted codes user · N + item of the training interactions: no negatives."""
        user, item, _ = self.rows
        return np.sort(user * self.log.n_items + item)

    @functools.cached_property
    def _true(self) -> np.ndarray:
        """(E,) sorted codes of the log."""
        return np.sort(self.log.user.astype(np.int64) * self.log.n_items + self.log.item)

    @functools.cached_property
    def known(self) -> np.ndarray:
        """Sorted codes of all interactions, planted or true, of any part."""
        return np.union1d(self.taken, self._true)

    @functools.cached_property
    def matrices(self) -> dict[str, sp.csr_matrix]:
        """(U, N): ``train`` (with noise), ``validation``, what is ``measured`` of it, ``test``."""
        user, item, _ = self.rows
        shape = (self.log.n_users, self.log.n_items)
        found = {"train": sp.csr_matrix((np.ones(len(user)), (user, item)), shape)}
        _, validation, test = self.parts
        for name, part in (("validation", validation), ("measured", self.measured), ("test", test)):
            found[name] = sp.csr_matrix((np.ones(len(part)), (part.user, part.item)), shape)
        return found

    @functools.cached_property
    def popularity(self) -> np.ndarray:
        """(N,) float32 in [0, 1]: log(1 + training interactions), over the largest."""
        return _relative(np.bincount(self.rows[1], minlength=self.log.n_items))

    @functools.cached_property
    def activity(self) -> np.ndarray:
        """(U,) float32 in [0, 1]: the same of users."""
        return _relative(np.bincount(self.rows[0], minlength=self.log.n_users))

    @functools.cached_property
    def learner(self) -> Learner:
        """The recommender at its initialisation, and what training does to it."""
        return self.new_learner()

    def new_learner(self, seed: int | None = None, rows: np.ndarray | None = None) -> Learner:
        """A recommender of its own, with another initialisation.

        Args:
            seed: of the initialisation; None for ``init_seed``.
            rows: training interactions that make its graph, if it has one; None for all.
        """
        import torch

        from recgym.models import collaborative_class

        kind = collaborative_class(self.backbone)
        model = kind(kind.Config(self.log.n_users, self.log.n_items, self.width))
        model.initialise(torch.Generator().manual_seed(self.init_seed if seed is None else seed))
        at = slice(None) if rows is None else rows
        user, item = (column[at] for column in self.rows[:2])
        model.with_graph(torch.from_numpy(user), torch.from_numpy(item))
        return Learner.of(model, self.optimiser)

    @property
    def warm_updates(self) -> int:
        """Updates of plain BPR before an episode starts."""
        n = len(self.rows[0])
        return self.warm_epochs * (n // min(self.warm_batch, n))

    @functools.cached_property
    def warm(self) -> Weights:
        """(1, P): after ``warm_epochs`` of plain BPR; kept in the cache."""

        def make() -> dict[str, np.ndarray]:
            weights = self.learner.start()
            stream = Stream(self, WARM_STREAM, min(self.warm_batch, len(self.rows[0])))
            for step in range(self.warm_updates):
                triplets, _ = stream.batch(step)
                n = len(triplets[0])
                everything = np.ones((1, n))
                weights = self.learner.step(weights, batch_of([triplets]), everything, reuse=True)
            return {name: np.asarray(value) for name, value in vars(weights).items()}

        if self.warm_epochs == 0:
            return self.learner.start()
        return Weights(**kept("valuation", f"warm {self.fingerprint}".encode(), make))

    @functools.cached_property
    def validation_triplets(self) -> Triplets:
        """(1, V): each validation interaction with fixed negatives, for the validation loss."""
        return self._held_out(self.measured, 1, self._seen)

    @functools.cached_property
    def test_triplets(self) -> Triplets:
        """(1, V): the same of the test part."""
        return self._held_out(self.parts[2], 2, self.known)

    @functools.cached_property
    def validation_by_popularity(self) -> Triplets:
        """(1, V): with negatives drawn as often as items are in the training data.

        A step that lowers this loss does not do so by raising what is popular, or promoted.
        """
        rng = np.random.default_rng([SPLIT_SEED, 3])
        triplets, (_, item, _) = self.validation_triplets, self.rows
        user, negative = triplets.user[0], triplets.negative[0].copy()
        again = np.ones(len(user), dtype=bool)
        for _ in range(REDRAWS):
            negative[again] = item[rng.integers(0, len(item), int(again.sum()))]
            again = np.isin(user * self.log.n_items + negative, self._seen)
            if not again.any():
                break
        negative[again] = triplets.negative[0][again]
        return batch_of([(user, triplets.item[0], negative)])

    @functools.cached_property
    def _seen(self) -> np.ndarray:
        """Sorted codes of training and validation: nothing that is chosen knows the test part."""
        part = self.parts[1]
        codes = part.user.astype(np.int64) * self.log.n_items + part.item
        return np.union1d(self.taken, codes)

    def _held_out(self, part: InteractionLog, number: int, known: np.ndarray) -> Triplets:
        rng = np.random.default_rng([SPLIT_SEED, number])
        user = np.repeat(part.user.astype(np.int64), MEASURING)
        item = np.repeat(part.item.astype(np.int64), MEASURING)
        negative = draw_negatives(user, known, self.log.n_items, rng)
        return batch_of([(user, item, negative)])

    @functools.cached_property
    def epochs(self) -> Epochs:
        """Of all streams."""
        return Epochs(self)

    def stream(self, number: int, batch: int) -> Stream:
        """The ``number``-th order of the training data, in batches."""
        return Stream(self, number, batch)


def _relative(counts: np.ndarray) -> np.ndarray:
    logs = np.log1p(counts)
    return (logs / max(logs.max(), 1e-12)).astype(np.float32)


def resolve(dataset: str | Path | World, variant: str = "clean", **of: Any) -> World:
    """A world by name, or as it is, whatever ``of`` says.

    Args:
        dataset: a data set of :func:`recgym.data.names`, the path of a user's own, or ``tiny``.
        variant: of the data set; of a user's own ``raw``, ``clean``, or ``paper``, the
            data-valuation paper's rule (:func:`recgym.data.paper.valuation`).
        of: ``noise``, ``noise_share``, ``noise_draw``, ``backbone``, ``width``,
            ``learning_rate``, ``weight_decay``, ``warm_epochs``, ``validation_users``.

    Raises:
        ValueError: neither a name, a path nor a world; a choice that is unknown or out of range.
        DataError: data that are not on this machine, cannot be read, or are too few.
    """
    if isinstance(dataset, World):
        return dataset
    if not isinstance(dataset, str | Path):
        raise ValueError(f"dataset must be a name, a path or a World, got {dataset!r}.")
    single(variant=variant, **of)
    for name in ("noise_share", "learning_rate", "weight_decay"):  # before a cache finds equals
        if name in of:
            number(name, of[name])
    for name, least in _LEAST.items():
        if of.get(name) is not None:
            whole(name, of[name], least)
    return _resolved(str(dataset), variant, **of)


@functools.lru_cache(maxsize=8)
def _resolved(
    dataset: str,
    variant: str,
    noise: str | None = None,
    noise_share: float = 0.3,
    noise_draw: int = 0,
    backbone: str = "mf",
    width: int = 64,
    learning_rate: float = 2e-3,
    weight_decay: float = 5e-5,
    warm_epochs: int = 10,
    validation_users: int | None = None,
) -> World:
    if dataset == "tiny":
        from recgym.envs.data_valuation.tiny import tiny_world

        if variant != "clean":
            raise ValueError(f'dataset="tiny" has no other variant than "clean", got {variant!r}.')
        of = (noise, noise_share, noise_draw, backbone, width, learning_rate, weight_decay)
        return tiny_world(*of, warm_epochs, validation_users)
    return World(
        dataset,
        positives(_log(dataset, variant)),
        noise=noise,
        noise_share=noise_share,
        noise_draw=noise_draw,
        backbone=backbone,
        width=width,
        optimiser=Optimiser(learning_rate, weight_decay),
        warm_epochs=warm_epochs,
        validation_users=validation_users,
    )


def _log(dataset: str, variant: str) -> InteractionLog:
    from recgym.data import paper
    from recgym.data.own import is_path, resolve_log

    if is_path(dataset) and variant not in ("raw", "clean", "paper"):
        raise ValueError(f"{dataset} has no variant {variant!r}. It has: raw, clean, paper.")
    if variant == "paper" and is_path(dataset):
        return paper.valuation(resolve_log(dataset, "raw"), prepared=False)
    return resolve_log(dataset, variant)


def positives(log: InteractionLog) -> InteractionLog:
    """What users liked: ratings from 4 on (every event where there are none), the 5-core.

    Logs without ratings are taken as they are: the paper's are selected already.
    """
    if log.rating is None:
        return first_events(log)
    liked = log.rating >= LIKED
    try:
        return k_core(first_events(log.keep(liked)), CORE)
    except DataError:
        raise DataError(
            f"{log.name}: too few ratings of at least {LIKED:g}, {liked.sum()} of {len(log)}: no "
            f"users and items have {CORE} each. Bring other scales to 1..5, or leave the column of "
            "ratings out, so that every event counts."
        ) from None
