"""The exhibits and studies of the paper on harm mitigation, at a small size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recgym.agents.harm_mitigation import projected_gradient
from recgym.benchmark import exhibits, studies
from recgym.benchmark.harm_mitigation import exhibits as harm
from recgym.benchmark.harm_mitigation.policies import judged, model_of, policies
from recgym.envs.harm_mitigation.worlds import synthetic_world
from recgym.evaluators import choice


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(harm, "GENRES", ("Action", "Comedy"))
    monkeypatch.setattr(harm, "SEEDS", (0, 1))
    monkeypatch.setattr(harm, "USERS", 10)
    monkeypatch.setattr(harm, "HARM_WEIGHTS", (0.0, 10.0))
    monkeypatch.setattr(harm, "SLATES", (1,))


@pytest.fixture
def place():
    return harm.Place("ml-latest-small", "clean", lambda what, stage, share: None)


def test_weights_has_every_policy_and_its_paired_lead(place, tmp_path):
    made = harm.weights(place)
    frame = made.frames["weights"]
    assert set(frame["genre"]) == {"Action", "Comedy", harm.ALL}
    table = frame.pivot(index=["genre", "harm_weight", "policy"], columns="metric", values="value")
    best = table.xs("projected_gradient", level="policy")["f"]
    for policy in ("alternating", "static", "uniform", "none"):
        mine = table.xs(policy, level="policy")
        assert mine["lead"].to_numpy() == pytest.approx((best - mine["f"]).to_numpy())
        assert (mine["lead"] > 0).all()
    assert (
        table["f"] - (table["p_CLK"] - table.index.get_level_values(1) * table["p_H"])
    ).abs().max() < 1e-9
    both = table.loc[["Action", "Comedy"]].groupby(["harm_weight", "policy"]).mean()
    pd.testing.assert_frame_equal(table.loc[harm.ALL], both)


def test_alternating_is_the_same_at_every_weight(place):
    frame = harm.weights(place).frames["weights"]
    clicks = frame[(frame["policy"] == "alternating") & (frame["metric"] == "p_CLK")]
    assert (clicks.groupby("genre")["value"].nunique() == 1).all()


def test_the_seed_changes_the_vectors_and_not_the_users(place):
    first, second = place.world("Action", 0), place.world("Action", 1)
    assert not np.allclose(first.items, second.items)
    np.testing.assert_array_equal(first.users_of("test"), second.users_of("test"))


def test_implicit_and_dynamics(place):
    frame = harm.implicit(place).frames["implicit"]
    gain = frame[frame["metric"] == "gain"]["value"].mean()
    assert gain > 0
    frame = harm.dynamics(place).frames["dynamics"]
    static = frame[(frame["users_are"] == "static") & (frame["metric"] == "lead")]
    static = static.set_index("policy")["value"]
    assert static["alternating"] == pytest.approx(0, abs=1e-9)
    assert static["static"] == pytest.approx(0, abs=1e-9)


def test_the_long_run_of_small_steps_is_the_fixed_point(place, monkeypatch):
    monkeypatch.setattr(harm, "SEEDS", ())
    frame = harm.settling(place, steps=2_000).frames["settling"]
    assert set(frame["policy"]) == {"projected_gradient", "static", "uniform", "none"}
    small_steps = frame[frame["steps_divided_by"] == 10]
    assert (small_steps["gap"].abs() < 0.1).all()  # ten users: the noise of the draws
    assert (frame[frame["steps_divided_by"] == 1]["distance_at_30"] < 1e-4).all()


def test_users_with_several_fixed_points_are_found():
    """Without recommendations some users of this world settle near what they began with."""
    model = model_of(world := synthetic_world(40, 500, 6), 1)
    family = choice.single_items(model)
    inherent = world.inherent[world.users_of("test")]
    nothing = np.zeros((len(inherent), family.size))
    uniform = nothing + 1 / family.size
    for chosen, expected in ((nothing, True), (uniform, False)):
        at = choice.stationary_profile(model, family, inherent, chosen).profile
        found = harm._several_fixed_points(model, family, inherent, chosen, at)
        assert found.any() == expected


def test_speed_and_scale(place, monkeypatch):
    (row,) = harm._speed(place, users=10)
    assert row["f_projected"] >= row["f_slsqp"] - 0.005 * abs(row["f_slsqp"])
    assert row["times_faster"] > 1
    monkeypatch.setattr(harm, "CATALOGUES", (60,))
    frame = harm.scale(place).frames["scale"]
    assert list(frame["items"]) == [60]
    assert (frame["f"] >= frame["f_static"]).all()


def test_ours_comes_first():
    """Leads are those of the first policy."""
    model = model_of(world := synthetic_world(20, 50, 4), 1)
    family = choice.single_items(model)
    inherent = world.inherent[:3]
    name, chosen = next(policies(model, family, inherent, 10.0))
    assert name == "projected_gradient"
    value = projected_gradient.ascend(model, family, inherent, 10.0)[1]
    np.testing.assert_allclose(judged(model, family, inherent, chosen, 10.0)["f"], value, atol=1e-8)


def test_files_and_page(tmp_path, monkeypatch):
    written = exhibits.write("harm-mitigation-weights", tmp_path)
    assert [path.name for path in written] == [
        "weights.csv",
        "made.csv",
        "weights.png",
        "report.html",
    ]
    page = written[-1].read_text()
    assert "projected_gradient" in page
    assert "recgym study harm-mitigation-weights" in page


@pytest.mark.parametrize("name", ["episodes", "budget", "probabilities"])
def test_studies_are_of_agents_that_can_play(name):
    from recgym import agents
    from recgym.benchmark import making

    study = studies.get(f"harm-mitigation-{name}")
    for suite in study.suites.values():
        env = making.vector_env(suite.env_id, 2, "train", "SameStep", suite.env_kwargs)
        for entry in suite.entries:
            agents.make(entry.agent, env, **entry.config)
