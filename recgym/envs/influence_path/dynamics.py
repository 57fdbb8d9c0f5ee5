"""The rules of InfluencePath: what a recommendation does to a simulated user."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from gymnasium import spaces
from scipy.special import logsumexp

from recgym.data.log import InteractionLog
from recgym.data.splits import windows
from recgym.envs.core import Problem, Task, Transition
from recgym.envs.influence_path import objectives
from recgym.envs.influence_path.instances import Instances
from recgym.envs.influence_path.rewards import TERMS, default_weights, log_acceptance
from recgym.envs.influence_path.sets import SetInstances
from recgym.envs.influence_path.state import Params, State
from recgym.evaluators import ranking
from recgym.evaluators.sequence import SequenceEvaluator


class InfluencePath(Problem[State]):
    """IRS as a decision problem (Zhu et al., "Influential Recommender System", ICDE 2023).

    The state is (user, history ⊕ path, objective, steps left). Equation numbers are the paper's.
    An objective may be a set of items: P of the set is the sum over its members, and any of them
    reaches it. A set of one is the item, to the last bit.
    """

    def __init__(
        self,
        log: InteractionLog,
        evaluator: SequenceEvaluator,
        instances: Instances,
        params: Params,
    ):
        if evaluator.n_items != log.n_items:
            raise ValueError(
                f"Evaluator {evaluator.name!r} knows {evaluator.n_items:,} items, data set "
                f"{log.name!r} has {log.n_items:,}. Train one on these data: "
                f"recgym train evaluator --dataset {log.name} --model MODEL"
            )
        self.log, self.evaluator, self.instances, self.params = log, evaluator, instances, params
        self.sets = instances.sets if isinstance(instances, SetInstances) else None
        self.task_keys = ("user", self.sets.key if self.sets else "objective", "cut")
        self.split = instances.split
        self.weights = default_weights(params)
        self.may_refuse = params.acceptance == "sampled"
        self._window = max(params.history_length, evaluator.length)
        n = log.n_items
        self.action_space = spaces.Discrete(n)
        self.observation_space = spaces.Dict(
            {
                "user": spaces.Discrete(log.n_users),
                "history": spaces.Box(0, n, (params.history_length,), np.int64),
                "objective": spaces.Discrete(n),
                **({"objective_set": spaces.MultiBinary(n)} if self.sets else {}),
                "steps_left": spaces.Discrete(params.horizon + 1),
                "last_accepted": spaces.Discrete(2),
                "action_mask": spaces.MultiBinary(n),
            }
        )
        identity = [log.fingerprint, evaluator.fingerprint, evaluator.tau, params.to_dict()]
        identity += [self.split, instances.objectives.tolist()]
        self.fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def draw_task(self, rng: np.random.Generator, given: Mapping[str, int]) -> Task:
        return self.instances.draw(rng, given)

    def evaluation_tasks(self, seed: int) -> list[Task]:
        return self.instances.evaluation_tasks(seed)

    def for_split(self, split: str) -> InfluencePath:
        instances = self.instances.for_split(split)
        return InfluencePath(self.log, self.evaluator, instances, self.params)

    def start(self, tasks: Sequence[Task], rngs: Sequence[np.random.Generator]) -> State:
        b, n, m = len(tasks), self.log.n_items, self.params.horizon
        user, target, cut = (np.array([t[key] for t in tasks]) for key in self.task_keys)
        stops = self.log.offsets[user] + cut
        tokens = windows(self.log, stops, user, self._window)
        seen = np.zeros((b, n), dtype=bool)
        events = np.concatenate(
            [np.arange(a, z) for a, z in zip(self.log.offsets[user], stops, strict=True)]
        )
        seen[np.repeat(np.arange(b), cut), self.log.item[events]] = True
        objective, members = target, np.zeros((b, 0), dtype=bool)
        if self.sets is not None:
            members = self.sets.members[target] & ~seen
            objective = np.where(members, self.log.popularity, -1).argmax(axis=1)
        log_prob = self.evaluator.log_prob(tokens)
        curve = np.zeros((b, m + 1), dtype=np.float32)
        curve[:, 0] = self._objective_log_prob(log_prob, objective, members)
        # one threshold for each (episode, item): offering an item again does not help by itself
        sampled = self.params.acceptance == "sampled"
        threshold = [rng.random(n if sampled else 0, dtype=np.float32) for rng in rngs]
        return State(
            user=user,
            target=target,
            objective=objective,
            members=members,
            cut=cut,
            tokens=tokens,
            seen=seen,
            steps=np.zeros(b, dtype=np.int64),
            path=np.full((b, m), n, dtype=np.int64),
            accepted=np.zeros((b, m), dtype=bool),
            last_accepted=np.ones(b, dtype=bool),
            log_prob=log_prob,
            threshold=np.stack(threshold),
            objective_curve=curve,
            follow_curve=np.zeros((b, m), dtype=np.float32),
            first_rank=self._rank(log_prob, objective, members, seen),
            totals=np.zeros((b, len(TERMS))),
            rewards=np.zeros(b),
        )

    def step(
        self, state: State, action: np.ndarray, rngs: Sequence[np.random.Generator]
    ) -> Transition[State]:
        rows = np.arange(len(action))
        legal = self.action_masks(state)[rows, action]
        item_log_prob = state.log_prob[rows, action]
        follow = log_acceptance(item_log_prob, self.evaluator.tau)
        if self.params.acceptance == "sampled":
            accepted = legal & (np.exp(follow) >= state.threshold[rows, action])
        else:
            accepted = legal
        meant = state.members[rows, action] if self.sets else action == state.objective
        success = accepted & meant
        acceptance = np.exp(follow) if self.params.acceptance == "passive" else 1.0
        if not legal.all():
            # a seen item is as unnatural as the least likely legal one, and more (`invalid`)
            least = np.where(state.seen, np.inf, state.log_prob).min(axis=1)
            follow = np.where(legal, follow, log_acceptance(least, self.evaluator.tau))

        moved = self._move(state, action, accepted, success, follow)
        interest = (
            moved.objective_curve[rows, moved.steps] - state.objective_curve[rows, state.steps]
        )
        terms = {
            "interest": interest.astype(np.float64),
            "follow": follow.astype(np.float64),
            "accepted_success": (success * acceptance).astype(np.float64),
            "invalid": (~legal).astype(np.float64),
            "log_prob": np.where(accepted, item_log_prob, 0.0).astype(np.float64),
            "success": success.astype(np.float64),
        }
        totals = state.totals + np.stack([terms[name] for name in TERMS], axis=1)
        moved = replace(moved, totals=totals, rewards=state.rewards + self.reward(terms))
        terminated = success | (moved.steps >= self.params.horizon)
        cost = np.where(legal, 1.0 - np.exp(follow), 1.0).astype(np.float64)
        return Transition(moved, terms, terminated, ~legal, cost)

    def _move(self, state, action, accepted, success, follow) -> State:
        """The user takes what she accepts; one evaluator call for the rows whose P changes."""
        rows = np.arange(len(action))
        path, taken = state.path.copy(), state.accepted.copy()
        path[rows, state.steps], taken[rows, state.steps] = action, accepted
        seen, tokens = state.seen.copy(), state.tokens.copy()
        seen[rows[accepted], action[accepted]] = True
        tokens[accepted, :-1] = tokens[accepted, 1:]
        tokens[accepted, -1] = action[accepted]
        # IoI is taken at the path without the objective: after success P stays as it was
        changed = accepted & ~success
        log_prob = state.log_prob
        if changed.all():
            log_prob = self.evaluator.log_prob(tokens)
        elif changed.any():
            log_prob = log_prob.copy()
            log_prob[changed] = self.evaluator.log_prob(tokens[changed])
        curve, follow_curve = state.objective_curve.copy(), state.follow_curve.copy()
        steps = state.steps + 1
        curve[rows, steps] = self._objective_log_prob(log_prob, state.objective, state.members)
        follow_curve[rows, state.steps] = follow
        return replace(
            state,
            tokens=tokens,
            seen=seen,
            steps=steps,
            path=path,
            accepted=taken,
            last_accepted=accepted,
            log_prob=log_prob,
            objective_curve=curve,
            follow_curve=follow_curve,
        )

    def _objective_log_prob(
        self, log_prob: np.ndarray, objective: np.ndarray, members: np.ndarray
    ) -> np.ndarray:
        """(B,): log P of the objective, of a set log Σ P over its members."""
        if self.sets is None:
            return log_prob[np.arange(len(objective)), objective]
        return logsumexp(np.where(members, log_prob, -np.inf), axis=1)

    def _rank(
        self, log_prob: np.ndarray, objective: np.ndarray, members: np.ndarray, seen: np.ndarray
    ) -> np.ndarray:
        """(B,): the objective's rank among unseen items, of a set that of its likeliest member."""
        if self.sets is not None:
            objective = np.where(members, log_prob, -np.inf).argmax(axis=1)
            seen = seen | members
        return ranking.ranks(log_prob, objective, seen)

    def observe(self, state: State) -> dict[str, np.ndarray]:
        return {
            "user": state.user.copy(),
            "history": state.tokens[:, self._window - self.params.history_length :].copy(),
            "objective": state.objective.copy(),
            **({"objective_set": state.members.astype(np.int8)} if self.sets else {}),
            "steps_left": self.params.horizon - state.steps,
            "last_accepted": state.last_accepted.astype(np.int64),
            "action_mask": self.action_masks(state).view(np.int8),
        }

    def action_masks(self, state: State) -> np.ndarray:
        if self.params.repeats == "allowed":
            return np.ones_like(state.seen)
        return ~state.seen

    def targets(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        return objectives.members(observation)

    def keys(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """(B, K) int64: objective, steps left, legal items, and what of the history P looks at."""
        if self.params.acceptance != "passive":
            raise ValueError("Latent thresholds are not observed: only passive users are finite.")
        if self.evaluator.length > self.params.history_length:
            raise ValueError(
                f"P looks at {self.evaluator.length} items, the observation shows "
                f"{self.params.history_length}. Raise history_length."
            )
        history = observation["history"][:, -self.evaluator.length :]
        objective = observation["objective_set"] if self.sets else observation["objective"][:, None]
        steps, mask = observation["steps_left"][:, None], observation["action_mask"]
        return np.concatenate([objective, steps, history, mask], axis=1)

    def tasks(self) -> list[Task]:
        return self.instances.tasks()

    def tasks_of(self, state: State) -> dict[str, np.ndarray]:
        values = state.user, state.target, state.cut
        return {key: value.copy() for key, value in zip(self.task_keys, values, strict=True)}

    def metrics(self, state: State) -> dict[str, np.ndarray]:
        """SR (Eq. 11), IoI (Eq. 12), IoR (Eq. 13), log PPL (Eq. 14) and companions.

        SR@1 is success by the first recommendation, SR_acc the share that a user would accept.
        IoI and IoR are taken at the path without the objective; the rank of a set is that of its
        likeliest member among the other unseen items. log PPL is NaN for an empty path.
        """
        total = dict(zip(TERMS, state.totals.T.copy(), strict=True))
        length = state.accepted.sum(axis=1)
        log_prob = total["log_prob"]
        if self.params.ppl == "with_objective":
            missing = total["success"] == 0
            last = state.objective_curve[np.arange(len(length)), state.steps]
            log_prob, length = log_prob + missing * last, length + missing
        rank = self._rank(state.log_prob, state.objective, state.members, state.seen)
        with np.errstate(invalid="ignore", divide="ignore"):
            log_ppl = -log_prob / length
        return {
            "return": state.rewards.copy(),
            "length": state.steps.astype(np.float64),
            "SR": total["success"],
            "SR@1": total["success"] * (state.steps == 1),
            "SR_acc": total["accepted_success"],
            "IoI": total["interest"],
            "IoR": (state.first_rank - rank).astype(np.float64),
            "log_ppl": log_ppl,
            "follow": total["follow"],
            "invalid": total["invalid"],
        }

    def render(self, state: State, row: int, mode: str):
        from recgym.envs.influence_path import render

        if mode == "ansi":
            return render.ansi(self, state, row)
        return render.rgb_array(self, state, row)
