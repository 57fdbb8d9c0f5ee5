"""Arguments that mean the same in every environment are refused alike."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import recgym  # noqa: F401
from recgym.envs.arguments import number, term_weights, whole

TINY = (
    "recgym/InfluencePathTiny-v0",
    "recgym/HarmMitigationTiny-v0",
    "recgym/DataSelectionTiny-v0",
    "recgym/DataValuationTiny-v0",
)


@pytest.mark.parametrize("env_id", TINY)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0], "weights must be a mapping"),
        ("cost", "weights must be a mapping"),
        ({"nothing": 1.0}, "'nothing'"),
    ],
)
def test_weights_of_rewards(env_id, given, message):
    with pytest.raises(ValueError, match=message):
        gym.make(env_id, weights=given)


@pytest.mark.parametrize("value", ["1", None, np.nan, np.inf, True, [1.0]])
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="The weight of 'cost' must be a finite number"):
        term_weights({"cost": value})


@pytest.mark.parametrize("value", ["3", 2, 3.0, True, np.nan])
def test_what_is_not_whole_or_too_little(value):
    with pytest.raises(ValueError, match="k must be a whole number of at least 3"):
        whole("k", value, least=3)


def test_numbers_of_numpy_will_do():
    whole("k", np.int32(3), least=3)
    number("share", np.float32(0.5))
    assert term_weights({"cost": np.float32(0.5)}) == {"cost": 0.5}
    assert term_weights(None) == {}
