"""Worlds of HarmMitigation: who the users are, what the items are, and which of them harm."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from recgym.envs.arguments import single, whole
from recgym.evaluators.choice import ChoiceModel
from recgym.evaluators.choice.model import check_finite

if TYPE_CHECKING:
    from recgym.data.log import InteractionLog
    from recgym.envs.harm_mitigation.dynamics import HarmMitigation
    from recgym.envs.harm_mitigation.state import Params

SPLITS = ("train", "validation", "test")
SHARES = (0.7, 0.1, 0.2)
SPLIT_SEED = 20_240  # fixed: the same users are held out in every run
CLICKS = 0.6  # of users who are always offered what they like best: p_CLK that c is set for
HARM_GENRES = ("Crime", "Horror", "War")


@dataclass(frozen=True, eq=False)
class World:
    """Users and items as vectors. Immutable.

    Args:
        inherent: (U, d) u_0 of each user.
        items: (N, d).
        harmful: (N,) bool.
        severity: (N,) in [0, 1], for graded harm; default 1 where harmful, else 0.
        titles: of the items.
        splits: users of ``train``, ``validation`` and ``test``; default 70/10/20 % of them.
        c: of the choice model; None sets it so that p_CLK of what users like best is .6.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, splits that share a user.
    """

    name: str
    inherent: np.ndarray
    items: np.ndarray
    harmful: np.ndarray
    severity: np.ndarray | None = None
    titles: tuple[str, ...] = ()
    splits: Mapping[str, Sequence[int]] = field(default_factory=dict)
    c: float | None = None

    def __post_init__(self) -> None:
        inherent = np.array(self.inherent, dtype=np.float64)
        items = np.array(self.items, dtype=np.float64)
        if inherent.ndim != 2 or inherent.shape[1:] != items.shape[1:] or not len(inherent):
            raise ValueError(
                f"inherent must have shape (U, d) with d of items {items.shape}, "
                f"got {inherent.shape}."
            )
        check_finite("inherent", inherent)
        c = 1.0 if self.c is None else self.c
        usable = ChoiceModel(items, self.harmful, self.severity, c)  # refuses what is not
        inherent.flags.writeable = False
        severity = None if self.severity is None else usable.harm
        kept = {"inherent": inherent, "items": usable.items, "harmful": usable.harmful}
        for name, array in {**kept, "severity": severity}.items():
            object.__setattr__(self, name, array)
        if self.titles and len(self.titles) != len(self.items):
            raise ValueError(f"{len(self.titles)} titles were given for {len(self.items)} items.")
        if not self.splits:
            object.__setattr__(self, "splits", _split(len(inherent)))
        users = np.concatenate([np.asarray(self.users_of(split)) for split in SPLITS])
        if len(np.unique(users)) < len(users) or users.min() < 0 or users.max() >= len(inherent):
            raise ValueError("splits must be disjoint, and of users 0..U−1.")

    def __deepcopy__(self, memo: dict) -> World:
        return self

    @property
    def n_users(self) -> int:
        return len(self.inherent)

    @property
    def n_items(self) -> int:
        return len(self.items)

    def users_of(self, split: str) -> np.ndarray:
        """(n,) int64: the users of a split.

        Raises:
            ValueError: an unknown or empty split.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
        users = np.asarray(self.splits.get(split, ()), dtype=np.int64)
        if len(users) == 0:
            raise ValueError(f"{self.name} has no users for {split}: ten are enough for all three.")
        return users

    def title(self, item: int) -> str:
        return self.titles[item] if self.titles else f"item {item}"

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for array in (self.inherent, self.items, self.harmful, self.severity):
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        digest.update(repr((self.titles, self.c)).encode())
        for split in SPLITS:
            digest.update(self.users_of(split).tobytes())
        return digest.hexdigest()

    def calibrated(self, k: int, temperature: float = 1.0) -> float:
        """c at which users who are offered the k harmless items of highest score click as given.

        The mean over all users of s_E/(s_E + c) at u_0 is then .6.
        """
        from scipy.optimize import brentq

        scores = np.exp(self.inherent @ self.items[~self.harmful].T / temperature)
        held = np.partition(scores, -k, axis=1)[:, -k:].sum(axis=1)

        def excess(log_c: float) -> float:
            return float((held / (held + np.exp(log_c))).mean() - CLICKS)

        low, high = np.log(held.min()) - 5, np.log(held.max()) + 5
        root: Any = brentq(excess, low, high)
        return float(np.exp(root))


def _split(n_users: int) -> dict[str, np.ndarray]:
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(n_users)
    edges = np.round(np.cumsum(SHARES)[:-1] * n_users).astype(int)
    return {s: np.sort(u) for s, u in zip(SPLITS, np.split(shuffled, edges), strict=True)}


def build(
    dataset: str | World,
    variant: str,
    split: str,
    params: Params,
    model: Mapping[str, Any],
    **of: Any,
) -> HarmMitigation:
    """The rules over a world.

    Args:
        dataset: ``tiny``, ``synthetic``, a data set with ratings and genres, or a world.
        model: arguments of :class:`ChoiceModel` other than the items.
        of: ``genre``, ``harmful`` and ``n_items`` of a world from data.
    """
    from recgym.envs.harm_mitigation.dynamics import HarmMitigation

    world = resolve(dataset, variant, **of)
    n = int(np.count_nonzero(~world.harmful))
    if params.k > n:
        raise ValueError(f"k must be at most {n} (the harmless items of {world.name}).")
    severity = None if params.harm == "label" else world.severity
    c = world.c if model.get("c") is None else model["c"]
    values = {**model, "c": 1.0 if c is None else c}
    found = ChoiceModel(world.items, world.harmful, severity, **values)
    found.check_scores(world.inherent)
    if c is None:
        found = replace(found, c=world.calibrated(params.k, found.temperature))
    return HarmMitigation(world, found, params, split)


def resolve(
    dataset: str | World,
    variant: str = "clean",
    *,
    genre: str = "Action",
    harmful: str | Sequence[str] | Sequence[int] = HARM_GENRES,
    n_items: int = 100,
    factors_seed: int = 0,
) -> World:
    """A world by name, or as it is; ``factors_seed`` starts the factorisation of ratings.

    Raises:
        ValueError: arguments that mean nothing in this world, or a list of harm that cannot be.
    """
    single(genre=genre)
    whole("n_items", n_items)
    if not isinstance(harmful, Iterable):
        raise ValueError(f"harmful must be a list of names or numbers, got {harmful!r}.")
    if isinstance(dataset, World) or dataset in ("tiny", "synthetic"):
        if variant != "clean":
            name = dataset if isinstance(dataset, str) else dataset.name
            raise ValueError(f"{name} has no variant {variant!r}: leave it out.")
        return _without_genres(dataset, genre, harmful, n_items)
    from recgym import data

    marked = (harmful,) if isinstance(harmful, str) else tuple(harmful)
    if not marked or len({isinstance(mark, str) for mark in marked}) > 1:
        raise ValueError(
            "harmful must be names of genres or identifiers of items, at least one and of one "
            f"kind, got {harmful!r}."
        )
    return _from_log(data.load(dataset, variant=variant), genre, marked, n_items, factors_seed)


def _without_genres(dataset: str | World, genre: str, harmful: Any, n_items: int) -> World:
    """A world that does not come from a log; ``harmful`` may list its items 0..N−1."""
    name = dataset if isinstance(dataset, str) else dataset.name
    if genre != "Action":
        raise ValueError(f"{name} has no genres: leave genre={genre!r} out.")
    if n_items != 100 and dataset != "synthetic":
        raise ValueError(f"{name} has its own items: leave n_items={n_items!r} out.")
    if isinstance(dataset, World):
        world = dataset
    elif dataset == "tiny":
        from recgym.envs.harm_mitigation.tiny import tiny_world

        world = tiny_world()
    else:
        world = synthetic_world(n_items)
    if harmful is HARM_GENRES or tuple(harmful) == tuple(HARM_GENRES):
        return world
    if isinstance(harmful, str) or any(isinstance(mark, str) for mark in harmful):
        raise ValueError(
            f"{name} has no genres: give harmful as numbers of items, got {harmful!r}."
        )
    return with_harmful(world, harmful)


@functools.lru_cache(maxsize=8)
def synthetic_world(
    n_items: int = 100,
    n_users: int = 500,
    width: int = 6,
    harmful_share: float = 0.25,
    seed: int = 0,
) -> World:
    """Random tastes in which harm has a direction: some users lean toward it, some items too.

    Scores of users for items, and of items for each other, are exp of about N(0, 1). The severity
    of an item is the rank of its place along the harmful direction, blurred; the most severe are
    harmful.

    Raises:
        ValueError: sizes below 1, or no harmless item.
    """
    if min(n_items, n_users, width) < 1 or not 0 <= harmful_share < 1:
        raise ValueError(
            "n_items, n_users and width must be at least 1 and harmful_share in [0, 1), got "
            f"{n_items}, {n_users}, {width}, {harmful_share}."
        )
    rng = np.random.default_rng([seed, n_items, n_users, width])
    scale = width**-0.25
    items = scale * rng.standard_normal((n_items, width))
    inherent = scale * rng.standard_normal((n_users, width))
    direction = rng.standard_normal(width) / np.sqrt(width)
    lean = items @ direction / scale + 0.7 * rng.standard_normal(n_items)
    severity = np.argsort(np.argsort(lean)) / max(n_items - 1, 1)
    harmful = severity > 1 - harmful_share
    return World("synthetic", inherent, items, harmful, severity)


@functools.lru_cache(maxsize=32)
def _from_log(
    log: InteractionLog, genre: str, marked: tuple, n_items: int, factors_seed: int
) -> World:
    """The most rated items of a genre; harmful by other genres, or by a list of identifiers.

    Severity is the mean, over the genres of an item, of the share of harmful items in that genre;
    a genre that marks harm counts 1, an item that is listed has severity 1.

    Raises:
        ValueError: an unknown genre or identifier, or nothing harmful in the slice.
    """
    from recgym.envs.harm_mitigation.factorisation import vectors

    names = log.genre_names
    by_genre = all(isinstance(mark, str) for mark in marked)
    for name in (genre, *(marked if by_genre else ())):
        if name not in names:
            raise ValueError(f"{log.name} has no genre {name!r}. It has: {', '.join(names)}.")
    if n_items < 2:
        raise ValueError(f"n_items must be at least 2, got {n_items}.")
    harmful: np.ndarray
    if by_genre:
        columns = np.array([names.index(name) for name in marked])
        harmful = np.logical_or.reduce(log.genres[:, columns], axis=1)
    else:
        if unknown := sorted(set(marked) - set(log.item_ids.tolist())):
            raise ValueError(f"{log.name} has no items with identifiers {unknown[:5]}.")
        harmful = np.isin(log.item_ids, np.array(marked))
    members = np.flatnonzero(log.genres[:, names.index(genre)])
    catalogue = members[np.argsort(-log.popularity[members], kind="stable")][:n_items]
    if not harmful[catalogue].any():
        raise ValueError(f"Nothing among the {len(catalogue)} items of {genre} is harmful.")
    share = (log.genres & harmful[:, None]).sum(axis=0) / np.maximum(log.genres.sum(axis=0), 1)
    if by_genre:
        share[[names.index(name) for name in marked]] = 1.0
    severity = (log.genres @ share) / np.maximum(log.genres.sum(axis=1), 1)
    if not by_genre:
        severity = np.where(harmful, 1.0, severity)
    users, items = vectors(log, factors_seed)
    return World(
        f"{log.name}, {genre}",
        users,
        items[catalogue],
        harmful[catalogue],
        np.clip(severity[catalogue], 0, 1),
        tuple(log.item_label(int(item)) for item in catalogue),
    )


def with_harmful(world: World, items: Sequence[int]) -> World:
    """The same world with another list of harmful items 0..N−1.

    Raises:
        ValueError: an item that does not exist, or nothing harmless left.
    """
    listed = np.asarray(items)
    if listed.size and (
        listed.dtype.kind not in "iu" or listed.min() < 0 or listed.max() >= world.n_items
    ):
        raise ValueError(f"Harmful items must be whole numbers in 0..{world.n_items - 1}.")
    harmful = np.zeros(world.n_items, dtype=bool)
    harmful[listed.astype(np.int64)] = True
    severity = None if world.severity is None else np.where(harmful, 1.0, world.severity)
    return replace(world, harmful=harmful, severity=severity)
