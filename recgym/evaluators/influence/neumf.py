"""NeuMF as a recommender of the game: its sizes, and the start that public users' data teach."""

from __future__ import annotations

import numpy as np
import torch

from recgym.evaluators.influence.game import Pairs, SelectionGame
from recgym.evaluators.influence.network import Network, NetworkPrior, group_of
from recgym.evaluators.influence.prior import PUBLIC_ITERATIONS
from recgym.evaluators.influence.training import descend
from recgym.models.neumf import NeuMF, NeuMFConfig

SHARED = 30.0  # ρ of the public users' training on what all share, toward its start


def neumf(n_users: int, n_items: int, *, width: int = 16, seed: int = 0) -> NeuMF:
    """NeuMF in float64 from a seeded Xavier start, with a tower of 2d and d units.

    The tower is smooth, SiLU in place of ReLU: a minimum at a kink has no gradient of zero, so
    neither would training end there nor would the Hessian tell what a removal does.
    """
    config = NeuMFConfig(
        n_users, n_items, width, "xavier", hidden=(2 * width, width), activation="silu"
    )
    module = NeuMF(config).double()
    module.initialise(torch.Generator().manual_seed(seed))
    return module


def public_neumf(
    public: Pairs, n_items: int, *, width: int = 16, l2: float = 1.0, seed: int = 0
) -> dict[str, np.ndarray]:
    """Parameters by name that public users have taught; users' tables are (1, d).

    Trained with plain L2 on the embeddings and a pull of the weights to their start, where the
    product half is matrix factorisation. Both halves' item vectors are scaled to mean ‖q‖² = 1, and
    what they are multiplied with against it; the users' one row is the mean public user.

    Args:
        public: pairs of public users 0..; sorted by user.
        n_items: of the catalogue, that of the game.
    """
    n_public = int(public.user.max()) + 1
    module = neumf(n_public, n_items, width=width, seed=seed)
    start, centre, pull = [], [], []
    for name, parameter in module.named_parameters():
        value = parameter.detach().numpy().copy()
        shared = group_of(name) == "shared"
        if name == "out.weight":
            value[:, :width] = 1
        elif not shared:
            value *= 0.1 / value.std()
        start.append(value.ravel())
        centre.append(value.ravel() * shared)
        pull.append(np.full(value.size, SHARED if shared else l2))
    at, to, strength = map(np.concatenate, (start, centre, pull))
    game = SelectionGame(n_public, n_items, public, public, public, "public users")
    model = Network(game, NetworkPrior(module, at, to, strength))
    found = descend(model, np.ones(len(public)), model.start, 1e-3, PUBLIC_ITERATIONS)
    return {
        name: value.mean(axis=0, keepdims=True) if group_of(name) == "users" else value
        for name, value in _scaled(model.split(found.x), width).items()
    }


def _scaled(values: dict[str, np.ndarray], width: int) -> dict[str, np.ndarray]:
    """The same scores from item vectors of mean ‖q‖² = 1."""

    def size(table: str) -> float:
        return float(np.sqrt((values[table] ** 2).sum(axis=1).mean()))

    of_product, of_tower = size("item.weight"), size("tower_item.weight")
    first = values["tower.0.weight"].copy()
    first[:, width:] *= of_tower
    return {
        **values,
        "item.weight": values["item.weight"] / of_product,
        "user.weight": values["user.weight"] * of_product,
        "tower_item.weight": values["tower_item.weight"] / of_tower,
        "tower.0.weight": first,
    }
