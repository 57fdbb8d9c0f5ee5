"""The suite of DataValuation: valuations within an episode, floors, and a reinforcement learner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from recgym.benchmark.suites import Entry, Metric, Suite

ENV_ID = "recgym/DataValuation-v0"
OWN_DATA = True  # ``dataset`` may be a path
DEFAULT = "ml-latest-small"

METRICS = (
    Metric("return", "Return", +1, "gain of the validation loss, in hundredths", 3),
    Metric("test_NDCG", "NDCG@20", +1, "on test data, at the end of the episode", 4),
    Metric("test_Recall", "Recall@20", +1, "on test data, at the end of the episode", 4),
    Metric("test_Loss", "Loss", -1, "BPR loss on test data, at the end of the episode", 4),
    Metric("AUC", "AUC", +1, "how well weights tell true from planted interactions", 3),
    Metric("kept", "Kept", 0, "mean weight of a sample", 3),
)


def methods() -> tuple[Entry, ...]:
    """Every agent that works on the default world, those that take longest first."""
    return (
        Entry("ppo", "ppo"),
        Entry("dvr", "dvr"),
        Entry("dvr[from a half on]", "dvr", {"drawn": False}),
        Entry("dvr[gain]", "dvr", {"advantage": "gain"}),
        Entry("dvr[alignment]", "dvr", {"advantage": "alignment"}),
        Entry("dvr[alignment, from a half on]", "dvr", {"advantage": "alignment", "drawn": False}),
        Entry("dvr[paper's layout]", "dvr", {"layout": "paper"}),
        Entry("alignment", "alignment"),
        Entry("alignment[items]", "alignment", {"of": "items"}),
        *(Entry(name, name) for name in ("bpr", "t_ce", "r_ce", "loss_threshold", "popularity")),
        *(Entry(name, name) for name in ("none", "random")),
        Entry("oracle", "oracle"),
    )


def quick_methods() -> tuple[Entry, ...]:
    """All of them, the learners for a short while."""
    short = {"ppo": 2_000, "dvr": 200, "alignment": 300}
    return tuple(replace(entry, timesteps=short.get(entry.agent)) for entry in methods())


def suite(dataset: str | None = None, variant: str = "clean", *, quick: bool = False) -> Suite:
    """All methods on a data set of :func:`recgym.data.names`; None is the embedded one."""
    shown = {"show_ids": True, "show_embeddings": True}
    found = Suite(
        name="data-valuation",
        title="Data valuation",
        env_id=ENV_ID,
        entries=quick_methods() if quick else methods(),
        seeds=(0, 1, 2, 3, 4),
        metrics=METRICS,
        main="return",
        unit="stream",
        env_kwargs={**where(dataset, variant), **fitting(dataset, variant), **shown},
        prepare=prepare,
    )
    return replace(found, seeds=(0,)) if quick else found


def where(dataset: str | None, variant: str) -> dict[str, str]:
    """Arguments of the environment for a data set; none for the default."""
    found = {} if dataset in (None, DEFAULT) else {"dataset": str(dataset)}
    return found if variant == "clean" else {**found, "variant": variant}


def fitting(dataset: str | None, variant: str) -> dict[str, int]:
    """``batch`` and ``k`` for a user's own data that are too few for the environment's.

    Raises:
        DataError: data that cannot be read, or are too few for a split.
    """
    from recgym.data.own import is_path
    from recgym.envs.data_valuation.state import Params
    from recgym.envs.data_valuation.worlds import resolve

    if not is_path(dataset):
        return {}
    assert dataset is not None
    world = resolve(dataset, variant)
    most = {"batch": len(world.rows[0]), "k": world.log.n_items}
    return {name: size for name, size in most.items() if size < getattr(Params(), name)}


def prepare(suite: Suite, tell: Callable[[str, str, float], None], jobs: int) -> None:
    """Warm the recommender up once, where that is kept in the cache.

    Raises:
        DataError: the data set is not on this machine; the message says how to get it.
    """
    import gymnasium as gym

    tell("recommender", "warm-up", 0.0)
    env = gym.make(suite.env_id, split=suite.split, **suite.env_kwargs)
    env.reset(seed=0)
    tell("recommender", "warm-up", 1.0)
