"""Kinds of action: item by item, by category, or only the latest."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from gymnasium import spaces

from recgym.envs.data_selection.game import Game


class Actions(ABC):
    """How an action of the acting user becomes a selection of her own pairs."""

    space: spaces.Space

    def __init__(self, game: Game):
        self.places = game.places  # (N, K), padded with Z
        self.size = game.data.size
        self.own = self.places < self.size  # (N, K) bool

    @abstractmethod
    def mask(self, user: np.ndarray) -> np.ndarray:
        """(B, A) bool: the entries of the action that mean something to each user."""

    @abstractmethod
    def kept(self, action: np.ndarray, user: np.ndarray) -> np.ndarray:
        """(B, K) bool: which of her places (padding included) an action keeps."""


class ItemActions(Actions):
    """``MultiBinary(K)``: a bit for each item, the oldest first; bits beyond are ignored."""

    def __init__(self, game: Game):
        super().__init__(game)
        self.space = spaces.MultiBinary(self.places.shape[1])

    def mask(self, user: np.ndarray) -> np.ndarray:
        return self.own[user]

    def kept(self, action: np.ndarray, user: np.ndarray) -> np.ndarray:
        return action.astype(bool)


class CategoryActions(Actions):
    """``MultiBinary(C)``: an item stays in if one of its categories does, or if it has none.

    One of the reduced actions of the paper's Remark (ii).
    """

    def __init__(self, game: Game):
        super().__init__(game)
        genres = game.genres
        if genres.shape[1] == 0 or not genres.any():
            raise ValueError(
                f'action="category" needs categories, and {game.world.name} has none. '
                'Choose action="items" or "recent".'
            )
        self.space = spaces.MultiBinary(genres.shape[1])
        padded = np.concatenate([genres, np.zeros((1, genres.shape[1]), dtype=bool)])
        self._of_place = padded[self.places]  # (N, K, C)

    def mask(self, user: np.ndarray) -> np.ndarray:
        return np.asarray(self._of_place[user].any(axis=1))

    def kept(self, action: np.ndarray, user: np.ndarray) -> np.ndarray:
        of_place = self._of_place[user]
        chosen = (of_place & action.astype(bool)[:, None]).any(axis=2)
        return np.asarray(chosen | ~of_place.any(axis=2))


class RecentActions(Actions):
    """``Discrete(K + 1)``: so many of the latest items stay in.

    One of the reduced actions of the paper's Remark (ii).
    """

    def __init__(self, game: Game):
        super().__init__(game)
        self.space = spaces.Discrete(self.places.shape[1] + 1)
        self._lengths = self.own.sum(axis=1)

    def mask(self, user: np.ndarray) -> np.ndarray:
        return np.arange(self.places.shape[1] + 1) <= self._lengths[user, None]

    def kept(self, action: np.ndarray, user: np.ndarray) -> np.ndarray:
        first = self._lengths[user] - action
        return np.arange(self.places.shape[1]) >= first[:, None]


KINDS = {"items": ItemActions, "category": CategoryActions, "recent": RecentActions}
