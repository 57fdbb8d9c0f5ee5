"""``recgym list`` and ``recgym info``."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import gymnasium as gym

from recgym.benchmark import making
from recgym.benchmark.files import BenchmarkError


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
    console.print(f"Fingerprint: {getattr(env.unwrapped, 'fingerprint', 'none')}\n")
    text = inspect.getdoc(env_class(env_id)) or "no documentation"
    console.print(Markdown(text), width=min(console.width, 100))
    env.close()


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
