"""Arrays that take long to compute, kept in the cache directory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from recgym.data.paths import cache_dir


def kept(kind: str, key: bytes, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays from the cache, or made and put there; one process makes, others wait.

    Args:
        kind: the folder of the cache.
        key: identifies everything that the arrays depend on.
    """
    import torch
    from filelock import FileLock

    from recgym.models import store

    folder = cache_dir() / kind
    folder.mkdir(parents=True, exist_ok=True)
    path: Path = folder / f"{hashlib.sha256(key).hexdigest()[:24]}.safetensors"
    with FileLock(f"{path}.lock"):
        if not path.is_file():
            tensors = {name: torch.as_tensor(value) for name, value in make().items()}
            store.write_tensors(path, tensors)
        found = store.read_tensors(path)
    return {name: tensor.numpy() for name, tensor in found.items()}
