"""Networks for Stable-Baselines3: what a policy sees of a user, and logits of a whole catalogue.

The last layer puts out a point in the space of the item vectors, and an item's logit is its inner
product with it: a hundred items, or ten thousand, share what is learned about one of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic, MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.sac.policies import Actor, MultiInputPolicy
from torch import Tensor, nn

FORBIDDEN = -1e8


class TasteExtractor(BaseFeaturesExtractor):
    """(B, F) of what the environment shows: both profiles, or what the history says of taste.

    Args (``features_extractor_kwargs``):
        items: (N, d) vectors, for histories.
    """

    items: Tensor

    def __init__(self, observation_space: spaces.Dict, items: np.ndarray):
        self.reads_history = "history" in observation_space.spaces
        width = items.shape[1]
        features = 3 * width + 1 if self.reads_history else 2 * width
        self.timed = "steps_left" in observation_space.spaces
        super().__init__(observation_space, features + self.timed)
        vectors = np.concatenate([items, np.zeros((1, width))])  # the last for padding
        tensor = torch.as_tensor(vectors, dtype=torch.float32)
        self.register_buffer("items", tensor, persistent=False)  # the world's, not learned

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        o = {key: value.flatten(1) for key, value in observations.items()}
        parts = self._history(o) if self.reads_history else [o["profile"], o["inherent"]]
        if self.timed:
            left = o["steps_left"]  # one-hot
            scale = max(left.shape[1] - 1, 1)
            parts.append(left.argmax(dim=1, keepdim=True).float() / scale)
        return torch.cat(parts, dim=1)

    def _history(self, o: dict[str, Tensor]) -> list[Tensor]:
        """Mean vectors of what was consumed and clicked, the latest item, the share of clicks."""
        vectors = self.items[o["history"].long()]  # (B, L, d)
        clicked = o["clicked"].float()[..., None]
        known = (o["history"].long() < len(self.items) - 1).float().sum(dim=1, keepdim=True)
        count = known.clamp(min=1)
        mean = vectors.sum(dim=1) / count
        liked = (vectors * clicked).sum(dim=1) / clicked.sum(dim=1).clamp(min=1)
        return [mean, liked, vectors[:, -1], clicked[..., 0].sum(dim=1, keepdim=True) / count]


class ItemHead(nn.Module):
    """(B, latent) → (B, places · N): logits of every item for each place of a slate.

    Args:
        items: (N, d) vectors, standardised here.
        allowed: (N,) or (N + 1,) bool; one more for the choice of no item.
    """

    def __init__(self, latent: int, items: np.ndarray, allowed: np.ndarray, places: int):
        super().__init__()
        vectors = (items - items.mean(axis=0)) / (items.std(axis=0) + 1e-6)
        if len(allowed) > len(items):
            vectors = np.concatenate([vectors, np.zeros((1, items.shape[1]))])
        vectors /= np.sqrt(items.shape[1])
        self.places, self.width = places, items.shape[1]
        self.register_buffer("vectors", torch.as_tensor(vectors, dtype=torch.float32))
        barred = torch.where(torch.as_tensor(allowed), 0.0, FORBIDDEN)
        self.register_buffer("barred", barred)
        self.point = nn.Linear(latent, places * self.width)
        self.popularity = nn.Parameter(torch.zeros(places, len(allowed)))

    def forward(self, latent: Tensor) -> Tensor:
        points = self.point(latent).view(-1, self.places, self.width)
        logits = points @ self.vectors.T + self.popularity + self.barred
        return logits.flatten(1)


class ItemPolicy(MultiInputActorCriticPolicy):
    """PPO's policy: harmful items have no probability.

    Args (``policy_kwargs``):
        items, allowed, places: of :class:`ItemHead`.
    """

    def __init__(
        self, *args: Any, items: np.ndarray, allowed: np.ndarray, places: int, **kwargs: Any
    ):
        self.head = items, allowed, places
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.action_net = ItemHead(self.mlp_extractor.latent_dim_pi, *self.head)
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # pyright: ignore[reportCallIssue]
            **self.optimizer_kwargs,
        )


class ItemActor(Actor):
    """SAC's actor whose mean comes from an :class:`ItemHead`; the spread is shared by all items."""

    def with_head(self, items: np.ndarray) -> ItemActor:
        latent = self.mu.in_features
        free = np.ones(len(items), dtype=bool)  # entries of harmful items have no effect
        self.mu = ItemHead(latent, items, free, 1)  # pyright: ignore
        return self


class ItemCritic(ContinuousCritic):
    """SAC's critic, which reads an action as the environment does: q, and Σ q_v v of what is shown.

    A hundred entries say little of themselves; what they recommend, in item space, says much.
    """

    vectors: Tensor
    allowed: Tensor

    def with_items(self, items: np.ndarray, allowed: np.ndarray, budget: float) -> ItemCritic:
        vectors = (items - items.mean(axis=0)) / (items.std(axis=0) + 1e-6)
        self.register_buffer("vectors", torch.as_tensor(vectors, dtype=torch.float32))
        self.register_buffer("allowed", torch.as_tensor(allowed, dtype=torch.float32))
        self.budget = budget
        return self

    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        q = onto_budget((actions + 1) / 2 * self.allowed, self.budget)
        mean = q @ self.vectors / self.budget
        spread = (q**2).sum(dim=1, keepdim=True) / self.budget  # 1 where it is certain
        return super().forward(obs, torch.cat([mean, q.sum(dim=1, keepdim=True), spread], dim=1))


def onto_budget(wanted: Tensor, budget: float, rounds: int = 25) -> Tensor:
    """(B, N): the nearest q in [0, 1] with Σ q ≤ budget; τ of q = clip(w − τ) by bisection."""
    with torch.no_grad():
        low = torch.zeros(len(wanted), 1)
        high = torch.ones(len(wanted), 1)
        over = wanted.clamp(0, 1).sum(dim=1, keepdim=True) > budget
        for _ in range(rounds):
            middle = (low + high) / 2
            much = (wanted - middle).clamp(0, 1).sum(dim=1, keepdim=True) > budget
            low, high = torch.where(much, middle, low), torch.where(much, high, middle)
        shift = torch.where(over, high, torch.zeros_like(high))
    return (wanted - shift).clamp(0, 1)


class ItemSACPolicy(MultiInputPolicy):
    """SAC's policy over ``Box`` actions with an entry for each item.

    Args (``policy_kwargs``):
        items: (N, d) vectors.
        allowed: (N,) bool, harmless items.
        budget: of Σ q.
    """

    def __init__(
        self, *args: Any, items: np.ndarray, allowed: np.ndarray, budget: float, **kwargs: Any
    ):
        self.item_vectors, self.read_as = items, (items, allowed, budget)
        super().__init__(*args, **kwargs)

    def make_critic(
        self, features_extractor: BaseFeaturesExtractor | None = None
    ) -> ContinuousCritic:
        arguments = self._update_features_extractor(self.critic_kwargs, features_extractor)
        summary = spaces.Box(-np.inf, np.inf, (self.item_vectors.shape[1] + 2,))
        critic = ItemCritic(**{**arguments, "action_space": summary})
        return critic.with_items(*self.read_as).to(self.device)

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> Actor:
        arguments = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return ItemActor(**arguments).with_head(self.item_vectors).to(self.device)
