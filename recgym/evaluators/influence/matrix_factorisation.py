"""Matrix factorisation as an optimum: its training loss, derivatives, and the Hessian's products.

F(θ; o) = Σ_k o_k l_k(θ) + ½ρ_P‖P − P_0‖² + ½ρ_Q‖Q − Q_0‖², where l_k is the cross-entropy of the
pair's item and of its negative. Sums, not means: an influence is then a change of the loss for one
pair. Where deselected pairs are relabelled, l_k + (1 − o_k) s_k takes the place of o_k l_k, s_k the
score of the item (:meth:`recgym.evaluators.influence.game.SelectionGame.terms`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, log_expit

from recgym.evaluators.influence.effects import matched
from recgym.evaluators.influence.game import Pairs, SelectionGame
from recgym.evaluators.influence.prior import Prior
from recgym.evaluators.influence.solve import block_jacobi


class MatrixFactorisation:
    """The recommender σ(p_u·q_i) over a game, with everything that influence needs of it.

    θ (n,) is [P, Q], row by row. Pairs that are dropped cost nothing.
    """

    name = "mf"

    def __init__(self, game: SelectionGame, prior: Prior):
        if prior.users.shape[0] != game.n_users or prior.items.shape[0] != game.n_items:
            raise ValueError(
                f"The prior is of {len(prior.users)} users and {len(prior.items)} items, the game "
                f"of {game.n_users} and {game.n_items}."
            )
        self.game, self.prior = game, prior
        self.width = prior.width
        self.n_params = prior.users.size + prior.items.size
        self.pull, self.start, self.centre = prior.pull, prior.start, prior.centre

    def split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P (N, d), Q (I, d)) of θ (n,)."""
        users = self.game.n_users * self.width
        return theta[:users].reshape(-1, self.width), theta[users:].reshape(-1, self.width)

    def scores(
        self, theta: np.ndarray, pairs: Pairs, weight: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (E,) of the items and (E,) of their negatives."""
        p, q = self.split(theta)
        user = p[pairs.user]
        return (
            np.einsum("ed,ed->e", user, q[pairs.item]),
            np.einsum("ed,ed->e", user, q[pairs.negative]),
        )

    def all_scores(self, theta: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """(N, I)."""
        p, q = self.split(theta)
        return p @ q.T

    def losses(
        self, theta: np.ndarray, pairs: Pairs, weight: np.ndarray | None = None
    ) -> np.ndarray:
        """(E,): −log σ(s_item) − log σ(−s_negative)."""
        item, negative = self.scores(theta, pairs)
        return -log_expit(item) - log_expit(-negative)

    def value_and_gradient(self, theta: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
        """F and ∇F (n,) for weights (Z,) of the training pairs."""
        pairs, (a, b) = self.game.training, self.game.terms(weight)
        item, negative = self.scores(theta, pairs)
        away = theta - self.centre
        value = a @ (-log_expit(item) - log_expit(-negative)) + b @ item
        value += 0.5 * self.pull @ away**2
        p, q = self.split(theta)
        of_users, of_items = np.zeros_like(p), np.zeros_like(q)
        slopes = a * (expit(item) - 1) + b, a * expit(negative)
        for slope, items in zip(slopes, (pairs.item, pairs.negative), strict=True):
            matrix = sp.csr_matrix(
                (slope, items, self.game.offsets), shape=(self.game.n_users, self.game.n_items)
            )
            of_users += matrix @ q
            of_items += matrix.T @ p
        slope = np.concatenate([of_users.ravel(), of_items.ravel()])
        return float(value), slope + self.pull * away

    def score_gradients(self, theta: np.ndarray, user: np.ndarray, item: np.ndarray):
        """(E, n) sparse: ∇s of pairs (user, item)."""
        p, q = self.split(theta)
        return self.rows(user, item, q[item], p[user])

    def rows(
        self, user: np.ndarray, item: np.ndarray, of_user: np.ndarray, of_item: np.ndarray
    ) -> sp.csr_matrix:
        """(E, n) sparse: vectors (E, d) at the places of users (E,), and others at items'."""
        d, e = self.width, len(user)
        own = np.arange(d)
        columns = np.concatenate(
            [user[:, None] * d + own, (self.game.n_users + item)[:, None] * d + own], axis=1
        )
        values = np.concatenate([of_user, of_item], axis=1)
        indptr = np.arange(e + 1) * 2 * d
        return sp.csr_matrix((values.ravel(), columns.ravel(), indptr), shape=(e, self.n_params))

    def pair_gradients(
        self, theta: np.ndarray, pairs: Pairs, terms: tuple[float, float] = (1.0, 0.0)
    ):
        """(E, n) sparse: a∇l + b∇s of each pair for ``terms`` (a, b), ∇l by default."""
        a, b = terms
        item, negative = self.scores(theta, pairs)
        first = self.score_gradients(theta, pairs.user, pairs.item)
        second = self.score_gradients(theta, pairs.user, pairs.negative)
        slopes = sp.diags(a * (expit(item) - 1) + b), sp.diags(a * expit(negative))
        return sp.csr_matrix(slopes[0] @ first + slopes[1] @ second)

    def selection_gradients(self, theta: np.ndarray, pairs: Pairs):
        """(E, n) sparse: ∂∇F/∂o_k of training pairs, ∇l_k or, relabelled, −∇s_k."""
        return self.pair_gradients(theta, pairs, self.game.slopes)

    def loss_gradients(
        self,
        theta: np.ndarray,
        pairs: Pairs,
        which: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> np.ndarray:
        """(n, R): the gradients of Σ_u which_ur L_u over ``pairs``, for ``which`` (N, R)."""
        shares = sp.csr_matrix(which[pairs.user])
        return (self.pair_gradients(theta, pairs).T @ shares).toarray()

    def pair_effects(
        self, theta: np.ndarray, weight: np.ndarray, which: np.ndarray, solved: np.ndarray
    ) -> np.ndarray:
        """(R, Z): −⟨∂∇F/∂o_k, solved_r⟩ of all training pairs, for solved (n, R)."""
        return -np.asarray(self.selection_gradients(theta, self.game.training) @ solved).T

    def own_effects(
        self, theta: np.ndarray, weight: np.ndarray, users: np.ndarray, solved: np.ndarray
    ) -> np.ndarray:
        """(K,): the same for the pairs of consecutive ``users``, each with her own column."""
        pairs = self.game.training.at(self.game.pairs_of(users))
        return -matched(self.selection_gradients(theta, pairs), solved, pairs.user - users[0])

    def hessian(self, theta: np.ndarray, weight: np.ndarray, damping: float = 0.0) -> Hessian:
        """∇²F at θ for weights (Z,), as products with many vectors at once."""
        return Hessian(self, theta, weight, damping)


class Hessian:
    """∇²F = Jᵀ W J + R ⊗ I + ρ + damping: J gradients of the scores, R slopes of the losses.

    Products cost 8·E·d multiplications a vector for the E scores of the pairs in play: those that
    are selected, or all where the others are relabelled.
    """

    def __init__(
        self, model: MatrixFactorisation, theta: np.ndarray, weight: np.ndarray, damping: float
    ):
        pairs, game = model.game.training, model.game
        a, b = game.terms(weight)
        kept = np.flatnonzero(a)
        pairs, a, b = pairs.at(kept), a[kept], b[kept]
        item, negative = model.scores(theta, pairs)
        user = np.concatenate([pairs.user, pairs.user])
        other = np.concatenate([pairs.item, pairs.negative])
        curvature = np.concatenate([a, a]) * expit(np.r_[item, negative])
        curvature = curvature * expit(-np.r_[item, negative])
        slope = np.concatenate([a * (expit(item) - 1) + b, a * expit(negative)])
        self.shape = (model.n_params, model.n_params)
        self._model, self._theta = model, theta
        self._jacobian = model.score_gradients(theta, user, other)
        self._transposed = sp.csr_matrix(self._jacobian.T)
        self._curvature = curvature
        slopes = sp.csr_matrix((slope, (user, other)), shape=(game.n_users, game.n_items))
        self._slopes, self._slopes_transposed = slopes, sp.csr_matrix(slopes.T)
        self.diagonal_pull = model.pull + damping
        self._user, self._other = user, other

    def __matmul__(self, vectors: np.ndarray) -> np.ndarray:
        """(n, R): the product with vectors (n, R), in their precision."""
        kind = vectors.dtype
        jacobian, transposed = self._as(kind)
        through = jacobian @ vectors
        through *= self._curvature[:, None].astype(kind)
        result = transposed @ through
        result += self.diagonal_pull[:, None].astype(kind) * vectors
        width, count = self._model.width, vectors.shape[1]
        users = self._model.game.n_users * width
        slopes, slopes_transposed = self._slopes.astype(kind), self._slopes_transposed.astype(kind)
        items = vectors[users:].reshape(-1, width * count)
        result[:users] += (slopes @ items).reshape(users, count)
        owners = vectors[:users].reshape(-1, width * count)
        result[users:] += (slopes_transposed @ owners).reshape(-1, count)
        return result

    def _as(self, kind: np.dtype):
        if kind != self._jacobian.dtype:
            self._jacobian = self._jacobian.astype(kind)
            self._transposed = self._transposed.astype(kind)
        return self._jacobian, self._transposed

    def blocks(self) -> np.ndarray:
        """(N + I, d, d) float64: the diagonal blocks of users' and items' own vectors."""
        model = self._model
        p, q = model.split(self._theta)
        d, w = model.width, self._curvature[:, None, None]
        found = np.zeros((len(p) + len(q), d, d))
        for index, vector in ((self._user, q[self._other]), (self._other + len(p), p[self._user])):
            outer = (w * vector[:, :, None] * vector[:, None]).reshape(len(index), d * d)
            sums = sp.csr_matrix(
                (np.ones(len(index)), (index, np.arange(len(index)))),
                shape=(len(found), len(index)),
            )
            found += np.asarray(sums @ outer).reshape(found.shape)
        found += self.diagonal_pull.reshape(-1, d)[:, :, None] * np.eye(d)
        return found

    def preconditioner(self, kind: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Vectors (n, R) times the inverses of the diagonal blocks."""
        return block_jacobi(self.blocks(), kind)

    def dense(self) -> np.ndarray:
        """(n, n) float64: for tiny worlds and tests."""
        return self @ np.eye(self.shape[0])
