"""recgym: Gymnasium environments for recommender systems that decide over time.

>>> import recgym, gymnasium as gym
>>> env = gym.make("recgym/InfluencePath-v0")
"""

from recgym import envs as envs
from recgym.envs import env_ids

__version__ = "0.1.0"
__all__ = ["__version__", "env_ids"]
