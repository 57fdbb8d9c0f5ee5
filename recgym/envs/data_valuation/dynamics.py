"""The rules of DataValuation: a batch, what is learnt from it, and what a metric says of that."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from recgym.envs.core import Problem, Task, Transition
from recgym.envs.data_valuation import observations
from recgym.envs.data_valuation.measuring import Measure, separation
from recgym.envs.data_valuation.rewards import default_weights
from recgym.envs.data_valuation.state import DIRECTIONS, Params, State
from recgym.envs.data_valuation.streams import batch_of
from recgym.envs.data_valuation.worlds import World
from recgym.evaluators.learner import Triplets, Weights

STREAMS = 2**31
EVALUATION_STREAMS = 5
SPLITS = ("train", "validation", "test")


class DataValuation(Problem[State]):
    """A step selects from a batch, trains on what was selected, and measures every K steps.

    Splits differ in the order in which the data come (the streams): agents learn on some and are
    judged on others. All metrics that pay are of the validation part.
    """

    task_keys = ("stream", "report_test")

    def __init__(self, world: World, params: Params, split: str):
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
        self.world, self.params, self.split = world, params, split
        self.weights = default_weights(params)
        self.measure = Measure(world, params.metric, params.k)
        self._latest: tuple[tuple, Any] = (), None
        self.stream(0)  # says so if the batch is too large
        n = params.batch
        if params.action == "select":
            self.action_space = spaces.MultiBinary(n)
        else:
            self.action_space = spaces.Box(-1.0, 1.0, (n,), np.float32)
        self.observation_space = observations.space(world, params, len(world.rows[0]))
        identity = [world.fingerprint, params.to_dict(), split]
        self.fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def stream(self, number: int):
        """The order of the training data in an episode."""
        return self.world.stream(number, self.params.batch)

    @functools.cached_property
    def first_measurement(self) -> float:
        """The metric of the warm recommender, from which every episode starts."""
        return float(self.measure(self.world.warm.values)[0])

    def draw_task(self, rng: np.random.Generator, given: Mapping[str, int]) -> Task:
        stream = given.get("stream")
        if stream is None:
            stream = int(rng.integers(STREAMS))
        if not 0 <= stream < 3 * STREAMS:
            raise ValueError(f"stream must be in 0..{3 * STREAMS - 1}, got {stream}.")
        report = given.get("report_test", 0)
        if report not in (0, 1):
            raise ValueError(f"report_test must be False or True, got {report}.")
        return {"stream": stream, "report_test": report}

    def given_tasks(self, options: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
        report = np.asarray(options.get("report_test", 0))
        if report.dtype == bool:
            options = {**options, "report_test": report.astype(np.int64)}
        return super().given_tasks(options, rows)

    def evaluation_tasks(self, seed: int) -> list[Task]:
        """Five streams that training never draws, with the test data in the final metrics.

        Those of the validation split are others than those of the test split.
        """
        low = STREAMS if self.split == "validation" else 2 * STREAMS
        drawn = np.random.default_rng([seed, 7]).integers(low, low + STREAMS, EVALUATION_STREAMS)
        return [{"stream": int(s), "report_test": int(self.split == "test")} for s in drawn]

    def for_split(self, split: str) -> DataValuation:
        if split == self.split:
            return self
        return DataValuation(self.world, self.params, split)

    def start(self, tasks: Sequence[Task], rngs: Sequence[np.random.Generator]) -> State:
        b, p, warm = len(tasks), self.params, self.world.warm
        measured = np.full((b, p.steps // p.measure_every + 1), np.nan)
        measured[:, 0] = self.first_measurement
        return State(
            stream=np.array([task["stream"] for task in tasks], dtype=np.int64),
            report_test=np.array([task["report_test"] for task in tasks], dtype=np.int64),
            step=np.zeros(b, dtype=np.int64),
            values=np.repeat(warm.values, b, axis=0),
            first=np.repeat(warm.first, b, axis=0),
            second=np.repeat(warm.second, b, axis=0),
            optimiser_steps=np.repeat(warm.steps, b),
            measured=measured,
            last_weights=np.full((b, p.batch), np.nan, dtype=np.float32),
            kept=np.zeros(b),
            separation=np.zeros(b),
            separable=np.zeros(b, dtype=np.int64),
            rewards=np.zeros(b),
        )

    def batch(self, state: State) -> tuple[Triplets, np.ndarray]:
        """(the triplets, their rows of the training data (B, n)) that are to be valued now."""
        place = tuple(zip(state.stream.tolist(), state.step.tolist(), strict=True))
        latest, made = self._latest  # asked for when it is seen, learnt from and told of
        if place != latest:
            self.world.epochs.rows = len(place)
            found = [self.stream(stream).batch(step) for stream, step in place]
            triplets, rows = zip(*found, strict=True)
            made = batch_of(list(triplets)), np.stack(rows)
            self._latest = place, made
        return made

    def kept(self, action: np.ndarray) -> np.ndarray:
        """(B, n) float32 in [0, 1]: how much of each triplet is learnt from."""
        if self.params.action == "select":
            return action.astype(np.float32)
        return ((action + 1) / 2).astype(np.float32)

    def advanced(self, state: State, kept: np.ndarray, *, reuse: bool = False) -> State:
        """After learning from the present batches with weights (B, n), without measuring.

        With ``reuse`` the recommenders stand in the memory of ``state``, whose own are gone.
        """
        before = Weights(state.values, state.first, state.second, state.optimiser_steps)
        after = self.world.learner.step(before, self.batch(state)[0], kept, reuse=reuse)
        return replace(
            state,
            step=state.step + 1,
            values=after.values,
            first=after.first,
            second=after.second,
            optimiser_steps=after.steps,
        )

    def step(
        self, state: State, action: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> Transition[State]:
        return self._step(state, action, reuse=False)

    def step_over(
        self, state: State, action: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> Transition[State]:
        return self._step(state, action, reuse=True)

    def _step(self, state: State, action: np.ndarray, *, reuse: bool) -> Transition[State]:
        p, b = self.params, len(state)
        kept = self.kept(action)
        rows = self.batch(state)[1]
        learnt = self.advanced(state, kept, reuse=reuse)
        step = learnt.step
        measured, gain = state.measured.copy(), np.zeros(b)
        due = np.flatnonzero(step % p.measure_every == 0)
        if len(due):
            place = step[due] // p.measure_every
            measured[due, place] = self.measure(learnt.values[due])
            change = measured[due, place] - measured[due, place - 1]
            gain[due] = 100 * DIRECTIONS[p.metric] * change
        terms = {"gain": gain, "kept": kept.mean(axis=1).astype(np.float64)}
        planted = self.world.rows[2][rows]
        found, defined = separation(kept, planted)
        moved = replace(
            learnt,
            measured=measured,
            last_weights=kept,
            kept=state.kept + kept.sum(axis=1),
            separation=state.separation + found,
            separable=state.separable + defined,
            rewards=state.rewards + self.reward(terms),
        )
        over, never = step >= p.steps, np.zeros(b, dtype=bool)
        shown = {"planted": planted} if self.world.noise is not None else None
        return Transition(moved, terms, over, never, np.zeros(b), info=shown)

    def observe(self, state: State) -> dict[str, np.ndarray]:
        p = self.params
        triplets, rows = self.batch(state)
        since = state.step % p.measure_every
        latest = state.measured[np.arange(len(state)), state.step // p.measure_every]
        return {
            **observations.of_batch(self.world, p, state, triplets, rows),
            "metric": observations.limited(latest)[:, None],
            "progress": (state.step / p.steps).astype(np.float32)[:, None],
            "steps_to_measurement": p.measure_every - since,
            "action_mask": self.action_masks(state).astype(np.int8),
        }

    def action_masks(self, state: State) -> np.ndarray:
        return np.ones((len(state), self.params.batch), dtype=bool)

    def tasks_of(self, state: State) -> dict[str, np.ndarray]:
        return {"stream": state.stream.copy(), "report_test": state.report_test.copy()}

    def metrics(self, state: State) -> dict[str, np.ndarray]:
        """Metrics of the recommender as it is now, on validation data.

        With ``report_test``, those on test data too, by name such as ``test_NDCG``. ``AUC`` says
        how well the actions told true interactions from planted ones: the mean over batches of the
        chance that a true one weighed more than a planted one, ties counting half.
        """
        found = self.measure.everything(state.values)
        tested = state.report_test == 1
        if tested.any():
            for name, value in self.measure.everything(state.values[tested], test=True).items():
                found[f"test_{name}"] = np.full(len(state), np.nan)
                found[f"test_{name}"][tested] = value
        with np.errstate(invalid="ignore"):
            auc = np.where(state.separable > 0, state.separation / state.separable, np.nan)
        return {
            **found,
            "AUC": auc,
            "kept": state.kept / np.maximum(state.step * self.params.batch, 1),
            "return": state.rewards.copy(),
            "length": state.step.astype(np.float64),
        }

    def render(self, state: State, row: int, mode: str):
        from recgym.envs.data_valuation import render

        if mode == "ansi":
            return render.ansi(self, state, row)
        return render.rgb_array(self, state, row)
