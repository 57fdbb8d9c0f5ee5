"""What each training interaction is worth, by every valuation that there is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from recgym.agents.data_valuation.alignment import AlignmentAgent, AlignmentConfig
from recgym.agents.data_valuation.dvr import DVR, DVRConfig
from recgym.agents.data_valuation.methods.training import Settings
from recgym.agents.data_valuation.valuing import ValuingAgent, gathered
from recgym.envs.data_valuation.dynamics import DataValuation
from recgym.envs.data_valuation.env import DataValuationEnv
from recgym.envs.data_valuation.measuring import NEED_CATEGORIES, separation
from recgym.envs.data_valuation.state import DIRECTIONS
from recgym.envs.data_valuation.worlds import World
from recgym.models.arrays import kept

ROWS = 2048  # interactions whose users' and items' rows are compared at a time
STEPS = 50  # of an episode
BETWEEN = 10  # steps between measurements of what only many batches change
RARELY_PAID = tuple(f"dvr_{metric.lower()}" for metric in DIRECTIONS if metric != "Loss")
FORMAT = 2  # of what is cached; change it with what is computed
FORMATS: Mapping[str, int] = dict.fromkeys(RARELY_PAID, 3)
"""The same of single valuations."""


@dataclass(frozen=True)
class Valuation:
    """Values of the training interactions, and what they took."""

    values: np.ndarray  # (R,) float64, more is better
    updates: int
    """Of a recommender."""
    seconds: float

    def auc(self, planted: np.ndarray) -> float:
        """The chance that a true interaction is worth more than a planted one (R,) bool."""
        found, defined = separation(self.values[None], planted[None])
        return float(found[0]) if defined[0] else float("nan")

    def best(self, share: float, seed: int) -> np.ndarray:
        """(R,) 1 for the ``share`` of the interactions that is worth most, 0 for the rest.

        Equals are taken in a random order: that of the data has the planted ones last.
        """
        tie = np.random.default_rng([seed, 5]).random(len(self.values))
        order = np.lexsort((tie, self.values))
        weights = np.zeros(len(order))
        weights[order[len(order) - round(share * len(order)) :]] = 1.0
        return weights


Found = tuple[np.ndarray, int]


def random(world: World, s: Settings) -> Found:
    """A floor."""
    return np.random.default_rng([s.seed, 6]).random(len(world.rows[0])), 0


def popularity(world: World, s: Settings) -> Found:
    """A floor: how many interactions the item has."""
    return world.popularity[world.rows[1]].astype(np.float64), 0


def cooccurrence(world: World, s: Settings) -> Found:
    """A floor: mean cosine of the item with the user's other items, over the users of each."""
    user, item, _ = world.rows
    train = world.matrices["train"].tocsr()
    counts = np.maximum(np.asarray(train.sum(axis=0)).ravel(), 1)
    by_user = sp.csr_matrix(train @ sp.diags(1 / np.sqrt(counts)))
    similar = sp.csr_matrix(by_user.T @ by_user)  # (N, N), ones on the diagonal
    others = np.maximum(np.diff(train.indptr)[user] - 1, 1)
    parts = [
        np.asarray(train[user[at]].multiply(similar[item[at]]).sum(axis=1)).ravel() - 1
        for at in np.split(np.arange(len(user)), range(ROWS, len(user), ROWS))
    ]
    return np.concatenate(parts) / others, 0


def loss(world: World, s: Settings) -> Found:
    """A floor: how small the loss is, on average while everything is learnt from."""
    batches = _batches(world, s)
    problem = _env(world, s, steps=batches, measure_every=batches).problem
    rng = np.random.default_rng(s.seed)
    return gathered(problem, lambda seen: -seen["loss"], batches, rng), batches


def alignment(world: World, s: Settings, of: Literal["everything", "items"]) -> Found:
    """Gradient alignment (ours): :class:`AlignmentAgent`'s values."""
    env = _env(world, s, show_ids=True)
    agent = AlignmentAgent(env, AlignmentConfig(epochs=s.valuing_epochs, of=of))
    agent.learn(seed=s.seed)
    assert agent.values is not None
    return agent.values, _batches(world, s)


def dvr(world: World, s: Settings, metric: str, **config: Any) -> Found:
    """DVR: the mean ŵ, in episodes in which everything is learnt from."""
    return _of_agent(dvr_agent(world, s, metric, **config), s, s.episodes * STEPS)


def ppo(world: World, s: Settings) -> Found:
    """PPO on −loss: the mean chance of being selected, in such episodes."""
    from recgym.agents.data_valuation.ppo import PPOAgent, PPOConfig

    agent = PPOAgent(_env(world, s), PPOConfig(timesteps=s.timesteps)).learn(seed=s.seed)
    return _of_agent(agent, s, agent.model.num_timesteps)


def oracle(world: World, s: Settings) -> Found:
    """The labels. A reference, no competitor."""
    if world.noise is None:
        raise ValueError("oracle knows what was planted, and here nothing was. Give noise=.")
    return 1.0 - world.rows[2], 0


VALUATIONS: Mapping[str, Callable[[World, Settings], Found]] = {
    "random": random,
    "popularity": popularity,
    "cooccurrence": cooccurrence,
    "loss": loss,
    "alignment": partial(alignment, of="everything"),
    "item_alignment": partial(alignment, of="items"),
    **{f"dvr_{metric.lower()}": partial(dvr, metric=metric) for metric in DIRECTIONS},
    "dvr_loss_paper": partial(dvr, metric="Loss", layout="paper"),
    "dvr_gain": partial(dvr, metric="Loss", advantage="gain"),
    "dvr_alignment": partial(dvr, metric="Loss", advantage="alignment"),
    "ppo": ppo,
    "oracle": oracle,
}
"""By name: (world, settings) → (values (R,), updates of a recommender that they took)."""


def names(world: World) -> list[str]:
    """Those that have what they need in this world: labels, or categories."""
    lacking = set() if world.noise is not None else {"oracle"}
    if not world.log.genres.any():
        lacking |= {f"dvr_{metric.lower()}" for metric in NEED_CATEGORIES}
    return [name for name in VALUATIONS if name not in lacking]


def value(world: World, name: str, settings: Settings) -> Valuation:
    """A valuation by name; kept in the cache.

    Raises:
        ValueError: an unknown name, or a world without what it needs.
    """
    if name not in VALUATIONS:
        raise ValueError(f"valuation must be one of {tuple(VALUATIONS)}, got {name!r}.")

    def make() -> dict[str, np.ndarray]:
        started = time.perf_counter()
        values, updates = VALUATIONS[name](world, settings)
        seconds = time.perf_counter() - started
        return {
            "values": values,
            "updates": np.array(updates),
            "seconds": np.array(seconds),
        }

    s = settings
    told = [FORMATS.get(name, FORMAT), world.fingerprint, name, s.seed, s.batch, s.k]
    told += [s.valuing_epochs, s.episodes, s.timesteps]
    found = kept("valuation", f"values {json.dumps(told)}".encode(), make)
    return Valuation(found["values"], int(found["updates"]), float(found["seconds"]))


def dvr_agent(world: World, s: Settings, metric: str, **config: Any) -> DVR:
    """DVR, trained on a metric; those that a single batch hardly moves are measured less often.

    Args:
        config: other fields of :class:`DVRConfig`.
    """
    every = 1 if metric == "Loss" else BETWEEN
    env = _env(world, s, metric=metric, measure_every=every, show_embeddings=True)
    return DVR(env, DVRConfig(episodes=s.episodes, seed=s.seed, **config)).learn(seed=s.seed)


def _env(world: World, s: Settings, **arguments: Any) -> DataValuationEnv:
    batch, k = min(s.batch, len(world.rows[0])), min(s.k, world.log.n_items)
    return DataValuationEnv(world, **{"batch": batch, "k": k, "steps": STEPS, **arguments})


def _batches(world: World, s: Settings) -> int:
    size = min(s.batch, len(world.rows[0]))
    return s.valuing_epochs * (len(world.rows[0]) // size)


def _of_agent(agent: ValuingAgent, s: Settings, learning: int) -> Found:
    assert isinstance(agent.problem, DataValuation)
    batches = _batches(agent.problem.world, s)
    rng = np.random.default_rng([s.seed, 7])
    return gathered(agent.problem, agent.weights, batches, rng), learning + batches
