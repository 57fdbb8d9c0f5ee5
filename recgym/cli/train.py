"""`recgym train`: train simulated users and backbones, with progress, checkpoints and resume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

train_app = typer.Typer(no_args_is_help=True, help="Train models on a log.")

Dataset = Annotated[
    str, typer.Option(help="a name from `recgym data list`, or the path of your own log")
]
Variant = Annotated[str, typer.Option(help="clean, raw or paper")]
Seed = Annotated[int, typer.Option(help="seed of weights, batches and dropout")]
Epochs = Annotated[int | None, typer.Option(help="most epochs")]
Batch = Annotated[int | None, typer.Option(help="windows or triples per step")]
Rate = Annotated[float | None, typer.Option()]
Width = Annotated[int | None, typer.Option(help="embedding dimension")]
Out = Annotated[Path | None, typer.Option(help="folder of the result; default the cache")]
Threads = Annotated[int, typer.Option(help="CPU threads")]


@train_app.callback()
def _group() -> None:
    """Train models on a log."""


@train_app.command()
def evaluator(
    model: Annotated[str, typer.Option(help="bert4rec, caser, gru4rec or sasrec")] = "bert4rec",
    dataset: Dataset = "ml-latest-small",
    variant: Variant = "clean",
    seed: Seed = 0,
    epochs: Epochs = None,
    batch: Batch = None,
    learning_rate: Rate = None,
    dropout: Annotated[float | None, typer.Option()] = None,
    length: Annotated[int | None, typer.Option(help="longest input, in tokens")] = None,
    width: Width = None,
    out: Out = None,
    threads: Threads = 1,
) -> None:
    """Train a simulated user P(i | history) on a data set and print its card.

    Choose the epoch on each user's last items but one, train again with it, judge once on the
    last. Stop it when you like: the same command continues.
    """
    from recgym import models

    shape = {"dropout": dropout, "length": length, "width": width}
    training = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate}
    _train(
        "evaluator", models.names(), model, dataset, variant, seed, shape, training, out, threads
    )


@train_app.command()
def backbone(
    model: Annotated[str, typer.Option(help="bpr or transrec")] = "bpr",
    dataset: Dataset = "ml-latest-small",
    variant: Variant = "clean",
    seed: Seed = 0,
    epochs: Epochs = None,
    batch: Batch = None,
    learning_rate: Rate = None,
    width: Width = None,
    out: Out = None,
    threads: Threads = 1,
) -> None:
    """Train a model that knows the users, for agents to build on, and print its card.

    The same stages as `recgym train evaluator`, whose networks are backbones too.
    """
    from recgym import models

    training = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate}
    known = models.user_item_names()
    _train(
        "backbone", known, model, dataset, variant, seed, {"width": width}, training, out, threads
    )


def _train(
    kind: str,
    known: list[str],
    model: str,
    dataset: str,
    variant: str,
    seed: int,
    shape: dict[str, Any],
    training: dict[str, Any],
    out: Path | None,
    threads: int,
) -> None:
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from recgym import evaluators
    from recgym.data.own import resolve_log
    from recgym.evaluators import recipes

    if model not in known:
        raise typer.BadParameter(f"There is no {kind} model {model!r}. Known: {', '.join(known)}.")
    log = resolve_log(dataset, variant)
    shape, training = ({k: v for k, v in x.items() if v is not None} for x in (shape, training))
    recipe = recipes.recipe(model, log.name).changed(shape, {**training, "seed": seed})
    try:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}.")
        recipe.check(model, log.n_items)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    command = f"recgym train {kind} --model {model} --dataset {dataset} --seed {seed}"
    options = {**({} if variant == "clean" else {"variant": variant}), **training, **shape}
    command += "".join(f" --{k.replace('_', '-')} {v}" for k, v in options.items())
    torch.set_num_threads(threads)
    console = Console()
    stages = ("validation", "refit") if recipe.refit else ("validation",)
    epochs = recipe.training_config().epochs
    columns = TextColumn("{task.description:<40}"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        tasks = {stage: bar.add_task(stage, total=epochs) for stage in stages}

        def report(stage, progress) -> None:
            last = progress.curve[-1]
            found = f" best {progress.best:.4f} (epoch {progress.best_epoch})"
            text = f"{stage} loss {last['loss']:.3f}" + (found if progress.best_epoch else "")
            bar.update(tasks[stage], completed=progress.epoch, description=text)
            if stage == "refit":
                bar.update(tasks["validation"], completed=epochs)

        folder = out or evaluators.folders(model, log)[-1]
        card = recipes.train(model, log, recipe, folder=folder, command=command, report=report)
        for task in tasks.values():
            bar.update(task, completed=epochs)
    console.print(f"{folder}: epoch {card['epochs']}, τ = {card['tau']:.3f}")
    used = evaluators.found(model, log)
    if used != folder and kind == "evaluator":
        console.print(
            f"The name {model!r} stands for {used or 'no model yet'}. For this one: "
            f"gym.make(..., evaluator=NetworkEvaluator.read({str(folder)!r}))",
            markup=False,
        )
    print_card(console, model, card)


def print_card(console, model: str, card) -> None:
    """A card's held-out metrics beside its floors, as a table."""
    from rich.table import Table

    names = list(card["metrics"])
    table = Table(title=f"{model} on {card['dataset']}: {card['protocol']}")
    for column in ("", *names):
        table.add_column(column, justify="left" if not column else "right")
    rows = {**card["floors"], model: card["metrics"]}
    for name, values in rows.items():
        table.add_row(name, *(f"{values[key]:.4f}" for key in names))
    console.print(table)
