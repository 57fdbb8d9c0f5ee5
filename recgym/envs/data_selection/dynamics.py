"""The rules of DataSelection: users select in turn, and are paid by what their move changes."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from gymnasium import spaces
from scipy.special import expit

from recgym.envs.core import Problem, Task, Transition
from recgym.envs.data_selection.actions import KINDS
from recgym.envs.data_selection.retrained import retrained
from recgym.envs.data_selection.rewards import default_weights
from recgym.envs.data_selection.state import Params, State
from recgym.envs.data_selection.telling import Told
from recgym.envs.data_selection.worlds import World
from recgym.evaluators.influence import COSTS, Anchors, Backend, Retrain, Utility

DRAWS = 2**31
EVALUATION_DRAWS = 10


class DataSelection(Problem[State]):
    """The game of the IFRQE paper in turns; a round is a move of every user."""

    task_keys = ("draw",)

    def __init__(self, world: World, params: Params, split: str):
        self.world, self.params, self.split = world, params, split
        self.game = world.game(split)
        data = self.game.data
        self.actions = KINDS[params.action](self.game)
        self.action_space = self.actions.space
        self.weights = default_weights(params)
        self.n_users, self.size, self.width = data.n_users, data.size, self.actions.places.shape[1]
        k = self.width
        shown: dict[str, spaces.Space] = {
            "willingness": spaces.Box(0.0, 1.0, (k,), np.float32),
            "popularity": spaces.Box(0.0, 1.0, (k,), np.float32),
            "score": spaces.Box(0.0, 1.0, (k,), np.float32),
        }
        if params.show_influence:
            shown |= self.told.spaces
        shown |= {
            "selected": spaces.MultiBinary(k),
            "own": spaces.MultiBinary(k),
            "others_kept": spaces.Box(0.0, 1.0, (1,), np.float32),
            "anchor": spaces.Discrete(params.anchors if params.backend == "anchors" else 1),
            "rounds_left": spaces.Discrete(params.rounds + 1),
            "action_mask": spaces.MultiBinary(self.actions.mask(np.zeros(1, int)).shape[1]),
        }
        self.observation_space = spaces.Dict(shown)
        identity = [world.fingerprint, params.to_dict(), split]
        self.fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    @functools.cached_property
    def backend(self) -> Backend:
        """What losses of a selection are taken from while users play."""
        if self.params.backend == "retrain":
            return self.truth
        if self.params.backend == "anchors":
            parts = [self.game.anchor(t, cross=True) for t in range(self.params.anchors)]
            return Anchors(self.game.data, parts)
        return self.game.anchor()

    @functools.cached_property
    def joint_backend(self) -> Backend:
        """The same, where other users' pairs count too in each user's loss."""
        if self.params.backend == "influence":
            return self.game.anchor(cross=True)
        return self.backend

    @functools.cached_property
    def players(self) -> list[str]:
        """Names of the users, in their order."""
        return [f"user_{u}" for u in range(self.n_users)]

    @functools.cached_property
    def truth(self) -> Retrain:
        """Losses by training on each selection."""
        return Retrain(self.game.model)

    @functools.cached_property
    def told(self) -> Told:
        """What users are told with ``show_influence``."""
        return Told(self.game, self.backend)

    @functools.cached_property
    def _score(self) -> np.ndarray:
        """(Z + 1,) float32: σ of each pair's score at the first anchor."""
        game = self.game
        scores = game.model.scores(game.anchor().anchor.theta, game.data.training)[0]
        return np.append(expit(scores), 0).astype(np.float32)

    @functools.cached_property
    def _popularity(self) -> np.ndarray:
        return np.append(self.game.popularity, 0).astype(np.float32)

    def acting(self, state: State) -> np.ndarray:
        """(B,) int64: whose turn it is."""
        return state.moves % self.n_users

    def draw_task(self, rng: np.random.Generator, given: Mapping[str, int]) -> Task:
        draw = given.get("draw")
        if draw is None:
            return {"draw": int(rng.integers(DRAWS))}
        if not 0 <= draw < 3 * DRAWS:
            raise ValueError(f"draw must be in 0..{3 * DRAWS - 1}, got {draw}.")
        return {"draw": draw}

    def evaluation_tasks(self, seed: int) -> list[Task]:
        """Ten draws of the willingness of the split's users, none of which training draws.

        Of validation they are others than of the test.
        """
        first = 2 * DRAWS if self.split == "validation" else DRAWS
        drawn = np.random.default_rng([seed, 7]).integers(first, first + DRAWS, EVALUATION_DRAWS)
        return [{"draw": int(draw)} for draw in drawn]

    def for_split(self, split: str) -> DataSelection:
        if split == self.split:
            return self
        return DataSelection(self.world, self.params, split)

    def start(self, tasks: Sequence[Task], rngs: Sequence[np.random.Generator]) -> State:
        draw = np.array([task["draw"] for task in tasks], dtype=np.int64)
        b = len(draw)
        return State(
            draw=draw,
            selected=np.ones((b, self.size), dtype=bool),
            willingness=np.stack([self.game.willingness(int(d)) for d in draw]),
            moves=np.zeros(b, dtype=np.int64),
            changed=np.zeros(b, dtype=bool),
            over=np.zeros(b, dtype=bool),
            rewards=np.zeros(b),
        )

    def step(
        self, state: State, action: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> Transition[State]:
        user = self.acting(state)
        after = self.applied(state.selected, action, user)
        terms = self._terms(state, after, user)
        changed = state.changed | (after != state.selected).any(axis=1)
        moves = state.moves + 1
        at_end = moves % self.n_users == 0
        over = at_end & (~changed | (moves >= self.params.rounds * self.n_users))
        moved = replace(
            state,
            selected=after,
            willingness=self._drifted(state.willingness, at_end & ~over, rngs),
            moves=moves,
            changed=changed & ~at_end,
            over=state.over | over,
            rewards=state.rewards + self.reward(terms),
        )
        never = np.zeros(len(user), dtype=bool)
        return Transition(moved, terms, over, never, np.zeros(len(user)))

    def joint_step(
        self, state: State, action: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> Transition[State]:
        """A round in one step, actions (B, N, ...): every user is paid the change of her own z_u.

        Terms are (B, N). Losses are levels of the joint selection, in which influences of other
        users' pairs count too.
        """
        b, n = action.shape[:2]
        user = np.tile(np.arange(n), b)
        kept = self.actions.kept(action.reshape(b * n, *action.shape[2:]), user)
        after = kept.reshape(b, n, -1)[:, self.actions.own]  # pairs are sorted by user
        before, now = state.selected.astype(np.float64), after.astype(np.float64)
        losses = self.joint_backend.losses(now) - self.joint_backend.losses(before)
        utility = Utility(self.game.data, state.willingness, 1.0, self.params.cost)
        disclosure = utility.disclosure(now) - utility.disclosure(before)
        terms = {"loss": losses, "disclosure": disclosure}
        if self.params.objective == "social":
            means = {name: value.mean(axis=1, keepdims=True) for name, value in terms.items()}
            terms = {name: np.repeat(mean, n, axis=1) for name, mean in means.items()}
        moves = state.moves + n
        changed = (after != state.selected).any(axis=1)
        over = ~changed | (moves >= self.params.rounds * n)
        moved = replace(
            state,
            selected=after,
            willingness=self._drifted(state.willingness, ~over, rngs),
            moves=moves,
            over=state.over | over,
            rewards=state.rewards
            + np.mean([self.weights[name] * value for name, value in terms.items()], axis=2).sum(0),
        )
        return Transition(moved, terms, over, np.zeros(b, dtype=bool), np.zeros(b))

    def applied(self, selected: np.ndarray, action: np.ndarray, user: np.ndarray) -> np.ndarray:
        """(B, Z) bool: selections (B, Z) after one action of each acting user."""
        kept = self.actions.kept(action, user)
        places = self.actions.places[user]
        after = np.concatenate([selected, np.zeros((len(user), 1), dtype=bool)], axis=1)
        np.put_along_axis(after, places, kept, axis=1)
        return after[:, :-1]

    def _terms(self, state: State, after: np.ndarray, user: np.ndarray) -> dict[str, np.ndarray]:
        moves = state.selected.astype(np.float64), after.astype(np.float64), user
        before, now = (self._disclosed(o, state.willingness, user) for o in (state.selected, after))
        if self.params.objective == "social":
            mean = self.backend.mean_change(*moves)
            return {"loss": mean, "disclosure": (now - before) / self.n_users}
        return {"loss": self.backend.own_change(*moves), "disclosure": now - before}

    def _disclosed(
        self, selected: np.ndarray, willingness: np.ndarray, user: np.ndarray
    ) -> np.ndarray:
        """(B,): what the acting users give away, without λ."""
        zero = np.zeros((len(user), 1))
        places = self.actions.places[user]
        beta = np.take_along_axis(np.concatenate([willingness, zero], axis=1), places, axis=1)
        kept = np.concatenate([selected, zero], axis=1)
        given = (np.take_along_axis(kept, places, axis=1) * beta).sum(axis=1)
        return COSTS[self.params.cost](given, beta.sum(axis=1))

    def _drifted(
        self, willingness: np.ndarray, rows: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> np.ndarray:
        """Users think again between rounds (the paper's future work)."""
        if self.params.drift == 0 or not rows.any():
            return willingness
        found = willingness.copy()
        for row in np.flatnonzero(rows).tolist():
            found[row] += self.params.drift * rngs[row].standard_normal(self.size)
        return np.clip(found, 0.0, 1.0)

    def observe(self, state: State) -> dict[str, np.ndarray]:
        return self._seen(state, np.arange(len(state)), self.acting(state))

    def joint_observations(self, state: State) -> dict[str, np.ndarray]:
        """What every user sees, name → (B, N, ...), each as if it were her turn."""
        b, n = len(state), self.n_users
        seen = self._seen(state, np.repeat(np.arange(b), n), np.tile(np.arange(n), b))
        return {name: value.reshape(b, n, *value.shape[1:]) for name, value in seen.items()}

    def _seen(self, state: State, row: np.ndarray, user: np.ndarray) -> dict[str, np.ndarray]:
        """(V, ...): what users (V,) see in rows (V,) of a state."""
        places, own = self.actions.places[user], self.actions.own[user]
        inside = row[:, None], np.minimum(places, self.size - 1)
        mine = state.selected[inside] & own
        others = self.size - self.game.data.lengths[user]
        kept = state.selected.sum(axis=1)[row] - mine.sum(axis=1)
        shown = {
            "willingness": (state.willingness[inside] * own).astype(np.float32),
            "popularity": self._popularity[places],
            "score": self._score[places],
        }
        if self.params.show_influence:
            shown |= self.told(state.selected[row], user)
        return {
            **shown,
            "selected": mine.astype(np.int8),
            "own": own.astype(np.int8),
            "others_kept": (kept / np.maximum(others, 1)).astype(np.float32)[:, None],
            "anchor": self._nearest(state, row, user),
            "rounds_left": (self.params.rounds - state.moves // self.n_users)[row],
            "action_mask": self.actions.mask(user).astype(np.int8),
        }

    def _nearest(self, state: State, row: np.ndarray, user: np.ndarray) -> np.ndarray:
        """(V,) int64: the anchor of each; 0 without anchors."""
        if self.params.backend != "anchors":
            return np.zeros(len(user), dtype=np.int64)
        return self.backend.nearest(state.selected.astype(np.float64), user, row)

    def action_masks(self, state: State) -> np.ndarray:
        return self.actions.mask(self.acting(state))

    def tasks_of(self, state: State) -> dict[str, np.ndarray]:
        return {"draw": state.draw.copy()}

    def utilities(
        self, selected: np.ndarray, willingness: np.ndarray, losses: np.ndarray
    ) -> np.ndarray:
        """(B, N): z_u for selections (B, Z), willingness (B, Z) and losses (B, N)."""
        p = self.params
        utility = Utility(self.game.data, willingness, p.harm_of_disclosure, p.cost)
        return utility(losses, selected)

    def mean_utility(self, state: State) -> np.ndarray:
        """(B,): mean z of all users by the backend; social rewards are its changes."""
        selected = state.selected.astype(np.float64)
        given = self.utilities(selected, state.willingness, np.zeros((1, self.n_users)))
        return given.mean(axis=1) - self.backend.mean_losses(selected)

    def metrics(self, state: State) -> dict[str, np.ndarray]:
        """Means over the users at the present selection.

        ``z`` and ``loss`` are by the environment's backend; with ``final_retrain`` there are
        ``z_retrained`` and those of :func:`recgym.envs.data_selection.retrained.retrained` by
        training on it. ``wv`` is the mean willingness violation Σ o β, ``kept`` the share of
        interactions that is left.
        """
        selected = state.selected.astype(np.float64)
        losses = self.backend.mean_losses(selected)
        violation = self.game.data.by_user(selected * state.willingness)
        found = {
            "z": self.mean_utility(state),
            "loss": losses,
            "wv": violation.mean(axis=1),
            "kept": state.selected.mean(axis=1),
            "rounds": -(-state.moves // self.n_users) * 1.0,
            "return": state.rewards.copy(),
            "length": state.moves.astype(np.float64),
        }
        if self.params.final_retrain:
            found |= self._retrained(state, selected)
        return found

    def _retrained(self, state: State, selected: np.ndarray) -> dict[str, np.ndarray]:
        found = [retrained(self.game, row) for row in selected]
        losses = np.stack([each for each, _ in found])
        z = self.utilities(selected, state.willingness, losses).mean(axis=1)
        means = {key: np.array([values[key] for _, values in found]) for key in found[0][1]}
        given = z + losses.mean(axis=1)  # less what was disclosed, the same for both items
        return {"z_retrained": z, "z_test": given - means["test_loss"], **means}

    def render(self, state: State, row: int, mode: str):
        from recgym.envs.data_selection import render

        if mode == "ansi":
            return render.ansi(self, state, row)
        return render.rgb_array(self, state, row)
