"""The rules of HarmMitigation: what is consumed, what it costs, and how the profile drifts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from gymnasium import spaces

from recgym.envs.core import Problem, Task, Transition
from recgym.envs.harm_mitigation.actions import actions_of
from recgym.envs.harm_mitigation.rewards import TERMS, default_weights
from recgym.envs.harm_mitigation.state import Params, State
from recgym.envs.harm_mitigation.worlds import World
from recgym.evaluators import choice
from recgym.evaluators.choice import ChoiceModel

STRETCH = 256  # random numbers of a row that are drawn at a time


class HarmMitigation(Problem[State]):
    """Harm mitigation under preference dynamics as a decision problem.

    The state is (u_0, u). All formulas are those of :mod:`recgym.evaluators.choice`.
    """

    task_keys = ("user",)

    def __init__(self, world: World, model: ChoiceModel, params: Params, split: str):
        self.world, self.model, self.params, self.split = world, model, params, split
        self.users = world.users_of(split)
        self.weights = default_weights(params)
        self.actions = actions_of(model, params)
        self.action_space = self.actions.space
        self.budget = params.budget if params.constrained else None
        self._uniforms = self.actions.uniforms + 2 + (model.explore > 0)
        self._stretch = max(1, min(params.horizon, STRETCH // self._uniforms))
        low, high = model.bounds(world.inherent)
        box = spaces.Box(_down(low), -_down(-high), dtype=np.float32)
        n, length = model.n_items, params.history_length
        seen: dict[str, spaces.Space] = {"profile": box, "inherent": box}
        if params.observation == "history":
            seen = {
                "history": spaces.Box(0, n, (length,), np.int64),
                "clicked": spaces.MultiBinary(length),
            }
        if params.time_aware:
            seen["steps_left"] = spaces.Discrete(params.horizon + 1)
        seen["action_mask"] = spaces.MultiBinary(self.actions.mask(1).shape[1])
        self.observation_space = spaces.Dict(seen)
        identity = [world.fingerprint, model.fingerprint, params.to_dict(), split]
        self.fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def draw_task(self, rng: np.random.Generator, given: Mapping[str, int]) -> Task:
        user = given.get("user")
        if user is None:
            return {"user": int(self.users[rng.integers(len(self.users))])}
        if not 0 <= user < self.world.n_users:
            raise ValueError(f"user must be in 0..{self.world.n_users - 1}, got {user}.")
        return {"user": user}

    def tasks(self) -> list[Task]:
        return [{"user": int(user)} for user in self.users]

    def evaluation_tasks(self, seed: int) -> list[Task]:
        """Every test user once (on the validation split, every validation user), in order."""
        judge = self if self.split == "validation" else self.for_split("test")
        return judge.tasks()

    def for_split(self, split: str) -> HarmMitigation:
        if split == self.split:
            return self
        return HarmMitigation(self.world, self.model, self.params, split)

    def start(self, tasks: Sequence[Task], rngs: Sequence[np.random.Generator]) -> State:
        user = np.array([task["user"] for task in tasks], dtype=np.int64)
        b, d, t = len(user), self.model.width, self.params.horizon
        inherent = self.world.inherent[user]
        drawn, averaged = (t, 0) if self.params.response == "stochastic" else (0, t)
        path = np.zeros((b, averaged + 1 if averaged else 0, d), dtype=np.float32)
        path[:, :1] = inherent[:, None]
        return State(
            user=user,
            inherent=inherent,
            profile=inherent.copy(),
            steps=np.zeros(b, dtype=np.int64),
            draws=self._draw(rngs),
            consumed=np.full((b, drawn), self.model.n_items, dtype=np.int32),
            clicked=np.zeros((b, drawn), dtype=bool),
            path=path,
            rates=np.zeros((b, averaged, 2), dtype=np.float32),
            totals=np.zeros((b, len(TERMS) + 2)),
            rewards=np.zeros(b),
        )

    def _draw(self, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """(B, C, m): the random numbers of a row's next C steps; one call for each generator."""
        shape = (self._stretch if self.params.response == "stochastic" else 0, self._uniforms)
        return np.stack([rng.random(shape) for rng in rngs])

    def step(
        self, state: State, action: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> Transition[State]:
        move = self._sampled if self.params.response == "stochastic" else self._expected
        moved, click, harm, offer, rates = move(state, action)
        terms = {
            "click": click,
            "harm": harm,
            "exposure": offer.shown if self.params.harm == "exposure" else np.zeros(len(action)),
            "invalid": offer.dropped,
        }
        steps = state.steps + 1
        moved = replace(
            moved,
            steps=steps,
            draws=self._refilled(state.draws, steps, rngs),
            totals=state.totals + np.stack([*(terms[name] for name in TERMS), *rates], axis=1),
            rewards=state.rewards + self.reward(terms),
        )
        over, never = steps >= self.params.horizon, np.zeros(len(action), dtype=bool)
        ends = (over, never) if self.params.time_aware else (never, over)
        cost = harm + terms["exposure"]
        return Transition(moved, terms, ends[0], offer.dropped > 0, cost, truncated=ends[1])

    def _sampled(self, state: State, action: np.ndarray):
        """Each user consumes one item."""
        rows, before = np.arange(len(action)), self.actions.uniforms
        draws = state.draws[rows, state.steps % self._stretch]
        offer = self.actions.offer(action, draws[:, :before])
        scores = self.model.scores(state.profile)
        made = choice.choose(self.model, scores, offer.offered, draws[:, before:])
        consumed, clicked = state.consumed.copy(), state.clicked.copy()
        consumed[rows, state.steps], clicked[rows, state.steps] = made.consumed, made.clicked
        profile = self.model.move(state.profile, state.inherent, made.consumed)
        moved = replace(state, profile=profile, consumed=consumed, clicked=clicked)
        harm = self.model.harm[made.consumed]
        return moved, made.clicked.astype(np.float64), harm, offer, (made.click, made.harm)

    def _expected(self, state: State, action: np.ndarray):
        """Each user is moved by the mean of what she would consume."""
        offer = self.actions.offer(action, np.zeros((len(action), 0)))
        scores = self.model.scores(state.profile)
        clicks = self.actions.clicks(action, scores, offer)
        probability = self.model.consumption(scores, clicks)
        click = (1 - self.model.explore) * clicks.sum(axis=1)
        harm = probability @ self.model.harm
        profile = self.model.expected_move(state.profile, state.inherent, probability)
        rows, path, rates = np.arange(len(action)), state.path.copy(), state.rates.copy()
        path[rows, state.steps + 1] = profile
        rates[rows, state.steps] = np.stack([click, harm], axis=1)
        moved = replace(state, profile=profile, path=path, rates=rates)
        return moved, click, harm, offer, (click, harm)

    def _refilled(
        self, draws: np.ndarray, steps: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """With new numbers for the rows that have used up theirs and go on."""
        spent = (steps % self._stretch == 0) & (steps < self.params.horizon)
        if not spent.any():
            return draws
        draws = draws.copy()
        draws[spent] = self._draw([rngs[row] for row in np.flatnonzero(spent).tolist()])
        return draws

    def observe(self, state: State) -> dict[str, np.ndarray]:
        if self.params.observation == "history":
            seen = self._history(state)
        else:
            seen = {
                "profile": state.profile.astype(np.float32),
                "inherent": state.inherent.astype(np.float32),
            }
        if self.params.time_aware:
            seen["steps_left"] = self.params.horizon - state.steps
        return {**seen, "action_mask": self.actions.mask(len(state)).view(np.int8)}

    def _history(self, state: State) -> dict[str, np.ndarray]:
        """The latest items consumed, pre-padded with N, and whether each was clicked."""
        length = self.params.history_length
        place = state.steps[:, None] + np.arange(-length, 0)
        inside, index = place >= 0, np.maximum(place, 0)
        items = np.take_along_axis(state.consumed, index, axis=1).astype(np.int64)
        clicked = np.take_along_axis(state.clicked, index, axis=1) & inside
        return {
            "history": np.where(inside, items, self.model.n_items),
            "clicked": clicked.astype(np.int8),
        }

    def action_masks(self, state: State) -> np.ndarray:
        return self.actions.mask(len(state))

    def tasks_of(self, state: State) -> dict[str, np.ndarray]:
        return {"user": state.user.copy()}

    def metrics(self, state: State) -> dict[str, np.ndarray]:
        """Means over the steps so far; NaN before the first.

        p_CLK and p_H are the probabilities at each step, of which CTR and harm are draws. The
        objective is f = p_CLK − λ p_H, less λ times the exposure where that counts.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (state.totals / state.steps[:, None]).T.copy()
        click, harm, exposure, invalid, p_click, p_harm = means
        weight = self.params.harm_weight
        found = {
            "objective": p_click - weight * (p_harm + exposure),
            "p_CLK": p_click,
            "p_H": p_harm,
            "CTR": click,
            "harm": harm + exposure,
            "drift": np.linalg.norm(state.profile - state.inherent, axis=1),
            "return": state.rewards.copy(),
            "length": state.steps.astype(np.float64),
            "invalid": invalid,
        }
        if self.budget is not None:
            found["violation"] = np.maximum(harm + exposure - self.budget, 0.0)
        return found

    def render(self, state: State, row: int, mode: str):
        from recgym.envs.harm_mitigation import render

        if mode == "ansi":
            return render.ansi(self, state, row)
        return render.rgb_array(self, state, row)


def _down(values: np.ndarray) -> np.ndarray:
    """The next float32 below, so that rounding keeps observations inside their bounds."""
    return np.nextafter(values.astype(np.float32), np.float32(-np.inf))
