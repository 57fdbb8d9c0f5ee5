"""Train a model from a log, judge it on held-out items, and write it with its card."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recgym.data.log import DataError, InteractionLog
from recgym.data.splits import leave_last_out
from recgym.evaluators import held_out
from recgym.evaluators.held_out import network_scorer
from recgym.evaluators.sequence import NetworkEvaluator, SequenceEvaluator
from recgym.models import names, store
from recgym.models.training import Progress, TrainConfig, build, fit, refit_config

VALIDATION = (2, 3, 4, 5, 6)
"""Places from the end that choose the epoch: five, since one of 671 users' is mostly noise."""
VALIDATION_EVENTS = 10_000  # so many predictions at most, of a fixed sample of the users

Report = Callable[[str, Progress], None]


def train_model(
    log: InteractionLog,
    model: str,
    folder: Path,
    *,
    model_config: dict[str, Any] | None = None,
    config: TrainConfig | None = None,
    validation: Sequence[int] = VALIDATION,
    refit: bool = True,
    command: str = "",
    checkpoint: Path | None = None,
    report: Report = lambda stage, progress: None,
) -> dict[str, Any]:
    """Train ``model`` on ``log``, write it to ``folder``, and return its card.

    Stage "validation" trains without each user's last six items and chooses the epoch by the five
    before the last: ``validation`` has their places from the end, and what is left out reaches from
    the farthest of them. Stage "refit" trains for that many epochs without the last item only;
    without ``refit`` the first stage's best weights are kept. The card's numbers are taken once, on
    the last item, from which nothing was learned and by which nothing was chosen.

    Raises:
        DataError: histories too short to hold so many items out.
        ValueError: a place that is not before the last, or a metric that does not exist.
    """
    if not validation or min(validation) < 2:
        raise ValueError(
            f"validation must be places from the end, 2 or more (1 is the test's), "
            f"got {tuple(validation)}."
        )
    config = config or TrainConfig()
    if config.metric not in held_out.METRICS:
        raise ValueError(
            f"metric must be one of {', '.join(held_out.METRICS)}, got {config.metric!r}."
        )
    model_config = model_config or {}
    farthest = max(validation)
    if np.diff(log.offsets).max() <= farthest + 1:
        raise DataError(
            f"{log.name}: no history has more than {farthest + 1} events, which holding "
            "out and learning from the rest takes. Use evaluator='markov', or more data."
        )
    # a short history kept whole would teach its last item
    before, _ = leave_last_out(log, farthest, keep_short=False)
    without_last, _ = leave_last_out(log, 1)
    length = build(before, model, model_config, config).config.length
    most_users = VALIDATION_EVENTS // len(validation)
    places = held_out.HeldOut.of(log, length, from_end=validation, most_users=most_users)
    started = time.monotonic()

    network, chosen = fit(
        before,
        model,
        model_config,
        config,
        validate=lambda network: held_out.evaluate(network_scorer(network), places),
        checkpoint=checkpoint and checkpoint / "validation",
        report=lambda progress: report("validation", progress),
    )
    seconds = chosen.seconds
    if refit:
        network, final = fit(
            without_last,
            model,
            model_config,
            refit_config(config, chosen),
            checkpoint=checkpoint and checkpoint / "refit",
            report=lambda progress: report("refit", progress),
        )
        seconds += final.seconds

    card = {
        "dataset": log.name,
        "data_fingerprint": log.fingerprint,
        "counts": {"users": log.n_users, "items": log.n_items, "interactions": len(log)},
        "parameters": network.n_parameters,
        "command": command,
        "training": asdict(config),
        "validation_places": list(validation),
        "refit": refit,
        "epochs": chosen.best_epoch,
        "seconds": round(seconds),
        "protocol": "last item of each user, full ranking, seen items removed",
    }
    network.as_stored()  # the card speaks of the weights as they are on disk
    test = held_out.HeldOut.of(log, length)
    metrics = held_out.evaluate(network_scorer(network), test)
    floors = {
        "popularity": held_out.evaluate(held_out.popularity_scorer(without_last), test),
        "markov": held_out.evaluate(held_out.markov_scorer(without_last), test),
    }
    card |= {
        "tau": metrics["log_prob"],
        "metrics": _rounded(metrics),
        "floors": {name: _rounded(values) for name, values in floors.items()},
        "validation": _rounded(chosen.curve[chosen.best_epoch - 1]),
        "curve": [_rounded(point) for point in chosen.curve],
        "wall_seconds": round(time.monotonic() - started),
    }
    store.save_model(folder, network, card)
    return store.read_json(Path(folder) / store.CARD)


def train_evaluator(
    log: InteractionLog, model: str, folder: Path, **settings: Any
) -> SequenceEvaluator:
    """A simulated user, trained and written by :func:`train_model` with these settings."""
    if model not in names():
        raise ValueError(f"There is no simulated user {model!r}. Known: {', '.join(names())}.")
    train_model(log, model, folder, **settings)
    return NetworkEvaluator.read(folder)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in values.items()}
