"""Networks for Stable-Baselines3: a policy over candidate sets, an extractor for tokens."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn


class CandidateNetwork(nn.Module):
    """One scorer shared by all candidates, so that a permutation of them permutes the logits.

    Input (B, K·F + C): K candidates of F features, then C features of the situation. Each
    candidate is seen with the situation and the mean over candidates.
    """

    def __init__(self, candidates: int, features: int, context: int, width: int):
        super().__init__()
        self.shape = candidates, features
        self.latent_dim_pi, self.latent_dim_vf = candidates, width
        self.encode = nn.Sequential(nn.Linear(features + context, width), nn.Tanh())
        self.score = nn.Sequential(nn.Linear(2 * width, width), nn.Tanh(), nn.Linear(width, 1))
        self.value = nn.Sequential(nn.Linear(width + context, width), nn.Tanh())

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k, f = self.shape
        items, context = x[:, : k * f].view(-1, k, f), x[:, k * f :]
        around = context[:, None].expand(-1, k, -1)
        hidden = self.encode(torch.cat([items, around], dim=2))  # (B, K, width)
        return hidden, hidden.mean(dim=1), context

    def forward_actor(self, x: Tensor) -> Tensor:
        """(B, K) logits."""
        hidden, mean, _ = self._encode(x)
        return self.score(torch.cat([hidden, mean[:, None].expand_as(hidden)], dim=2))[..., 0]

    def forward_critic(self, x: Tensor) -> Tensor:
        """(B, width) features of the value."""
        _, mean, context = self._encode(x)
        return self.value(torch.cat([mean, context], dim=1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward_actor(x), self.forward_critic(x)


# both libraries' policies have these methods, but no class in common that does
_Policy: Any = object


class _CandidateActorCritic(_Policy):
    """A mixin: :class:`CandidateNetwork` for the two towers; its logits are the actions' own.

    Args (``policy_kwargs``):
        candidate_features: F, features per candidate.
        width: hidden units.
    """

    def __init__(self, *args: Any, candidate_features: int, width: int = 64, **kwargs: Any):
        self.candidate_features, self.width = candidate_features, width
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        network = _network_for(
            self.action_space, self.features_dim, self.candidate_features, self.width
        )
        self.mlp_extractor = network.to(self.device)  # pyright: ignore[reportAttributeAccessIssue]

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.action_net = nn.Identity()
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # pyright: ignore[reportCallIssue]
            **self.optimizer_kwargs,
        )


class CandidatePolicy(_CandidateActorCritic, ActorCriticPolicy):
    """PPO's and A2C's policy over candidate sets."""


class MaskableCandidatePolicy(_CandidateActorCritic, MaskableActorCriticPolicy):
    """MaskablePPO's policy over candidate sets."""


class CandidateQNetwork(QNetwork):
    """Q-values of candidates: the actor of :class:`CandidateNetwork`."""

    def __init__(self, *args: Any, candidate_features: int, width: int = 64, **kwargs: Any):
        super().__init__(*args, **kwargs)
        network = _network_for(self.action_space, self.features_dim, candidate_features, width)
        network.value.requires_grad_(False)  # Q-learning has no use for it
        self.q_net = nn.Sequential(_Actor(network))


class CandidateDQNPolicy(DQNPolicy):
    """DQN's policy over candidate sets; ``policy_kwargs`` as for :class:`CandidatePolicy`."""

    def __init__(self, *args: Any, candidate_features: int, width: int = 64, **kwargs: Any):
        self.sizes = {"candidate_features": candidate_features, "width": width}
        super().__init__(*args, **kwargs)

    def make_q_net(self) -> CandidateQNetwork:
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return CandidateQNetwork(**arguments, **self.sizes).to(self.device)


class _Actor(nn.Module):
    def __init__(self, network: CandidateNetwork):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.forward_actor(x)


def _network_for(action_space: Any, inputs: int, features: int, width: int) -> CandidateNetwork:
    assert isinstance(action_space, spaces.Discrete)
    candidates = int(action_space.n)
    return CandidateNetwork(candidates, features, inputs - candidates * features, width)


class ItemExtractor(BaseFeaturesExtractor):
    """Embeds InfluencePath's token histories and objective for ``MultiInputPolicy``.

    One-hot tokens would make 190,000 inputs; this makes ``3 · width + 2``: the mean of the
    history, the latest item, the objective, the time left and whether the last offer was taken.
    """

    def __init__(self, observation_space: spaces.Dict, width: int = 32):
        super().__init__(observation_space, 3 * width + 2)
        objective = observation_space["objective"]
        assert isinstance(objective, spaces.Discrete)
        self.n_items = int(objective.n)
        self.item = nn.Embedding(self.n_items + 1, width, padding_idx=self.n_items)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Preprocessed observations (Discrete entries one-hot) → (B, 3·width + 2).

        One-hot entries are (B, n) when the policy acts and (B, 1, n) from the rollout buffer.
        """
        observations = {key: value.flatten(1) for key, value in observations.items()}
        history = observations["history"].long()
        vectors = self.item(history)
        real = (history != self.n_items).float()[..., None]
        mean = (vectors * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
        objective = observations["objective"] @ self.item.weight[: self.n_items]
        steps = observations["steps_left"]
        left = steps.argmax(dim=1, keepdim=True).float() / (steps.shape[1] - 1)
        accepted = observations["last_accepted"][:, 1:]
        return torch.cat([mean, vectors[:, -1], objective, left, accepted], dim=1)
