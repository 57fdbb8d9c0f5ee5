"""The command ``recgym``. Heavy packages are imported inside the commands that need them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from recgym.cli.data import data_app
from recgym.cli.train import train_app

__all__ = ["app", "main"]

DATASET = (
    "a name from `recgym data list`, or of a world of the suite, such as simulation; of "
    "data-valuation, the path of your own data too [default: the embedded one]"
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Gymnasium environments for recommender systems that decide over time.",
)

EnvArgument = Annotated[str, typer.Argument(metavar="ENV", help="e.g. recgym/InfluencePath-v0")]
AgentOption = Annotated[str, typer.Option(help="a name from `recgym list`")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="configuration of the agent; repeatable"),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="KEY=VALUE", help="argument of the environment; repeatable"),
]
TimestepsOption = Annotated[
    int | None, typer.Option(help="environment steps of training [default: the agent's own]")
]


def main() -> None:
    """Run the command line. What the user can put right is one sentence and exit code 2."""
    from recgym.benchmark.processes import use_one_thread

    use_one_thread()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if os.environ.get("RECGYM_DEBUG") or error.filename is None:
            raise
        print(f"recgym: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if os.environ.get("RECGYM_DEBUG") or not _is_users(error):
            raise
        print(f"recgym: {error}", file=sys.stderr)
        sys.exit(2)


def _is_users(error: Exception) -> bool:
    """Whether the message says everything; looks only at modules that are loaded already."""
    kinds = (
        ("recgym.benchmark.files", "BenchmarkError"),
        ("recgym.agents.base", "AgentError"),
        ("recgym.data.log", "DataError"),
        ("recgym.models.store", "StoreError"),
        ("gymnasium.error", "DependencyNotInstalled"),
    )
    if isinstance(error, FloatingPointError):  # a training that went astray, its rate named
        return True
    loaded = [getattr(sys.modules.get(module), name, None) for module, name in kinds]
    return isinstance(error, tuple(kind for kind in loaded if kind is not None))


@app.command("list")
def list_() -> None:
    """List the environments and the agents that work in them."""
    from recgym.cli.describe import print_list

    print_list()


@app.command()
def info(
    env_id: EnvArgument,
    agent: Annotated[str | None, typer.Option(help="describe this agent and its settings")] = None,
    env: EnvOption = None,
) -> None:
    """Describe an environment: spaces, arguments, documentation; or one of its agents."""
    from recgym.cli.describe import print_agent, print_info

    if agent is None:
        print_info(env_id, pairs(env, "--env"))
    else:
        print_agent(env_id, agent)


@app.command()
def play(
    env_id: EnvArgument,
    agent: AgentOption,
    render: Annotated[str, typer.Option(help="ansi, rgb_array or human")] = "ansi",
    seed: Annotated[int, typer.Option(help="of training, and of the episode that is shown")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="with rgb_array: a folder of PNGs, or a file .gif")
    ] = None,
    timesteps: TimestepsOption = None,
    set_: SetOption = None,
    env: EnvOption = None,
) -> None:
    """Play one evaluation episode and show it."""
    from recgym.cli.play import play_episode

    play_episode(
        env_id,
        agent,
        render=render,
        seed=seed,
        out=out,
        timesteps=timesteps,
        config=pairs(set_, "--set"),
        env_kwargs=pairs(env, "--env"),
    )


@app.command()
def run(
    env_id: EnvArgument,
    agent: AgentOption,
    seed: Annotated[int, typer.Option(help="of learning and of the evaluation tasks")],
    out: Annotated[Path, typer.Option(help="folder of the CSV")],
    label: Annotated[str | None, typer.Option(help="name in tables [default: agent]")] = None,
    timesteps: TimestepsOption = None,
    tasks: Annotated[int | None, typer.Option(help="evaluate on the first tasks only")] = None,
    every: Annotated[int, typer.Option(help="evaluate on each so many-th task only")] = 1,
    split: Annotated[str, typer.Option(help="evaluate on test or validation")] = "test",
    suite: Annotated[str, typer.Option(help="the suite that the run belongs to")] = "",
    train_seed: Annotated[
        int | None, typer.Option(help="of learning alone [default: --seed]")
    ] = None,
    set_: SetOption = None,
    env: EnvOption = None,
    train_env: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="arguments that differ in training; repeatable"),
    ] = None,
) -> None:
    """Train an agent with one seed, evaluate it, write one CSV."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from recgym.benchmark.runner import run as run_once

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks_shown = {
            stage: progress.add_task(stage, total=None) for stage in ("train", "evaluate")
        }

        def show(stage: str, share: float) -> None:
            progress.update(tasks_shown[stage], total=1.0 if share else None, completed=share)

        path = run_once(
            env_id,
            agent,
            seed,
            out,
            config=pairs(set_, "--set"),
            env_kwargs=pairs(env, "--env"),
            label=label,
            timesteps=timesteps,
            tasks=tasks,
            every=every,
            split=split,
            suite=suite,
            train_seed=train_seed,
            train_env=pairs(train_env, "--train-env"),
            progress=show,
        )
    print(path)


@app.command()
def bench(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="e.g. influence-path")],
    out: Annotated[Path, typer.Option(help="folder of the CSVs; an unfinished bench continues")],
    dataset: Annotated[str | None, typer.Option(help=DATASET)] = None,
    variant: Annotated[str, typer.Option(help="clean or paper")] = "clean",
    quick: Annotated[bool, typer.Option("--quick", help="few agents, one seed, 100 users")] = False,
    jobs: Annotated[int | None, typer.Option(help="processes at a time [default: CPUs]")] = None,
) -> None:
    """Run all agents of a suite with all seeds, in parallel, and print the report."""
    from recgym.cli.bench import run_bench

    raise typer.Exit(
        run_bench(suite, out, quick=quick, jobs=jobs, dataset=dataset, variant=variant)
    )


@app.command()
def study(
    name: Annotated[
        str,
        typer.Argument(metavar="STUDY", help="e.g. influence-path-horizon; a wrong name lists all"),
    ],
    out: Annotated[Path, typer.Option(help="folder of the CSVs; an unfinished study continues")],
    dataset: Annotated[str | None, typer.Option(help=DATASET)] = None,
    variant: Annotated[str, typer.Option(help="clean or paper")] = "clean",
    jobs: Annotated[int | None, typer.Option(help="processes at a time [default: CPUs]")] = None,
) -> None:
    """Run a suite for every value of what the study varies; write agents.csv and runs.csv."""
    from recgym.cli.bench import run_study

    raise typer.Exit(run_study(name, out, jobs=jobs, dataset=dataset, variant=variant))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="the --out of bench or run")],
    lead: Annotated[
        list[str] | None, typer.Option(help="an agent to compare with every other; may be repeated")
    ] = None,
) -> None:
    """Print the table of a folder of runs; write report.md and report.html into it."""
    from recgym.cli.bench import print_leads, print_report

    print_report(folder)
    if lead:
        print_leads(folder, lead)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder of the runs")] = Path("runs/demo"),
    jobs: Annotated[int | None, typer.Option(help="processes at a time [default: CPUs]")] = None,
) -> None:
    """A few minutes of everything: a quick bench, its table, and one episode with titles."""
    from recgym.cli.bench import run_demo

    raise typer.Exit(run_demo(out, jobs=jobs))


def pairs(texts: list[str] | None, flag: str) -> dict[str, Any]:
    """``["a=1", "b=x"]`` → ``{"a": 1, "b": "x"}``: values are JSON, else text."""
    from recgym.benchmark.files import BenchmarkError

    found: dict[str, Any] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BenchmarkError(f"{flag} {text!r} is not of the form key=value")
        if key in found:
            raise BenchmarkError(f"{flag} gives {key!r} twice")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found


app.add_typer(data_app, name="data")
app.add_typer(train_app, name="train")
