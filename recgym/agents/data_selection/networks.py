"""PPO's network for DataSelection: one scorer for every item of every user."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

PER_ITEM = ("own", "willingness", "popularity", "score", "selected", "influence")
OUT = -20.0  # logit of places that hold no item


class ItemFeatures(BaseFeaturesExtractor):
    """(B, K·F + 2) of an observation: features of K items, then of the situation.

    Args (``features_extractor_kwargs``):
        scale: of influences, the mean of their sizes.
    """

    def __init__(self, observation_space: spaces.Dict, scale: float):
        own = observation_space["own"]
        assert isinstance(own, spaces.MultiBinary)
        self.keys = [key for key in PER_ITEM if key in observation_space.spaces]
        self.places, self.scale = int(own.shape[0]), scale
        super().__init__(observation_space, self.places * len(self.keys) + 2)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        o = {key: value.flatten(1).float() for key, value in observations.items()}
        if "influence" in self.keys:
            o["influence"] = o["influence"][:, : self.places] / self.scale  # of the first anchor
        items = torch.stack([o[key] for key in self.keys], dim=2)
        left = o["rounds_left"]  # one-hot
        share = left.argmax(dim=1, keepdim=True).float() / max(left.shape[1] - 1, 1)
        return torch.cat([items.flatten(1), o["others_kept"], share], dim=1)


class ItemScorer(nn.Module):
    """Logits (B, K) of keeping each item, and features (B, width) of the value.

    Each item is seen with the situation and the mean over the user's items.
    """

    def __init__(self, places: int, inputs: int, width: int):
        super().__init__()
        self.places, self.features = places, (inputs - 2) // places
        self.latent_dim_pi, self.latent_dim_vf = places, width
        self.encode = nn.Sequential(nn.Linear(self.features + 2, width), nn.Tanh())
        self.score = nn.Sequential(nn.Linear(2 * width, width), nn.Tanh(), nn.Linear(width, 1))
        self.value = nn.Sequential(nn.Linear(width + 2, width), nn.Tanh())

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        items = x[:, :-2].view(-1, self.places, self.features)
        own, around = items[:, :, :1], x[:, -2:]
        seen = torch.cat([items, around[:, None].expand(-1, self.places, -1)], dim=2)
        hidden = self.encode(seen) * own
        mean = hidden.sum(dim=1) / own.sum(dim=1).clamp(min=1)
        return hidden, mean, around, own[..., 0]

    def forward_actor(self, x: Tensor) -> Tensor:
        hidden, mean, _, own = self._encode(x)
        logits = self.score(torch.cat([hidden, mean[:, None].expand_as(hidden)], dim=2))[..., 0]
        return torch.where(own > 0, logits, OUT)

    def forward_critic(self, x: Tensor) -> Tensor:
        _, mean, around, _ = self._encode(x)
        return self.value(torch.cat([mean, around], dim=1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward_actor(x), self.forward_critic(x)


class SelectionPolicy(MultiInputActorCriticPolicy):
    """PPO's policy over ``MultiBinary`` actions, shared by all users.

    Args (``policy_kwargs``):
        width: hidden units.
    """

    def __init__(self, *args: Any, width: int, **kwargs: Any):
        self.width = width
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        assert isinstance(self.action_space, spaces.MultiBinary)
        scorer = ItemScorer(int(self.action_space.shape[0]), self.features_dim, self.width)
        self.mlp_extractor = scorer.to(self.device)  # pyright: ignore[reportAttributeAccessIssue]

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.action_net = nn.Identity()  # the scorer's logits are the actions' own
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # pyright: ignore[reportCallIssue]
            **self.optimizer_kwargs,
        )
