"""`recgym/DataSelection-v0`: users decide which of their interactions may train the recommender."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recgym.envs.arguments import beside_world, term_weights
from recgym.envs.data_selection.state import Params
from recgym.envs.single import RecEnv
from recgym.envs.vector import RecVectorEnv

if TYPE_CHECKING:
    from gymnasium.vector import AutoresetMode

    from recgym.envs.data_selection.dynamics import DataSelection
    from recgym.envs.data_selection.worlds import World


class DataSelectionEnv(RecEnv):
    """Choose what the recommender may learn from you, while everybody else does the same.

    ## Description
    N users share a recommender. User u has training items S^u, a validation item T^u (or several,
    whose losses add up), and a willingness to exclude β_k ∈ [0, 1] for each training item: the
    larger, the more she wants it kept out. Her action selects o^u ∈ {0, 1}^|S^u|. Trained on what
    all have selected, θ̂(o), the recommender is worth z_u = −L(T^u, θ̂(o)) − λ Σ_k o_k β_k to her:
    she wants to be served well and to give little away. What others select matters to her too. The
    problem is IFRQE's; the turns, the rewards of moves and the split into public users and players
    are ours.

    Users move one after another, in the order of their numbers; a round is a move of every user. As
    a game of all users at once it is `recgym.parallel_env("recgym/DataSelection-v0")`.

    The `recommender` is trained with the cross-entropy of each item and of one negative item that
    leaves with it (`deselected` has another way): `"mf"`, matrix factorisation σ(p_u·q_i);
    `"neumf"`, NeuMF with a smooth tower; or `"lightgcn"`, two layers over the graph of what public
    users have taken and players let in, so that an item that is left out leaves the loss and the
    graph. It starts from what other, public users' data have taught, and is pulled toward it, so
    that training has one end and influence functions are accurate.

    ## Action space
    K is the largest number of items that a user may select from.

    - `action="items"`: `MultiBinary(K)`, a bit for each of the acting user's items, the oldest
      first: 1 keeps it in. Bits beyond her own items are ignored.
    - `action="category"`: `MultiBinary(C)`, a bit for each category: an item stays in if one of its
      categories does, or if it has none.
    - `action="recent"`: `Discrete(K + 1)`, so many of her latest items stay in.

    An action replaces her whole selection. None is illegal.

    ## Observation space
    What the acting user sees; places beyond her own items are 0:

    | key | space | meaning |
    |---|---|---|
    | `willingness` | `Box(0, 1, (K,), float32)` | β of her items |
    | `popularity` | `Box(0, 1, (K,), float32)` | log-popularity among public users |
    | `score` | `Box(0, 1, (K,), float32)` | what the recommender trained on everything predicts |
    | `influence` | `Box(−b, b, (T·K,), float32)` | effects on her loss; `show_influence` only |
    | `anchor_selected` | `MultiBinary(T·K)` | her items in each anchor; see below |
    | `anchor_loss` | `Box(−b, b, (T,), float32)` | her loss there; see below |
    | `selected` | `MultiBinary(K)` | her selection now |
    | `own` | `MultiBinary(K)` | 1 for places that hold an item of hers |
    | `others_kept` | `Box(0, 1, (1,), float32)` | share of the others' items that is selected |
    | `anchor` | `Discrete(T)` | the anchor nearest to her selection; 0 without anchors |
    | `rounds_left` | `Discrete(R + 1)` | the present round included |
    | `action_mask` | `MultiBinary` | 1 for entries of the action that mean something to her |

    With `show_influence=True` users are told what each of their items does to their loss (among
    more than 3,000 players by the Hessian's diagonal blocks alone, .14 to .18 off). With
    `backend="anchors"` they are told so at each of the T anchors, the first one first, and what
    each anchor selects of their items and promises them: the loss that it predicts if they select
    as the anchor does and the others as now. Otherwise T is 1 and the last two keys are absent.

    ## Rewards
    The change of the acting user's z_u by her move. `info["reward_terms"]` holds `loss`, the change
    of L, and `disclosure`, the change of Σ o β; the reward is exactly −loss − λ · disclosure, or
    with the weights in `weights`. So moves are rewarded and levels are not: since z is negative,
    levels would reward an early end.

    `objective="selfish"` pays each user for herself: the user who moves next is another one, so
    learn with γ = 0. `objective="social"` pays the change of the mean of all users' z, which adds
    up to the whole episode's change exactly, but for what drift changes; learners of this package
    use it.

    Losses while playing come from the `backend`: `"influence"` predicts them by influence functions
    from one anchor, the recommender trained on everything; `"anchors"` from the nearest of T
    trained selections; `"retrain"` trains each time, and is slow but true. What benches report is
    trained at the end of an episode (`final_retrain=True`).

    ## Starting state
    Everything is selected. The reset option `draw` sets the draw of the users' willingness; it is
    drawn anew in each episode; in simulated worlds users' characters are (not in the tiny one).
    `evaluation_tasks(seed)` lists ten draws. Players of the training, validation and test split are
    different users.

    ## Episode end
    Terminates after `rounds` rounds, or after a round in which nobody changed anything.

    ## Metrics
    The final `info["metrics"]`, at any time `env.unwrapped.metrics()`; means over users: `z`,
    `loss`, `wv` (willingness violation, Σ o β), `kept`, the share of interactions that stays in;
    `rounds`, `return`, `length`. With `final_retrain=True` also those of the recommender that is
    trained on the last selection: `z_retrained`, `loss_retrained`, the same of the test items, for
    which nobody was rewarded, `z_test` and `test_loss`, and F1@5 of the test items among all items
    that the user has not taken (`f1_full`) and of each test item among 99 of them (`f1_sampled`, a
    mean over items), each with what chance gives (`f1_full_chance`, `f1_sampled_chance`).

    ## Arguments
    - `dataset="ml-latest-small"`: another data set with at least three items a user (the order of
      `steam-200k`, which has no times, is drawn);
      `"simulation"`, the paper's simulated world of 1,000 test users; `"simulation-50"`, the same
      with 50 players in each split; `"tiny"`; or a `World`.
    - `variant="clean"`, `split="train"`.
    - `backend="influence"`, `anchors=4`.
    - `harm_of_disclosure=None`: λ. None is the value at which keeping what pays keeps about half.
      At the paper's λ = 1, giving nothing is best for nearly everybody.
    - `cost="linear"`: of disclosure; or `"saturating"`, `"escalating"`.
    - `objective="selfish"`, `action="items"`, `rounds=2`.
    - `drift=0.0`: standard deviation of what is added to each willingness between rounds.
    - `show_influence=False`, `final_retrain=False`, `weights={}`.
    - `willingness="uniform"`: or `"constant"`, `"rarity"` (of the item's category); simulated users
      have their own.
    - `recommender="mf"`: or `"neumf"`, `"lightgcn"`.
    - `deselected="drop"`: an item that is not selected leaves the training set; `"relabel"`: it
      stays as a disliked one, with its negative and its edge of LightGCN's graph, as in the
      paper's reference code. Giving nothing then teaches that everything is disliked.
    - `holdout="two"`: each user's last item is for the test, the one before for validation;
      `"ratio"`: the last 20 % and the 10 % before of all her items, as in the paper, and
      `per_user` counts among the rest. Not in the tiny world, where both are the same.
    - `per_user=20` latest training items of each player; `width=16`, d of the recommender;
      `prior="proximal"`, `"accurate"` or `"xavier"`; `most_users=3000` of the data set;
      `character="D"` of the simulated users (`"A"` to `"D"`).
    - `render_mode=None`.

    ## References
    IFRQE: "Would You Like Your Data to Be Trained? A User Controllable Recommendation Framework".
    AAAI 2024. Harper, Konstan: The MovieLens Datasets. ACM TiiS 2015.

    ## Version history
    - v0: first version.
    """

    problem: DataSelection

    def __init__(
        self,
        dataset: str | World = "ml-latest-small",
        *,
        variant: str = "clean",
        split: str = "train",
        backend: str = "influence",
        anchors: int = 4,
        harm_of_disclosure: float | None = None,
        cost: str = "linear",
        objective: str = "selfish",
        action: str = "items",
        rounds: int = 2,
        drift: float = 0.0,
        show_influence: bool = False,
        final_retrain: bool = False,
        weights: Mapping[str, float] | None = None,
        willingness: str = "uniform",
        per_user: int = 20,
        width: int = 16,
        prior: str = "proximal",
        most_users: int = 3_000,
        character: str = "D",
        recommender: str = "mf",
        deselected: str = "drop",
        holdout: str = "two",
        render_mode: str | None = None,
    ):
        arguments = {key: value for key, value in locals().items() if key not in _OF_THE_FACE}
        super().__init__(problem(**arguments), render_mode)


class DataSelectionVectorEnv(RecVectorEnv):
    """:class:`DataSelectionEnv` over n games at once.

    Takes the same arguments, and those of :class:`recgym.envs.vector.RecVectorEnv`. Losses of all
    rows are predicted together; the backend `retrain` trains for one row after another.
    """

    problem: DataSelection

    def __init__(
        self,
        num_envs: int = 1,
        dataset: str | World = "ml-latest-small",
        *,
        variant: str = "clean",
        split: str = "train",
        backend: str = "influence",
        anchors: int = 4,
        harm_of_disclosure: float | None = None,
        cost: str = "linear",
        objective: str = "selfish",
        action: str = "items",
        rounds: int = 2,
        drift: float = 0.0,
        show_influence: bool = False,
        final_retrain: bool = False,
        weights: Mapping[str, float] | None = None,
        willingness: str = "uniform",
        per_user: int = 20,
        width: int = 16,
        prior: str = "proximal",
        most_users: int = 3_000,
        character: str = "D",
        recommender: str = "mf",
        deselected: str = "drop",
        holdout: str = "two",
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
    "willingness",
    "per_user",
    "width",
    "prior",
    "most_users",
    "character",
    "recommender",
    "deselected",
    "holdout",
)


def problem(dataset: Any, variant: str, split: str, **arguments: Any) -> DataSelection:
    """The rules for the environments' arguments."""
    from recgym.envs.data_selection.dynamics import DataSelection
    from recgym.envs.data_selection.worlds import World, harm_of_disclosure, resolve

    of = {name: arguments.pop(name) for name in _OF_THE_WORLD}
    if isinstance(dataset, World):
        given = {"variant": variant, **of}
        beside_world(dataset.name, dataset.choices, given, DataSelectionEnv)
    world = resolve(dataset, variant, **of)
    if arguments["harm_of_disclosure"] is None:
        arguments["harm_of_disclosure"] = harm_of_disclosure(world.name)
    weights = term_weights(arguments.pop("weights"))
    return DataSelection(world, Params(**arguments, weights=weights), split)
