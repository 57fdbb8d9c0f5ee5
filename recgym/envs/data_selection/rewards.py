"""The terms of a reward: what a move does to the loss, and to what is given away."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recgym.envs.data_selection.state import Params

TERMS = ("loss", "disclosure")


def default_weights(params: Params) -> dict[str, float]:
    """−1 for the change of the validation loss, −λ for that of the disclosure.

    Raises:
        ValueError: a weight for a term that does not exist, or one that is not finite.
    """
    weights: Mapping[str, float] = {"loss": -1.0, "disclosure": -params.harm_of_disclosure}
    if unknown := sorted(set(params.weights) - set(weights)):
        raise ValueError(f"weights has unknown terms {unknown}; the terms are {list(TERMS)}.")
    if not np.isfinite(list(params.weights.values())).all():
        raise ValueError(f"weights must be finite, got {dict(params.weights)}.")
    return {**weights, **params.weights}
