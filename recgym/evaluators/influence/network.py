"""Any torch model of pairs as an optimum, such as NeuMF: derivatives by ``torch.func``.

F(θ; o) = Σ_k o_k l_k(θ) + ½ Σ_j ρ_j (θ_j − c_j)², where l_k is the cross-entropy of the pair's item
and of its negative, as in :mod:`recgym.evaluators.influence.matrix_factorisation`; so is what takes
its place where deselected pairs are relabelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad, jvp, vjp, vmap

from recgym.evaluators.influence.game import Pairs, SelectionGame
from recgym.models.collaborative import Collaborative

VALUES = 1 << 22  # intermediate values of vectors that run side by side
ROWS = 4_096  # whose gradients are held at a time
Shapes = Mapping[str, torch.Size]  # of parameters, by name


@dataclass(frozen=True, eq=False)
class NetworkPrior:
    """The saved initialisation of a network, and the pull toward it.

    θ (n,) is the module's parameters in their order, each row by row.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, pulls below 0.
    """

    module: Collaborative
    start: np.ndarray  # (n,) float64: θ where training starts
    centre: np.ndarray  # (n,) float64: θ that training is pulled to
    pull: np.ndarray  # (n,) float64: ρ of each parameter

    def __post_init__(self) -> None:
        for name in ("start", "centre", "pull"):
            array = getattr(self, name)
            if array.shape != (self.module.n_parameters,):
                raise ValueError(
                    f"{name} must have the shape of the module's parameters, "
                    f"({self.module.n_parameters},), got {array.shape}."
                )
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite.")
        if self.pull.min(initial=0) < 0:
            raise ValueError("pull must be at least 0.")


class Network:
    """A recommender whose scores are those of a torch module, twice differentiable.

    Works for every model of :mod:`recgym.models.collaborative` without a graph: a score depends on
    the rows of its user and its item, and on what all share. Vectors run side by side, as many as
    memory for ``VALUES`` intermediate numbers allows.
    """

    def __init__(self, game: SelectionGame, prior: NetworkPrior):
        config = prior.module.config
        if (config.n_users, config.n_items) != (game.n_users, game.n_items):
            raise ValueError(
                f"The network is of {config.n_users} users and {config.n_items} items, the game "
                f"of {game.n_users} and {game.n_items}."
            )
        self.game, self.prior = game, prior
        self.module = deepcopy(prior.module).double().eval()
        self.name = self.module.name
        self.n_params = self.module.n_parameters
        self.start, self.centre, self.pull = prior.start, prior.centre, prior.pull
        self.shapes = {name: p.shape for name, p in self.module.named_parameters()}
        self._training = _tensors(game.training)

    def split(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """θ (n,) as the module's parameters by name."""
        sizes = np.cumsum([shape.numel() for shape in self.shapes.values()])[:-1]
        parts = zip(self.shapes.items(), np.split(theta, sizes), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}

    def scores_at(
        self, theta: Tensor, users: Tensor, items: Tensor, shapes: Shapes | None = None
    ) -> Tensor:
        """(E,): scores as a function of θ (n,), in its precision.

        Args:
            shapes: of the parameters that θ holds, if tables lack rows; items count those left.
        """
        shapes = self.shapes if shapes is None else shapes
        sizes = [shape.numel() for shape in shapes.values()]
        parts = zip(shapes.items(), theta.split(sizes), strict=True)
        parameters = {name: part.view(shape) for (name, shape), part in parts}
        return functional_call(self.module, parameters, (users, items))

    def terms_at(
        self, theta: Tensor, users: Tensor, items: Tensor, shapes: Shapes | None = None
    ) -> tuple[Tensor, Tensor]:
        """l, s (E,): losses and items' scores of pairs whose items (2E,) precede the negatives."""
        item, negative = self.scores_at(theta, users, items, shapes).chunk(2)
        return F.softplus(-item) + F.softplus(negative), item

    def scores(
        self, theta: np.ndarray, pairs: Pairs, weight: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (E,) of the items and (E,) of their negatives."""
        with torch.no_grad():
            found = self.scores_at(torch.from_numpy(theta), *_tensors(pairs)).numpy()
        return found[: len(pairs)], found[len(pairs) :]

    def all_scores(self, theta: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """(N, I)."""
        with torch.no_grad():
            torch.nn.utils.vector_to_parameters(torch.from_numpy(theta), self.module.parameters())
            return self.module.all_scores(torch.arange(self.game.n_users)).numpy()

    def losses(
        self, theta: np.ndarray, pairs: Pairs, weight: np.ndarray | None = None
    ) -> np.ndarray:
        """(E,): −log σ(s_item) − log σ(−s_negative)."""
        item, negative = self.scores(theta, pairs)
        return np.logaddexp(0, -item) + np.logaddexp(0, negative)

    def value_and_gradient(self, theta: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
        """F and ∇F (n,) for weights (Z,) of the training pairs."""
        at = torch.from_numpy(theta).requires_grad_()
        a, b = map(torch.from_numpy, self.game.terms(weight))
        loss, score = self.terms_at(at, *self._training)
        value = a @ loss + b @ score
        (slope,) = torch.autograd.grad(value, at)
        away = theta - self.centre
        pulled = 0.5 * self.pull @ away**2
        return float(value.detach() + pulled), slope.numpy() + self.pull * away

    def loss_gradients(
        self,
        theta: np.ndarray,
        pairs: Pairs,
        which: np.ndarray,
        weight: np.ndarray | None = None,
    ) -> np.ndarray:
        """(n, R): the gradients of Σ_u which_ur L_u over ``pairs``, for ``which`` (N, R)."""
        tensors = _tensors(pairs)
        back = vjp(lambda t: self.terms_at(t, *tensors)[0], torch.from_numpy(theta))[1]
        shares = torch.from_numpy(which[pairs.user])
        chunk = self.side_by_side(len(pairs))
        return vmap(lambda share: back(share)[0], 1, 1, chunk_size=chunk)(shares).numpy()

    def pair_effects(
        self, theta: np.ndarray, weight: np.ndarray, which: np.ndarray, solved: np.ndarray
    ) -> np.ndarray:
        """(R, Z): −⟨∂∇F/∂o_k, solved_r⟩ of all training pairs, for solved (n, R)."""
        return self._changes(theta, solved)

    def _changes(self, theta: np.ndarray, solved: np.ndarray) -> np.ndarray:
        at, (of_a, of_b) = torch.from_numpy(theta), self.game.slopes

        def by_selection(t: Tensor) -> Tensor:
            loss, score = self.terms_at(t, *self._training)
            return of_a * loss + of_b * score

        def change(vector: Tensor) -> Tensor:
            return jvp(by_selection, (at,), (vector,))[1]

        vectors = torch.from_numpy(np.ascontiguousarray(solved, dtype=np.float64))
        chunk = self.side_by_side(self.game.size)
        return -vmap(change, 1, 0, chunk_size=chunk)(vectors).numpy()

    def own_effects(
        self, theta: np.ndarray, weight: np.ndarray, users: np.ndarray, solved: np.ndarray
    ) -> np.ndarray:
        """(K,): the same for the pairs of consecutive ``users``, each with her own column."""
        every = self._changes(theta, solved)
        owner = self.game.training.user
        mine = self.game.pairs_of(users)
        return every[owner[mine] - users[0], mine]

    def hessian(self, theta: np.ndarray, weight: np.ndarray, damping: float = 0.0) -> Any:
        """∇²F at θ for weights (Z,), as products with many vectors at once."""
        return NetworkHessian(self, theta, weight, damping)

    def side_by_side(self, pairs: int, parameters: int | None = None) -> int:
        """How many vectors run at a time through so many pairs and parameters (default: all)."""
        for_a_pair = sum(shape[-1] for shape in self.shapes.values())
        size = self.n_params if parameters is None else parameters
        return max(1, VALUES // (2 * pairs * for_a_pair + size))


def plain_prior(module: Collaborative, l2: float) -> NetworkPrior:
    """Training from the module's present parameters, with plain L2."""
    with torch.no_grad():
        start = torch.nn.utils.parameters_to_vector(module.parameters()).double().numpy().copy()
    return NetworkPrior(module, start, np.zeros_like(start), np.full_like(start, l2))


def pulled_prior(
    module: Collaborative, values: Mapping[str, np.ndarray], pulls: tuple[float, float, float]
) -> NetworkPrior:
    """Training from, and pulled to, given parameters; a users' table (1, d) is for every user.

    Args:
        pulls: ρ of users' tables, of items' tables, and of what all share.
    """
    start, strength = [], []
    for name, parameter in module.named_parameters():
        start.append(np.broadcast_to(values[name], parameter.shape).ravel())
        rho = pulls[("users", "items", "shared").index(group_of(name))]
        strength.append(np.full(parameter.numel(), float(rho)))
    at = np.concatenate(start).astype(np.float64)
    return NetworkPrior(module, at, at, np.concatenate(strength))


def group_of(name: str) -> str:
    """Whose parameter it is, by its name: ``users``, ``items`` or ``shared``."""
    table = name.split(".")[0]
    return "users" if "user" in table else "items" if "item" in table else "shared"


class NetworkHessian:
    """∇²F, of which only products exist: forward over reverse differentiation, vectors batched.

    Rows of items' tables that no pair in play touches have the pull alone, and are left out of it.
    """

    def __init__(self, model: Network, theta: np.ndarray, weight: np.ndarray, damping: float):
        a, b = model.game.terms(weight)
        kept = np.flatnonzero(a)
        users, items = _tensors(model.game.training.at(kept))
        in_play, places = np.unique(items.numpy(), return_inverse=True)
        self._pairs = users, torch.from_numpy(places)
        self._shapes, columns, first = {}, [], 0
        for name, shape in model.shapes.items():
            own = first + np.arange(shape.numel()).reshape(shape)
            first += shape.numel()
            own = own[in_play] if group_of(name) == "items" else own
            self._shapes[name] = torch.Size(own.shape)
            columns.append(own.ravel())
        self._columns = np.concatenate(columns)
        self._a, self._b = a[kept], b[kept]
        self._model, self._theta = model, theta[self._columns]
        self._chunk = model.side_by_side(len(kept), len(self._columns))
        self.diagonal_pull = model.pull + damping
        self.shape = (model.n_params, model.n_params)

    def __matmul__(self, vectors: np.ndarray) -> np.ndarray:
        """(n, R): the product with vectors (n, R), in their precision."""
        model, kind = self._model, vectors.dtype
        theta = torch.from_numpy(self._theta.astype(kind))
        a, b = (torch.from_numpy(each.astype(kind)) for each in (self._a, self._b))

        def value(t: Tensor) -> Tensor:
            loss, score = model.terms_at(t, *self._pairs, self._shapes)
            return a @ loss + b @ score

        slope = grad(value)
        product = vmap(lambda v: jvp(slope, (theta,), (v,))[1], 1, 1, chunk_size=self._chunk)
        found = self.diagonal_pull[:, None].astype(kind) * vectors
        if len(self._a):
            found[self._columns] += product(torch.from_numpy(vectors[self._columns])).numpy()
        return found

    def preconditioner(self, kind: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Multiplies by the inverses of Gauss–Newton's blocks: of each user, each item, and the
        weights that all share, whose curvature is larger by orders of magnitude.
        """
        pull = self.diagonal_pull[:, None].astype(kind)
        blocks = [(places, np.linalg.inv(block).astype(kind)) for places, block in self.blocks()]

        def precondition(residual: np.ndarray) -> np.ndarray:
            found = residual / pull
            for places, inverse in blocks:
                found[places] = np.matmul(inverse, residual[places])
            return found

        return precondition

    def blocks(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(places (M, d) in θ, Σ_k a_k Σ σ'(s) ∇s ∇sᵀ + ρ (M, d, d)): users, items, shared."""
        users, items = self._pairs
        if not len(users):
            return []
        owners = {"users": users, "items": items, "shared": torch.zeros_like(users)}
        theta = torch.from_numpy(self._theta)
        with torch.no_grad():
            chance = torch.sigmoid(self._model.scores_at(theta, users, items, self._shapes))
        curved = torch.from_numpy(np.tile(self._a, 2)) * chance * (1 - chance)
        places = {group: self._columns[at] for group, at in self._places().items()}
        sums = {
            group: torch.diag_embed(torch.from_numpy(self.diagonal_pull[at]))
            for group, at in places.items()
        }
        for rows in torch.arange(len(users)).split(ROWS):
            for group, slope in self._slopes(theta, users[rows], items[rows]).items():
                weighed = curved[rows, None] * slope
                if group == "shared":
                    sums[group] += slope.T @ weighed
                else:
                    outer = weighed[:, :, None] * slope[:, None]
                    sums[group].index_add_(0, owners[group][rows], outer)
        return [(places[group], block.numpy()) for group, block in sums.items()]

    def _places(self) -> dict[str, np.ndarray]:
        """(M, d) by group: of each user, item, or all, the places among parameters in play."""
        found: dict[str, list[np.ndarray]] = {}
        first = 0
        for name, shape in self._shapes.items():
            own = first + np.arange(shape.numel())
            first += shape.numel()
            rows = 1 if group_of(name) == "shared" else shape[0]
            found.setdefault(group_of(name), []).append(own.reshape(rows, -1))
        return {group: np.concatenate(parts, axis=1) for group, parts in found.items()}

    def _slopes(self, theta: Tensor, users: Tensor, items: Tensor) -> dict[str, Tensor]:
        """(E, d) by group: each pair's ∇s by its user's rows, its item's rows, and the shared."""
        sizes = [shape.numel() for shape in self._shapes.values()]
        of = {"users": users, "items": items}
        given, along = {}, {}
        for (name, shape), part in zip(self._shapes.items(), theta.split(sizes), strict=True):
            own = of.get(group_of(name))
            given[name] = part.view(shape) if own is None else part.view(shape)[own][:, None]
            along[name] = None if own is None else 0
        first = torch.zeros(1, dtype=torch.long)  # tables of one row

        def score(parameters: dict[str, Tensor]) -> Tensor:
            return functional_call(self._model.module, parameters, (first, first))[0]

        slopes = vmap(grad(score), (along,))(given)
        return {
            group: torch.cat([v.flatten(1) for n, v in slopes.items() if group_of(n) == group], 1)
            for group in dict.fromkeys(map(group_of, slopes))
        }

    def dense(self) -> np.ndarray:
        """(n, n) float64: for tiny worlds and tests."""
        return self @ np.eye(self.shape[0])


def _tensors(pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Users (2E,) and items (2E,): the pairs, and then the same with their negatives."""
    users, items = np.tile(pairs.user, 2), np.concatenate([pairs.item, pairs.negative])
    return torch.from_numpy(users), torch.from_numpy(items)
