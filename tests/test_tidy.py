"""Simulated paths as data frames and as files of other programs: every number, its axes and its unit come back."""

import numpy as np
import pandas as pd
import pytest
import scipy.io
from pyarrow import parquet

from deqn.project.errors import UserError
from deqn.report.tidy import Simulation

DESCRIBED = {
    "letters": {"capital": "k", "savings": "a", "bonds": "b", "shock": "z"},
    "units": {"capital": "units of the good", "Y": "units of the good per period"},
    "aggregates": {"Y": "output"},
    "axes": {
        "labels": {"age": [20.0, 30.0, 40.0], "asset": ["stock", "bond"]},
        "dims": {"bonds": ["age", "asset"], "savings": ["age"]},
        "oldest": ["capital"],
    },
}
T = 4  # two tracks of two periods


@pytest.fixture
def path():
    rng = np.random.default_rng(0)
    sizes = {"k": (T, 3), "a": (T, 2), "b": (T, 3, 2), "Y": (T,), "a_next": (T, 5, 2)}
    arrays = {name: rng.standard_normal(size) for name, size in sizes.items()}
    arrays |= {
        "z": np.array([0, 1, 1, 0]),
        "inside": np.array([True, True, False, True]),
        "track": np.array([0, 0, 1, 1]),
    }
    return Simulation(arrays, DESCRIBED)


def test_axes_have_the_economys_names(path):
    assert path.array("b").dims == ("period", "age", "asset")
    assert path.array("a_next").dims == ("period", "next_shock", "age")
    assert list(path.array("a").coords["age"]) == [20.0, 30.0]
    np.testing.assert_array_equal(path.array("b").sel(age=30, asset="bond").values, path["b"][:, 1, 1])
    np.testing.assert_array_equal(path.array("a_next").sel(next_shock=4).values, path["a_next"][:, 4])


def test_a_label_that_is_not_on_the_axis_is_refused(path):
    with pytest.raises(UserError, match="no age 25; expected one of 20, 30, 40"):
        path.array("k").sel(age=25)


def test_long_data_hold_every_number_at_its_place_and_what_is_missing_is_missing(path):
    frame = path.to_dataframe("long", ["k", "a", "Y"])
    assert list(frame) == ["track", "period", "age", "k", "a", "Y"]
    for row in frame.to_dict("records"):
        t, place = 2 * row["track"] + row["period"], [20, 30, 40].index(row["age"])
        assert (row["k"], row["Y"]) == (path["k"][t, place], path["Y"][t])
        assert row["a"] == path["a"][t, place] if place < 2 else np.isnan(row["a"])


def test_wide_data_have_a_column_for_each_place_and_reshape_to_the_long_ones(path):
    wide, long = path.to_dataframe("wide"), path.to_dataframe("long", ["k"])
    assert len(wide) == T and {"b_20_stock", "b_40_bond", "k_30", "a_30", "inside"} <= set(wide)
    stacked = pd.wide_to_long(wide[["track", "period", "k_20", "k_30", "k_40"]], "k", ["track", "period"], "age", "_")
    np.testing.assert_array_equal(
        stacked.sort_index()["k"], long.set_index(["track", "period", "age"]).sort_index()["k"]
    )


def test_two_axes_make_a_row_for_each_pair(path):
    frame = path.to_dataframe("long")
    assert len(frame) == T * 3 * 2 and "a_next" not in frame
    row = frame[(frame["track"] == 1) & (frame["period"] == 0) & (frame["age"] == 40) & (frame["asset"] == "bond")]
    assert (row["b"].item(), row["k"].item(), row["z"].item()) == (path["b"][2, 2, 1], path["k"][2, 2], 1)


def test_parquet_gives_back_the_frame_and_its_units(path, tmp_path):
    file = path.export(tmp_path / "path.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(file), path.to_dataframe(), check_dtype=False)
    assert parquet.read_schema(file).field("k").metadata == {b"unit": b"units of the good", b"name": b"capital"}


def test_stata_gets_labels_with_units(path, tmp_path):
    file = path.export(tmp_path / "path.dta", "wide", ["k", "Y", "inside"])
    with pd.io.stata.StataReader(file) as reader:
        labels = reader.variable_labels()
        np.testing.assert_array_equal(reader.read()["k_30"], path["k"][:, 1])
    assert labels["k_30"] == "capital, age 30 [units of the good]"
    assert labels["Y"] == "output [units of the good per period]"


def test_matlab_gets_arrays_with_axes_and_units(path, tmp_path):
    found = scipy.io.loadmat(path.export(tmp_path / "path.mat"), simplify_cells=True)
    np.testing.assert_array_equal(found["b"], path["b"])
    assert (found["units"]["k"], found["dims"]["b"]) == ("units of the good", "period, age, asset")
    assert list(found["axes"]["age"]) == [20, 30, 40] and list(found["axes"]["asset"]) == ["stock", "bond"]


@pytest.mark.parametrize(
    ("file", "shape", "letters", "words"),
    [
        ("path.xlsx", "long", [], "expected one of .parquet"),
        ("path.csv", "tall", [], "expected long or wide"),
        ("path.csv", "long", ["K"], "no array 'K' among k, a"),
    ],
)
def test_mistakes_are_told(path, tmp_path, file, shape, letters, words):
    with pytest.raises(UserError, match=words):
        path.export(tmp_path / file, shape, letters)
