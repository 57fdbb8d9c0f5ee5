"""Arguments that mean the same in every environment are refused alike."""

from __future__ import annotations

from functools import partial

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


@pytest.mark.parametrize("value", ["1", None, np.nan, np.inf, True, [1.0], 10**400])
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="The weight of 'cost' must be a finite number"):
        term_weights({"cost": value})


@pytest.mark.parametrize("value", ["3", 2, 3.0, True, np.nan])
def test_what_is_not_whole_or_too_little(value):
    with pytest.raises(ValueError, match="k must be a whole number of at least 3"):
        whole("k", value, least=3)


NUMPY = {
    TINY[0]: ({"horizon": np.int64(5), "bonus": 5}, {"horizon": 5, "bonus": 5.0}),
    TINY[1]: ({"horizon": np.int64(9), "harm_weight": 3}, {"horizon": 9, "harm_weight": 3.0}),
    TINY[2]: ({"rounds": np.int64(1), "drift": 0}, {"rounds": 1, "drift": 0.0}),
    TINY[3]: (
        {"k": np.int64(1), "show_ids": np.True_, "width": np.int64(3), "weight_decay": 0},
        {"k": 1, "show_ids": True, "width": 3, "weight_decay": 0.0},
    ),
}


@pytest.mark.parametrize("env_id", TINY)
def test_equal_numbers_have_equal_fingerprints(env_id):
    given, plain = (gym.make(env_id, **kwargs).unwrapped for kwargs in NUMPY[env_id])
    assert given.fingerprint == plain.fingerprint
    assert given.fingerprint != gym.make(env_id).unwrapped.fingerprint


@pytest.mark.parametrize("env_id", TINY)
@pytest.mark.parametrize("options", [5, "user", [("user", 1)]])
def test_options_that_are_no_mapping(env_id, options):
    for env in (gym.make(env_id), gym.make_vec(env_id, num_envs=2)):
        with pytest.raises(ValueError, match="options must be a mapping"):
            env.unwrapped.reset(seed=0, options=options)


@pytest.mark.parametrize("problem", ["DataSelection", "DataValuation"])
def test_what_is_asked_for_beside_a_world_that_is_otherwise(problem):
    world = gym.make(f"recgym/{problem}Tiny-v0").unwrapped.problem.world
    of = {"batch": 8, "k": 2} if problem == "DataValuation" else {}
    make = partial(gym.make, f"recgym/{problem}-v0", dataset=world, **of)
    assert make(width=world.width).unwrapped.problem.world is world
    with pytest.raises(ValueError, match=f"has width={world.width}, and 3 was asked for"):
        make(width=3)
    with pytest.raises(ValueError, match="takes no variant, and 'paper' was asked for"):
        make(variant="paper")


def test_numbers_of_numpy_will_do():
    whole("k", np.int32(3), least=3)
    number("share", np.float32(0.5))
    assert term_weights({"cost": np.float32(0.5)}) == {"cost": 0.5}
    assert term_weights(None) == {}
