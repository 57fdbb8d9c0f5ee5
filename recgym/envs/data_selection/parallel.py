"""`recgym.parallel_env("recgym/DataSelection-v0")`: all users select at once."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from recgym.envs.data_selection.env import DataSelectionEnv, problem
from recgym.envs.parallel import RecParallelEnv

if TYPE_CHECKING:
    from recgym.envs.data_selection.dynamics import DataSelection
    from recgym.envs.data_selection.worlds import World


class DataSelectionParallelEnv(RecParallelEnv):
    """The game of :class:`recgym.envs.data_selection.env.DataSelectionEnv`, all users at once.

    A step is a round: every user (``user_0``, ``user_1``, …) replaces her selection. Spaces,
    observations, worlds, metrics and arguments are those of the Gymnasium environment. The
    reward of a user is the change of her own z_u over the round, what all the others did included
    (``objective="social"``: the change of the mean z, for everybody). So without drift each
    user's rewards add up to the change of her z_u over the episode.

    Losses of a joint selection by ``backend="influence"`` are the anchor's and the sum of all
    pairs' effects, e_uk over the joint difference; by ``"anchors"`` those of the anchor nearest to
    the user's own selection; ``"retrain"`` trains once a round. The first two need the N × Z
    matrix of effects. Terminates after ``rounds`` rounds, or after one in which nobody changed
    anything.
    """

    metadata: ClassVar[dict[str, Any]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        **RecParallelEnv.metadata,
        "name": "recgym_data_selection_v0",
    }
    problem: DataSelection

    def __init__(
        self,
        dataset: str | World = "ml-latest-small",
        *,
        render_mode: str | None = None,
        **arguments: Any,
    ):
        bound = inspect.signature(DataSelectionEnv).bind(dataset, **arguments)
        bound.apply_defaults()
        del bound.arguments["render_mode"]
        super().__init__(problem(**bound.arguments), render_mode)
