"""recgym: Gymnasium environments for recommender systems that decide over time.

>>> import recgym, gymnasium as gym
>>> env = gym.make("recgym/InfluencePath-v0")
"""

from pathlib import Path

from recgym import envs as envs
from recgym.envs import env_ids, parallel_env

__version__ = "0.1.0"
__all__ = ["__version__", "env_ids", "parallel_env"]


def _warn_of_foreign_files(folder: Path) -> None:
    """The package scope-rl installs an import name recgym too; mixed folders break both."""
    foreign = [p for p in ("types.py", "envs/rec.py", "envs/simulator") if (folder / p).exists()]
    if foreign:
        import warnings

        warnings.warn(
            f"{folder} holds files of another package of the same import name, scope-rl's recgym "
            f"({', '.join(foreign)}). The two cannot share an environment: install recgym into a "
            "fresh one.",
            UserWarning,
            stacklevel=3,
        )


_warn_of_foreign_files(Path(__file__).parent)
