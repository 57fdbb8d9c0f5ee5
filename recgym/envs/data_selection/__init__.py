"""DataSelection: users decide which of their interactions may train the recommender."""

from recgym.envs.registration import register_problem

register_problem(
    "DataSelection",
    module="recgym.envs.data_selection.env",
    parallel="recgym.envs.data_selection.parallel",
    tiny={"dataset": "tiny", "backend": "retrain"},
)
