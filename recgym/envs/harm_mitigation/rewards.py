"""The named reward terms of HarmMitigation: r_t = click − λ · harm."""

from __future__ import annotations

import numpy as np

from recgym.envs.harm_mitigation.state import Params

TERMS = ("click", "harm", "exposure", "invalid")
"""
click: 1 if the user clicks a recommended item (mean_field: the probability).
harm: the harm of the item consumed: 1 or 0 for a label, its severity if graded.
exposure: the mean severity over the slate, where ``harm="exposure"``; else 0.
invalid: the share of the slate's places whose item was dropped.
"""


def default_weights(params: Params) -> dict[str, float]:
    """Weights of the terms, with the user's own in their place.

    A dropped item costs more than all that a step can lose by other means: 1 for the click that is
    missed and λ for harm, of a whole slate. Where items that are harmless by their label may harm
    too, it holds of a single place, and exposure costs another λ.

    Raises:
        ValueError: a weight for a term that does not exist, or that is not finite.
    """
    harm = 0.0 if params.constrained else -params.harm_weight
    weights = {
        "click": 1.0,
        "harm": harm,
        "exposure": harm if params.harm == "exposure" else 0.0,
        "invalid": -1.0 - params.harm_weight,
    }
    if params.harm != "label":
        most = {"graded": 1.0, "exposure": 2.0}[params.harm]
        weights["invalid"] = -(1.0 + most * params.harm_weight) * params.k
    for name, value in params.weights.items():
        if name not in TERMS:
            raise ValueError(f"There is no reward term {name!r}. Terms: {', '.join(TERMS)}.")
        if not np.isfinite(value):
            raise ValueError(f"The weight of {name!r} must be finite, got {value}.")
    return {**weights, **params.weights}
