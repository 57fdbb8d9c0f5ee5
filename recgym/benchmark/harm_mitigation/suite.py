"""The suite of HarmMitigation: the paper's methods, floors and reinforcement learners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from recgym.benchmark.suites import Entry, Metric, Suite

ENV_ID = "recgym/HarmMitigation-v0"
DEFAULT = "ml-latest-small"

METRICS = (
    Metric("objective", "f", +1, "p_CLK − λ p_H, a mean over the steps", 3),
    Metric("p_CLK", "p_CLK", +1, "probability of a click", 3),
    Metric("p_H", "p_H", -1, "probability of consuming a harmful item", 3),
    Metric("return", "Return", +1, "sum of rewards of the episode", 1),
    Metric("drift", "Drift", 0, "‖u − u_0‖ at the end"),
)


def methods() -> tuple[Entry, ...]:
    """Every method that recommends single items, those that take longest first."""
    return (
        Entry("gradient", "gradient"),
        Entry("ppo", "ppo"),
        Entry("lagrangian_ppo", "lagrangian_ppo"),
        Entry("closed_loop", "closed_loop"),
        Entry("projected_gradient", "projected_gradient"),
        Entry("alternating", "alternating"),
        Entry("static", "static"),
        Entry("static[current]", "static", {"profile": "current"}),
        *(Entry(name, name) for name in ("uniform", "none", "random")),
    )


def quick_methods() -> tuple[Entry, ...]:
    """All but those that take minutes."""
    return (
        Entry("ppo", "ppo", timesteps=60_000),
        *(entry for entry in methods() if entry.agent not in ("gradient", "ppo", "lagrangian_ppo")),
    )


def suite(dataset: str | None = None, variant: str = "clean", *, quick: bool = False) -> Suite:
    """All methods on a data set with ratings and genres; None is the embedded one."""
    found = Suite(
        name="harm-mitigation",
        title="Harm mitigation",
        env_id=ENV_ID,
        entries=quick_methods() if quick else methods(),
        seeds=(0, 1, 2, 3, 4),
        metrics=METRICS,
        main="objective",
        unit="user",
        env_kwargs=where(dataset, variant),
        prepare=prepare,
    )
    return replace(found, seeds=(0,), tasks=100) if quick else found


def where(dataset: str | None, variant: str) -> dict[str, str]:
    """Arguments of the environment for a data set; none for the default."""
    found = {} if dataset in (None, DEFAULT) else {"dataset": str(dataset)}
    return found if variant == "clean" else {**found, "variant": variant}


def prepare(suite: Suite, tell: Callable[[str, str, float], None], jobs: int) -> None:
    """Factorise the ratings once, where that is kept in the cache.

    Raises:
        DataError: the data set is not on this machine; the message says how to get it.
    """
    from recgym.envs.harm_mitigation.worlds import resolve

    dataset = str(suite.env_kwargs.get("dataset", DEFAULT))
    resolve(dataset, str(suite.env_kwargs.get("variant", "clean")))
