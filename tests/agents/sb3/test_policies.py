"""Our networks inside Stable-Baselines3's own training loop."""

from __future__ import annotations

import gymnasium as gym
import pytest

import recgym  # noqa: F401

pytest.importorskip("sb3_contrib")


def test_item_extractor_trains_and_acts_on_the_raw_environment():
    from sb3_contrib import MaskablePPO
    from torch import equal

    from recgym.agents.sb3 import ItemExtractor, as_vec_env

    rows = gym.make_vec("recgym/InfluencePathTiny-v0", num_envs=2, autoreset_mode="SameStep")
    model = MaskablePPO(
        "MultiInputPolicy",
        as_vec_env(rows),
        n_steps=8,
        batch_size=16,
        n_epochs=1,
        seed=0,
        policy_kwargs={"features_extractor_class": ItemExtractor},
    )
    extractor = model.policy.features_extractor
    assert isinstance(extractor, ItemExtractor)
    before = extractor.item.weight.clone()
    model.learn(16)
    assert not equal(before, extractor.item.weight), "the embedding did not learn"
    env = gym.make("recgym/InfluencePathTiny-v0")
    observation, _ = env.reset(seed=0)
    masks = env.unwrapped.action_masks()
    action, _ = model.predict(observation, action_masks=masks, deterministic=True)
    assert masks[int(action)]
