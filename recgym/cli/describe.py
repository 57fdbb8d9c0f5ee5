"""``recgym list`` and ``recgym info``."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import fields
from importlib import import_module
from itertools import pairwise
from typing import Any

import gymnasium as gym

from recgym.benchmark import making
from recgym.benchmark.files import BenchmarkError

_ROLE = re.compile(r":\w+:`~?([^`]+)`")  # as Sphinx links to code


def print_list() -> None:
    """Environments with their first sentence and agents, and whether they work on this machine."""
    from rich.console import Console
    from rich.table import Table

    from recgym import agents

    table = Table(box=None, title="Environments", title_justify="left", pad_edge=False)
    for column in ("id", "works here", "what it is", "agents"):
        table.add_column(column, no_wrap=column in ("id", "works here"))
    missing: list[str] = []
    for env_id in making.env_ids():
        try:
            making.single_env(env_id, {}).close()
            works = "yes"
        except BenchmarkError as error:
            missing.append(str(error))
            works = "not yet"
        table.add_row(env_id, works, _summary(env_id), ", ".join(agents.names(env_id)))
    console = Console()
    console.print(table)
    for sentence in missing:
        console.print(f"Not yet: {sentence}", markup=False, highlight=False)
    console.print("More about one: recgym info ENV. To watch it: recgym play ENV --agent NAME")


def print_info(env_id: str, kwargs: dict[str, Any]) -> None:
    """Spaces, arguments with their defaults, and the documentation of an environment."""
    from rich.console import Console
    from rich.markdown import Markdown

    from recgym import agents

    env = making.single_env(env_id, kwargs)
    console = Console(markup=False, highlight=False)
    console.print(env_id, style="bold")
    console.print(f"\nAction space: {env.action_space}\nObservation space:")
    space = env.observation_space
    parts = space.spaces if isinstance(space, gym.spaces.Dict) else {"": space}
    for name, part in parts.items():
        console.print(f"  {name}: {part}" if name else f"  {part}")
    spec = gym.registry[env_id]
    console.print("\nArguments and their defaults:")
    for name, default in _arguments(env_class(env_id)).items():
        console.print(f"  {name} = {spec.kwargs.get(name, default)!r}")
    console.print(f"\nAgents: {', '.join(agents.names(env_id))}")
    console.print(f"Settings of one: recgym info {env_id} --agent NAME")
    console.print(f"Fingerprint: {getattr(env.unwrapped, 'fingerprint', 'none')}\n")
    text = inspect.getdoc(env_class(env_id)) or "no documentation"
    console.print(Markdown(text), width=min(console.width, 100))
    env.close()


def print_agent(env_id: str, name: str) -> None:
    """What an agent does, what it sees, and its settings with defaults, for ``--set``."""
    from rich.console import Console
    from rich.markdown import Markdown

    from recgym import agents

    making.check_env_id(env_id)
    making.check_agent(env_id, name)
    kind = agents.agent_class(name, env_id)
    console = Console(markup=False, highlight=False)
    width = min(console.width, 100)
    console.print(f"{name}, an agent of {env_id}; sees: {kind.sees}\n", style="bold")
    for about in (import_module(kind.__module__), kind):
        text = _ROLE.sub(r"`\1`", inspect.getdoc(about) or "")
        console.print(Markdown(text), width=width)
        console.print()
    console.print("Settings and their defaults, for --set NAME=VALUE:")
    told = {}
    for part in reversed(kind.Config.__mro__[:-1]):
        told |= _documented(part)
    for field in fields(kind.Config):
        console.print(f"  {field.name}: {field.type} = {field.default!r}")
        if text := _ROLE.sub(r"`\1`", told.get(field.name, "")):
            indent = " " * 6
            print(textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent))


def _documented(cls: type) -> dict[str, str]:
    """What the strings below a class's fields say of them."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in pairwise(body.body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[field.target.id] = " ".join(str(after.value.value).split())
    return found


def env_class(env_id: str) -> type:
    """The class that an id makes, without making it."""
    entry = gym.registry[env_id].entry_point
    if isinstance(entry, str):
        module, _, name = entry.partition(":")
        entry = getattr(import_module(module), name)
    return entry  # type: ignore[return-value]


def _summary(env_id: str) -> str:
    if "Tiny-v" in env_id:
        return f"{env_id.replace('Tiny-v', '-v')}, so small that the optimum is known"
    text = " ".join((inspect.getdoc(env_class(env_id)) or "").split("\n\n")[0].split())
    return text.partition(". ")[0].rstrip(".")


def _arguments(cls: type) -> dict[str, Any]:
    parameters = inspect.signature(cls).parameters.values()
    return {
        p.name: "required" if p.default is p.empty else p.default
        for p in parameters
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
