"""`recgym train evaluator`: train a simulated user, with progress, checkpoints and resume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

train_app = typer.Typer(no_args_is_help=True, help="Train models on a log.")

# What trained the weights in the package; docs/decisions.md says how they were chosen.
RECIPES: dict[str, dict] = {
    "bert4rec": {"model": {}, "training": {"epochs": 120}},
    "sasrec": {"model": {}, "training": {"epochs": 40}},
}


@train_app.callback()
def _group() -> None:
    """Train models on a log."""


@train_app.command()
def evaluator(
    model: Annotated[str, typer.Option(help="bert4rec or sasrec")] = "bert4rec",
    dataset: Annotated[
        str, typer.Option(help="a name from `recgym data list`, or the path of your own log")
    ] = "ml-latest-small",
    variant: Annotated[str, typer.Option(help="clean, raw or paper")] = "clean",
    seed: Annotated[int, typer.Option(help="seed of weights, batches and dropout")] = 0,
    epochs: Annotated[int | None, typer.Option(help="most epochs")] = None,
    batch: Annotated[int | None, typer.Option(help="windows per step")] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    dropout: Annotated[float | None, typer.Option()] = None,
    length: Annotated[int | None, typer.Option(help="longest input, in tokens")] = None,
    width: Annotated[int | None, typer.Option(help="embedding dimension")] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder of the result; default the cache")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
) -> None:
    """Train a simulated user on a data set and print its card.

    Choose the epoch on each user's last items but one, train again with it, judge once on the
    last. Stop it when you like: the same command continues.
    """
    import hashlib
    import shutil

    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from recgym import evaluators
    from recgym.data.paths import cache_dir
    from recgym.envs.influence_path.worlds import resolve_log
    from recgym.evaluators.train import train_evaluator
    from recgym.models import model_class
    from recgym.models.training import TrainConfig

    recipe = RECIPES.get(model, {"model": {}, "training": {}})
    given = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate, "seed": seed}
    shape = {"dropout": dropout, "length": length, "width": width}
    model_config = {**recipe["model"], **{k: v for k, v in shape.items() if v is not None}}
    log = resolve_log(dataset, variant)
    try:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}.")
        training = TrainConfig.from_dict(
            {**recipe["training"], **{k: v for k, v in given.items() if v is not None}}
        )
        model_class(model).Config.from_dict({**model_config, "n_items": log.n_items})
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    folder = out or evaluators.folders(model, log)[-1]
    command = f"recgym train evaluator --model {model} --dataset {dataset} --seed {seed}"
    options = {"variant": None if variant == "clean" else variant}
    options |= {"epochs": epochs, "batch": batch, "learning-rate": learning_rate, **shape}
    command += "".join(f" --{k} {v}" for k, v in options.items() if v is not None)
    training_id = hashlib.sha256(f"{command} {log.fingerprint}".encode()).hexdigest()[:12]
    checkpoint = cache_dir() / "checkpoints" / f"{log.name}-{model}-{training_id}"
    torch.set_num_threads(threads)
    console = Console()
    columns = TextColumn("{task.description:<40}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        tasks = {
            stage: bar.add_task(stage, total=training.epochs) for stage in ("validation", "refit")
        }

        def report(stage, progress) -> None:
            last = progress.curve[-1]
            found = f" best {progress.best:.4f} (epoch {progress.best_epoch})"
            text = f"{stage} loss {last['loss']:.3f}" + (found if progress.best_epoch else "")
            bar.update(tasks[stage], completed=progress.epoch, description=text)
            if stage == "refit":
                bar.update(tasks["validation"], completed=training.epochs)

        trained = train_evaluator(
            log,
            model,
            folder,
            model_config=model_config,
            config=training,
            command=command,
            checkpoint=checkpoint,
            report=report,
        )
        shutil.rmtree(checkpoint, ignore_errors=True)
        bar.update(tasks["refit"], completed=training.epochs)
    console.print(f"{folder}: epoch {trained.card['epochs']}, τ = {trained.tau:.3f}")
    print_card(console, trained.card)


def print_card(console, card) -> None:
    """A card's held-out metrics beside its floors, as a table."""
    from rich.table import Table

    names = list(card["metrics"])
    table = Table(title=f"{card['model']} on {card['dataset']}: {card['protocol']}")
    for column in ("", *names):
        table.add_column(column, justify="left" if not column else "right")
    rows = {**card["floors"], card["model"]: card["metrics"]}
    for name, values in rows.items():
        table.add_row(name, *(f"{values[key]:.4f}" for key in names))
    console.print(table)
