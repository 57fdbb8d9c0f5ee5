"""TIL (Wu et al., "Adapting Triplet Importance of Implicit Feedback", CIKM 2022).

A controller weighs triplets. It learns by looking one step ahead: after a virtual step of the
recommender on the weighted loss, the plain loss of the same triplets is to be low.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.func import functional_call

from recgym.agents.data_valuation.methods.training import Batch, Weighting
from recgym.envs.data_valuation.worlds import World
from recgym.evaluators.learner import Learner, Optimiser, Triplets, Weights, adam
from recgym.evaluators.learner.samplers import clusters


@dataclass(frozen=True)
class TILConfig:
    """The published settings."""

    hidden: int = 64
    learning_rate: float = 1e-3
    """Of the controller (Adam)."""
    virtual_rate: float = 1e-3
    """Of the recommender's virtual step (SGD, on the sum over triplets)."""
    interests: int = 20
    """Clusters of items, of TIL-MI."""
    refresh: int = 10
    """Epochs between clusterings, of TIL-MI."""
    plain_epochs: int = 100
    """Before the first clustering, of TIL-MI."""
    seed: int = 0


class TIL(Weighting, ABC):
    """w = softplus(MLP([p⊙q_i + c_i⊙q_i; p⊙q_j + c_j⊙q_j])), with a centre c for each item.

    Subclasses say what the centres are; they are those of the start of an epoch.
    """

    def __init__(self, world: World, config: TILConfig | None = None):
        self.world, self.config = world, config or TILConfig()
        self.name = f"{type(self).__name__} {sorted(asdict(self.config).items())}"
        c = self.config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(c.seed)
            self.net = nn.Sequential(
                nn.Linear(2 * world.width, c.hidden),
                nn.ReLU(),
                nn.Linear(c.hidden, 1),
                nn.Softplus(),
            )
        self._shapes = {name: p.shape for name, p in self.net.named_parameters()}
        self._optimiser = Optimiser(c.learning_rate, weight_decay=0.0)
        flat = torch.cat([p.detach().flatten() for p in self.net.parameters()]).numpy()[None]
        nothing = np.zeros_like(flat)
        self.weights = Weights(flat, nothing, nothing.copy(), np.zeros(1, dtype=np.int64))
        self.centres = np.zeros((1, world.width), dtype=np.float32)  # (K, d)

    @abstractmethod
    def centres_of(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """(n,) rows of ``centres`` for users and items (n,)."""

    def weigh(self, batch: Batch, rng: np.random.Generator) -> np.ndarray:
        """Train the controller on the batch, then weigh it."""
        features = self.features(batch.learner, batch.values, batch.triplets)
        gradient = self.gradient(batch.learner, batch.values, batch.triplets, features)
        self.weights = adam(self.weights, gradient[None], self._optimiser)
        return self.controlled(torch.from_numpy(self.weights.values[0]), features).numpy()

    def features(self, learner: Learner, values: np.ndarray, triplets: Triplets) -> Tensor:
        """(n, 2d) of triplets (1, n)."""
        user, item, other = triplets.user[0], triplets.item[0], triplets.negative[0]
        p, q, r = learner.embeddings(values, triplets)[0].swapaxes(0, 1)
        c_i, c_j = (self.centres[self.centres_of(user, of)] for of in (item, other))
        return torch.from_numpy(np.concatenate([(p + c_i) * q, (p + c_j) * r], axis=1))

    def controlled(self, parameters: Tensor, features: Tensor) -> Tensor:
        """(n,) weights of features (n, 2d) under the controller's parameters, flat."""
        parts = parameters.split([shape.numel() for shape in self._shapes.values()])
        named = {
            name: part.view(shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }
        return functional_call(self.net, named, (features,)).squeeze(1)

    def gradient(
        self, learner: Learner, values: np.ndarray, triplets: Triplets, features: Tensor
    ) -> Tensor:
        """Of Σ ℓ(θ − η ∇ Σ w ℓ(θ)) in the controller's parameters (flat).

        The virtual step is linear in w, so the derivative in w_m is exactly −η ⟨∇ℓ_m(θ), ∇ Σ ℓ(θ')⟩
        and nothing has to be differentiated twice. The recommender's vectors that the controller
        reads are given.
        """
        parameters = torch.from_numpy(self.weights.values[0].copy()).requires_grad_()
        weights = self.controlled(parameters, features)
        w, rate = weights.detach().numpy()[None], self.config.virtual_rate
        moved = values - rate * summed(learner, values, triplets, w)
        ahead = summed(learner, moved, triplets, np.ones_like(w))
        slope = -rate * learner.alignment(values, triplets, ahead)[0]
        of_weights = torch.from_numpy(slope.astype(np.float32))
        return torch.autograd.grad(weights, parameters, of_weights)[0]

    def arrays(self) -> dict[str, np.ndarray]:
        return {**{f"til_{n}": a for n, a in vars(self.weights).items()}, "centres": self.centres}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.weights = Weights(**{n: arrays[f"til_{n}"] for n in vars(self.weights)})
        self.centres = arrays["centres"]


class TILUI(TIL):
    """TIL-UI: the centre is the mean vector of the user's training items."""

    def start_epoch(self, epoch: int, item_vectors: np.ndarray, rng: np.random.Generator) -> None:
        train = self.world.matrices["train"]
        share = sp.diags(1 / np.maximum(np.diff(train.indptr), 1))
        self.centres = np.asarray(share @ (train @ item_vectors), dtype=np.float32)

    def centres_of(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        return user


class TILMI(TIL):
    """TIL-MI: the centre is that of the item's cluster (k-means of all items' vectors)."""

    def __init__(self, world: World, config: TILConfig | None = None):
        super().__init__(world, config)
        self.plain_epochs = self.config.plain_epochs
        self.cluster = np.zeros(world.log.n_items, dtype=np.int64)

    def start_epoch(self, epoch: int, item_vectors: np.ndarray, rng: np.random.Generator) -> None:
        if epoch % self.config.refresh == 0:
            centres, self.cluster = clusters(item_vectors, self.config.interests, rng)
            self.centres = centres.astype(np.float32)

    def centres_of(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        return self.cluster[item]

    def arrays(self) -> dict[str, np.ndarray]:
        return {**super().arrays(), "cluster": self.cluster}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().restore(arrays)
        self.cluster = arrays["cluster"]


def summed(
    learner: Learner, values: np.ndarray, triplets: Triplets, weights: np.ndarray
) -> np.ndarray:
    """(1, P): the gradient of Σ w ℓ, weights (1, n); that of the learner is of a mean."""
    whole = max(1.0, float(weights.sum()))
    return learner.gradient(values, triplets, weights).numpy() * np.float32(whole)
