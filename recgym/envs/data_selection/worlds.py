"""Worlds of DataSelection: who plays, with which items, from which saved initialisation.

Users are divided, once and for all, into public ones, whose data teach the recommender's start, and
the players of the training, validation and test split, each of which is a game of its own.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.data import DataError, InteractionLog, LeaveTwoOut, subsample, willingness
from recgym.data.selection_split import check_pairs
from recgym.envs.arguments import single, whole
from recgym.envs.data_selection.game import HOLDOUTS, SPLIT_SEED, SPLITS, Game
from recgym.envs.data_selection.recommenders import RECOMMENDERS
from recgym.evaluators.influence import (
    DESELECTED,
    PULLS,
    Pairs,
    draw_negatives,
)

if TYPE_CHECKING:
    from recgym.data.selection_world import SimulatedWorld

SHARES: Mapping[str, float] = {"public": 0.4, "train": 0.1, "validation": 0.1, "test": 0.4}
PRIORS = (*PULLS, "xavier")
# λ at which the dominant strategy keeps about half of the training split's interactions
HARM_OF_DISCLOSURE: Mapping[str, float] = {
    "ml-latest-small": 0.005,
    "simulation": 0.01,
    "simulation-50": 0.01,
    "steam-200k": 0.01,
    "amazon-video-games": 0.01,
    "diginetica": 0.005,
    "tiny": 0.01,
}
OTHERWISE = 0.01
WITHOUT_TIMES = ("steam-200k",)  # a user's games stand in order of hours played
SIMULATED_USERS = 2_500  # 1,000 of them public and 1,000 in the test split, as in the paper
_CHOICES = ("deselected", "holdout")
FEW = 50  # players of each split of "simulation-50"


@dataclass(frozen=True, eq=False)
class World:
    """A log whose users are divided, and how its recommender starts. Immutable.

    Args:
        log: each (user, item) pair once.
        parts: users of ``public``, ``train``, ``validation`` and ``test``, in any order; nobody
            stands in two.
        per_user: latest training items that each player may select from.
        width: d of the recommender.
        prior_name: ``"proximal"``, ``"accurate"`` or ``"xavier"``.
        recommender_name: ``"mf"``, ``"neumf"`` or ``"lightgcn"``.
        willingness_name: name of a model in :mod:`recgym.data.willingness`.
        simulated: the simulator, where the log comes from it: its users are willing or not.
        one_draw: users keep the simulator's first characters in every draw, so that the world has
            one optimum.
        deselected: ``"drop"`` or ``"relabel"``, what becomes of a pair that is not selected; see
            :class:`recgym.evaluators.influence.SelectionGame`.
        holdout: ``"two"`` leaves each player's last item out to test and the one before to
            validate; ``"ratio"`` her last 20 % and the 10 % before, rounded, at least one each, as
            the paper prints. Shares are of all her items; ``per_user`` is of what remains.

    Raises:
        ValueError: an unknown name or choice, or a size that is no whole number of at least 1.
        DataError: repeated pairs, parts that do not fit, willingness of another length than the
            log, or outside [0, 1].
    """

    name: str
    log: InteractionLog
    parts: Mapping[str, np.ndarray]
    per_user: int = 20
    width: int = 16
    prior_name: str = "proximal"
    willingness_name: str = "uniform"
    recommender_name: str = "mf"
    simulated: SimulatedWorld | None = None
    one_draw: bool = False
    deselected: str = "drop"
    holdout: str = "two"

    def __post_init__(self) -> None:
        for name, given, known in (
            ("prior", self.prior_name, PRIORS),
            ("recommender", self.recommender_name, RECOMMENDERS),
            ("deselected", self.deselected, tuple(DESELECTED)),
            ("holdout", self.holdout, tuple(HOLDOUTS)),
        ):
            if given not in known:
                raise ValueError(f"{name} must be one of {known}, got {given!r}.")
        for name in ("per_user", "width"):
            whole(name, getattr(self, name))
        self._check_parts()
        check_pairs(self.name, self.log)
        willingness.check_name(self.willingness_name, self.log)
        if self.simulated is not None:
            willingness.check(self.simulated.willingness, self.log)

    def _check_parts(self) -> None:
        """Sorts the users of each part."""
        if sorted(self.parts) != sorted(SHARES):
            raise DataError(f"{self.name}: parts must be {list(SHARES)}, got {sorted(self.parts)}.")
        parts = {part: np.sort(np.asarray(users)) for part, users in self.parts.items()}
        object.__setattr__(self, "parts", parts)
        users, counts = np.unique(np.concatenate(list(parts.values())), return_counts=True)
        if (counts > 1).any():
            raise DataError(
                f"{self.name}: a user stands in one part once, users "
                f"{users[counts > 1][:5].tolist()} do more often."
            )
        if len(users) and not 0 <= users[0] <= users[-1] < self.log.n_users:
            raise DataError(f"{self.name}: users of parts must lie in 0..{self.log.n_users - 1}.")
        if len(parts["public"]) == 0 and self.prior_name != "xavier":
            raise DataError(
                f'{self.name}: nobody is public, and prior="{self.prior_name}" is learned from '
                'public users. Give some, or choose prior="xavier".'
            )

    def __deepcopy__(self, memo: dict) -> World:
        return self

    @functools.cached_property
    def most_items(self) -> int:
        """The most that a player of any split may select from: all splits have the same spaces."""
        players = np.concatenate([self.parts[split] for split in SPLITS])
        rows = LeaveTwoOut.of(self.log, HOLDOUTS[self.holdout]).train
        counts = np.bincount(self.log.user[rows], minlength=self.log.n_users)[players]
        return min(self.per_user, int(counts.max(initial=1)))

    @functools.cached_property
    def training_key(self) -> str:
        """What trainings depend on: everything but users' willingness."""
        sizes = [len(self.parts[part]) for part in sorted(self.parts)]
        return hashlib.sha256(f"{self._content} {sizes}".encode()).hexdigest()

    @functools.cached_property
    def _content(self) -> str:
        digest = hashlib.sha256(self.log.fingerprint.encode())
        settings = (self.per_user, self.width, self.prior_name, self.recommender_name)
        digest.update(repr(settings).encode())
        choices = tuple(getattr(self, name) for name in _CHOICES)
        if choices != ("drop", "two"):  # keys of these are older than the choices
            digest.update(repr(choices).encode())
        for part in sorted(self.parts):
            digest.update(np.ascontiguousarray(self.parts[part]).tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self._content} {self.willingness_name}".encode())
        if self.simulated is not None:
            digest.update(self.simulated.willingness.tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def games(self) -> dict[str, Game]:
        """Of each split, made on first use."""
        return {}

    def game(self, split: str) -> Game:
        """The game of a split.

        Raises:
            ValueError: an unknown split, or one without players.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
        if split not in self.games:
            self.games[split] = Game(self, split)
        return self.games[split]

    @functools.cached_property
    def public(self) -> Pairs:
        """All pairs of the public users, numbered 0.. ."""
        users = self.parts["public"]
        inside = np.isin(self.log.user, users)
        user = np.searchsorted(users, self.log.user[inside])
        item = self.log.item[inside].astype(np.int64)
        taken = np.sort(user * self.log.n_items + item)
        rng = np.random.default_rng([SPLIT_SEED, 1])
        return Pairs(user, item, draw_negatives(user, taken, self.log.n_items, rng))

    @functools.cached_property
    def public_key(self) -> bytes:
        """What a start depends on: the log, who is public, d."""
        key = f"prior {self.log.fingerprint} {self.width}".encode()
        return key + self.parts["public"].tobytes()

    @property
    def choices(self) -> dict[str, Any]:
        """What it was made with, by the names of the environment's arguments."""
        return {
            "willingness": self.willingness_name,
            "prior": self.prior_name,
            "recommender": self.recommender_name,
            **{name: getattr(self, name) for name in ("per_user", "width", *_CHOICES)},
        }

    def title(self, item: int) -> str:
        return self.log.item_label(item)


def resolve(dataset: str | World, variant: str = "clean", **of: Any) -> World:
    """A world by name, or as it is, whatever ``of`` says.

    Args:
        dataset: a data set of :func:`recgym.data.names`, ``simulation``, ``simulation-50`` (50
            players in each split) or ``tiny``.
        of: ``per_user``, ``width``, ``prior``, ``willingness``, ``most_users``, ``character``,
            ``recommender``, ``deselected``, ``holdout``. What a world does not have is refused.

    Raises:
        ValueError: a choice that is unknown, or that the world does not have.
    """
    if isinstance(dataset, World):
        return dataset
    single(variant=variant, **of)
    return _resolved(dataset, variant, **of)


@functools.lru_cache(maxsize=8)
def _resolved(
    dataset: str,
    variant: str = "clean",
    per_user: int = 20,
    width: int = 16,
    prior: str = "proximal",
    willingness: str = "uniform",
    most_users: int = 3_000,
    character: str = "D",
    recommender: str = "mf",
    deselected: str = "drop",
    holdout: str = "two",
) -> World:
    from recgym import data
    from recgym.data.selection_split import first_events, shuffled
    from recgym.data.selection_world import CHARACTERS, simulate

    if dataset == "tiny":
        from recgym.envs.data_selection.tiny import tiny_world

        _refuse(dataset, variant=variant, per_user=per_user, width=width, willingness=willingness)
        _refuse(dataset, most_users=most_users, character=character, holdout=holdout)
        tiny = tiny_world()
        if (recommender, prior, deselected) == ("mf", "proximal", "drop"):
            return tiny
        return replace(tiny, recommender_name=recommender, prior_name=prior, deselected=deselected)
    settings: dict[str, Any] = {
        "per_user": per_user,
        "width": width,
        "prior_name": prior,
        "willingness_name": willingness,
        "recommender_name": recommender,
        "deselected": deselected,
        "holdout": holdout,
    }
    if dataset in ("simulation", "simulation-50"):
        _refuse(dataset, variant=variant, willingness=willingness, most_users=most_users)
        if character not in CHARACTERS:
            raise ValueError(f"character must be one of {list(CHARACTERS)}, got {character!r}.")
        made = simulate(0, SIMULATED_USERS, 1_000, a=CHARACTERS[character])
        parts = divided(np.arange(made.log.n_users))
        if dataset == "simulation-50":  # for agents that train thousands of times
            parts = {name: of if name == "public" else of[:FEW] for name, of in parts.items()}
        return World(dataset, made.log, parts, simulated=made, **settings)
    _refuse(dataset, character=character)
    log = data.load(dataset, variant=variant)
    log = subsample(first_events(log), most_users, SPLIT_SEED)
    if dataset in WITHOUT_TIMES:
        log = shuffled(log, SPLIT_SEED)
    long = np.flatnonzero(np.bincount(log.user, minlength=log.n_users) >= 3)
    return World(dataset, log, divided(long), **settings)


def _refuse(dataset: str, **given: Any) -> None:
    """Raise ``ValueError`` for settings that are not :func:`_resolved`'s defaults."""
    defaults = inspect.signature(_resolved.__wrapped__).parameters
    if other := sorted(name for name, value in given.items() if value != defaults[name].default):
        raise ValueError(
            f"The world {dataset!r} has no such choice: {', '.join(other)}. Leave it out, or take "
            "another dataset."
        )


def harm_of_disclosure(name: str) -> float:
    """λ of a world where none is given."""
    return HARM_OF_DISCLOSURE.get(name, OTHERWISE)


def divided(users: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
    """Users by part, each sorted."""
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(np.asarray(users))
    edges = np.round(np.cumsum(list(SHARES.values()))[:-1] * len(shuffled)).astype(int)
    cut = np.split(shuffled, edges)
    return {part: np.sort(u) for part, u in zip(SHARES, cut, strict=True)}
