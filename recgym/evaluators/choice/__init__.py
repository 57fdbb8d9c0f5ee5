"""Users who choose, and whose profiles drift toward what they consume.

The choice probabilities, the profile update, the stationary profile and its exact gradient of
"Harm mitigation under preference dynamics". The environment's rules and the agents that know the
model call these formulas; they are written nowhere else. All of it is float64, over a batch of
users.
"""

from recgym.evaluators.choice.choosing import Choices, choose, clicks_of
from recgym.evaluators.choice.model import DYNAMICS, ChoiceModel
from recgym.evaluators.choice.policies import (
    Draws,
    PolicyFamily,
    Sampling,
    Slates,
    Subsets,
    all_slates,
    single_items,
)
from recgym.evaluators.choice.projection import onto_budget, onto_simplex
from recgym.evaluators.choice.stationary import (
    NotSettled,
    Outcome,
    Stationary,
    choice_probabilities,
    gradient,
    outcome,
    settling_profile,
    stationary_profile,
)

__all__ = [
    "DYNAMICS",
    "ChoiceModel",
    "Choices",
    "Draws",
    "NotSettled",
    "Outcome",
    "PolicyFamily",
    "Sampling",
    "Slates",
    "Stationary",
    "Subsets",
    "all_slates",
    "choice_probabilities",
    "choose",
    "clicks_of",
    "gradient",
    "onto_budget",
    "onto_simplex",
    "outcome",
    "settling_profile",
    "single_items",
    "stationary_profile",
]
