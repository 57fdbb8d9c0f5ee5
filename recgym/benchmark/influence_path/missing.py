"""Trains the models that runs need and that this machine does not have, several at a time."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

from recgym.benchmark.exhibits import Tell

if TYPE_CHECKING:
    from recgym.data.log import InteractionLog


def train(models: Sequence[str], log: InteractionLog, tell: Tell, jobs: int = 1) -> None:
    """Train those of these models that have not been trained on the log.

    Up to ``jobs`` at a time, each in a process of its own with one thread. Stopped and called
    again it continues.

    Raises:
        ValueError: a name that is not of a model that can be trained.
        DataError: histories too short to hold items out.
    """
    from recgym.evaluators import recipes

    missing = [model for model in models if not _is_there(model, log)]
    if jobs > 1 and len(missing) > 1:
        _together(missing, log, tell, jobs)
    for model in missing:  # one that a process could not train says here why
        recipes.ensure(model, log, _report(model, log, tell))


def _is_there(model: str, log: InteractionLog) -> bool:
    from recgym import evaluators
    from recgym.data.log import DataError

    try:
        evaluators.find_trained(model, log)
    except DataError:
        return False
    return True


def _together(models: Sequence[str], log: InteractionLog, tell: Tell, jobs: int) -> None:
    from recgym.benchmark.processes import ProcessPerTask, context

    pool = ProcessPerTask(min(jobs, len(models)))
    with context().Manager() as manager:
        heard: Any = manager.Queue()
        try:
            waiting = {pool.submit(_ensure, model, log, heard) for model in models}
            while waiting:
                _, waiting = wait(waiting, timeout=0.5)
                _pass_on(heard, tell)
        except BaseException:  # Ctrl-C above all
            pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()


def _pass_on(heard: Any, tell: Tell) -> None:
    while True:
        try:
            tell(*heard.get_nowait())
        except queue.Empty:
            return


def _ensure(model: str, log: InteractionLog, heard: Any) -> None:
    from recgym.evaluators import recipes

    recipes.ensure(model, log, _report(model, log, lambda *news: heard.put(news)))


def _report(model: str, log: InteractionLog, tell: Tell) -> Callable[[str, Any], None]:
    from recgym.evaluators import recipes

    epochs = recipes.recipe(model, log.name).training_config().epochs
    return lambda stage, now: tell(f"{model} on {log.name}", stage, now.epoch / epochs)
