"""The environments. Importing this package registers them and loads neither torch nor data."""

from recgym.envs import data_selection as data_selection
from recgym.envs import data_valuation as data_valuation
from recgym.envs import harm_mitigation as harm_mitigation
from recgym.envs import influence_path as influence_path
from recgym.envs.registration import env_ids, parallel_env

__all__ = ["env_ids", "parallel_env"]
