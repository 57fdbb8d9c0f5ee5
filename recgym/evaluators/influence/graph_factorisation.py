"""LightGCN as an optimum: factors that are propagated over the graph of what is selected.

θ = [E_P, E_Q] are the embeddings. With A the normalised adjacency of the *selected* pairs (and of
public users' pairs, which always count), V(θ, o) = (1/(L + 1)) Σ_l A(o)^l E are the vectors whose
inner products are the scores (He et al., SIGIR 2020, Eq. 3, 4, 8), and

    F(θ; o) = Σ_k o_k l_k(V) + ½ Σ ρ ‖E − E_0‖².

A pair that is left out leaves the loss *and* the graph. Where it is relabelled instead, the loss is
l_k + (1 − o_k) s_k and the graph keeps every edge, as in the IFRQE paper's reference code: what
users deselect still leaks through it. V is linear in θ, so everything but the
graph's own part is matrix factorisation's at V, between two propagations. For the graph's part a
weight o_k between 0 and 1 is the weight of its edge, degrees being sums of weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from recgym.evaluators.influence.game import Pairs, SelectionGame
from recgym.evaluators.influence.matrix_factorisation import Hessian, MatrixFactorisation
from recgym.evaluators.influence.prior import PUBLIC_ITERATIONS, Prior
from recgym.evaluators.influence.solve import block_jacobi
from recgym.evaluators.influence.training import descend
from recgym.models.graph import symmetric_normalised

LAYERS = 2
EDGE_VALUES = 1 << 20  # vectors of the edges that exist at a time


@dataclass(frozen=True, eq=False)
class PublicGraph:
    """Users who are no players: their pairs are edges always, their embeddings do not learn."""

    users: np.ndarray  # (M, d) float64
    pairs: Pairs  # of users 0..M−1

    @classmethod
    def empty(cls, width: int) -> PublicGraph:
        nobody = np.zeros(0, dtype=np.int64)
        return cls(np.zeros((0, width)), Pairs(nobody, nobody, nobody))


class GraphFactorisation:
    """The recommender LightGCN over a game, with everything that influence needs of it.

    Args:
        prior: of the embeddings.
        public: part of the graph that nobody's selection changes; none by default.
        layers: L of the convolution.

    θ (n,) is [E_P, E_Q], row by row. Nodes are players, items and then public users.
    """

    name = "lightgcn"

    def __init__(
        self,
        game: SelectionGame,
        prior: Prior,
        public: PublicGraph | None = None,
        layers: int = LAYERS,
    ):
        self.game, self.prior, self.layers = game, prior, layers
        self.public = PublicGraph.empty(prior.width) if public is None else public
        if self.public.users.shape[1] != prior.width:
            raise ValueError(
                f"The prior has {prior.width} dimensions, public users "
                f"{self.public.users.shape[1]}."
            )
        free = Prior(prior.users, prior.items, 0.0, 0.0)
        self.inner = MatrixFactorisation(game, free)  # at V, without a pull
        self.width, self.n_params = prior.width, self.inner.n_params
        self.pull, self.start, self.centre = prior.pull, prior.start, prior.centre
        self.n_nodes = self.n_params // self.width  # without public users
        self._everything = np.ones(game.size)
        self._last: tuple[np.ndarray, sp.csr_matrix] | None = None

    # --- the graph

    def adjacency(self, weight: np.ndarray | None = None) -> sp.csr_matrix:
        """(N + I + M, N + I + M): D^-½ A D^-½ for weights (Z,); 1 on the diagonal without edges."""
        weight = self._everything if weight is None else self.game.terms(weight)[0]
        if self._last is None or not np.array_equal(self._last[0], weight):
            self._last = weight.copy(), self._normalised(weight)
        return self._last[1]

    def _normalised(self, weight: np.ndarray) -> sp.csr_matrix:
        game, public = self.game, self.public
        players = np.flatnonzero(weight)
        training = game.training
        user = np.concatenate([training.user[players], game.n_users + public.pairs.user])
        item = np.concatenate([training.item[players], public.pairs.item])
        value = np.concatenate([weight[players], np.ones(len(public.pairs))])
        shape = (game.n_users + len(public.users), game.n_items)
        found = symmetric_normalised(sp.csr_matrix((value, (user, item)), shape))
        # users, public users, items → users, items, public users
        order = np.r_[0 : game.n_users, shape[0] : sum(shape), game.n_users : shape[0]]
        return sp.csr_matrix(found[order][:, order])

    def _whole(self, vectors: np.ndarray, public: np.ndarray | None = None) -> np.ndarray:
        """(nodes, d·R) of (n, R); rows of public users are zero unless given."""
        rows = vectors.reshape(self.n_nodes, -1)
        if public is None:
            public = np.zeros((len(self.public.users), rows.shape[1]), dtype=rows.dtype)
        return np.concatenate([rows, public])

    def propagated(
        self, vectors: np.ndarray, weight: np.ndarray | None, public: np.ndarray | None = None
    ) -> np.ndarray:
        """Means over the layers (n, R) of embeddings (n, R). A symmetric linear map of θ."""
        layer = self._whole(vectors, public)
        a = self.adjacency(weight).astype(layer.dtype)
        total = layer.copy()
        for _ in range(self.layers):
            layer = a @ layer
            total += layer
        total /= self.layers + 1
        return total[: self.n_nodes].reshape(vectors.shape)

    def vectors(self, theta: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """(n,): V, the vectors whose inner products are the scores."""
        return self.propagated(theta, weight, self.public.users)

    # --- the recommender

    def scores(
        self, theta: np.ndarray, pairs: Pairs, weight: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (E,) of the items and (E,) of their negatives."""
        return self.inner.scores(self.vectors(theta, weight), pairs)

    def all_scores(self, theta: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """(N, I)."""
        return self.inner.all_scores(self.vectors(theta, weight))

    def losses(
        self, theta: np.ndarray, pairs: Pairs, weight: np.ndarray | None = None
    ) -> np.ndarray:
        """(E,): −log σ(s_item) − log σ(−s_negative)."""
        return self.inner.losses(self.vectors(theta, weight), pairs)

    def value_and_gradient(self, theta: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
        """F and ∇F (n,) for weights (Z,) of the training pairs."""
        value, slope = self.inner.value_and_gradient(self.vectors(theta, weight), weight)
        away = theta - self.centre
        pulled = self.propagated(slope, weight) + self.pull * away
        return value + float(0.5 * self.pull @ away**2), pulled

    def hessian(
        self, theta: np.ndarray, weight: np.ndarray, damping: float = 0.0
    ) -> PropagatedHessian:
        """∇²F at θ for weights (Z,), as products with many vectors at once."""
        return PropagatedHessian(self, theta, weight, damping)

    def loss_gradients(
        self,
        theta: np.ndarray,
        pairs: Pairs,
        which: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> np.ndarray:
        """(n, R): the gradients of Σ_u which_ur L_u over ``pairs``, for ``which`` (N, R)."""
        at = self.vectors(theta, weight)
        return self.propagated(self.inner.loss_gradients(at, pairs, which), weight)

    def pair_effects(
        self, theta: np.ndarray, weight: np.ndarray, which: np.ndarray, solved: np.ndarray
    ) -> np.ndarray:
        """(R, Z): −⟨∂∇F/∂o_k, solved_r⟩ + ∂(Σ_u which_ur L_u)/∂o_k, for solved (n, R).

        Relabelled pairs keep their edges: then there is nothing through the graph.
        """
        solved = np.asarray(solved, dtype=np.float64)
        at, moved = self.vectors(theta, weight), self.propagated(solved, weight)
        direct = self.inner.pair_effects(at, weight, which, moved)
        if self.game.deselected == "relabel":
            return direct
        # Φ_r(A) = L_r(V) − ⟨∇_V Σ o l, V̇_r⟩, with V = P(A) E and V̇ = P(A) solved
        slope = self.inner.value_and_gradient(at, weight)[1][:, None]
        of_vectors = self.inner.loss_gradients(at, self.game.validation, which)
        of_vectors -= self.inner.hessian(at, weight) @ moved
        own = self._whole(theta, self.public.users)
        return direct + self._through_graph(weight, own, of_vectors, solved, -slope)

    def own_effects(
        self, theta: np.ndarray, weight: np.ndarray, users: np.ndarray, solved: np.ndarray
    ) -> np.ndarray:
        """(K,): the same for the pairs of consecutive ``users``, each with her own column."""
        which = np.zeros((self.game.n_users, len(users)))
        which[users, np.arange(len(users))] = 1
        every = self.pair_effects(theta, weight, which, solved)
        mine = self.game.pairs_of(users)
        return every[self.game.training.user[mine] - users[0], mine]

    def _through_graph(
        self,
        weight: np.ndarray,
        embeddings: np.ndarray,
        of_vectors: np.ndarray,
        tangents: np.ndarray,
        of_tangents: np.ndarray,
    ) -> np.ndarray:
        """(R, Z): ∂/∂o_k through A of ⟨of_vectors_r, V⟩ + ⟨of_tangents, V̇_r⟩.

        ∂⟨m, A^l e⟩ = Σ_j ⟨A^j m, ∂A A^(l−1−j) e⟩, for an entry ∂A_ab an inner product of rows; and
        A_ui = o_k (d_u d_i)^-½ changes with o_k itself and with the degrees, sums of weights.
        """
        game, public = self.game, self.public
        a, count = self.adjacency(weight), of_vectors.shape[1]
        # the players' pairs, also those of weight 0, and then the public ones
        user = np.concatenate([game.training.user, self.n_nodes + public.pairs.user])
        item = game.n_users + np.concatenate([game.training.item, public.pairs.item])
        degree = self._degrees(weight)
        scale = 1 / np.sqrt(degree[user] * degree[item])
        changes = np.empty((len(user), count))
        step = max(1, EDGE_VALUES // max(1, len(user) * self.width))
        for first in range(0, count, step):
            part = slice(first, min(first + step, count))
            changes[:, part] = self._inner_products(
                a, self._whole(of_vectors[:, part]), embeddings, user, item
            ) + self._inner_products(
                a, self._whole(of_tangents), self._whole(tangents[:, part]), user, item
            )
        changes *= scale[:, None]
        both = np.concatenate([weight, np.ones(len(public.pairs))])
        edges = np.arange(len(user))
        ends = sp.csr_matrix(
            (np.tile(both, 2), (np.r_[user, item], np.tile(edges, 2))), (len(degree), len(user))
        )
        of_degree = 0.5 * (ends @ changes) / degree[:, None]
        mine = slice(0, game.size)
        return (changes[mine] - of_degree[user[mine]] - of_degree[item[mine]]).T

    def _inner_products(
        self, a: Any, left: np.ndarray, right: np.ndarray, user: np.ndarray, item: np.ndarray
    ) -> np.ndarray:
        """(edges, R): Σ_j of rows of A^j left with rows of Σ_m A^m right, m < L − j, both ways."""
        powers = [right]
        for _ in range(self.layers - 1):
            powers.append(a @ powers[-1])
        found: Any = 0.0
        for j in range(self.layers):
            partner = np.sum(powers[: self.layers - j], axis=0)
            for here, there in ((user, item), (item, user)):
                one = left[here].reshape(len(user), self.width, -1)
                other = partner[there].reshape(len(user), self.width, -1)
                found = found + (one * other).sum(axis=1)
            left = a @ left
        return found / (self.layers + 1)

    def _degrees(self, weight: np.ndarray) -> np.ndarray:
        """(nodes,): sums of the weights of a node's edges, 1 without any."""
        game, public = self.game, self.public.pairs
        users = np.bincount(game.training.user, weight, game.n_users)
        items = np.bincount(game.training.item, weight, game.n_items)
        items += np.bincount(public.item, minlength=game.n_items)
        others = np.bincount(public.user, minlength=len(self.public.users))
        found = np.concatenate([users, items, others])
        return np.where(found > 0, found, 1.0)


def public_graph(
    public: Pairs, n_items: int, *, width: int = 16, l2: float = 0.1, seed: int = 0
) -> tuple[PublicGraph, np.ndarray]:
    """The public users' part of the graph, and embeddings (I, d) of the items.

    LightGCN with plain L2 on their pairs.

    Args:
        public: pairs of public users 0..; sorted by user.
        n_items: of the catalogue, that of the game.
    """
    n_public = int(public.user.max()) + 1
    rng = np.random.default_rng(seed)
    start = Prior(
        0.1 * rng.standard_normal((n_public, width)),
        0.1 * rng.standard_normal((n_items, width)),
        l2,
        l2,
        at_zero=True,
    )
    game = SelectionGame(n_public, n_items, public, public, public, "public users")
    model = GraphFactorisation(game, start)
    found = descend(model, np.ones(len(public)), model.start, 1e-3, PUBLIC_ITERATIONS)
    users, items = model.inner.split(found.x)
    return PublicGraph(users, public), items


class PropagatedHessian:
    """Pᵀ H P + ρ + damping: H matrix factorisation's at V, P the propagation."""

    def __init__(
        self, model: GraphFactorisation, theta: np.ndarray, weight: np.ndarray, damping: float
    ):
        self._model, self._weight = model, weight
        self._inner: Hessian = model.inner.hessian(model.vectors(theta, weight), weight)
        self.diagonal_pull = model.pull + damping
        self.shape = self._inner.shape

    def __matmul__(self, vectors: np.ndarray) -> np.ndarray:
        """(n, R): the product with vectors (n, R), in their precision."""
        model, weight = self._model, self._weight
        found = model.propagated(self._inner @ model.propagated(vectors, weight), weight)
        return found + self.diagonal_pull[:, None].astype(vectors.dtype) * vectors

    def preconditioner(self, kind: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Vectors (n, R) times the inverses of diagonal blocks, those of a node without others."""
        blocks = self._inner.blocks() / (self._model.layers + 1) ** 2
        d = self._model.width
        blocks += self.diagonal_pull.reshape(-1, d)[:, :, None] * np.eye(d)
        return block_jacobi(blocks, kind)

    def dense(self) -> np.ndarray:
        """(n, n) float64: for tiny worlds and tests."""
        return self @ np.eye(self.shape[0])
