"""What a selection of training data does to users: retrained, or predicted by influence functions.

``game`` holds the data, a recommender (``matrix_factorisation``, ``graph_factorisation``, and
``network`` for any torch model, such as ``neumf``) the objective and its derivatives, ``solve``
inverse-Hessian products, ``effects`` the influences, ``backends`` losses of any selection,
``utility`` what users make of them.
"""

from recgym.evaluators.influence.backends import Anchors, Backend, Influence, Newton, Retrain
from recgym.evaluators.influence.effects import Anchor, anchor, effects, newton
from recgym.evaluators.influence.game import DESELECTED, Pairs, SelectionGame, draw_negatives
from recgym.evaluators.influence.graph_factorisation import (
    GraphFactorisation,
    PublicGraph,
    public_graph,
)
from recgym.evaluators.influence.leverage import own_removals
from recgym.evaluators.influence.matrix_factorisation import MatrixFactorisation
from recgym.evaluators.influence.network import (
    Network,
    NetworkPrior,
    plain_prior,
    pulled_prior,
)
from recgym.evaluators.influence.neumf import neumf, public_neumf
from recgym.evaluators.influence.prior import PULLS, Prior, public_prior, xavier_prior
from recgym.evaluators.influence.solve import EXACT, NotConverged, Solver, solve
from recgym.evaluators.influence.training import TrainingFailed, fit, user_losses
from recgym.evaluators.influence.utility import COSTS, Utility, check_willingness

__all__ = [
    "COSTS",
    "DESELECTED",
    "EXACT",
    "PULLS",
    "Anchor",
    "Anchors",
    "Backend",
    "GraphFactorisation",
    "Influence",
    "MatrixFactorisation",
    "Network",
    "NetworkPrior",
    "Newton",
    "NotConverged",
    "Pairs",
    "Prior",
    "PublicGraph",
    "Retrain",
    "SelectionGame",
    "Solver",
    "TrainingFailed",
    "Utility",
    "anchor",
    "check_willingness",
    "draw_negatives",
    "effects",
    "fit",
    "neumf",
    "newton",
    "own_removals",
    "plain_prior",
    "public_graph",
    "public_neumf",
    "public_prior",
    "pulled_prior",
    "solve",
    "user_losses",
    "xavier_prior",
]
