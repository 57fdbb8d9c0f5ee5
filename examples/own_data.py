"""Your own log as a world: a CSV in, an episode out.

The file needs `user_id` and `item_id`; `timestamp` and `rating` are used where present, and an
`items.csv` with `item_id, title, genres` beside it gives the items names. Without a file this
script writes a small one first: a made-up music shop whose customers drift between styles.

    python examples/own_data.py
    python examples/own_data.py --path my_purchases.csv
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import gymnasium as gym
import numpy as np

from recgym import agents, data

STYLES = ("Folk", "Country", "Rock", "Punk", "Metal")
PER_STYLE = 24


def write_shop(folder: Path, seed: int = 0) -> Path:
    """``interactions.csv`` of 300 customers with 30 purchases each, ``items.csv`` beside it."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    with open(folder / "items.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["item_id", "title", "genres"])
        for item in range(len(STYLES) * PER_STYLE):
            style = STYLES[item // PER_STYLE]
            table.writerow([f"sku-{item}", f"{style} record {item % PER_STYLE + 1}", style])
    with open(folder / "interactions.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["user_id", "item_id", "timestamp"])
        for customer in range(300):
            style = int(rng.integers(len(STYLES)))
            for day in range(30):
                style = int(np.clip(style + rng.choice([-1, 0, 0, 0, 1]), 0, len(STYLES) - 1))
                within = min(int(rng.exponential(8)), PER_STYLE - 1)
                table.writerow([customer, f"sku-{style * PER_STYLE + within}", day * 86_400])
    return folder  # the folder, so that both files are read


def play(path: Path, seed: int) -> dict[str, float]:
    """One episode of Rec2Inf against a first-order Markov customer; returns its metrics."""
    env = gym.make(
        "recgym/InfluencePath-v0",
        dataset=str(path),
        evaluator="markov",
        split="test",
        horizon=10,
        render_mode="ansi",
    )
    agent = agents.make("rec2inf", env, backbone="cooccurrence", k=10, final_offer=True)
    observation, info = env.reset(seed=seed)
    over = False
    while not over:
        action, _ = agent.predict(observation, deterministic=True)
        observation, _, over, _, info = env.step(int(action))
    print(env.render())
    return info["metrics"]


def main() -> None:
    parser = argparse.ArgumentParser(description="a CSV of your own as a world")
    parser.add_argument("--path", type=Path, help="CSV, TSV or Parquet; default a made-up shop")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.path or write_shop(Path(folder) / "music-shop")
        log = data.read(path)
        print(log)
        metrics = play(path, args.seed)
    print("  ".join(f"{name} {value:.3g}" for name, value in metrics.items()))


if __name__ == "__main__":
    main()
