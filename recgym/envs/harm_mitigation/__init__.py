"""HarmMitigation: recommend while preferences drift and harmful content is consumed organically."""

from recgym.envs.registration import register_problem

register_problem(
    "HarmMitigation",
    module="recgym.envs.harm_mitigation.env",
    tiny={"dataset": "tiny", "horizon": 8},
)
