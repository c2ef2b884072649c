"""Figures of the simulated path against made paths whose numbers are known."""

import json

import numpy as np
import pytest

from deqn.project.errors import UserError
from deqn.report.path import aggregates, decision_rule

DESCRIBED = {
    "letters": {"capital": "k", "shock": "z", "savings": "a", "consumption": "c"},
    "states": ["capital", "shock"],
    "policies": ["savings", "consumption"],
    "units": {"capital": "units of the good"},
    "shock_names": ["bust", "boom"],
    "aggregates": {"Y": "output", "C": "consumption", "K": "capital"},
}


def write(folder, described=DESCRIBED, **arrays):
    (folder / "description.json").write_text(json.dumps(described))
    np.savez(folder / "simulation.npz", **arrays)


def made_path(periods=300):
    k, z = np.linspace(1, 2, periods), np.arange(periods) % 2
    return {"k": k, "z": z, "a": 0.5 * k + z, "c": 2 * k - z}


def test_the_decision_rule_shows_every_policy_at_every_state_of_the_path_by_shock(tmp_path):
    write(tmp_path, **made_path())
    data = decision_rule(tmp_path).data
    boom = data[(data["policy"] == "savings") & (data["group"] == "boom")]
    np.testing.assert_allclose(boom["y"], 0.5 * boom["x"] + 1)
    assert len(data) == 600 and set(data["policy"]) == {"savings", "consumption"}


def test_a_second_continuous_state_gives_the_colours_by_thirds(tmp_path):
    described = DESCRIBED | {"letters": {"capital": "k", "risk_aversion": "g"}, "states": ["capital", "risk_aversion"]}
    path = made_path()
    write(tmp_path, described, k=path["k"], g=np.arange(300.0), savings=path["a"])
    data = decision_rule(tmp_path).data
    assert dict(data["group"].value_counts()) == {"g low": 100, "g middle": 100, "g high": 100}
    assert data["x"][data["group"] == "g low"].max() < data["x"][data["group"] == "g high"].min()


def test_a_shock_that_the_path_never_visits_has_no_entry_in_the_legend(tmp_path):
    path = made_path()
    write(tmp_path, DESCRIBED | {"shock_names": ["bust", "war", "boom"]}, **path | {"z": 2 * path["z"]})
    (legend,) = decision_rule(tmp_path).figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["bust", "boom"]


def test_states_that_are_distributions_have_no_such_figure(tmp_path):
    path = made_path()
    write(tmp_path, **path | {"k": np.stack([path["k"]] * 3, axis=1)})
    assert decision_rule(tmp_path) is None


def test_aggregates_are_drawn_over_the_first_track_as_shares_of_their_mean(tmp_path):
    write(tmp_path, Y=np.r_[np.arange(1.0, 201), np.full(50, 1e9)], C=np.ones(250), track=np.repeat([0, 1], [200, 50]))
    data = aggregates(tmp_path).data
    np.testing.assert_allclose(data["Y"], np.arange(1, 151) / 100.5)
    assert list(data) == ["period", "Y", "C"]


def test_a_damaged_simulation_is_told_with_the_cure(tmp_path):
    write(tmp_path, **made_path())
    (tmp_path / "simulation.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(UserError, match=r"simulation\.npz: cannot be read .* run `deqn evaluate`"):
        aggregates(tmp_path)
