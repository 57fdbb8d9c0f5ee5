"""Make the pictures of the documentation: python scripts/make_pictures.py [--out docs/images]

InfluencePath: the last frame of one evaluation episode of Rec2Inf, which knows the log alone, on
the default world. HarmMitigation: that of a user to whom the static recommender always offers what
she liked best at first. DataSelection: a user who has selected as IFRQE advises. DataValuation: the
end of an episode in which DVR, which has learnt the alignment of gradients, weighs. Episodes are
chosen to be easy to follow; the average one is less tidy.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

from recgym import agents

TASK = 92  # of evaluation_tasks(0)
DRIFTING = 20
MOVES = 200  # of DataSelection; the last one's user is shown


def influence_path(task: int) -> np.ndarray:
    """(600, 1200, 3) uint8: the end of an episode of Rec2Inf with a final offer."""
    env = gym.make("recgym/InfluencePath-v0", split="test", render_mode="rgb_array")
    core: Any = env.unwrapped
    agent = agents.make("rec2inf", env, final_offer=True)
    observation, _ = env.reset(seed=0, options=core.evaluation_tasks(0)[task])
    over = False
    while not over:
        action, _ = agent.predict(observation, deterministic=True)
        observation, _, over, _, _ = env.step(int(action))
    frame: Any = env.render()
    return frame


def harm_mitigation(task: int) -> np.ndarray:
    """(600, 1200, 3) uint8: the end of an episode of the static recommender."""
    env = gym.make("recgym/HarmMitigation-v0", split="test", render_mode="rgb_array")
    core: Any = env.unwrapped
    agent = agents.make("static", env)
    observation, _ = env.reset(seed=3, options=core.evaluation_tasks(0)[task])
    over = False
    while not over:
        action, _ = agent.predict(observation, deterministic=True)
        observation, _, _, over, _ = env.step(int(action))
    frame: Any = env.render()
    return frame


def data_selection(moves: int) -> np.ndarray:
    """(600, 1200, 3) uint8: the items of a user after IFRQE's move for her."""
    env = gym.make(
        "recgym/DataSelection-v0", split="test", show_influence=True, render_mode="rgb_array"
    )
    core: Any = env.unwrapped
    agent = agents.make("ifrqe", env)
    observation, _ = env.reset(seed=0, options=core.evaluation_tasks(0)[0])
    for _ in range(moves):
        action, _ = agent.predict(observation, deterministic=True)
        observation, *_ = env.step(action)
    frame: Any = env.render()
    return frame


def data_valuation() -> np.ndarray:
    """(600, 1200, 3) uint8: the end of an episode of DVR on alignment amid click spam."""
    env = gym.make(
        "recgym/DataValuation-v0",
        split="test",
        action="weigh",
        show_embeddings=True,
        render_mode="rgb_array",
    )
    core: Any = env.unwrapped
    agent = agents.make("dvr", env, advantage="alignment")
    agent.learn(seed=0)
    observation, _ = env.reset(seed=0, options=core.evaluation_tasks(0)[0])
    over = False
    while not over:
        action, _ = agent.predict(observation, deterministic=True)
        observation, _, over, cut, _ = env.step(action)
        over = over or cut
    frame: Any = env.render()
    return frame


def main() -> None:
    parser = argparse.ArgumentParser(description="make the documentation's pictures")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--task", type=int, default=TASK)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    frames = {
        "influence_path": influence_path(args.task),
        "harm_mitigation": harm_mitigation(DRIFTING),
        "data_selection": data_selection(MOVES),
        "data_valuation": data_valuation(),
    }
    for name, frame in frames.items():
        path = args.out / f"{name}.png"
        image = Image.fromarray(frame)
        small = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
