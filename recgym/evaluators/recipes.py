"""The settings with which each model is trained on each data set, and training where it is missing.

docs/decisions.md says how they were chosen.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recgym.data.log import DataError, InteractionLog
from recgym.data.paths import cache_dir
from recgym.evaluators import find_trained, folders, forget, training_command
from recgym.evaluators.train import VALIDATION, Report, train_model
from recgym.models import model_class
from recgym.models.training import TrainConfig


@dataclass(frozen=True)
class Recipe:
    """Everything that a training depends on besides the log."""

    model: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the model's ``Config``; the sizes of the log are added."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of :class:`recgym.models.training.TrainConfig`."""
    validation: tuple[int, ...] = VALIDATION
    """Places from the end of each history that choose the epoch."""
    refit: bool = True
    """Train again for as long, without the last items only."""

    def changed(self, model: Mapping[str, Any], training: Mapping[str, Any]) -> Recipe:
        """The same with some fields of the model and the training replaced."""
        return Recipe(
            {**self.model, **model}, {**self.training, **training}, self.validation, self.refit
        )

    def training_config(self) -> TrainConfig:
        return TrainConfig.from_dict(dict(self.training))

    def check(self, name: str, n_items: int) -> None:
        """Raise ``ValueError`` for a model or a setting that does not exist or cannot be."""
        self.training_config()
        model_class(name).Config.from_dict({**self.model, "n_items": n_items})


_PAIRS = {"windows_per_event": 1.0, "batch": 256, "weight_decay": 0.0}
_BY_MODEL: dict[str, Recipe] = {
    "bert4rec": Recipe({}, {"epochs": 120}),
    "sasrec": Recipe({}, {"epochs": 40}),
    "gru4rec": Recipe({"dropout": 0.5}, {"epochs": 40, "learning_rate": 3e-3}),
    "caser": Recipe(
        {"length": 5},
        {"epochs": 12, "windows_per_event": 1.0, "batch": 256, "validate_every": 2},
    ),
    "bpr": Recipe({"l2": 0.025}, {**_PAIRS, "epochs": 100}),
    "transrec": Recipe({}, {**_PAIRS, "epochs": 60, "learning_rate": 0.05}),
}


def _large(model: str, training: dict[str, Any], **shape: Any) -> Recipe:
    """Many users: one place from the end is enough to choose by, and a refit hardly adds data."""
    base = _BY_MODEL[model]
    merged = base.changed(shape, training)
    return Recipe(merged.model, merged.training, validation=(2,), refit=False)


_BY_DATASET: dict[tuple[str, str], Recipe] = {
    ("gru4rec", "ml-latest-small"): _BY_MODEL["gru4rec"].changed(
        {"dropout": 0.2}, {"epochs": 20, "windows_per_event": 0.02, "validate_every": 2}
    ),
    ("sasrec", "lastfm-2k"): _BY_MODEL["sasrec"].changed({"dropout": 0.4}, {}),
    ("bert4rec", "ml-1m"): _large("bert4rec", {"epochs": 60}, dropout=0.1),
    ("sasrec", "ml-1m"): _large("sasrec", {"epochs": 20, "windows_per_event": 0.02}),
    ("gru4rec", "ml-1m"): _large(
        "gru4rec", {"epochs": 20, "windows_per_event": 0.01, "validate_every": 2}, dropout=0.2
    ),
    ("caser", "ml-1m"): _large("caser", {"windows_per_event": 0.5}),
    ("bpr", "ml-1m"): _large("bpr", {"epochs": 30}),
    ("transrec", "ml-1m"): _large("transrec", {"epochs": 15}),
}


def recipe(model: str, dataset: str) -> Recipe:
    """The settings for a model by name on a data set by name; the model's own where it has none."""
    return _BY_DATASET.get((model, dataset)) or _BY_MODEL.get(model) or Recipe()


def train(
    model: str,
    log: InteractionLog,
    chosen: Recipe,
    *,
    folder: Path | None = None,
    command: str = "",
    report: Report = lambda stage, progress: None,
) -> dict[str, Any]:
    """Train, write to ``folder`` (default: the cache), and return the card.

    Stopped and called again with the same arguments it continues where it was.
    """
    identity = json.dumps([model, log.fingerprint, asdict(chosen)], sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    checkpoint = cache_dir() / "checkpoints" / f"{log.name}-{model}-{digest}"
    card = train_model(
        log,
        model,
        folder or folders(model, log)[-1],
        model_config=dict(chosen.model),
        config=chosen.training_config(),
        validation=chosen.validation,
        refit=chosen.refit,
        command=command,
        checkpoint=checkpoint,
        report=report,
    )
    shutil.rmtree(checkpoint, ignore_errors=True)
    forget(model, log)
    return card


def ensure(
    model: str, log: InteractionLog, report: Report = lambda stage, progress: None
) -> dict[str, Any]:
    """The card of ``model`` trained on ``log``; where there is none, train it by its recipe first.

    Afterwards :func:`recgym.evaluators.load` and ``backbones.scorer`` find it. Of several
    processes that ask at once, one trains and the others wait.

    Raises:
        ValueError: a name that is not of a model that can be trained.
        DataError: histories too short to hold items out.
    """
    from filelock import FileLock

    model_class(model)
    try:
        return find_trained(model, log)[1]
    except DataError:
        folder = folders(model, log)[-1]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f"{model}.lock"):
        try:
            return find_trained(model, log)[1]  # another process has trained it by now
        except DataError:
            command = training_command(model, log)
            return train(model, log, recipe(model, log.name), command=command, report=report)
