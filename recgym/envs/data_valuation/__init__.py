"""DataValuation: which training samples are worth learning from."""

from recgym.envs.registration import register_problem

register_problem(
    "DataValuation",
    module="recgym.envs.data_valuation.env",
    tiny={
        "dataset": "tiny",
        "noise": "uniform",
        "noise_share": 1 / 3,
        "width": 2,
        "learning_rate": 0.2,
        "weight_decay": 0.0,
        "warm_epochs": 0,
        "batch": 8,
        "steps": 2,
        "k": 2,
    },
)
