"""A recommender while it learns: what samples cost, and one step of its optimiser.

>>> from recgym.evaluators.learner import Learner, Optimiser
>>> learner = Learner.of(model, Optimiser())
>>> weights = learner.start(rows=4)
>>> weights = learner.step(weights, triplets, kept)
"""

from recgym.evaluators.learner.learner import (
    Learner,
    Optimiser,
    Signals,
    Triplets,
    Weights,
    adam,
)
from recgym.evaluators.learner.stacked import StackedMF

__all__ = ["Learner", "Optimiser", "Signals", "StackedMF", "Triplets", "Weights", "adam"]
