"""The recommenders of DataSelection, from what public users have taught."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from recgym.evaluators.influence import (
    PULLS,
    GraphFactorisation,
    MatrixFactorisation,
    Network,
    Prior,
    PublicGraph,
    SelectionGame,
    neumf,
    plain_prior,
    public_graph,
    public_neumf,
    public_prior,
    pulled_prior,
    xavier_prior,
)
from recgym.evaluators.influence.training import Recommender
from recgym.models.arrays import kept

if TYPE_CHECKING:
    from recgym.envs.data_selection.worlds import World

RECOMMENDERS = ("mf", "neumf", "lightgcn")
GRAPH_PULLS: Mapping[str, tuple[float, float]] = {"proximal": (0.06, 0.3), "accurate": (0.2, 1.0)}
"""(ρ_P, ρ_Q) of LightGCN's embeddings, times the mean ‖q‖² of its items."""
NETWORK_PULLS: Mapping[str, tuple[float, float, float]] = {
    "proximal": (4.0, 20.0, 100.0),
    "accurate": (8.0, 40.0, 300.0),
}
"""ρ of NeuMF's users, of its items, and of the weights that all share."""
XAVIER = 3.0
"""Plain L2 with ``prior="xavier"``."""


def recommender(world: World, game: SelectionGame) -> Recommender:
    """What a world's players train, at its saved initialisation.

    ``mf``: matrix factorisation. ``neumf``: NeuMF with a tower of 2d and d units, SiLU in place of
    ReLU so that the objective is smooth. ``lightgcn``: LightGCN with two layers over the public
    users' interactions, always, and the players' selected ones.
    """
    if world.recommender_name == "mf":
        return MatrixFactorisation(game, _factors(world, game.n_users))
    if world.recommender_name == "lightgcn":
        return _graph(world, game)
    return _network(world, game)


def _factors(world: World, n_players: int) -> Prior:
    if world.prior_name == "xavier":
        return xavier_prior(n_players, world.log.n_items, width=world.width, l2=XAVIER)

    def make() -> dict[str, np.ndarray]:
        prior = public_prior(world.public, world.log.n_items, 1, width=world.width)
        return {"items": prior.items, "mean": prior.users[0]}

    found = kept("prior", world.public_key, make)
    return Prior(np.tile(found["mean"], (n_players, 1)), found["items"], *PULLS[world.prior_name])


def _graph(world: World, game: SelectionGame) -> GraphFactorisation:
    if world.prior_name == "xavier":
        prior = xavier_prior(game.n_users, game.n_items, width=world.width, l2=XAVIER)
        return GraphFactorisation(game, prior)

    def make() -> dict[str, np.ndarray]:
        graph, items = public_graph(world.public, game.n_items, width=world.width)
        return {"items": items, "users": graph.users}

    found = kept("prior", b"lightgcn " + world.public_key, make)
    scale = (found["items"] ** 2).sum(axis=1).mean()
    pulls = tuple(rho * scale for rho in GRAPH_PULLS[world.prior_name])
    users = np.tile(found["users"].mean(axis=0), (game.n_users, 1))
    public = PublicGraph(found["users"], world.public)
    return GraphFactorisation(game, Prior(users, found["items"], *pulls), public)


def _network(world: World, game: SelectionGame) -> Network:
    module = neumf(game.n_users, game.n_items, width=world.width)
    if world.prior_name == "xavier":
        return Network(game, plain_prior(module, XAVIER))

    def make() -> dict[str, np.ndarray]:
        return public_neumf(world.public, game.n_items, width=world.width)

    found = kept("prior", b"neumf " + world.public_key, make)
    return Network(game, pulled_prior(module, found, NETWORK_PULLS[world.prior_name]))
