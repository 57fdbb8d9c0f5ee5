"""Reference agents. They speak Stable-Baselines3's language.

>>> from recgym import agents
>>> agent = agents.make("rec2inf", env, distance="embedding")
>>> action, _ = agent.predict(observation)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recgym.agents.base import Agent, AgentConfig, AgentError

_ANY = {"random": "recgym.agents.random:RandomAgent"}
_BY_PROBLEM: dict[str, dict[str, str]] = {
    "InfluencePath": {
        "popularity": "recgym.agents.influence_path.popularity:PopularityAgent",
        "jump": "recgym.agents.influence_path.jump:JumpAgent",
        "rec2inf": "recgym.agents.influence_path.rec2inf:Rec2Inf",
        "pf2inf": "recgym.agents.influence_path.pf2inf:Pf2Inf",
        "ipg": "recgym.agents.influence_path.ipg:IPG",
        "irn": "recgym.agents.influence_path.irn:IRNAgent",
        "lookahead": "recgym.agents.influence_path.lookahead:Lookahead",
        "random_candidates": "recgym.agents.influence_path.random_candidates:RandomCandidates",
        "maskable_ppo": "recgym.agents.influence_path.maskable_ppo:MaskablePPOAgent",
        "ppo": "recgym.agents.influence_path.ppo:PPOAgent",
        "dqn": "recgym.agents.influence_path.dqn:DQNAgent",
        "model_ppo": "recgym.agents.influence_path.model_ppo:ModelPPOAgent",
        "planner": "recgym.agents.influence_path.planner:Planner",
    },
    "HarmMitigation": {
        "none": "recgym.agents.harm_mitigation.none:NoneAgent",
        "uniform": "recgym.agents.harm_mitigation.uniform:UniformAgent",
        "static": "recgym.agents.harm_mitigation.static:StaticAgent",
        "alternating": "recgym.agents.harm_mitigation.alternating:AlternatingAgent",
        "gradient": "recgym.agents.harm_mitigation.gradient:GradientAgent",
        "projected_gradient": (
            "recgym.agents.harm_mitigation.projected_gradient:ProjectedGradientAgent"
        ),
        "closed_loop": "recgym.agents.harm_mitigation.closed_loop:ClosedLoopAgent",
        "ppo": "recgym.agents.harm_mitigation.ppo:PPOAgent",
        "lagrangian_ppo": "recgym.agents.harm_mitigation.lagrangian_ppo:LagrangianPPO",
        "sac": "recgym.agents.harm_mitigation.sac:SACAgent",
    },
    "DataSelection": {
        "all": "recgym.agents.data_selection.everything:AllAgent",
        "none": "recgym.agents.data_selection.nothing:NoneAgent",
        "threshold": "recgym.agents.data_selection.threshold:ThresholdAgent",
        "dropout": "recgym.agents.data_selection.dropout:DropoutAgent",
        "ifrqe": "recgym.agents.data_selection.ifrqe:IFRQE",
        "ifrqe_plus": "recgym.agents.data_selection.ifrqe_plus:IFRQEPlus",
        "scr": "recgym.agents.data_selection.scr:SCR",
        "proactive": "recgym.agents.data_selection.proactive:Proactive",
        "ppo": "recgym.agents.data_selection.ppo:PPOAgent",
    },
    "DataValuation": {
        "bpr": "recgym.agents.data_valuation.everything:BPRAgent",
        "none": "recgym.agents.data_valuation.nothing:NoneAgent",
        "t_ce": "recgym.agents.data_valuation.t_ce:TCEAgent",
        "r_ce": "recgym.agents.data_valuation.r_ce:RCEAgent",
        "loss_threshold": "recgym.agents.data_valuation.loss_threshold:LossThresholdAgent",
        "popularity": "recgym.agents.data_valuation.popularity:PopularityAgent",
        "alignment": "recgym.agents.data_valuation.alignment:AlignmentAgent",
        "dvr": "recgym.agents.data_valuation.dvr:DVR",
        "ppo": "recgym.agents.data_valuation.ppo:PPOAgent",
        "oracle": "recgym.agents.data_valuation.oracle:OracleAgent",
    },
}


def names(env_id: str) -> list[str]:
    """Names of the agents for an environment id."""
    return list(_known(env_id))


def agent_class(name: str, env_id: str) -> type[Agent]:
    """An agent's class by name; raises :class:`AgentError` that lists the known ones."""
    from recgym.agents.base import AgentError

    known = _known(env_id)
    if name not in known:
        raise AgentError(f"There is no agent {name!r} for {env_id}. Known: {', '.join(known)}.")
    module, attribute = known[name].split(":")
    return getattr(import_module(module), attribute)


def make(name: str, env: Any, **config: Any) -> Agent:
    """An agent for ``env``, single or vector.

    Raises:
        AgentError: an unknown agent, an unknown setting, or an impossible one.
    """
    from recgym.agents.base import problem_of

    problem, spec = problem_of(env), env.unwrapped.spec
    kind = agent_class(name, spec.id if spec else type(problem).__name__)
    return kind(env, kind.Config.from_dict(config))


def _known(env_id: str) -> dict[str, str]:
    name = env_id.rsplit("/", 1)[-1].rsplit("-v", 1)[0].removesuffix("Tiny")
    return {**_ANY, **_BY_PROBLEM.get(name, {})}


def __getattr__(name: str) -> Any:
    if name in ("Agent", "AgentConfig", "AgentError"):
        return getattr(import_module("recgym.agents.base"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Agent", "AgentConfig", "AgentError", "agent_class", "make", "names"]
