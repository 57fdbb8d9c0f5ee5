"""InfluencePath: lead a simulated user toward an objective item (IRS, ICDE 2023)."""

from recgym.envs.registration import register_problem

register_problem(
    "InfluencePath",
    module="recgym.envs.influence_path.env",
    tiny={"dataset": "tiny", "horizon": 6, "history_length": 6},
)
