"""The terms of a reward: what the metric has gained, and how much was learnt from."""

from __future__ import annotations

import math
from collections.abc import Mapping

from recgym.envs.data_valuation.state import Params

TERMS: Mapping[str, float] = {"gain": 1.0, "kept": 0.0}
"""Name → default weight.

``gain`` is the metric's improvement since the last measurement, in percentage points (of the loss,
hundredths), 0 between measurements. ``kept`` is the mean weight of the batch.
"""


def default_weights(params: Params) -> dict[str, float]:
    """1 for the gain, 0 for what is kept: data cost nothing.

    Raises:
        ValueError: a weight for a term that does not exist, or one that is not finite.
    """
    if unknown := sorted(set(params.weights) - set(TERMS)):
        raise ValueError(f"weights has unknown terms {unknown}; the terms are {list(TERMS)}.")
    for name, weight in params.weights.items():
        if not math.isfinite(weight):
            raise ValueError(f"The weight of {name!r} must be finite, got {weight}.")
    return {**TERMS, **params.weights}
