"""Sharper predictions of what a user's own removals do to her loss.

Two corrections to the linear prediction. *Leverage*: without pair k the Hessian is smaller, and the
step is H₋ₖ⁻¹∇l_k; the part of the inverse that matters is that of the pair's own vectors, whose
diagonal blocks are used. Where the pair is relabelled, the Hessian at the step's end has the
coupling of its two vectors in addition. *Readout*: the change of the validation **scores** is
predicted, and the loss is computed at the changed scores.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit

from recgym.evaluators.influence.effects import chunks, matched
from recgym.evaluators.influence.matrix_factorisation import MatrixFactorisation
from recgym.evaluators.influence.solve import Solver, solve


def own_removals(
    model: MatrixFactorisation,
    theta: np.ndarray,
    *,
    solver: Solver = Solver(),
    damping: float = 0.0,
) -> np.ndarray:
    """(Z,): by how much a user's validation loss changes when she alone deselects pair k.

    Args:
        theta: the optimum of the selection of everything.

    Raises:
        ValueError: a user with several validation pairs.
    """
    game, validation = model.game, model.game.validation
    hessian = model.hessian(theta, np.ones(game.size), damping)
    if game.deselected == "relabel":
        sources, step = _relabelled(model, theta, hessian), 1.0
    else:
        sources = model.pair_gradients(theta, game.training)
        step = _leverage(model, theta, hessian)
    item, negative = model.scores(theta, validation)
    changed = np.zeros((2, game.size))
    user_of = validation.user
    if (np.bincount(user_of, minlength=game.n_users) != 1).any():
        raise ValueError(
            f"own_removals reads one validation pair for each user; {game.name} has more. Hold out "
            "the last two items of each."
        )
    order = np.argsort(user_of)
    for users in chunks(game.n_users):
        first, last = game.offsets[users[0]], game.offsets[users[-1] + 1]
        mine = game.training.user[first:last] - users[0]
        for kind, items in enumerate((validation.item, validation.negative)):
            pairs = order[users]
            targets = model.score_gradients(theta, user_of[pairs], items[pairs])
            found = solve(hessian, targets.toarray().T, solver)
            changed[kind, first:last] = matched(sources[first:last], found, mine)
    changed *= step
    of = order[game.training.user]
    item, negative = item[of], negative[of]
    before = -log_expit(item) - log_expit(-negative)
    return -log_expit(item + changed[0]) - log_expit(-(negative + changed[1])) - before


def _leverage(model: MatrixFactorisation, theta: np.ndarray, hessian) -> np.ndarray:
    """(Z,): how much longer the step without pair k is than with the whole Hessian.

    The pair adds curvature s(1 − s) along the gradient of each of its two scores; for one score,
    Sherman and Morrison's formula gives 1/(1 − s(1 − s) aᵀH⁻¹a) for the gradient a.
    """
    pairs, game = model.game.training, model.game
    inverse = np.linalg.inv(hessian.blocks())
    p, q = model.split(theta)
    scores = model.scores(theta, pairs)
    slopes = np.abs(np.stack([expit(scores[0]) - 1, expit(scores[1])]))
    longer = []
    for score, items in zip(scores, (pairs.item, pairs.negative), strict=True):
        of_user, of_item = inverse[pairs.user], inverse[game.n_users + items]
        user, item = p[pairs.user], q[items]
        share = np.einsum("ed,edf,ef->e", item, of_user, item)
        share += np.einsum("ed,edf,ef->e", user, of_item, user)
        share *= expit(score) * expit(-score)
        longer.append(1 / np.maximum(1 - share, 0.1))
    return (slopes * np.stack(longer)).sum(axis=0) / np.maximum(slopes.sum(axis=0), 1e-12)


def _relabelled(model: MatrixFactorisation, theta: np.ndarray, hessian):
    """(Z, n) sparse: x_k of the step H⁻¹x_k by which relabelling pair k moves θ.

    The loss grows by s_k = p·q, of gradient g = (q, p) and Hessian C, which swaps the two vectors'
    places: the step is −(H + C)⁻¹g ≈ −H⁻¹(g − C H⁻¹g), the inner inverse by diagonal blocks.
    """
    pairs = model.game.training
    inverse = np.linalg.inv(hessian.blocks())
    p, q = model.split(theta)
    user, item = p[pairs.user], q[pairs.item]
    user_moved = np.einsum("edf,ef->ed", inverse[pairs.user], item)
    item_moved = np.einsum("edf,ef->ed", inverse[model.game.n_users + pairs.item], user)
    return -model.rows(pairs.user, pairs.item, item - item_moved, user - user_moved)
