"""Double machine learning against the package doubleml, and on made data whose effect is known."""

import doubleml
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from problems import module, problem_of, tables_of, trained
from sklearn.linear_model import LinearRegression

from deqn.project.errors import UserError

data, estimation, groups = (module("dml", name) for name in ("data", "estimation", "groups"))
SMALL = ("parameters.rows=400", "parameters.repetitions=2", "parameters.folds=2", "parameters.hidden=[8]",
         "parameters.batch=50")  # fmt: skip


def test_estimate_and_standard_error_are_those_of_doubleml():
    sample = data.made_sample(500, 1.0, np.random.default_rng(1))
    table = doubleml.DoubleMLData.from_arrays(sample.controls, sample.outcome, sample.treatments[:, 0])
    model = doubleml.DoubleMLPLR(table, LinearRegression(), LinearRegression(), n_folds=3)
    model.fit(store_predictions=True)
    said = {name: model.predictions[name][:, 0, 0] for name in ("ml_l", "ml_m")}
    found = estimation.partially_linear(sample.treatments - said["ml_m"][:, None], sample.outcome - said["ml_l"])
    np.testing.assert_allclose(found.estimate, model.coef, rtol=1e-10)
    np.testing.assert_allclose(found.error, model.se, rtol=1e-10)


def test_standard_errors_with_lags_are_those_of_statsmodels():
    generator = np.random.default_rng(2)
    nu, u = np.cumsum(generator.normal(size=(300, 2)), axis=0), np.cumsum(generator.normal(size=300))
    expected = sm.OLS(u, nu).fit(cov_type="HAC", cov_kwds={"maxlags": 7})
    found = estimation.partially_linear(nu, u, 7)
    np.testing.assert_allclose(found.estimate, expected.params, rtol=1e-10)
    np.testing.assert_allclose(found.error, expected.bse, rtol=1e-10)
    row = found.rows(["a", "b"], "method")[1]
    np.testing.assert_allclose([row["[0.025"], row["0.975]"]], expected.conf_int()[1], rtol=1e-10)
    np.testing.assert_allclose(row["P>|z|"], expected.pvalues[1], atol=5e-5)


def test_no_network_sees_the_fold_that_it_predicts_or_validates_on_what_it_learns_from():
    nuisances = problem_of("dml/dml", *SMALL)[0].nuisances
    train, judging, counts = (each.numpy() for each in (nuisances.train, nuisances.judging, nuisances.counts))
    of_member = np.arange(len(train)).reshape(nuisances.shape)  # [repetitions, K + 1, targets]
    for r, k, j in np.ndindex(*nuisances.shape):
        member = of_member[r, k, j]
        learned, judged = set(train[member, : counts[member]]), set(judging[member])
        assert not learned & judged
        allowed = set(np.flatnonzero(nuisances.folds[r] != k))
        assert learned | judged == allowed
        assert len(allowed) == (400 if k == 2 else 200)


def test_residuals_are_what_the_network_of_the_other_fold_leaves():
    problem = problem_of("dml/dml", *SMALL)[0]
    nuisances = problem.nuisances
    split, unsplit = nuisances.residuals()
    members = np.arange(np.prod(nuisances.shape)).reshape(nuisances.shape)
    for r, row, j in [(0, 3, 0), (1, 17, 1), (1, 250, 0)]:
        for k, left in ((nuisances.folds[r, row], split), (2, unsplit)):
            x = np.repeat(nuisances.x.numpy()[r, row][None, None], len(members.ravel()), axis=0)
            said = float(nuisances.ensemble(x)[members[r, k, j], 0, 0])
            expected = nuisances.targets[r, row, j] - said * nuisances.scale[r, 0, j] - nuisances.centre[r, 0, j]
            assert left[r, row, j] == pytest.approx(expected, abs=1e-5)


def test_the_loss_is_the_mean_of_squared_errors_of_each_network_on_its_own_target():
    nuisances = problem_of("dml/dml", *SMALL)[0].nuisances
    errors = nuisances.errors(nuisances.judging).numpy()
    predicted = (nuisances.predicted() - nuisances.centre[:, None]) / nuisances.scale[:, None]
    wanted = (nuisances.targets - nuisances.centre) / nuisances.scale
    members = np.arange(np.prod(nuisances.shape)).reshape(nuisances.shape)
    for r, k, j in np.ndindex(*nuisances.shape):
        rows = nuisances.judging.numpy()[members[r, k, j]]
        expected = (predicted[r, k, rows, j] - wanted[r, rows, j]) ** 2
        np.testing.assert_allclose(errors[members[r, k, j]], expected, rtol=2e-3, atol=1e-5)


def test_folds_of_a_series_are_blocks_of_time_and_others_are_drawn():
    folds_of, generator = module("dml", "nuisances").folds_of, np.random.default_rng(1)
    np.testing.assert_array_equal(folds_of(7, 3, True, generator), [0, 0, 0, 1, 1, 2, 2])
    drawn = folds_of(100, 4, False, generator)
    assert (np.bincount(drawn) == 25).all() and (np.diff(drawn) < 0).any()


def test_matched_hours_have_the_same_place_in_the_week_and_no_event_before():
    hours = data.made_hours(120, (1.5, 2.0), np.random.default_rng(3))
    found, pairs = groups.matched(hours, 0, 12)
    assert found > len(pairs) > 10
    t_0, t_1 = pairs.T
    np.testing.assert_array_equal(hours.place[t_0], hours.place[t_1])
    np.testing.assert_array_equal(hours.events[t_1] - hours.events[t_0], np.tile([1.0, 0.0], (len(pairs), 1)))
    assert all(not hours.events[t - 12 : t].any() for t in pairs.ravel())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(wage="x"), r"line 2: wage is 'x', expected a number"),
        (lambda t: t.rename(columns={"wage": "pay"}), r"no column 'wage'"),
        (lambda t: t.assign(age=1.0), r"age is the same in all rows, expected it to vary"),
        (lambda t: t[["wage", "training"]], r"has no column beside wage, training, expected controls"),
        (lambda t: t.head(20), r"has 20 rows, expected at least 50 for 5 folds"),
    ],
)
def test_a_mistake_in_ones_own_table_is_told(tmp_path, change, words):
    table = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 3)), columns=["wage", "training", "age"])
    change(table).to_csv(tmp_path / "own.csv", index=False)
    own = [f"parameters.file={tmp_path / 'own.csv'}", "parameters.outcome=wage", "parameters.treatments=[training]"]
    with pytest.raises(UserError, match=words):
        problem_of("dml/dml", *own)


@pytest.mark.slow
def test_events_are_estimated_as_with_the_season_known_and_the_difference_of_means_is_not():
    found = tables_of("dml/events")["effects"].set_index(["method", "treatment"])
    known, networks, means = (found.loc[name] for name in ("known means", "cross-fitted", "no controls"))
    assert (np.abs(networks["coef"] - known["coef"]) < known["std err"]).all()
    assert (np.abs(means["coef"] - [1.5, 2.0]) > 4 * means["std err"]).all()


@pytest.mark.long
def test_cross_fitted_estimates_are_right_and_their_intervals_cover():
    found = pd.DataFrame(trained("dml/dml").results().tables["repetitions"]).set_index("method")
    right = found.loc["cross-fitted"]
    assert abs(right["bias"]) <= 0.02
    assert 0.86 <= right["coverage"] <= 1.0
    assert abs(right["mean std err"] * np.sqrt(4000) - 1) <= 0.15
    assert abs(found.loc["linear controls", "bias"]) > 0.15
