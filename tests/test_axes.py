"""Axes of an economy: a label for every entry of a field, tables and figures along them, and nothing by guess."""

import json
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from small import rule_of

from deqn.equilibrium import Economy, Gaussian, Report
from deqn.equilibrium.checks.dry_run import check_equations
from deqn.equilibrium.evaluation import evaluate
from deqn.equilibrium.reporting import results_of
from deqn.equilibrium.settings import EvaluationSettings
from deqn.project.errors import UserError
from deqn.project.writing import write_csv
from deqn.report.axes import Axes
from deqn.report.bands import by_axis
from deqn.report.comparison import _policies

PATH = EvaluationSettings(periods=260, burn_in=60)
COUNTRIES = ["home", "abroad", "far away"]


class Holdings(NamedTuple):
    holdings: tf.Tensor  # [batch, 2, 2] of ages 31 and 41, by asset


class Plans(NamedTuple):
    savings: tf.Tensor  # [batch, 2, 2] of ages 21 and 31, by asset
    consumption: tf.Tensor  # [batch, 3]


class TwoAssets(Economy):
    """Three ages with an income of one save in two assets of given, lognormal returns, and have log utility."""

    State, Policy = Holdings, Plans
    report = Report(
        letters={"holdings": "k", "savings": "a", "consumption": "c"},
        units={"savings": "goods"},
        dims={"holdings": ("age", "asset"), "savings": ("age", "asset"), "euler": ("age", "asset")},
    )

    def __init__(self, parameters=None, dtype="float64"):
        super().__init__(parameters, dtype)
        self.shocks, self.outputs = Gaussian(2, nodes=3), 4
        self.axes = {"age": [21, 31, 41], "asset": ["stock", "bond"]}

    def features(self, state):
        return tf.reshape(state.holdings, [-1, 4])

    def policy(self, output, state):
        cash = 1.0 + tf.pad(tf.reduce_sum(state.holdings, 2), [[0, 0], [1, 0]])
        saved = cash[:, :2, None] * tf.reshape(tf.sigmoid(output - 2.0), [-1, 2, 2]) / 2
        return Plans(saved, cash - tf.pad(tf.reduce_sum(saved, 2), [[0, 0], [0, 1]]))

    def returns(self, shock):
        return tf.exp(shock * tf.constant([0.2, 0.01], self.dtype))[:, None, :]

    def transition(self, state, policy, shock):
        return Holdings(policy.savings * self.returns(shock))

    def residuals(self, state, policy, E):
        paid = E(lambda s, q: s.holdings / q.consumption[:, 1:, None]) / policy.savings
        return {"euler": paid * policy.consumption[:, :2, None] - 1}

    def initial_states(self, count, generator):
        return Holdings(generator.uniform(0.1, 0.3, (count, 2, 2)))


class Stocks(NamedTuple):
    capital: tf.Tensor  # [batch, 3] by country


class Choices(NamedTuple):
    savings: tf.Tensor
    consumption: tf.Tensor


class Islands(Economy):
    """Brock and Mirman's (1972) planner in three countries that do not trade: k' = alpha beta y."""

    State, Policy = Stocks, Choices
    report = Report(letters={"capital": "k", "savings": "a"})

    def __init__(self, parameters=None, dtype="float64"):
        super().__init__(parameters, dtype)
        self.shocks, self.outputs = Gaussian(3, rule="monomial", degree=3), 3
        self.axes = {"country": COUNTRIES}

    def features(self, state):
        return tf.math.log(state.capital)

    def policy(self, output, state):
        y, share = state.capital**0.3, 0.27 * tf.exp(output)
        return Choices(y * share, y * (1 - share))

    def transition(self, state, policy, shock):
        return Stocks(policy.savings * tf.exp(0.1 * shock))

    def residuals(self, state, policy, E):
        paid = E(lambda s, q: s.capital ** (0.3 - 1) * s.capital / q.consumption) / policy.savings
        return {"euler": 0.27 * paid * policy.consumption - 1}

    def initial_states(self, count, generator):
        return Stocks(generator.uniform(0.1, 0.3, (count, 3)))


@pytest.fixture(scope="module")
def assets():
    rule = rule_of(TwoAssets(), heads=False)
    return SimpleNamespace(results=results_of(rule, PATH), path=evaluate(rule, PATH.periods, PATH.burn_in, PATH.seed))


@pytest.fixture(scope="module")
def islands():
    rule = rule_of(Islands(), heads=False)
    return SimpleNamespace(results=results_of(rule, PATH), path=evaluate(rule, PATH.periods, PATH.burn_in, PATH.seed))


def written(folder, results):
    """The folder with the results' tables and description, as an evaluation writes them."""
    for name, rows in results.tables.items():
        write_csv(folder / f"{name}.csv", list(rows[0]), rows)
    (folder / "description.json").write_text(json.dumps(results.description))
    return folder


@pytest.mark.parametrize("economy", [TwoAssets, Islands])
def test_economies_that_name_their_axes_are_accepted(economy):
    assert check_equations(economy(dtype="float32")) == ["euler"]


def test_two_axes_are_written_along_the_first_with_a_column_for_the_second(assets):
    assert set(assets.results.tables) == {"errors", "moments", "by_age", "implied"}  # no field is by asset alone
    table = pd.DataFrame(assets.results.tables["by_age"]).set_index(["variable", "age", "asset"])
    for n, age in enumerate(
        ("21", "31")
    ):  # what is saved is that of all but the oldest, what is held of all but the young
        for j, asset in enumerate(("stock", "bond")):
            saved, held = assets.path.policy.savings[:, n, j], assets.path.state.holdings[:, n, j]
            assert table.loc[("savings", age, asset), "mean"] == pytest.approx(saved.mean(), rel=1e-12)
            assert table.loc[("savings", age, asset), "p10"] == pytest.approx(np.percentile(saved, 10), rel=1e-12)
            later = {"21": "31", "31": "41"}[age]
            assert table.loc[("holdings", later, asset), "mean"] == pytest.approx(held.mean(), rel=1e-12)
    assert [*table.loc["consumption"].index] == [("21", ""), ("31", ""), ("41", "")]


def test_errors_are_pooled_along_each_axis_and_moments_are_of_each_entry(assets):
    rows = {(row["group"], row["key"]): row["mean"] for row in assets.results.tables["errors"]}
    error = np.abs(assets.path.errors["euler"])
    assert rows["age", "31"] == pytest.approx(error[:, 1].mean(), rel=1e-12)
    assert rows["asset", "bond"] == pytest.approx(error[:, :, 1].mean(), rel=1e-12)
    assert set(rows) == {("all", ""), ("age", "21"), ("age", "31"), ("asset", "stock"), ("asset", "bond")}
    moments = {(row["variable"], row["group"], row["key"]): row["value"] for row in assets.results.tables["moments"]}
    assert moments["savings", "age/asset", "31/stock"] == pytest.approx(assets.path.policy.savings[:, 1, 0].mean())
    assert moments["consumption", "age", "41"] == pytest.approx(assets.path.policy.consumption[:, 2].mean())


def test_a_field_with_two_axes_is_drawn_with_a_line_for_each_label_of_the_second(assets, tmp_path):
    drawn = {drawing.name: drawing for drawing in by_axis(written(tmp_path, assets.results))}
    (panel,) = drawn["savings_by_age"].figure.axes
    assert panel.get_xlabel() == "age"
    lines = {line.get_label(): line for line in panel.get_lines()}
    assert set(lines) == {"stock", "bond"}
    np.testing.assert_array_equal(lines["bond"].get_xdata(), [21, 31])
    np.testing.assert_allclose(lines["bond"].get_ydata(), assets.path.policy.savings[:, :, 1].mean(axis=0), rtol=1e-12)
    assert [line.get_label() for line in drawn["consumption_by_age"].figure.axes[0].get_lines()] == ["median", "mean"]


def test_countries_are_drawn_as_bars_under_their_names(islands, tmp_path):
    (tables,) = [name for name in islands.results.tables if name.startswith("by_")]
    assert tables == "by_country"
    drawn = {drawing.name: drawing for drawing in by_axis(written(tmp_path, islands.results))}
    assert list(drawn) == [f"{name}_by_country" for name in ("capital", "savings", "consumption", "euler")]
    (panel,) = drawn["capital_by_country"].figure.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == COUNTRIES
    bars = panel.patches[3:]  # after those of the extremes, those from the 10th to the 90th percentile
    low, high = np.percentile(islands.path.state.capital, [10, 90], axis=0)
    np.testing.assert_allclose([bar.get_y() for bar in bars], low, rtol=1e-12)
    np.testing.assert_allclose([bar.get_height() for bar in bars], high - low, rtol=1e-12)
    assert pd.DataFrame(drawn["capital_by_country"].data)["country"].tolist() == COUNTRIES  # in the economy's order


def test_errors_by_country_are_those_of_the_country(islands):
    rows = {row["key"]: row["mean"] for row in islands.results.tables["errors"] if row["group"] == "country"}
    error = np.abs(islands.path.errors["euler"]).mean(axis=0)
    assert rows == pytest.approx(dict(zip(COUNTRIES, error, strict=True)), rel=1e-12)


def test_compared_policies_have_a_panel_for_each_asset(assets):
    axes = {"labels": {"age": [21, 31, 41], "asset": ["stock", "bond"]}, "dims": {"a": ["age", "asset"]}}
    described = {"runs": ["one"], "names": {"a": "savings"}, "units": {}, "axes": axes}
    drawing = _policies(described, {"1/a": assets.path.policy.savings})
    assert [panel.get_ylabel() for panel in drawing.figure.axes] == ["savings stock", "savings bond"]
    bonds = drawing.data[drawing.data["policy"] == "a/bond"]
    np.testing.assert_allclose(bonds["y"], assets.path.policy.savings[:, :, 1].mean(axis=0))


BOTH = {"age": [21.0, 31.0, 41.0], "asset": ["stock", "bond"]}
SEEN = "and the axes are age \\(3\\), asset \\(2\\)"


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        (Axes(BOTH), (3, 2), f"x has no names for its axes: its shape is \\[batch, 3, 2\\], {SEEN}; add"),
        (
            Axes(BOTH),
            (4,),
            f"x fits no axis: its shape is \\[batch, 4\\], {SEEN}; correct its size, or add {{'x': \\(\\)",
        ),
        (Axes(BOTH), (1,), "x fits no axis: its shape is \\[batch, 1\\]"),  # one name less is no bond
        (Axes(BOTH), (2,), "x may be by age or by asset: its shape is \\[batch, 2\\]"),
        (
            Axes(BOTH, {"x": ("age", "asset")}),
            (3, 3),
            "x is said to be by age, asset, but its shape is \\[batch, 3, 3\\]",
        ),
        (Axes(BOTH, {"x": ("age",)}), (3, 2), "x is said to be by age, but its shape is \\[batch, 3, 2\\]"),
    ],
)
def test_an_axis_without_a_name_is_refused_with_shape_and_axes(axes, shape, message):
    with pytest.raises(UserError, match=f"report.dims: {message}"):
        axes.of("x", shape)


def test_numbers_that_belong_to_no_axis_are_said_so_and_an_economy_without_axes_needs_no_names():
    assert Axes(BOTH, {"x": ()}).of("x", (7, 7)) == {}
    assert Axes().of("x", (7, 7)) == {}
    assert Axes(BOTH).of("x", (3,)) == {"age": [21.0, 31.0, 41.0]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dims": {}},
            "report.dims: savings has no names for its axes: its shape is .batch, 2, 2., and the axes are age",
        ),
        ({"dims": {"saving": ("age",)}}, "report.dims: 'saving' unknown; did you mean 'savings'?"),
        ({"dims": {"savings": ("age", "assets")}}, "report.dims: 'assets' unknown; did you mean 'asset'?"),
        ({"axis_labels": {"ages": "years"}}, "report.axis_labels: 'ages' unknown; did you mean 'age'?"),
    ],
)
def test_a_report_that_does_not_fit_the_axes_is_refused_before_training(monkeypatch, changes, message):
    monkeypatch.setattr(TwoAssets, "report", TwoAssets.report._replace(**changes))
    with pytest.raises(UserError, match=message):
        check_equations(TwoAssets(dtype="float32"))


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"shock": [1, 2, 3]}, "axes: 'shock' cannot name an axis"),
        ({"two words": [1, 2, 3]}, "axes: 'two words' cannot name an axis"),
        ({"country": ["home", "home", "away"]}, "axes.country: got .*, expected labels that differ"),
        ({"country": ["home", 2, "away"]}, "axes.country: got .*, all of them numbers or all of them names"),
        ({"country": []}, "axes.country: got .., expected labels"),
    ],
)
def test_an_axis_has_one_word_for_a_name_and_labels_that_differ(axes, message):
    economy = Islands(dtype="float32")
    economy.axes = axes
    with pytest.raises(UserError, match=message):
        check_equations(economy)
