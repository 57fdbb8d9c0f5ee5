"""``recgym data``: what is on this machine, and how to get the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from recgym import data
from recgym.data import DataError
from recgym.data.paths import dataset_dir
from recgym.data.registry import absent

data_app = typer.Typer(
    name="data", help="List, fetch, import and describe data sets.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="A name shown by `recgym data list`.")]


def _fail(error: DataError) -> typer.Exit:
    typer.echo(f"Error: {error}", err=True)
    return typer.Exit(2)


def _where(name: str) -> str:
    if data.info(name).embedded:
        return "built in"
    folder = data.locate(name)
    if folder is None:
        return "no"
    return "cache" if folder == dataset_dir(name) else "shared"


@data_app.command("list")
def list_() -> None:
    """The data sets that recgym knows, and which of them are on this machine."""
    table = Table(box=None, pad_edge=False)
    table.add_column("Name", no_wrap=True)
    table.add_column("Interactions", justify="right", no_wrap=True)
    table.add_column("Title, terms")
    table.add_column("Here?", no_wrap=True)
    for name in data.names():
        entry = data.info(name)
        count = f"{entry.counts[2]:,}" if entry.counts else "any"
        table.add_row(name, count, f"{entry.title}\n[dim]{entry.licence}[/dim]", _where(name))
    Console().print(table)
    typer.echo("\nGet one: recgym data fetch NAME. Your own files: recgym.data.read(PATH).")


@data_app.command()
def fetch(
    name: Name,
    url: Annotated[str | None, typer.Option(help="A mirror of the official file.")] = None,
) -> None:
    """Download a data set, check it and put it into the cache; a cut download is resumed."""
    try:
        folder = data.fetch(name, url=url)
    except DataError as error:
        raise _fail(error) from None
    typer.echo(f"{name} is in {folder}")
    typer.echo(data.info(name).licence)


@data_app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A downloaded archive or an unpacked folder.")],
    name: Annotated[str | None, typer.Option(help="Which data set it should be.")] = None,
) -> None:
    """Check a file that you have downloaded and put it into the cache."""
    try:
        folder = data.import_path(path, name)
    except DataError as error:
        raise _fail(error) from None
    typer.echo(f"{folder.name} is in {folder}")
    typer.echo(data.info(folder.name).licence)


@data_app.command("info")
def info_(
    name: Name,
    variant: Annotated[str, typer.Option(help="raw, clean or paper.")] = "clean",
) -> None:
    """Terms, address, checksum, counts and fingerprint of a data set."""
    try:
        entry = data.info(name)
        if variant not in entry.variants:
            raise DataError(f"{name} has no variant {variant!r}: {', '.join(entry.variants)}.")
        present = entry.embedded or data.locate(name) is not None
        log = data.load(name, variant) if present else None
    except DataError as error:
        raise _fail(error) from None
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    table.add_row("Name", name)
    table.add_row("Title", entry.title)
    table.add_row("Terms", entry.licence)
    table.add_row("Variants", ", ".join(entry.variants))
    if entry.archive:
        kind, checksum = entry.checksum
        size = f" ({entry.size / 1e6:.1f} MB)" if entry.size else ""
        table.add_row("Archive", f"{entry.url}{size}")
        table.add_row("Checksum", f"{kind} {checksum}" if kind else "none known; counted instead")
    table.add_row("Here", _where(name) + (f": {folder}" if (folder := data.locate(name)) else ""))
    if log is not None:
        table.add_row("Variant shown", variant)
        table.add_row("Users", f"{log.n_users:,}")
        table.add_row("Items", f"{log.n_items:,}")
        table.add_row("Interactions", f"{len(log):,}")
        table.add_row("Genres", str(len(log.genre_names)))
        table.add_row("Fingerprint", log.fingerprint)
    Console().print(table)
    if log is None:
        typer.echo(f"\n{absent(entry)}")
