"""Checkers that ship with recgym: environments, vector equality, evaluators, exact optima."""

from recgym.testing.conformance import check_environment, check_illegal_is_worst
from recgym.testing.drift import (
    DriftOptimum,
    drift_optimum,
    stationary_optimum,
    tree_optimum,
)
from recgym.testing.evaluators import check_sequence_evaluator
from recgym.testing.selection import SelectionOptimum, selection_optimum
from recgym.testing.tabular import Optimum, Tabular, optimum, tabular
from recgym.testing.valuation import ValuationOptimum, shapley_values, valuation_optimum
from recgym.testing.vector import MODES, check_vector_equals_single

__all__ = [
    "MODES",
    "DriftOptimum",
    "Optimum",
    "SelectionOptimum",
    "Tabular",
    "ValuationOptimum",
    "check_environment",
    "check_illegal_is_worst",
    "check_sequence_evaluator",
    "check_vector_equals_single",
    "drift_optimum",
    "optimum",
    "selection_optimum",
    "shapley_values",
    "stationary_optimum",
    "tabular",
    "tree_optimum",
    "valuation_optimum",
]
