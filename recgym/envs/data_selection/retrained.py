"""What a selection is worth in truth: metrics of the recommender that is trained on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from recgym.evaluators import ranking
from recgym.evaluators.influence import fit, user_losses

if TYPE_CHECKING:
    from recgym.envs.data_selection.game import Game

K = 5
NEGATIVES = 99
CANDIDATES_SEED = 20_241  # fixed: every selection is ranked against the same candidates


def retrained(game: Game, selected: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """(N,) validation losses after training on a selection (Z,), and the means to report.

    ``test_loss``, a sum over each user's test items, and F1@5: of her test items among all items
    that she has not taken (``f1_full``, a mean over users), and of each test item among 99 of those
    drawn uniformly (``f1_sampled``, a mean over test items; fewer than 99 where a user has fewer),
    each with what random scores would get (``..._chance``).
    """
    model, data = game.model, game.data
    theta = fit(model, selected)
    losses = user_losses(model, theta, data.validation, selected)
    scores = model.all_scores(theta, selected)
    full, sampled = _full(game, scores), _sampled(game, scores)
    return losses, {
        "loss_retrained": float(losses.mean()),
        "test_loss": float(user_losses(model, theta, data.test, selected).mean()),
        "f1_full": full[0],
        "f1_full_chance": full[1],
        "f1_sampled": sampled[0],
        "f1_sampled_chance": sampled[1],
    }


def _full(game: Game, scores: np.ndarray) -> tuple[float, float]:
    test = _matrix(game, game.data.test.user, game.data.test.item)
    others = (game.known - test).tocsr()
    others.eliminate_zeros()
    k = min(K, game.data.n_items)
    report = ranking.rank_all(lambda users: scores[users.numpy()], others, test, k)
    free = game.data.n_items - np.diff(others.indptr)[report.users]
    chance = np.minimum(k, free) / free * 2 * report.relevant / (k + report.relevant)
    return float(report.f1().mean()), float(chance.mean())


def _sampled(game: Game, scores: np.ndarray) -> tuple[float, float]:
    k = min(K, game.candidates.items.shape[1])
    report = ranking.rank_sampled(lambda users, items: scores[users, items], game.candidates, k)
    return report.f1, report.chance_f1


def candidates(game: Game) -> ranking.Candidates:
    """Each test item with 99 items that its user has not taken, or as many as all users have."""
    test = game.data.test
    free = game.data.n_items - np.diff(game.known.indptr)[test.user]
    count = min(NEGATIVES, int(free.min()))
    return ranking.sampled_candidates(
        test.user, test.item, game.known, negatives=count, seed=CANDIDATES_SEED
    )


def known(game: Game) -> sp.csr_matrix:
    """(N, I): everything that the players have taken, in whatever part it is."""
    log = game.world.log
    inside = np.isin(log.user, game.users)
    return _matrix(game, np.searchsorted(game.users, log.user[inside]), log.item[inside])


def _matrix(game: Game, user: np.ndarray, item: np.ndarray) -> sp.csr_matrix:
    shape = (game.data.n_users, game.data.n_items)
    return sp.csr_matrix((np.ones(len(user)), (user, item)), shape)
