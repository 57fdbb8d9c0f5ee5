"""`recgym/InfluencePath-v0`: lead a simulated user toward an objective item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recgym.envs.arguments import term_weights
from recgym.envs.influence_path.state import Params
from recgym.envs.single import RecEnv
from recgym.envs.vector import RecVectorEnv

if TYPE_CHECKING:
    from gymnasium.vector import AutoresetMode

    from recgym.data.log import InteractionLog
    from recgym.envs.influence_path.dynamics import InfluencePath
    from recgym.evaluators.sequence import SequenceEvaluator


class InfluencePathEnv(RecEnv):
    """Lead a user, simulated by a trained sequence model, toward an objective item.

    ## Description
    Each episode has a user with a history and an objective item i_t that she has not seen; or an
    objective that is a genre or another set of items. At every step the agent recommends one item;
    the simulated user P(i | s), by default a BERT4Rec trained on MovieLens, reacts. A good path
    raises her interest in the objective, stays natural on the way, and ends with the objective,
    offered when she would take it. The problem is IRS of "Influential Recommender System" (Zhu et
    al., ICDE 2023); the reward is ours, the paper has none.

    ## Action space
    `Discrete(N)`: the item to recommend. Items of the history or the path are illegal. An illegal
    item uses a step, changes nothing else, counts as unnatural as the least likely legal item, and
    adds the term `invalid`. Values outside the space raise `ValueError`.

    With `repeats="allowed"` every item is legal. One that the user has taken before uses a step and
    enters her history again, like any other; the rank in `IoR` still leaves out what she has taken.
    It is for paths in a graph, such as a spanning tree's, that must run through known items; most
    agents choose among all legal items and will repeat themselves.

    ## Observation space
    `Dict` with items 0..N−1, padding N:

    | key | space | meaning |
    |---|---|---|
    | `user` | `Discrete(U)` | the user |
    | `history` | `Box(0, N, (history_length,), int64)` | latest items taken, pre-padded |
    | `objective` | `Discrete(N)` | i_t, or the item that stands for the set |
    | `objective_set` | `MultiBinary(N)` | with sets only: the members not seen at the start |
    | `steps_left` | `Discrete(M + 1)` | recommendations left |
    | `last_accepted` | `Discrete(2)` | whether the latest offer was taken; 1 at the start |
    | `action_mask` | `MultiBinary(N)` | 1 for legal items |

    P is not observed: it is the user. Agents that read it are marked privileged.

    ## Objectives
    `objective="item"` is the paper's. `"genre"`: lead the user to a genre of which she has taken
    nothing. `[[i, ...], ...]`: to one of your own sets of items 0..N−1, not all of which she has
    taken. The members are the items of the set that she has not seen at the start; P(i_t | s)
    becomes the sum of P over them, the episode is a success when any of them is recommended
    (accepted, if sampled), and a(i_t | s) is that item's. `objective` is the most popular member.
    A set of one item is that item, in every number.

    A set is easier to enter than an item is to reach: one of its members is usually likely
    enough. Judge by `IoI`, and `SR_acc`, beside those of `jump`.

    ## Acceptance
    a(x | s) = min(1, exp(log P(x | s) − τ)), where τ is the evaluator's mean log P of real next
    items. P is normalised over all items, seen ones included; on the default world these hold
    about a quarter of the mass. `passive` users take every legal item; `sampled` users take x
    when a(x | s) ≥ U_x, one latent uniform threshold per episode and item, so that offering again
    does not help until interest has grown. A refused item uses a step and does not enter the
    history.

    ## Rewards
    r_t = Δ log P(i_t | s) + B [ (1/M) log a(a_t | s) + a(i_t | s) 1[a_t = i_t] ], in nats.
    `info["reward_terms"]` holds `interest`, `follow`, `accepted_success`, `invalid`, `log_prob`
    and `success`; the reward is exactly their sum with the weights 1, B/M, B, −2 max(B, 5), 0, 0,
    or those in `weights`. In `sampled` mode `accepted_success` is whether the objective was
    accepted.
    `info["cost"]` is 1 − a(a_t | s), the chance that the user would not follow; 1 if illegal.

    ## Starting state
    `split="train"`: a random user, a random earlier cut of her history, a training objective.
    `validation`, `test`: her whole history and a held-out objective (70/10/20 % of items with at
    least five interactions). `reset(options={"user": u, "objective": i, "cut": c})` sets any of
    them. `evaluation_tasks(seed)` lists every user once with a test objective (on
    `split="validation"`, with a validation objective) that she has not seen.

    With sets the option is `genre` (its place in `log.genre_names`) or `set` instead of
    `objective`. There may be too few of them to hold some out: the pairs of a user and a set that
    she can be led to are split 70/10/20 %, and users without a test pair are not judged on.

    ## Episode end
    Terminates when the objective, or any member of the set, is recommended (accepted, if sampled),
    or after M steps: the horizon is part of the problem and observed. Never truncates by itself.

    ## Metrics
    The final `info["metrics"]` (at any other time, and when an outside `TimeLimit` truncates,
    `env.unwrapped.metrics()`): `return`, `length`, `SR` (Eq. 11), `SR@1`, `SR_acc`, `IoI`
    (Eq. 12) and `IoR` (Eq. 13) at the path without the objective, `log_ppl` (Eq. 14 with its
    missing minus and 1/|path|), `follow`, `invalid`. The rank of a set is that of its likeliest
    member among the unseen items outside it.

    ## Arguments
    - `dataset="ml-latest-small"`: a name from `recgym data list`, the path of your own log, or an
      `InteractionLog`. `"synthetic"` is free of licences.
    - `evaluator=None`: `"bert4rec"`, `"sasrec"`, `"gru4rec"`, `"caser"`, `"markov"`, a registered
      name, networks joined by `+` (their opinions pooled), or an object; `None` is the true chain
      on `synthetic`, BERT4Rec elsewhere.
    - `variant="clean"`: the 5-core; `"raw"`, or `"paper"` where the data set has it.
    - `split="train"`, `horizon=20` (M), `acceptance="passive"`, `bonus=5.0` (B),
      `weights={}`, `history_length=50`, `ppl="path"`, `objective="item"`, `repeats="forbidden"`,
      `render_mode=None`.

    ## References
    Zhu, Ge, Gu, Zhao, Lee: Influential Recommender System. ICDE 2023.
    Sun et al.: BERT4Rec. CIKM 2019.

    ## Version history
    - v0: first version.
    """

    problem: InfluencePath

    def __init__(
        self,
        dataset: str | InteractionLog = "ml-latest-small",
        evaluator: str | SequenceEvaluator | None = None,
        *,
        variant: str = "clean",
        split: str = "train",
        horizon: int = 20,
        acceptance: str = "passive",
        bonus: float = 5.0,
        weights: Mapping[str, float] | None = None,
        history_length: int = 50,
        ppl: str = "path",
        objective: str | Sequence[Sequence[int]] = "item",
        repeats: str = "forbidden",
        render_mode: str | None = None,
    ):
        params = _params(
            horizon, acceptance, bonus, weights, history_length, ppl, objective, repeats
        )
        super().__init__(_problem(dataset, evaluator, variant, split, params), render_mode)


class InfluencePathVectorEnv(RecVectorEnv):
    """:class:`InfluencePathEnv` over n rows; one evaluator call per step for all of them.

    Takes the same arguments, and those of :class:`recgym.envs.vector.RecVectorEnv`.
    """

    problem: InfluencePath

    def __init__(
        self,
        num_envs: int = 1,
        dataset: str | InteractionLog = "ml-latest-small",
        evaluator: str | SequenceEvaluator | None = None,
        *,
        variant: str = "clean",
        split: str = "train",
        horizon: int = 20,
        acceptance: str = "passive",
        bonus: float = 5.0,
        weights: Mapping[str, float] | None = None,
        history_length: int = 50,
        ppl: str = "path",
        objective: str | Sequence[Sequence[int]] = "item",
        repeats: str = "forbidden",
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = "NextStep",
        max_episode_steps: int | None = None,
    ):
        params = _params(
            horizon, acceptance, bonus, weights, history_length, ppl, objective, repeats
        )
        super().__init__(
            _problem(dataset, evaluator, variant, split, params),
            num_envs,
            autoreset_mode=autoreset_mode,
            max_episode_steps=max_episode_steps,
            render_mode=render_mode,
        )


def _params(
    horizon: int,
    acceptance: str,
    bonus: float,
    weights: Mapping[str, float] | None,
    history_length: int,
    ppl: str,
    objective: str | Sequence[Sequence[int]],
    repeats: str,
) -> Params:
    return Params(
        horizon,
        acceptance,
        bonus,
        term_weights(weights),
        history_length,
        ppl,
        objective,
        repeats,
    )


def _problem(dataset: Any, evaluator: Any, variant: str, split: str, params: Params):
    from recgym.envs.influence_path.worlds import build

    return build(dataset, evaluator, variant, split, params)
