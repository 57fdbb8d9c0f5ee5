"""`recgym/HarmMitigation-v0`: recommend while preferences drift and harmful content costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recgym.envs.arguments import term_weights
from recgym.envs.harm_mitigation.state import Params
from recgym.envs.single import RecEnv
from recgym.envs.vector import RecVectorEnv

if TYPE_CHECKING:
    from gymnasium.vector import AutoresetMode

    from recgym.envs.harm_mitigation.dynamics import HarmMitigation
    from recgym.envs.harm_mitigation.worlds import World

HARMFUL = ("Crime", "Horror", "War")


class HarmMitigationEnv(RecEnv):
    """Hold a user's attention with harmless items, so that she does not find harmful ones.

    ## Description
    A user with profile u gives item v the score s_v = exp(v·u). She is offered a slate E of
    harmless items and clicks with probability s_E / (s_E + c), on an item of E in proportion to its
    score. Otherwise she looks around by herself and consumes any item of the catalogue, harmful
    ones included, in proportion to its score. What she consumes moves her profile:
    u ← β u_0 + α_v v + (1 − α_v − β) u, with α_v larger for harmful items. So an item that is
    clicked now may bring her to where harm is attractive. The problem is that of "Harm mitigation
    in recommender systems under user preference dynamics"; the episode is ours.

    The profile settles near u* = G(p), the fixed point of the mean update, on which the paper's
    objective f = p_CLK − λ p_H is defined. With the step sizes of the paper the average along an
    episode differs from f(u*): `response="mean_field"` moves the profile by its mean, and converges
    to u* exactly.

    ## Action space
    - `action="item"`: `Discrete(N + 1)`, the item to recommend, N for none.
    - `action="slate"`: `MultiDiscrete([N + 1] * k)`, N for an empty place.
    - `action="probabilities"`: `Box(−1, 1, (N,))`; item v is recommended with probability
      q_v = (a_v + 1)/2, independently. Entries of harmful items have no effect; the others are
      projected onto Σ q ≤ k.

    Harmful and repeated items are dropped: the place stays empty and the term `invalid` is its
    share of the slate. An empty slate leaves the user to an organic choice; harm counts, and the
    profile moves. What she would choose organically does not depend on the slate. Values outside
    the space raise `ValueError`.

    ## Observation space
    `Dict` of `Box` of width d, items 0..N−1, padding N:

    | key | space | meaning |
    |---|---|---|
    | `profile` | `Box(low, high, (d,), float32)` | u |
    | `inherent` | the same | u_0, toward which the dynamics pull |
    | `steps_left` | `Discrete(T + 1)` | with `time_aware=True` only |
    | `action_mask` | `MultiBinary` | 1 for legal items; for slates k times, place by place |

    The bounds are those of u_0 of all users and of what pulls, coordinate by coordinate: a profile
    is a convex combination of them. `observation="history"` shows what a platform really sees
    instead of the two profiles: `history`, `Box(0, N, (history_length,), int64)`, the latest items
    consumed, pre-padded, and `clicked`, `MultiBinary(history_length)`.

    ## Rewards
    r = click − λ · harm. `info["reward_terms"]` holds `click`, `harm`, `exposure` and `invalid`;
    the reward is exactly their sum with the weights 1, −λ, 0 and −(1 + λ), or those in `weights`.
    With `harm="graded"` the weight of `invalid` is −k (1 + λ), with `"exposure"` −k (1 + 2λ).
    `harm="label"` counts 1 for a harmful item that is consumed; `"graded"` its severity in [0, 1],
    harmless items included; `"exposure"` adds the mean severity of what is recommended, with weight
    −λ. `info["cost"]` is harm plus exposure.

    `constrained=True` takes both out of the reward and adds a budget: the cost per step should stay
    below `env.unwrapped.problem.budget`.

    ## Starting state
    A user of the split with u = u_0: training, validation and test users are disjoint (70/10/20 %).
    `reset(options={"user": u})` sets her. `evaluation_tasks(seed)` lists every test user once (on
    `split="validation"`, every validation user).

    ## Episode end
    A continuing task: truncated after T = `horizon` steps, which is not observed. With
    `time_aware=True` the steps left are observed, T is part of the problem, and it terminates.

    ## Metrics
    The final `info["metrics"]`, at any time `env.unwrapped.metrics()`; means over the steps:
    `objective` (f = p_CLK − λ (p_H + exposure)), `p_CLK`, `p_H` (probabilities, less noisy than the
    draws `CTR` and `harm`), `invalid`; `drift` ‖u − u_0‖; `return`, `length`; and `violation` of
    the budget, if constrained.

    ## Arguments
    - `dataset="ml-latest-small"`: or another with ratings and genres; `"synthetic"`; `"tiny"`; or a
      `World` of your own vectors.
    - `genre="Action"`: its `n_items=100` most rated items are the catalogue. `harmful=("Crime",
      "Horror", "War")`: those of the catalogue that are harmful, by genres or as a list of the
      source's item identifiers. A genre is a stand-in: no parental guide can be shipped. Vectors
      are from matrix factorisation (d = 12).
    - `variant="clean"`, `split="train"`, `horizon=100`.
    - `response="stochastic"` or `"mean_field"`; `action="item"`, `"slate"` or `"probabilities"`;
      `k=1`; `harm_weight=10.0` (λ; the paper has 100); `harm="label"`, `"graded"` or
      `"exposure"`; `constrained=False`, `budget=0.1`; `weights={}`.
    - `observation="profile"` or `"history"`; `history_length=50`; `time_aware=False`.
    - `dynamics="attraction"`; `"biased_assimilation"` (pulled by items that she likes better than
      the average one, pushed away by others), `"boredom"` (pushed away by all), `"static"`.
    - `alpha_harmless=0.25`, `alpha_harmful=0.5`, `beta=0.2`; α + β ≤ 1.
    - `c=None`: None sets it so that users who are always offered what they like best at u_0 click
      in 60 % of the steps in which they choose. `temperature=1.0` of choice: more is less
      rational. `explore=0.0`: the share of steps in which she consumes any item, uniformly.
    - `render_mode=None`.

    ## References
    Harm Mitigation in Recommender Systems under User Preference Dynamics. arXiv:2406.09882.
    Harper, Konstan: The MovieLens Datasets. ACM TiiS 2015.

    ## Version history
    - v0: first version.
    """

    problem: HarmMitigation

    def __init__(
        self,
        dataset: str | World = "ml-latest-small",
        *,
        genre: str = "Action",
        harmful: str | Sequence[str] | Sequence[int] = HARMFUL,
        n_items: int = 100,
        variant: str = "clean",
        split: str = "train",
        response: str = "stochastic",
        action: str = "item",
        k: int = 1,
        harm_weight: float = 10.0,
        harm: str = "label",
        constrained: bool = False,
        budget: float = 0.1,
        observation: str = "profile",
        history_length: int = 50,
        time_aware: bool = False,
        horizon: int = 100,
        weights: Mapping[str, float] | None = None,
        dynamics: str = "attraction",
        alpha_harmless: float = 0.25,
        alpha_harmful: float = 0.5,
        beta: float = 0.2,
        c: float | None = None,
        temperature: float = 1.0,
        explore: float = 0.0,
        render_mode: str | None = None,
    ):
        arguments = {key: value for key, value in locals().items() if key not in _OF_THE_FACE}
        super().__init__(_problem(**arguments), render_mode)


class HarmMitigationVectorEnv(RecVectorEnv):
    """:class:`HarmMitigationEnv` over n rows, all in one matrix product per step.

    Takes the same arguments, and those of :class:`recgym.envs.vector.RecVectorEnv`.
    """

    problem: HarmMitigation

    def __init__(
        self,
        num_envs: int = 1,
        dataset: str | World = "ml-latest-small",
        *,
        genre: str = "Action",
        harmful: str | Sequence[str] | Sequence[int] = HARMFUL,
        n_items: int = 100,
        variant: str = "clean",
        split: str = "train",
        response: str = "stochastic",
        action: str = "item",
        k: int = 1,
        harm_weight: float = 10.0,
        harm: str = "label",
        constrained: bool = False,
        budget: float = 0.1,
        observation: str = "profile",
        history_length: int = 50,
        time_aware: bool = False,
        horizon: int = 100,
        weights: Mapping[str, float] | None = None,
        dynamics: str = "attraction",
        alpha_harmless: float = 0.25,
        alpha_harmful: float = 0.5,
        beta: float = 0.2,
        c: float | None = None,
        temperature: float = 1.0,
        explore: float = 0.0,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = "NextStep",
        max_episode_steps: int | None = None,
    ):
        arguments = {key: value for key, value in locals().items() if key not in _OF_THE_FACE}
        super().__init__(
            _problem(**arguments),
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
_OF_THE_MODEL = {"dynamics", "alpha_harmless", "alpha_harmful", "beta", "c", "temperature"}
_OF_THE_MODEL |= {"explore"}
_OF_THE_WORLD = {"genre", "harmful", "n_items"}


def _problem(dataset: Any, variant: str, split: str, **arguments: Any) -> HarmMitigation:
    from recgym.envs.harm_mitigation.worlds import build

    def take(names: set[str]) -> dict[str, Any]:
        return {name: arguments.pop(name) for name in names}

    model, world = take(_OF_THE_MODEL), take(_OF_THE_WORLD)
    weights = term_weights(arguments.pop("weights"))
    params = Params(**arguments, weights=weights)
    return build(dataset, variant, split, params, model, **world)
