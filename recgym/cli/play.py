"""``recgym play``: one evaluation episode of an agent, shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from recgym.benchmark import making
from recgym.benchmark.files import BenchmarkError

MODES = ("ansi", "rgb_array", "human")


def play_episode(
    env_id: str,
    agent_name: str,
    *,
    render: str = "ansi",
    seed: int = 0,
    out: Path | None = None,
    timesteps: int | None = None,
    config: dict[str, Any] | None = None,
    env_kwargs: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Train where the agent learns, play evaluation task ``seed``, show it; returns its metrics.

    Raises:
        BenchmarkError: an unknown environment, agent, render mode or argument.
    """
    if render not in MODES:
        raise BenchmarkError(making.unknown("render mode", render, MODES, "option --render"))
    if out is not None and render != "rgb_array":
        raise BenchmarkError("--out saves pictures: it needs --render rgb_array")
    kwargs = dict(env_kwargs or {})
    split = kwargs.pop("split", "test")
    making.check_agent(env_id, agent_name)
    env = making.single_env(env_id, {"split": split, "render_mode": render, **kwargs})
    train = making.vector_env(env_id, 8, "train", "SameStep", kwargs)
    agent = making.agent(agent_name, train, {"seed": seed, **(config or {})})
    agent.learn(timesteps, seed=seed, progress=True)
    train.close()
    frames: list[np.ndarray] = []
    try:
        metrics = _episode(env, agent, render, seed, frames)
    finally:
        env.close()
    if render == "ansi":
        print()
    print("  ".join(f"{name} {value:.3g}" for name, value in metrics.items()))
    if render == "rgb_array":
        _save(frames, out or Path("frames"))
    return metrics


def _episode(
    env: Any, agent: Any, render: str, seed: int, frames: list[np.ndarray]
) -> dict[str, float]:
    tasks = env.unwrapped.evaluation_tasks(0)
    observation, info = env.reset(seed=seed, options=tasks[seed % len(tasks)])
    shown = _show(env, render, "", frames)
    state, start = None, np.ones(1, dtype=bool)
    ended = False
    while not ended:
        action, state = agent.predict(
            observation, state=state, episode_start=start, deterministic=True
        )
        observation, _, terminated, truncated, info = env.step(action)
        ended, start = terminated or truncated, np.zeros(1, dtype=bool)
        shown = _show(env, render, shown, frames)
    return info.get("metrics", {})


def _show(env: Any, render: str, shown: str, frames: list[np.ndarray]) -> str:
    """Print what the text gained since the last step, or keep the frame."""
    if render == "human":
        return shown
    frame = env.render()
    if render == "rgb_array":
        frames.append(frame)
        return shown
    print(frame[len(shown) :] if frame.startswith(shown) else f"\n{frame}", end="", flush=True)
    return frame


def _save(frames: list[np.ndarray], out: Path) -> None:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise BenchmarkError(
            'saving pictures needs pillow, which is missing: pip install "recgym[plot]"'
        ) from None
    images = [Image.fromarray(frame) for frame in frames]
    if out.suffix == ".gif":
        out.parent.mkdir(parents=True, exist_ok=True)
        images[0].save(out, save_all=True, append_images=images[1:], duration=600, loop=0)
    else:
        out.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(images):
            image.save(out / f"{index:03d}.png")
    print(f"{len(frames)} frames in {out}")
