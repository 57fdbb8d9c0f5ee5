"""The named reward terms of InfluencePath.

    r_t = Δ log P(i_t | s) + B · [ (1/M) · log a(a_t | s) + a(i_t | s) · 1[a_t = i_t] ]

The IRS paper defines no reward. A plain sum of Δ log P, log P and a bonus has two degenerate
optima: with weight 1 on log P twenty natural steps cost about 85 nats, so proposing the objective
at once wins; with weight 0 random items win by flattening P.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recgym.envs.influence_path.state import Params

LEAST_PENALTY = 5.0  # nats: without it a small bonus would make illegal items the better ones
TERMS = ("interest", "follow", "accepted_success", "invalid", "log_prob", "success")
"""
interest: Δ log P(objective | s); 0 on the step that recommends the objective. Sums to IoI.
follow: log a(item | s); sums to the log-probability that the user follows the whole path.
accepted_success: a(objective | s) on the step that recommends it (passive), or whether it was
    accepted (sampled). Sums to SR_acc.
invalid: 1 for an item that the user has already seen.
log_prob: log P(item | s), for the perplexity.
success: 1 on the step that recommends the objective (passive), or on which it is accepted.
"""


def log_acceptance(log_prob: np.ndarray, tau: float) -> np.ndarray:
    """log a(x | s) = min(0, log P(x | s) − τ), any shape: as likely as real choices is certain.

    τ is the evaluator's mean log P of users' real next items, a constant: a threshold that
    followed the entropy of P would be loosened by confusing the user.
    """
    return np.minimum(log_prob - tau, 0.0)


def default_weights(params: Params) -> dict[str, float]:
    """Weights of the terms, with the user's own in their place.

    Raises:
        ValueError: a weight for a term that does not exist, or that is not finite.
    """
    weights = {
        "interest": 1.0,
        "follow": params.bonus / params.horizon,
        "accepted_success": params.bonus,
        "invalid": -2.0 * max(abs(params.bonus), LEAST_PENALTY),
        "log_prob": 0.0,
        "success": 0.0,
    }
    check_weights(params.weights)
    return {**weights, **params.weights}


def check_weights(weights: Mapping[str, float]) -> None:
    for name, value in weights.items():
        if name not in TERMS:
            raise ValueError(f"There is no reward term {name!r}. Terms: {', '.join(TERMS)}.")
        if not np.isfinite(value):
            raise ValueError(f"The weight of {name!r} must be finite, got {value}.")
