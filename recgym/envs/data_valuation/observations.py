"""What an agent sees of a batch: bounded and flat, one entry for each triplet."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from recgym.envs.data_valuation.state import Params, State
from recgym.envs.data_valuation.worlds import World
from recgym.evaluators.learner import Triplets

LIMIT = 20.0
"""Scores, losses, norms and the metric are cut off here."""
SIGNED = ("positive", "negative")
UNSIGNED = ("loss", "user_norm", "item_norm", "other_norm")
SHARES = ("item_popularity", "negative_popularity", "activity")
ALIGNMENTS = ("alignment", "item_alignment")
FEATURES = (*SIGNED, *UNSIGNED, *SHARES)
IDS = ("user", "item", "other", "row")


def space(world: World, params: Params, n_rows: int) -> spaces.Dict:
    """The observation space; ``n_rows`` training interactions."""
    n, log = params.batch, world.log
    shown: dict[str, spaces.Space] = {
        **{name: spaces.Box(-LIMIT, LIMIT, (n,), np.float32) for name in SIGNED},
        **{name: spaces.Box(0, LIMIT, (n,), np.float32) for name in UNSIGNED},
        **{name: spaces.Box(0, 1, (n,), np.float32) for name in SHARES},
    }
    if params.show_alignment:
        shown |= {name: spaces.Box(-LIMIT, LIMIT, (n,), np.float32) for name in ALIGNMENTS}
    if params.show_embeddings:
        shown["embeddings"] = spaces.Box(-LIMIT, LIMIT, (n * 3 * world.width,), np.float32)
    if params.show_ids:
        sizes = (log.n_users, log.n_items, log.n_items, n_rows)
        shown |= {
            name: spaces.Box(0, size - 1, (n,), np.int64)
            for name, size in zip(IDS, sizes, strict=True)
        }
    bound = LIMIT if params.metric == "Loss" else 1.0
    shown |= {
        "metric": spaces.Box(0, bound, (1,), np.float32),
        "progress": spaces.Box(0, 1, (1,), np.float32),
        "steps_to_measurement": spaces.Discrete(params.measure_every + 1),
        "action_mask": spaces.MultiBinary(n),
    }
    return spaces.Dict(shown)


def of_batch(
    world: World, params: Params, state: State, triplets: Triplets, rows: np.ndarray
) -> dict[str, np.ndarray]:
    """The features (B, n) of the batches that are about to be valued."""
    learner = world.learner
    signals = learner.signals(state.values, triplets)
    shown = {name: limited(getattr(signals, name)) for name in (*SIGNED, *UNSIGNED)}
    if params.show_alignment:
        both = alignments(world, state.values, triplets)
        shown |= {name: limited(found) for name, found in zip(ALIGNMENTS, both, strict=True)}
    shown |= {
        "item_popularity": world.popularity[triplets.item],
        "negative_popularity": world.popularity[triplets.negative],
        "activity": world.activity[triplets.user],
    }
    if params.show_embeddings:
        vectors = learner.embeddings(state.values, triplets)
        shown["embeddings"] = limited(vectors.reshape(len(rows), -1))
    if params.show_ids:
        ids = (triplets.user, triplets.item, triplets.negative, rows)
        shown |= {name: value.copy() for name, value in zip(IDS, ids, strict=True)}
    return shown


def limited(values: np.ndarray) -> np.ndarray:
    """Float32, cut off at ±LIMIT."""
    return np.minimum(np.maximum(values, -LIMIT), LIMIT).astype(np.float32, copy=False)


def alignments(
    world: World, values: np.ndarray, triplets: Triplets
) -> tuple[np.ndarray, np.ndarray]:
    """(B, n) each: ⟨∇ℓ_m, ∇L⟩, how much a step on each triplet lowers the validation loss L.

    By all parameters, and by those alone that stand for items. In units of the mean size in the
    batch, so that they say the same early and late in training.
    """
    learner, held_out = world.learner, world.validation_by_popularity.for_rows(len(values))
    ones = np.ones(held_out.user.shape, dtype=np.float32)
    direction = learner.gradient(values, held_out, ones)
    whole = learner.alignment(values, triplets, direction)
    items = learner.alignment(values, triplets, direction * learner.of_items)
    return _in_units(whole), _in_units(items)


def _in_units(found: np.ndarray) -> np.ndarray:
    return found / np.maximum(np.abs(found).mean(axis=1, keepdims=True), 1e-12)
