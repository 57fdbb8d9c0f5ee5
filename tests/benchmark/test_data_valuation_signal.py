"""What a reward of DataValuation can teach."""

from __future__ import annotations

import numpy as np
import pytest

from recgym.benchmark.data_valuation.signal import signal
from recgym.envs.data_valuation.worlds import resolve


def test_leaving_out_bought_clicks_shows_in_the_loss():
    world = resolve("ml-latest-small", noise="spam", warm_epochs=10)
    found = signal(world, "Loss", 10, streams=6)
    assert found["signal"] > 1
    assert found["oracle"] > found["random"]
    assert found["signal"] == pytest.approx(
        (found["oracle"] - found["random"]) / found["deviation"]
    )
    again = signal(world, "Loss", 10, streams=6)
    np.testing.assert_array_equal(list(again.values()), list(found.values()))
