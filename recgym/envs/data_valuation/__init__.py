"""DataValuation: which training samples are worth learning from."""

from recgym.envs.registration import register_problem

register_problem(
    "DataValuation",
    module="recgym.envs.data_valuation.env",
    tiny={"dataset": "tiny", "batch": 8, "steps": 2, "k": 2},
)
