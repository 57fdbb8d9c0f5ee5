"""Orders of the training data with fresh negatives, in batches."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from recgym.evaluators.influence import draw_negatives
from recgym.evaluators.learner import Triplets

if TYPE_CHECKING:
    from recgym.envs.data_valuation.worlds import World


ROOM = 1 << 28  # bytes


class Stream:
    """An endless order of training triplets: epochs, each shuffled, with fresh negatives.

    A batch is a function of its place alone, so an episode can be continued from any step.
    """

    def __init__(self, world: World, number: int, batch: int):
        self.world, self.number = world, number
        size = len(world.rows[0])
        if batch > size:
            raise ValueError(
                f"batch must be at most {size}, the training interactions of {world.name}, "
                f"got {batch}."
            )
        self.size = batch
        self.per_epoch = size // batch  # an epoch's last triplets, fewer than a batch, sit out

    def batch(self, step: int) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
        """((user, item, negative), row of the training data), each (n,) int64."""
        epoch, place = divmod(step, self.per_epoch)
        order, negatives = self.world.epochs(self.number, epoch)
        at = slice(place * self.size, (place + 1) * self.size)
        rows = order[at]
        user, item, _ = self.world.rows
        return (user[rows], item[rows], negatives[at]), rows


class Epochs:
    """Orders and negatives of epochs; those asked for last are kept, as many as fit into ROOM."""

    def __init__(self, world: World):
        self.world = world
        self.rows = 1
        """Streams that are read side by side; theirs are kept in any case."""
        self._kept: OrderedDict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def __call__(self, number: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """(order, negatives), (R,) each, of one epoch of one stream."""
        key = number, epoch
        if key not in self._kept:
            self._kept[key] = self._drawn(number, epoch)
            size = sum(array.nbytes for array in self._kept[key])
            # twice the rows: while rows go on to their next epochs, one by one
            while len(self._kept) > max(2 * self.rows, ROOM // size):
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _drawn(self, number: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([number, epoch])
        user = self.world.rows[0]
        order = rng.permutation(len(user))
        return order, draw_negatives(user[order], self.world.taken, self.world.log.n_items, rng)


def batch_of(rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Triplets:
    """Triplets of B rows, each (n,)."""
    return Triplets(*(np.stack(column) for column in zip(*rows, strict=True)))
