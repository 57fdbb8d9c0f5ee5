"""Train a simulated user from a log, judge it on held-out items, and write its card."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recgym.data.log import DataError, InteractionLog
from recgym.data.splits import leave_last_out
from recgym.evaluators import held_out
from recgym.evaluators.sequence import NetworkEvaluator, SequenceEvaluator
from recgym.models import store
from recgym.models.training import Progress, TrainConfig, fit, refit_config

VALIDATION = (2, 3, 4, 5, 6)
"""Places from the end that choose the epoch: five, since one of 671 users' is mostly noise."""


def network_scorer(model) -> held_out.Scorer:
    """A model's log-probabilities as a function of histories (B, L) → (B, N)."""
    import torch

    def score(histories: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return torch.log_softmax(model.scores(torch.as_tensor(histories)), dim=1).numpy()

    return score


def train_evaluator(
    log: InteractionLog,
    model: str,
    folder: Path,
    *,
    model_config: dict[str, Any] | None = None,
    config: TrainConfig | None = None,
    command: str = "",
    checkpoint: Path | None = None,
    report: Callable[[str, Progress], None] = lambda stage, progress: None,
) -> SequenceEvaluator:
    """Train ``model`` on ``log`` in two stages and write it, with its card, to ``folder``.

    Stage "validation" trains without each user's last six items and chooses the epoch by the five
    before the last. Stage "refit" trains for that many epochs without the last item only. The
    card's numbers are taken once, on the last item, which has chosen nothing.

    Raises:
        DataError: histories too short to hold two items out.
    """
    config = config or TrainConfig()
    model_config = model_config or {}
    if np.diff(log.offsets).max() <= max(VALIDATION) + 1:
        raise DataError(
            f"{log.name}: no history has more than {max(VALIDATION) + 1} events, which holding "
            "out and learning from the rest takes. Use evaluator='markov', or more data."
        )
    without_six, _ = leave_last_out(log, max(VALIDATION))
    without_one, _ = leave_last_out(log, 1)
    length = int(model_config.get("length", 50))
    validation = held_out.HeldOut.of(log, length, from_end=VALIDATION, most_users=2_000)
    started = time.monotonic()

    _, chosen = fit(
        without_six,
        model,
        model_config,
        config,
        validate=lambda network: held_out.evaluate(network_scorer(network), validation),
        checkpoint=checkpoint and checkpoint / "validation",
        report=lambda progress: report("validation", progress),
    )
    network, final = fit(
        without_one,
        model,
        model_config,
        refit_config(config, chosen),
        checkpoint=checkpoint and checkpoint / "refit",
        report=lambda progress: report("refit", progress),
    )

    card = {
        "dataset": log.name,
        "data_fingerprint": log.fingerprint,
        "counts": {"users": log.n_users, "items": log.n_items, "interactions": len(log)},
        "parameters": network.n_parameters,
        "command": command,
        "training": asdict(config),
        "epochs": chosen.best_epoch,
        "seconds": round(chosen.seconds + final.seconds),
        "protocol": "last item of each user, full ranking, seen items removed",
    }
    network.as_stored()  # the card speaks of the weights as they are on disk
    test = held_out.HeldOut.of(log, length)
    metrics = held_out.evaluate(network_scorer(network), test)
    floors = {
        "popularity": held_out.evaluate(held_out.popularity_scorer(without_one), test),
        "markov": held_out.evaluate(held_out.markov_scorer(without_one), test),
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
    return NetworkEvaluator(*store.load_model(folder))


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in values.items()}
