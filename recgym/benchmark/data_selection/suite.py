"""The suite of DataSelection: the IFRQE paper's Table 1 on one recommender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from recgym.benchmark.suites import Entry, Metric, Suite

ENV_ID = "recgym/DataSelection-v0"
DEFAULT = "ml-latest-small"
THRESHOLDS = (0.25, 0.5, 0.75)
CHANCES = (0.1, 0.3, 0.5)
SEEDS = tuple(range(10))
WORLDS = ("simulation", "simulation-50")
"""Names of ``dataset`` that are no data set."""
STAND_INS = ("diginetica", "steam-200k", "amazon-video-games")
"""Data sets in the place of the paper's own, with three seeds."""

METRICS = (
    Metric("z_retrained", "Reward", +1, "mean z of all users, trained on what they keep", 3),
    Metric("z_test", "Reward, test item", +1, "z with the test item's loss", 3),
    Metric("z", "Reward, predicted", +1, "mean z by influence functions", 3),
    Metric("loss_retrained", "Loss", -1, "validation loss, trained on what they keep", 3),
    Metric("test_loss", "Test loss", -1, "of the item that nobody was rewarded for", 3),
    Metric("f1_sampled", "F1@5 of 100", +1, "of the test item among 99 others", 4),
    Metric("f1_sampled_chance", "chance", 0, "F1@5 of 100 of random scores", 4),
    Metric("f1_full", "F1@5", +1, "of the test item among all", 4),
    Metric("f1_full_chance", "chance", 0, "F1@5 of random scores", 4),
    Metric("wv", "wv", -1, "willingness violation, Σ o β of a user", 2),
    Metric("kept", "Kept", 0, "share of interactions that stays in", 3),
)


def methods() -> tuple[Entry, ...]:
    """Every method that needs no retraining to decide, those that take longest first."""
    return (
        Entry("ppo", "ppo"),
        Entry("ifrqe_plus", "ifrqe_plus"),
        Entry("ifrqe", "ifrqe"),
        Entry("all", "all"),
        Entry("none", "none"),
        Entry("random", "random"),
        *(Entry(f"dropout[{c:g}]", "dropout", {"chance": c}) for c in CHANCES),
        *(Entry(f"threshold[{t:g}]", "threshold", {"threshold": t}) for t in THRESHOLDS),
    )


def quick_methods() -> tuple[Entry, ...]:
    """The same, with a short training of PPO."""
    return tuple(
        replace(entry, timesteps=5_000) if entry.agent == "ppo" else entry for entry in methods()
    )


def suite(
    dataset: str | None = None, variant: str = "clean", *, quick: bool = False, **env: Any
) -> Suite:
    """All methods on a data set of :func:`recgym.data.names` or ``simulation``.

    None is the embedded set. Users are told influences at four anchors; what counts is trained
    anew on the selections in which an episode ends.
    """
    shown = {"backend": "anchors", "show_influence": True, "final_retrain": True}
    found = Suite(
        name="data-selection",
        title="Data selection",
        env_id=ENV_ID,
        entries=quick_methods() if quick else methods(),
        seeds=SEEDS[:3] if dataset in STAND_INS else SEEDS,
        metrics=METRICS,
        main="z_retrained",
        unit="draw",
        env_kwargs={**where(dataset, variant), **shown, **env},
        prepare=prepare,
    )
    return replace(found, seeds=(0,), tasks=3) if quick else found


def where(dataset: str | None, variant: str) -> dict[str, str]:
    """Arguments of the environment for a data set; none for the default."""
    found = {} if dataset in (None, DEFAULT) else {"dataset": str(dataset)}
    return found if variant == "clean" else {**found, "variant": variant}


def prepare(suite: Suite, tell: Callable[[str, str, float], None], jobs: int) -> None:
    """Train the anchors of both splits once, where they are kept in the cache.

    Raises:
        DataError: the data set is not on this machine; the message says how to get it.
    """
    import gymnasium as gym

    for at, split in enumerate(("train", suite.split)):
        tell("anchors", f"players of the {split} split", at / 2)
        env = gym.make(suite.env_id, split=split, **suite.env_kwargs)
        env.reset(seed=0)
    tell("anchors", "done", 1.0)
