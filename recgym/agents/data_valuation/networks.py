"""Networks for Stable-Baselines3 that treat all samples of a batch alike.

A policy with weights of its own for each place would have to learn everything anew for each.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from recgym.envs.data_valuation.observations import FEATURES

WHOLE = ("progress", "metric")


class SampleFeatures(BaseFeaturesExtractor):
    """(B, n · F + G): features of each sample, standardised within its batch, then of the whole."""

    def __init__(self, observation_space: spaces.Dict):
        shown = observation_space.spaces
        self.names = [name for name in (*FEATURES, "alignment") if name in shown]
        self.n = shown["loss"].shape[0]  # pyright: ignore[reportOptionalSubscript]
        self.width = len(self.names)
        self.whole = len(self.names) + len(WHOLE)
        super().__init__(observation_space, self.n * self.width + self.whole)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        x = torch.stack([observations[name].float() for name in self.names], dim=2)
        mean, spread = x.mean(dim=1, keepdim=True), x.std(dim=1, keepdim=True)
        standard = (x - mean) / (spread + 1e-6)
        whole = torch.cat([mean[:, 0], *(observations[name].float() for name in WHOLE)], dim=1)
        return torch.cat([standard.flatten(1), whole], dim=1)


class SampleHead(nn.Module):
    """(B, n · F + G) → logits (B, n), by the same small network for each sample."""

    def __init__(self, features: SampleFeatures, width: int):
        super().__init__()
        self.n, self.width = features.n, features.width
        first, last = nn.Linear(features.width + features.whole, width), nn.Linear(width, 1)
        self.net = nn.Sequential(first, nn.Tanh(), last)
        nn.init.zeros_(last.weight)  # every sample starts with an even chance
        nn.init.zeros_(last.bias)

    def forward(self, features: Tensor) -> Tensor:
        samples, whole = features.split(
            [self.n * self.width, features.shape[1] - self.n * self.width], 1
        )
        samples = samples.view(-1, self.n, self.width)
        context = whole[:, None].expand(-1, self.n, -1)
        return self.net(torch.cat([samples, context], dim=2)).squeeze(2)


class SamplePolicy(MultiInputActorCriticPolicy):
    """PPO's policy over ``MultiBinary(n)``.

    Args (``policy_kwargs``):
        width: hidden units of the head.
    """

    def __init__(self, *args: Any, width: int = 32, **kwargs: Any):
        self.width = width
        super().__init__(*args, features_extractor_class=SampleFeatures, net_arch=[], **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        features = self.features_extractor
        assert isinstance(features, SampleFeatures)
        self.action_net = SampleHead(features, self.width)
        # the value of a batch does not depend on its single samples
        self.value_net = WholeValue(features, self.width)
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # pyright: ignore[reportCallIssue]
            **self.optimizer_kwargs,
        )


class WholeValue(nn.Module):
    """(B, n · F + G) → (B, 1), from what describes the batch as a whole."""

    def __init__(self, features: SampleFeatures, width: int):
        super().__init__()
        self.whole = features.whole
        self.net = nn.Sequential(nn.Linear(features.whole, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, features: Tensor) -> Tensor:
        return self.net(features[:, -self.whole :])
