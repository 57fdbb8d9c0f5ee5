"""The state of a training in one safetensors file, so that it can be interrupted and continued."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from recgym.models import store

FILE = "checkpoint.safetensors"

Record = TypeVar("Record")


def identity(*parts: Any) -> str:
    """A digest of everything that decides a training, as JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Checkpoint:
    """Groups of tensors (weights, moments, …) and a JSON record, replaced whole at each save.

    Args:
        folder: where it is kept.
        identity: of the training that it belongs to, from :func:`identity`.
    """

    def __init__(self, folder: Path, identity: str):
        self.path = Path(folder) / FILE
        self.identity = identity

    def exists(self) -> bool:
        return self.path.is_file()

    def save(self, record: Mapping[str, Any], groups: Mapping[str, Mapping[str, Tensor]]) -> None:
        text = json.dumps({"identity": self.identity, "record": record})
        tensors = {"record": torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)}
        for group, members in groups.items():
            tensors |= {f"{group}/{name}": tensor for name, tensor in members.items()}
        store.write_tensors(self.path, tensors)

    def load(
        self, kind: type[Record], groups: tuple[str, ...]
    ) -> tuple[Record, dict[str, dict[str, Tensor]]]:
        """(record, groups) as they were saved.

        Args:
            kind: the dataclass of the record.
            groups: names of the groups that there must be; others, without tensors, are absent.

        Raises:
            StoreError: a damaged file, one of another version, or of another training.
        """
        try:
            tensors = store.read_tensors(self.path)
        except store.StoreError as error:
            raise store.StoreError(f"{error} To train from the start, delete it.") from None
        try:
            text = json.loads(bytes(tensors.pop("record").tolist()))
            found, record = text["identity"], text["record"]
        except (KeyError, TypeError, ValueError):
            raise self._foreign("it has no record") from None
        if found != self.identity:
            raise store.StoreError(
                f"{self.path} belongs to a training with another log, model or settings. "
                "Choose another folder, or delete it to start anew."
            )
        found_groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            found_groups.setdefault(group, {})[name] = tensor
        if missing := [group for group in groups if group not in found_groups]:
            raise self._foreign(f"it lacks {', '.join(missing)}")
        wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        if not isinstance(record, dict) or record.keys() != wanted:
            raise self._foreign(f"its record does not hold {', '.join(sorted(wanted))}")
        return kind(**record), found_groups

    def _foreign(self, why: str) -> store.StoreError:
        return store.StoreError(
            f"{self.path} is not a checkpoint of this version: {why}. Delete it to start anew."
        )


def moments(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as flat tensors, e.g. ``0/exp_avg``."""
    state = optimiser.state_dict()["state"]
    return {
        f"{index}/{name}": value
        for index, values in state.items()
        for name, value in values.items()
    }


def restore_moments(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Undo :func:`moments`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
