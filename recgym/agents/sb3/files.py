"""Weights of Stable-Baselines3's policies as files that are safe to load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

POLICY = "policy.safetensors"


def save_policy(policy: Any, folder: str | Path) -> None:
    """Write a policy's weights into a folder."""
    from recgym.models.store import write_tensors

    write_tensors(Path(folder) / POLICY, policy.state_dict())


def load_policy(policy: Any, folder: str | Path) -> None:
    """Fill a policy with the weights that :func:`save_policy` wrote.

    Raises:
        StoreError: a missing or damaged file, or one of other networks.
    """
    from recgym.models.store import StoreError, read_weights

    file = Path(folder) / POLICY
    try:
        policy.load_state_dict(read_weights(file))
    except RuntimeError as error:
        raise StoreError(f"{file} does not fit this agent's networks: {error}") from None
