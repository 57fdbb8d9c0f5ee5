"""`recgym/DataValuation-v0`: which training samples are worth learning from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from recgym.envs.arguments import beside_world, term_weights
from recgym.envs.data_valuation.state import Params
from recgym.envs.single import RecEnv
from recgym.envs.vector import RecVectorEnv

if TYPE_CHECKING:
    from gymnasium.vector import AutoresetMode

    from recgym.envs.data_valuation.dynamics import DataValuation
    from recgym.envs.data_valuation.state import State
    from recgym.envs.data_valuation.worlds import World
    from recgym.models.collaborative import Collaborative


class DataValuationEnv(RecEnv):
    """
    ## Description
    A recommender is trained with BPR, batch by batch. Before each batch an agent says which of its
    triplets (a user, an item of hers, an item that is not) are worth learning from; the optimiser
    makes a step on those, and a metric on validation data says what it was worth (DVR). Some of the
    interactions never were: they are planted, `noise`, and only the analyst knows which.

    Default world: the ratings of 4 and more of MovieLens latest-small (embedded), 659 users and
    2,078 movies; to 30 % more, clicks for sixty movies were bought (`noise="spam"`). An episode
    starts from matrix factorisation after ten epochs on all of that, the bought clicks included.

    ## Action space
    `MultiBinary(batch)`: 1 learns from a triplet. With `action="weigh"` `Box(-1, 1, (batch,))`: −1
    is a weight of 0, 1 a weight of 1. The step is on Σ w ℓ / max(1, Σ w). Where nothing is kept,
    nothing changes. Every action is legal.

    ## Observation space
    A `Dict` of arrays, one entry for each triplet of the coming batch unless said otherwise:

    - `positive`, `negative`: x_ui and x_uj; `loss`: −log σ(x_ui − x_uj); cut off at ±20.
    - `user_norm`, `item_norm`, `other_norm`: ‖p_u‖, ‖q_i‖, ‖q_j‖.
    - `item_popularity`, `negative_popularity`, `activity` (of the user): log(1 + training
      interactions), over the largest.
    - `alignment`, with `show_alignment=True`: ⟨∇ℓ_m, ∇L⟩ with the validation loss L (against
      negatives drawn by popularity), over its mean size in the batch: how much a step on the
      triplet lowers L, to first order. `item_alignment`: the same by the items' parameters alone.
    - `embeddings`, with `show_embeddings=True`: (3 · width · batch,), [p_u, q_i, q_j] of the first
      triplet, then of the second.
    - `user`, `item`, `other`, `row`, with `show_ids=True`: which they are; `row` is the
      interaction's place in the training data.
    - `metric` (1,): at its last measurement; a loss is cut off at 20.
    - `progress` (1,): share of the episode that is over.
    - `steps_to_measurement`: `Discrete`, 1 when the coming step will be measured.
    - `action_mask`: all ones.

    ## Rewards
    The improvement of the metric since its last measurement, in percentage points (of the loss, in
    hundredths), every `measure_every` steps; 0 between them. Recall, NDCG, CC and ILD are to rise,
    Loss and Gini to fall. The reward is `gain` + 0 · `kept` (the mean weight of the batch), or with
    the weights in `weights`. All measurements are of validation data; the paper measures on test
    data, which nobody has before the end.

    ## Starting state
    The warm recommender, its optimiser, and a `stream`, the order of the training data with its
    negatives, which can be set as a reset option. `evaluation_tasks(seed)` lists five streams that
    training never draws.

    ## Episode end
    Terminates after `steps` batches.

    ## Metrics
    The final `info["metrics"]`, at any time `env.unwrapped.metrics()`, on validation data: `Loss`,
    `Recall`, `NDCG`, `Gini` of lists of `k`, where there are categories `CC` and `ILD`; `kept`,
    `return`, `length`; `AUC`, how well the weights told true from planted interactions (.5 is
    chance). Users without validation items are left out;
    `env.unwrapped.problem.world.unmeasured` is their number. On test data, with the prefix
    `test_`, after `reset(options={"report_test": True})` only. `info["planted"]` of each step
    labels the batch of the step: for analysis, and in no observation.

    ## Arguments
    - `dataset="ml-latest-small"`: another data set, the path of your own, `"tiny"`, or a `World`,
      whose noise, backbone, width, optimiser and warm-up are its own. `variant="clean"`, or
      `"paper"`, the paper's selection; `split="train"`.
    - `noise="spam"`: or `"uniform"`, `"popularity"` (items as often as in the log), None.
      `noise_share=0.3` of the true training interactions; with another `noise_draw=0`, others are
      planted.
    - `backbone="mf"`: or `"neumf"`, `"lightgcn"`, `"mgcf"`; `width=64`; `learning_rate=2e-3`,
      `weight_decay=5e-5` of Adam; `warm_epochs=10`.
    - `validation_users=None`: measure so many users, drawn once, instead of all; ranking a large
      catalogue for everybody takes longer than learning.
    - `metric="Loss"`: or `"Recall"`, `"NDCG"`, `"CC"`, `"ILD"`, `"Gini"`; `k=20`;
      `measure_every=1`, K. After a single batch only the loss can be told from noise; measure
      ranking metrics every 10 steps or more.
    - `steps=50`, a multiple of K; `batch=512`; `action="select"` or `"weigh"`.
    - `show_ids=False`, `show_embeddings=False`, `show_alignment=False`, `weights={}`.
    - `render_mode=None`.

    ## References
    DVR: Jia et al.: "Beyond Models! Explainable Data Valuation and Metric Adaption for
    Recommendation". Rendle et al.: BPR. UAI 2009. Harper, Konstan: The MovieLens Datasets. ACM TiiS
    2015.

    ## Version history
    - v0: first version.
    """

    problem: DataValuation

    def __init__(
        self,
        dataset: str | World = "ml-latest-small",
        *,
        variant: str = "clean",
        split: str = "train",
        noise: str | None = "spam",
        noise_share: float = 0.3,
        noise_draw: int = 0,
        backbone: str = "mf",
        width: int = 64,
        learning_rate: float = 2e-3,
        weight_decay: float = 5e-5,
        warm_epochs: int = 10,
        validation_users: int | None = None,
        metric: str = "Loss",
        k: int = 20,
        measure_every: int = 1,
        steps: int = 50,
        batch: int = 512,
        action: str = "select",
        show_ids: bool = False,
        show_embeddings: bool = False,
        show_alignment: bool = False,
        weights: Mapping[str, float] | None = None,
        render_mode: str | None = None,
    ):
        arguments = {key: value for key, value in locals().items() if key not in _OF_THE_FACE}
        super().__init__(problem(**arguments), render_mode)

    def recommender(self) -> Collaborative:
        """The recommender as it is now, a copy; it is the platform's own, and no secret."""
        import copy

        state = cast("State", self._current())
        return copy.deepcopy(self.problem.world.learner.recommender(state.values[0]))


class DataValuationVectorEnv(RecVectorEnv):
    """:class:`DataValuationEnv` over n recommenders at once.

    Takes the same arguments, and those of :class:`recgym.envs.vector.RecVectorEnv`. Rows are
    independent recommenders: with `backbone="mf"` they learn as one stack, the others one after
    another (unbatched), as do measurements of ranking metrics.
    """

    problem: DataValuation

    def __init__(
        self,
        num_envs: int = 1,
        dataset: str | World = "ml-latest-small",
        *,
        variant: str = "clean",
        split: str = "train",
        noise: str | None = "spam",
        noise_share: float = 0.3,
        noise_draw: int = 0,
        backbone: str = "mf",
        width: int = 64,
        learning_rate: float = 2e-3,
        weight_decay: float = 5e-5,
        warm_epochs: int = 10,
        validation_users: int | None = None,
        metric: str = "Loss",
        k: int = 20,
        measure_every: int = 1,
        steps: int = 50,
        batch: int = 512,
        action: str = "select",
        show_ids: bool = False,
        show_embeddings: bool = False,
        show_alignment: bool = False,
        weights: Mapping[str, float] | None = None,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = "NextStep",
        max_episode_steps: int | None = None,
    ):
        arguments = {key: value for key, value in locals().items() if key not in _OF_THE_FACE}
        super().__init__(
            problem(**arguments),
            num_envs,
            autoreset_mode=autoreset_mode,
            max_episode_steps=max_episode_steps,
            render_mode=render_mode,
        )


_OF_THE_FACE = {
    "self",
    "__class__",
    "num_envs",
    "render_mode",
    "autoreset_mode",
    "max_episode_steps",
}
_OF_THE_WORLD = (
    "noise",
    "noise_share",
    "noise_draw",
    "backbone",
    "width",
    "learning_rate",
    "weight_decay",
    "warm_epochs",
    "validation_users",
)


def problem(dataset: Any, variant: str, split: str, **arguments: Any) -> DataValuation:
    """The rules for the environments' arguments."""
    from recgym.envs.data_valuation.dynamics import DataValuation
    from recgym.envs.data_valuation.worlds import World, resolve

    of = {name: arguments.pop(name) for name in _OF_THE_WORLD}
    if isinstance(dataset, World):
        given = {"variant": variant, **of}
        beside_world(dataset.name, dataset.choices, given, DataValuationEnv)
    world = resolve(dataset, variant, **of)
    weights = term_weights(arguments.pop("weights"))
    return DataValuation(world, Params(**arguments, weights=weights), split)
