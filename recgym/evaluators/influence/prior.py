"""Where training starts and what it is pulled to.

Without a pull the objective has no single optimum, and training from another order of the batches
moves losses more than removing a tenth of the data. Pulled to factors that *other*, public users
have taught, the optimum is near its start, and influence functions are accurate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recgym.evaluators.influence.game import Pairs, SelectionGame

PULLS: Mapping[str, tuple[float, float]] = {"proximal": (2.0, 10.0), "accurate": (4.0, 30.0)}
"""(ρ_P, ρ_Q) by name: the default, and one for which influence is nearer to the truth."""

PUBLIC_ITERATIONS = 60
"""Of training on public users: a good start is wanted, not an optimum."""


@dataclass(frozen=True, eq=False)
class Prior:
    """The saved initialisation, and the pull toward it.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, pulls below 0.
    """

    users: np.ndarray  # (N, d)
    items: np.ndarray  # (I, d)
    pull_users: float = 2.0
    """ρ_P."""
    pull_items: float = 10.0
    """ρ_Q."""
    at_zero: bool = False
    """Pull to zero and not to the start: plain L2."""

    def __post_init__(self) -> None:
        if self.users.ndim != 2 or self.users.shape[1:] != self.items.shape[1:]:
            raise ValueError(
                f"users and items must be (N, d) and (I, d) with one d, got {self.users.shape} and "
                f"{self.items.shape}."
            )
        if not (np.isfinite(self.users).all() and np.isfinite(self.items).all()):
            raise ValueError("The prior's vectors must be finite.")
        if min(self.pull_users, self.pull_items) < 0:
            raise ValueError("pull_users and pull_items must be at least 0.")

    @property
    def width(self) -> int:
        """d."""
        return self.users.shape[1]

    @property
    def start(self) -> np.ndarray:
        """(n,) float64: θ where training starts, users' vectors first."""
        return np.concatenate([self.users.ravel(), self.items.ravel()]).astype(np.float64)

    @property
    def centre(self) -> np.ndarray:
        """(n,) float64: θ that training is pulled to."""
        return np.zeros_like(self.start) if self.at_zero else self.start

    @property
    def pull(self) -> np.ndarray:
        """(n,) float64: ρ of each parameter."""
        pulls = self.pull_users, self.pull_items
        sizes = self.users.size, self.items.size
        return np.concatenate([np.full(n, float(p)) for n, p in zip(sizes, pulls, strict=True)])


def public_prior(
    public: Pairs,
    n_items: int,
    n_players: int,
    *,
    width: int = 16,
    pulls: tuple[float, float] = PULLS["proximal"],
    l2: float = 1.0,
    seed: int = 0,
) -> Prior:
    """A prior from the data of public users, who are none of the players.

    Matrix factorisation with plain L2 on their pairs; item vectors are scaled to mean ‖q‖² = 1 and
    user vectors against it, and every player starts at the mean public user.

    Args:
        public: pairs of public users 0..; sorted by user.
        n_items: of the catalogue, that of the game.
    """
    from recgym.evaluators.influence.matrix_factorisation import MatrixFactorisation
    from recgym.evaluators.influence.training import descend

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
    model = MatrixFactorisation(game, start)
    found = descend(model, np.ones(len(public)), model.start, 1e-3, PUBLIC_ITERATIONS)
    users, items = model.split(found.x)
    size = np.sqrt((items**2).sum(axis=1).mean())
    items, mean = items / size, users.mean(axis=0) * size
    return Prior(np.tile(mean, (n_players, 1)), items, *pulls)


def xavier_prior(
    n_players: int, n_items: int, *, width: int = 64, l2: float = 3.0, seed: int = 0
) -> Prior:
    """Xavier's initialisation with plain L2: nearest to the paper that still has an optimum."""
    rng = np.random.default_rng(seed)

    def drawn(rows: int) -> np.ndarray:
        return np.sqrt(2 / (rows + width)) * rng.standard_normal((rows, width))

    return Prior(drawn(n_players), drawn(n_items), l2, l2, at_zero=True)
