"""HarsanyiNet (Chen et al., ICML 2023): a network whose Shapley values are exact, as DVR uses it.

A unit is 0 as soon as one of its players is absent (its input 0), and does not depend on anybody
else. So its value is the Harsanyi dividend of its players, and is shared equally among them.
"""

from __future__ import annotations

import math
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

Layout = Literal["equivariant", "paper"]


class HarsanyiNet(nn.Module):
    """Inputs h (B, n), one number for each player, to a value ŷ (B,) and its Shapley values.

    Args:
        players: n; the layout ``paper`` has weights of each position, ``equivariant`` takes any n.
        layout: see :class:`Positions` and :class:`Shared`.
        units: hidden units of a layer (of each kind, with ``equivariant``: its channels).
        gamma: γ of tanh(γ|z|), which is 0 for an absent player and nearly 1 for others.
        act_ratio: share of the players that a unit of ``paper`` starts with, at least one.

    Raises:
        ValueError: an unknown layout, or a number out of range.
    """

    def __init__(
        self,
        players: int,
        *,
        layout: Layout = "equivariant",
        units: int | None = None,
        gamma: float = 1000.0,
        act_ratio: float = 0.01,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if players < 1:
            raise ValueError(f"players must be at least 1, got {players}.")
        if units is not None and units < 1:
            raise ValueError(f"units must be at least 1, got {units}.")
        if not 0 < gamma < math.inf:
            raise ValueError(f"gamma must be positive and finite, got {gamma}.")
        if not 0 <= act_ratio <= 1:
            raise ValueError(f"act_ratio must lie in [0, 1], got {act_ratio}.")
        if layout == "paper":
            self.body = Positions(players, units or 100, gamma, act_ratio, generator)
        elif layout == "equivariant":
            self.body = Shared(units or 8, gamma, generator)
        else:
            raise ValueError(f'layout must be "equivariant" or "paper", got {layout!r}.')

    def forward(self, h: Tensor, order: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(ŷ (B,), φ (B, n)) of players h (B, n); Σ φ = ŷ.

        ``order`` (B, n) is who stands next to whom in the layout ``equivariant``; by default, of h.

        Raises:
            ValueError: other than ``players`` columns, in the layout ``paper``.
        """
        return self.body(h, order)

    def shapley(self, h: Tensor) -> Tensor:
        """(B, n): the Shapley values of the players."""
        return self(h)[1]


class _Binary(torch.autograd.Function):
    """1[v > 0], with the gradient 10 σ'(v)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        ctx.save_for_backward(logits)
        return (logits > 0).to(logits.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (logits,) = ctx.saved_tensors
        s = torch.sigmoid(logits)
        return gradients[0] * 10 * s * (1 - s)


class Positions(nn.Module):
    """The paper's layout: two layers of units whose children are learned, position by position."""

    def __init__(
        self,
        players: int,
        units: int,
        gamma: float,
        act_ratio: float,
        generator: torch.Generator | None,
    ):
        super().__init__()
        self.gamma = gamma
        self.logits, self.weights, self.heads = (nn.ParameterList() for _ in range(3))
        for width in (players, units):
            children = max(1, round(act_ratio * width))
            logits = torch.full((units, width), -1.0)
            order = torch.rand(units, width, generator=generator).argsort(dim=1)
            logits.scatter_(1, order[:, :children], 1.0)
            self.logits.append(nn.Parameter(logits))
            scale = 1 / math.sqrt(children)
            drawn = torch.randn(units, width, generator=generator)
            self.weights.append(nn.Parameter(scale * drawn))
            heads = torch.randn(units, generator=generator) / math.sqrt(units)
            self.heads.append(nn.Parameter(heads))

    def forward(self, h: Tensor, order: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if h.shape[1] != self.logits[0].shape[1]:
            raise ValueError(
                f"This network has {self.logits[0].shape[1]} players, got h of {tuple(h.shape)}. "
                'Take batches of that size, or layout="equivariant".'
            )
        z, field = h, None
        total, values = h.new_zeros(len(h)), torch.zeros_like(h)
        for logits, weight, head in zip(self.logits, self.weights, self.heads, strict=True):
            mask = cast("Tensor", _Binary.apply(logits))
            present = torch.tanh(self.gamma * z.abs())
            # a product over the children; who is none counts as 1
            whole = (1 - mask + mask * present[:, None]).prod(dim=2)  # (B, H)
            z = torch.relu(z @ (mask * weight).T * whole)
            chosen = (mask.detach() > 0).to(h.dtype)
            field = chosen if field is None else (chosen @ field > 0).to(h.dtype)  # (H, n)
            # a unit without children is ReLU(0) = 0: it gives nothing to nobody
            dividends = z * head
            total = total + dividends.sum(dim=1)
            values = values + (dividends / field.sum(dim=1).clamp(min=1)) @ field
        return total, values


class Shared(nn.Module):
    """Ours: weights shared by all positions, so that permuting players permutes their values.

    Each player is a unit of its own. Players next to each other in the order of h make pairs, and
    pairs that overlap make triples: 3n units in all, and nobody is left out. Players of equal h
    stand in the order in which they are given, so that their neighbours depend on it.
    """

    def __init__(self, channels: int, gamma: float, generator: torch.Generator | None):
        super().__init__()
        self.gamma = gamma

        def drawn() -> nn.Parameter:
            return nn.Parameter(torch.randn(channels, generator=generator))

        self.singles, self.pairs, self.triples = drawn(), drawn(), drawn()
        self.of_singles, self.of_pairs, self.of_triples = (
            nn.Parameter(drawn().detach() / channels) for _ in range(3)
        )

    def forward(self, h: Tensor, order: Tensor | None = None) -> tuple[Tensor, Tensor]:
        order = h.argsort(dim=1, stable=True) if order is None else order
        n, total, shares = h.shape[1], h.new_zeros(len(h)), torch.zeros_like(h)
        for players, value in enumerate(self._dividends(h.gather(1, order)), start=1):
            total = total + value.sum(dim=1)
            for member in range(players):
                share = nn.functional.pad(value / players, (member, players - 1 - member))
                shares = shares + share[:, :n]
        return total, torch.zeros_like(h).scatter(1, order, shares)

    def _dividends(self, h: Tensor) -> list[Tensor]:
        """Of single players (B, n), pairs (B, n − 1) and triples (B, n − 2), as far as there are.

        h (B, n) in the order in which players stand.
        """
        x = h[..., None]  # (B, n, 1)
        there = torch.tanh(self.gamma * x.abs())
        one = torch.relu(self.singles * x) * there
        two = torch.relu(self.pairs * (x[:, :-1] + x[:, 1:])) * there[:, :-1] * there[:, 1:]
        both = torch.tanh(self.gamma * two)
        three = torch.relu(self.triples * (two[:, :-1] + two[:, 1:])) * both[:, :-1] * both[:, 1:]
        parts = ((one, self.of_singles), (two, self.of_pairs), (three, self.of_triples))
        return [(value * head).sum(dim=2) for value, head in parts[: h.shape[1]]]
