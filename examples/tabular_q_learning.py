"""Q-learning on the tiny world, against the exact optimum.

`recgym/InfluencePathTiny-v0` has twelve items and a first-order Markov user, so that dynamic
programming knows the best return. Regret is normalised: 0 is the optimum, 1 a uniform choice among
legal items. The world is deterministic, hence the learning rate of 1.

    python examples/tabular_q_learning.py
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Any

import gymnasium as gym
import numpy as np

import recgym  # noqa: F401  (registers the environments)
from recgym.testing import optimum

ROWS = 64  # episodes side by side
UNTRIED = -20.0  # below the return of any legal path: a greedy policy keeps to what it knows
EXPLORATION = 0.5


def states_of(observation: dict[str, np.ndarray]) -> list[bytes]:
    """One key for each row. With one objective, these three say all about the future."""
    parts = observation["history"][:, -1:], observation["action_mask"], observation["steps_left"]
    return [row.tobytes() for row in np.column_stack(parts).astype(np.int8)]


def greedy(q: dict[bytes, np.ndarray], observation: dict[str, np.ndarray]) -> np.ndarray:
    """(B,): the best legal items so far."""
    values = np.stack([q[state] for state in states_of(observation)])
    return np.where(observation["action_mask"], values, -np.inf).argmax(axis=1)


def score(env: gym.Env, q: dict[bytes, np.ndarray]) -> float:
    """Mean return of the greedy policy over the users, each with the training objective."""
    core: Any = env.unwrapped
    returns = []
    for task in core.problem.tasks():
        observation, _ = env.reset(options=task)
        over, total = False, 0.0
        while not over:
            batch = {key: np.asarray(value)[None] for key, value in observation.items()}
            observation, reward, over, _, _ = env.step(int(greedy(q, batch)[0]))
            total += float(reward)
        returns.append(total)
    return float(np.mean(returns))


def main() -> None:
    parser = argparse.ArgumentParser(description="Q-learning on the tiny world")
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    env = gym.make("recgym/InfluencePathTiny-v0")
    exact = optimum(env)
    print(
        f"{exact.tabular.n_states:,} states; return of the optimum {exact.value:.3f}, "
        f"of a uniform choice {exact.random_value:.3f}, of the worst {exact.worst_value:.3f}"
    )
    venv = gym.make_vec("recgym/InfluencePathTiny-v0", num_envs=ROWS, autoreset_mode="SameStep")
    rng = np.random.default_rng(args.seed)
    q: dict[bytes, np.ndarray] = defaultdict(lambda: np.full(exact.tabular.n_actions, UNTRIED))
    observation, _ = venv.reset(seed=args.seed)
    updates = args.steps // ROWS
    for update in range(1, updates + 1):
        legal = observation["action_mask"] > 0
        anything = np.where(legal, rng.random(legal.shape), -1).argmax(axis=1)
        action = np.where(rng.random(ROWS) < EXPLORATION, anything, greedy(q, observation))
        states = states_of(observation)
        observation, reward, over, _, _ = venv.step(action)
        legal = observation["action_mask"] > 0
        for row, following in enumerate(states_of(observation)):
            # a row that is over shows the first observation of its next episode
            future = 0.0 if over[row] else q[following][legal[row]].max()
            q[states[row]][action[row]] = reward[row] + future
        if update % max(1, updates // 10) == 0:
            mean = score(env, q)
            regret = abs(round(exact.regret(mean), 4))
            print(f"step {update * ROWS:8,}  return {mean:6.3f}  normalised regret {regret:.4f}")


if __name__ == "__main__":
    main()
