"""Models on disk: a folder with ``weights.safetensors`` and ``model.json``; never pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from recgym.data.writing import write_atomically, write_text
from recgym.models.base import LogModel
from recgym.models.collaborative import Collaborative

WEIGHTS, CARD = "weights.safetensors", "model.json"
FORMAT = 1
SEAL = "sha256"  # in a file's metadata: of its tensors, by name


class StoreError(ValueError):
    """A file that cannot be used as what it was given for; the message names it and the reason."""


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], *, sealed: bool = True) -> None:
    """Write a safetensors file, with a digest inside by which reading finds altered bytes.

    Without ``sealed`` there is none: where the digest of the whole file stands beside it.
    """
    contiguous = {key: value.detach().contiguous() for key, value in tensors.items()}
    metadata = {SEAL: _digest(contiguous)} if sealed else None
    write_atomically(path, lambda temporary: save_file(contiguous, temporary, metadata))


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.cpu().numpy().tobytes())
    return found.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StoreError(f"{path} is not a JSON file that can be read: {error}") from None
    if not isinstance(value, dict):
        raise StoreError(f"{path} holds {type(value).__name__}, expected a JSON object.")
    return value


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """
    Raises:
        StoreError: a missing, truncated or altered file.
    """
    if not path.is_file():
        raise StoreError(f"{path} does not exist.")
    try:
        with safe_open(path, "pt") as file:
            seal = (file.metadata() or {}).get(SEAL)
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise StoreError(
            f"{path} is not a whole safetensors file ({error}). Copy it again, or make it anew."
        ) from None
    if seal is not None and seal != _digest(tensors):
        raise StoreError(
            f"{path} was altered after it was written: its numbers are not those of the SHA-256 "
            "inside. Copy it again, or make it anew."
        )
    return tensors


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """
    Raises:
        StoreError: as :func:`read_tensors`, and for numbers that are not finite or not floats.
    """
    tensors = read_tensors(path)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise StoreError(f"{path}: {name!r} holds {tensor.dtype}, no weights. Save them again.")
        if not bool(torch.isfinite(tensor).all()):
            raise StoreError(f"{path}: {name!r} holds numbers that are not finite. Train again.")
    return tensors


def save_model(folder: Path, model: LogModel | Collaborative, card: Mapping[str, Any]) -> None:
    """Write a model with its configuration; ``card`` says what it was trained on.

    Models of a log are written as float16, collaborative ones as they are: the value of a single
    interaction would drown in the rounding.
    """
    folder = Path(folder)
    weights = model.state_dict()
    if not isinstance(model, Collaborative):
        weights = {key: value.half() for key, value in weights.items()}
    write_tensors(folder / WEIGHTS, weights, sealed=False)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    head = {"format": FORMAT, "model": model.name, "config": model.config.to_dict()}
    write_json(folder / CARD, {**head, "weights_sha256": digest, **card})


def load_model(folder: Path) -> tuple[LogModel, dict[str, Any]]:
    """(model in float32 and eval mode, its card).

    Raises:
        StoreError: a missing, truncated, foreign or altered file, with its name and the reason.
    """
    from recgym.models import model_class

    tensors, card = _read(folder)
    tensors = {key: value.float() for key, value in tensors.items()}
    return _filled(folder, model_class, tensors, card), card


def load_collaborative(folder: Path) -> tuple[Collaborative, dict[str, Any]]:
    """(collaborative model in the precision it was saved in and eval mode, its card).

    A graph model needs :meth:`~recgym.models.collaborative.Collaborative.with_graph` before use.

    Raises:
        StoreError: a missing, truncated, foreign or altered file, with its name and the reason.
    """
    from recgym.models import collaborative_class

    tensors, card = _read(folder)
    return _filled(folder, collaborative_class, tensors, card), card


def _read(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """(tensors, card) of a folder that :func:`save_model` wrote, unaltered."""
    folder = Path(folder)
    card = read_json(folder / CARD)
    for key in ("format", "model", "config", "weights_sha256"):
        if key not in card:
            raise StoreError(f"{folder / CARD} lacks {key!r}; it was not written by recgym.")
    if card["format"] != FORMAT:
        raise StoreError(
            f"{folder / CARD} has format {card['format']}, this recgym reads {FORMAT}. "
            "Train the model again or install the recgym that wrote it."
        )
    tensors = read_tensors(folder / WEIGHTS)
    found = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    if found != card["weights_sha256"]:
        raise StoreError(
            f"{folder / WEIGHTS} is not the file that {CARD} describes (SHA-256 {found[:12]}…, "
            f"expected {card['weights_sha256'][:12]}…). Restore both files or train again."
        )
    return tensors, card


def _filled(
    folder: Path, class_of: Any, tensors: dict[str, torch.Tensor], card: dict[str, Any]
) -> Any:
    try:
        kind = class_of(card["model"])
        model = kind(kind.Config.from_dict(card["config"]))
    except (TypeError, ValueError) as error:
        raise StoreError(f"{Path(folder) / CARD} describes no model of recgym: {error}") from None
    expected = {key: value.shape for key, value in model.state_dict().items()}
    if {key: value.shape for key, value in tensors.items()} != expected:
        raise StoreError(
            f"{Path(folder) / WEIGHTS} does not have the tensors of a {card['model']}."
        )
    model.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)
    return model.eval()
