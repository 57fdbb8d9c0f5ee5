"""DataSelection's tiny world solved: every joint selection is trained on, and judged by everybody.

With Z pairs there are 2^Z joint selections, and with utilities z_u of all of them the game is a
table: its pure Nash equilibria are the rows where nobody gains by another selection of her own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from recgym.envs.data_selection.dynamics import DataSelection
from recgym.evaluators.influence.matrix_factorisation import MatrixFactorisation
from recgym.evaluators.influence.stacked import fit_stacked, losses_stacked

MOST_PAIRS = 12  # 4,096 joint selections
SAME = 1e-9  # utilities nearer than this are equal: trainings end within it


@dataclass(frozen=True)
class SelectionOptimum:
    """Exact answers about a game of J joint selections and N users; values are means of z_u."""

    value: float  # of the social optimum
    equilibrium_value: float  # of the best pure equilibrium, or of the best ε-equilibrium
    random_value: float  # of a uniform choice among all joint selections
    worst_value: float  # of the worst joint selection
    epsilon: float  # the smallest ε at which a pure ε-equilibrium exists; 0 where a Nash one does
    selections: np.ndarray  # (J, Z) bool, row r selects pair k where bit k of r is set
    utilities: np.ndarray  # (J, N) z_u, retrained
    gains: np.ndarray  # (J, N) what each user gains by her best reply, the others staying
    equilibria: np.ndarray  # (E,) int64 rows, the best first
    social: int
    """Row of the social optimum."""
    _seen: np.ndarray = field(repr=False)  # (N, 2K) float32, willingness and popularity
    _places: np.ndarray = field(repr=False)  # (N, K) int64, padded with Z

    def regret(self, score: float) -> float:
        """Normalised regret of a mean z: 0 is the social optimum, 1 a random joint selection."""
        return (self.value - score) / (self.value - self.random_value)

    def row(self, selected: np.ndarray) -> np.ndarray:
        """(...): rows of selections (..., Z)."""
        selected = np.asarray(selected, dtype=bool)
        return selected @ (1 << np.arange(selected.shape[-1]))

    def act(
        self, observation: Mapping[str, Any], play: Literal["social", "equilibrium"] = "social"
    ) -> np.ndarray:
        """(K,) int8: the acting user's part of the social optimum or of the best equilibrium.

        Raises:
            ValueError: the observation is of another draw, or of another world.
        """
        row = self.social if play == "social" else int(self.equilibria[0])
        seen = np.concatenate([observation["willingness"], observation["popularity"]])
        apart = np.abs(self._seen - seen).max(axis=1)
        user = int(apart.argmin())
        if apart[user] > 1e-5:
            raise ValueError(
                "This user is not of the game that was solved: reset the environment with "
                'options={"draw": …}, the draw that the optimum was computed for.'
            )
        return np.append(self.selections[row], False)[self._places[user]].astype(np.int8)


def selection_optimum(env: gym.Env, draw: int = 0) -> SelectionOptimum:
    """Train on all joint selections of an environment's split, as one stacked batch.

    Args:
        draw: of the willingness, where the world has more than one.

    Raises:
        ValueError: over 12 pairs, another action than items, willingness that drifts, or a
            recommender that cannot be stacked.
    """
    problem = env.unwrapped.problem  # pyright: ignore[reportAttributeAccessIssue]
    model = _covered(env, problem)
    game, data = problem.game, problem.game.data
    willingness = game.willingness(draw)
    selections = (np.arange(2**data.size)[:, None] >> np.arange(data.size)) & 1
    losses = losses_stacked(model, fit_stacked(model, selections))
    utilities = problem.utilities(selections.astype(np.float64), willingness, losses)
    gains = best_reply_gains(utilities, data.lengths)
    mean, social = utilities.mean(axis=1), int(utilities.mean(axis=1).argmax())
    epsilon, stable = _stable(gains, mean)
    return SelectionOptimum(
        value=float(mean[social]),
        equilibrium_value=float(mean[stable[0]]),
        random_value=float(mean.mean()),
        worst_value=float(mean.min()),
        epsilon=epsilon,
        selections=selections.astype(bool),
        utilities=utilities,
        gains=gains,
        equilibria=stable,
        social=social,
        _seen=np.concatenate(
            [np.append(of, 0.0)[game.places] for of in (willingness, game.popularity)], axis=1
        ).astype(np.float32),
        _places=game.places,
    )


def best_reply_gains(utilities: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(J, N): best reply minus present z of each user, from utilities (J, N) and |S^u| (N,)."""
    n_users = len(lengths)
    # the first user's bits are the lowest, so hers is the last axis
    table = utilities.reshape(*(2 ** lengths[::-1]), n_users)
    gains = [
        table[..., u].max(axis=n_users - 1 - u, keepdims=True) - table[..., u]
        for u in range(n_users)
    ]
    return np.stack(gains, axis=-1).reshape(utilities.shape)


def _stable(gains: np.ndarray, mean: np.ndarray) -> tuple[float, np.ndarray]:
    """(ε, rows): the smallest ε of a pure ε-equilibrium, and all rows that are one, best first."""
    most = gains.max(axis=1)
    epsilon = float(most.min()) if most.min() > SAME else 0.0
    rows = np.flatnonzero(most <= epsilon + SAME)
    return epsilon, rows[np.argsort(-mean[rows], kind="stable")]


def _covered(env: gym.Env, problem: Any) -> MatrixFactorisation:
    if not isinstance(problem, DataSelection):
        raise ValueError(f"{env} is not a DataSelection.")
    size = problem.game.data.size
    if size > MOST_PAIRS:
        raise ValueError(
            f"{size} pairs have 2^{size} joint selections: at most {MOST_PAIRS} pairs are listed. "
            'Take gym.make("recgym/DataSelectionTiny-v0").'
        )
    if problem.params.action != "items" or problem.params.drift != 0:
        raise ValueError('The optimum is for action="items" and willingness that stays.')
    model = problem.game.model
    if not isinstance(model, MatrixFactorisation):
        raise ValueError(f"Only matrix factorisation is trained in a stack, not {model.name}.")
    return model
