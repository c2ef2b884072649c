"""Observations with gaps: the Kalman filter against the joint normal, and a network against the filter."""

import numpy as np
import pandas as pd
import pytest
from problems import module, problem_of, tables_of
from scipy import stats

from deqn.project.errors import UserError
from deqn.sequence.kalman import LinearGaussian

nowcast = module("forecasting", "nowcast")


def law():
    generator = np.random.default_rng(5)
    root = generator.normal(size=(2, 2))
    return LinearGaussian(
        generator.normal(size=2), root @ root.T, [[0.8, 0.1], [-0.2, 0.5]], np.diag([1.0, 0.3]),
        generator.normal(size=(3, 2)), [[1.0, 0.2, 0.0], [0.2, 0.5, 0.1], [0.0, 0.1, 0.7]],
    )  # fmt: skip


def joint(space, periods):
    """Mean and covariance of (h_1, ..., h_T, x_1, ..., x_T), from the equations alone."""
    d, k, F, G = 2, 3, space.transition, space.observation
    mean, P = [space.initial_mean], [space.initial_covariance]
    for _ in range(periods - 1):
        mean.append(F @ mean[-1])
        P.append(F @ P[-1] @ F.T + space.state_noise)
    C = np.zeros((periods * d, periods * d))
    for s in range(periods):
        block = P[s]
        for t in range(s, periods):
            C[t * d : (t + 1) * d, s * d : (s + 1) * d] = block
            C[s * d : (s + 1) * d, t * d : (t + 1) * d] = block.T
            block = F @ block
    big, noise = np.kron(np.eye(periods), G), np.kron(np.eye(periods), space.observation_noise)
    mean = np.concatenate(mean)
    assert big.shape == (periods * k, periods * d)
    return mean, C, big, noise


def test_the_filter_with_gaps_is_conditioning_in_the_joint_normal():
    space, periods = law(), 5
    _, x = space.sample(6, periods, np.random.default_rng(1))
    x[np.random.default_rng(2).uniform(size=x.shape) < 0.4] = np.nan
    x[0, 2] = np.nan  # a period of which nothing is seen
    steps = list(space.forward(x))
    mean, C, big, noise = joint(space, periods)
    for n in range(len(x)):
        for t in range(periods):
            rows = np.flatnonzero(~np.isnan(x[n].ravel()) & (np.arange(periods * 3) < 3 * (t + 1)))
            G, y, state = big[rows], x[n].ravel()[rows], slice(2 * t, 2 * t + 2)
            S = G @ C @ G.T + noise[np.ix_(rows, rows)]
            gain = np.linalg.solve(S, G @ C[:, state]).T
            np.testing.assert_allclose(steps[t].mean[n], mean[state] + gain @ (y - G @ mean), atol=1e-10)
            np.testing.assert_allclose(steps[t].covariance[n], C[state, state] - gain @ G @ C[:, state], atol=1e-10)
        exact = stats.multivariate_normal(G @ mean, S).logpdf(y)
        np.testing.assert_allclose(space.log_likelihood(x)[n], exact, atol=1e-10)


def test_a_filter_with_one_gap_leaves_other_paths_as_they_are():
    space = law()
    _, x = space.sample(3, 4, np.random.default_rng(3))
    complete = list(space.forward(x))
    gap = x.copy()
    gap[0, 1, 2] = np.nan
    for one, other in zip(complete, space.forward(gap), strict=True):
        np.testing.assert_allclose(other.mean[1:], one.mean[1:], atol=1e-12)
        np.testing.assert_allclose(other.log_norm[1:], one.log_norm[1:], atol=1e-12)


def test_the_last_value_seen_stands_where_one_is_missing():
    y = np.array([[[np.nan], [1.0], [np.nan], [np.nan], [2.0]]])
    np.testing.assert_array_equal(nowcast.forward_filled(y)[0, :, 0], [0, 1, 1, 1, 2])


def test_the_factor_of_a_file_is_that_of_the_filter_at_each_of_its_dates(tmp_path):
    y = np.random.default_rng(4).normal(size=(6, 3))
    y[4:, 2] = y[1] = np.nan
    dates = pd.period_range("2020Q1", periods=6, freq="Q", name="quarter")
    pd.DataFrame(y, columns=["a", "b", "c"], index=dates).to_csv(tmp_path / "own.csv")
    small = [f"parameters.file={tmp_path / 'own.csv'}", "parameters.paths=100", "parameters.tests=10"]
    problem, _ = problem_of("forecasting/nowcast", *small)
    own = pd.DataFrame(problem.results().tables["own"])
    exact = [step.mean[0, 0] for step in problem.law.forward(y[None])]
    np.testing.assert_allclose(own["masked filter"], exact)
    assert list(own["observed"]) == [3, 0, 3, 3, 2, 2] and own["date"][4] == "2021-01-01T00:00:00"
    with pytest.raises(UserError, match=r"has 3 columns, expected 2 as parameters\.loadings has"):
        problem_of("forecasting/nowcast", *small, "parameters.loadings=[1, 2]", "parameters.noise=[1, 2]")


@pytest.mark.slow
@pytest.mark.parametrize("late", [0, 2])
def test_a_network_with_a_mask_nowcasts_nearly_as_well_as_the_filter_that_knows_the_law(late):
    found = tables_of("forecasting/nowcast", f"parameters.late={late}")["nowcast"].set_index("estimate")
    for measure in ("rmse", "last_period"):
        assert found.loc["network", measure] <= 1.05 * found.loc["masked filter", measure]
        assert found.loc["network", measure] < 0.9 * found.loc["forward fill, filter", measure]
