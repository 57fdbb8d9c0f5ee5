"""recgym: Gymnasium environments for recommender systems that decide over time."""

__version__ = "0.1.0"
