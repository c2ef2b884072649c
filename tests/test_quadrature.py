"""Quadrature rules against the closed-form moments of the normal distribution and against adaptive integration."""

from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import factorial2
from scipy.stats import norm

from deqn.equilibrium.quadrature import gauss_hermite, monomial


def normal_moment(powers):
    """E[prod_i x_i^p_i]: zero with an odd power, otherwise the product of the double factorials (p_i - 1)!!."""
    if any(p % 2 for p in powers):
        return 0.0
    return float(np.prod([factorial2(p - 1) if p else 1 for p in powers]))


def assert_exact(rule, dimensions, admits):
    nodes, weights = rule
    assert nodes.shape == (len(weights), dimensions)
    for powers in filter(admits, product(range(10), repeat=dimensions)):
        terms = weights * np.prod(nodes ** np.array(powers), axis=1)
        rounding = 1e-12 * (1 + abs(terms).sum())
        assert terms.sum() == pytest.approx(normal_moment(powers), rel=0, abs=rounding), powers


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_gauss_hermite_is_exact_to_its_degree_in_each_shock(nodes, dimensions):
    assert_exact(gauss_hermite(nodes, dimensions), dimensions, lambda powers: max(powers) <= 2 * nodes - 1)


@pytest.mark.parametrize("degree", [3, 5])
@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 5])
def test_monomial_rules_are_exact_to_their_total_degree(dimensions, degree):
    assert_exact(monomial(dimensions, degree), dimensions, lambda powers: sum(powers) <= degree)


def test_the_rules_have_the_number_of_nodes_they_are_known_for():
    for d in (1, 2, 3, 10):
        assert len(monomial(d, 3)[1]) == 2 * d
        assert len(monomial(d, 5)[1]) == 2 * d**2 + 1
    assert len(gauss_hermite(3, 4)[1]) == 81


def test_no_node_is_counted_twice():
    for nodes, _ in (gauss_hermite(4, 3), monomial(6, 3), monomial(6, 5)):
        assert len(np.unique(nodes.round(12), axis=0)) == len(nodes)


@pytest.mark.parametrize("rule", [gauss_hermite(5, 3), gauss_hermite(40), monomial(50, 3), monomial(50, 5)])
def test_weights_sum_to_one(rule):
    assert rule[1].sum() == pytest.approx(1, abs=1e-12)


def test_fifty_shocks_have_unit_variance_and_no_correlation():
    for degree in (3, 5):
        nodes, weights = monomial(50, degree)
        np.testing.assert_allclose((nodes * weights[:, None]).T @ nodes, np.eye(50), atol=1e-11)


def test_degree_five_in_one_dimension_is_three_point_gauss_hermite():
    ours, theirs = monomial(1, 5), gauss_hermite(3)
    order = np.argsort(ours[0][:, 0])
    np.testing.assert_allclose(ours[0][order], theirs[0], atol=1e-14)
    np.testing.assert_allclose(ours[1][order], theirs[1], atol=1e-14)


def test_the_lognormal_mean_is_found():
    nodes, weights = gauss_hermite(9, 2)
    loadings = np.array([0.3, 0.4])
    assert weights @ np.exp(nodes @ loadings) == pytest.approx(np.exp(0.5 * loadings @ loadings), rel=1e-12)


def test_the_expectation_of_marginal_utility_agrees_with_adaptive_integration():
    def marginal_utility(x):
        return (1 + 0.3 * np.exp(0.2 * x)) ** -2.0

    exact, _ = quad(lambda x: marginal_utility(x) * norm.pdf(x), -12, 12, epsabs=1e-13)
    nodes, weights = gauss_hermite(12)
    assert weights @ marginal_utility(nodes[:, 0]) == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gauss_hermite(0), "nodes is 0, expected at least 1"),
        (lambda: gauss_hermite(3, 0), "dimensions is 0, expected at least 1"),
        (lambda: gauss_hermite(10, 400), "use fewer nodes or the monomial rule"),
        (lambda: monomial(0), "dimensions is 0, expected at least 1"),
        (lambda: monomial(2, 4), "degree is 4, expected 3 or 5"),
    ],
)
def test_a_rule_that_does_not_exist_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
