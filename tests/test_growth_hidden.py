"""Growth by hidden regimes: Bayes' rule, what households expect, the grid that judges the rules, and trained rules."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.polynomial.hermite_e import hermegauss
from oracles.hidden_growth_grid import HiddenGrowth, bayes, solve
from small import ROOT, economy_of, rule_of, states_of, train

from deqn.equilibrium.evaluation import evaluate
from deqn.sequence.hmm import forward

FILE = ROOT / "models/growth_hidden/belief.yaml"
PI, MU, SD = (
    np.array([[0.9049, 0.0951], [0.245, 0.755]]),
    np.array([0.0116, -0.0036]),
    0.0077,
)  # the file's, typed again
ECONOMY = HiddenGrowth(0.36, 0.99, 0.025, 2.0, tuple(MU), SD, PI)


@pytest.fixture(scope="module")
def rule():
    return rule_of(economy_of(FILE), heads=False, scale=0.05)


def test_beliefs_along_a_path_are_those_of_the_forward_algorithm_from_growth_alone(rule):
    path = evaluate(rule, 400, 0, seed=3).state
    likelihoods = np.exp(-(((path.growth[1:, None] - MU) / SD) ** 2) / 2)[:, None]
    ahead = np.array([path.belief[0], 1 - path.belief[0]]) @ PI
    steps = forward(ahead, PI, likelihoods)
    np.testing.assert_allclose(path.belief[1:], [step.states[0, 0] for step in steps], rtol=1e-9)
    assert path.belief.min() < 0.05 and path.belief.max() > 0.95


def test_households_expect_by_their_belief_and_not_by_the_regime_they_cannot_see(rule):
    state = states_of(rule.economy, 40)
    points, weights = hermegauss(5)
    expected, belief = np.zeros(40), state.belief.numpy()
    for z in range(2):
        chance = belief * PI[0, z] + (1 - belief) * PI[1, z]
        for e, weight in zip(points, weights / weights.sum(), strict=True):
            expected += chance * weight * np.exp(-2 * (MU[z] + SD * e))
    for regime in (0, 1):
        there = state._replace(shock=tf.fill([40], regime))
        E = rule.expectation(there, rule(there))
        np.testing.assert_allclose(E(lambda s, q: tf.exp(-2 * s.growth)), expected, rtol=1e-12)


def test_expansions_are_as_frequent_as_beliefs_say():
    """Where households give an expansion .7 to .8, nature is in one as often as their mean belief there."""
    generator, b = np.random.default_rng(0), np.full(20_000, 0.5)
    z = generator.integers(0, 2, 20_000)
    for _ in range(30):
        z = (generator.random(20_000) > PI[z, 0]).astype(int)
        b = bayes(ECONOMY, b, MU[z] + SD * generator.standard_normal(20_000))
    for low in np.arange(0, 1, 0.1):
        chosen = (b >= low) & (b < low + 0.1)
        error = 4 * np.sqrt(0.25 / chosen.sum())
        assert abs((z[chosen] == 0).mean() - b[chosen].mean()) < error


@pytest.mark.slow
def test_the_grid_solves_the_euler_equation_between_its_points_by_the_trapezoid_rule():
    solution, rng = solve(ECONOMY, 40, 31, 11), np.random.default_rng(1)
    k, b = ECONOMY.typical_capital() * np.exp(rng.uniform(-0.2, 0.25, 60)), rng.uniform(0.02, 0.98, 60)
    saved, value, eps = solution.savings(k, b), 0.0, np.linspace(-6, 6, 101)
    weight = np.exp(-(eps**2) / 2) / np.exp(-(eps**2) / 2).sum()
    for z in range(2):
        chance = b * PI[0, z] + (1 - b) * PI[1, z]
        for e, share in zip(eps, weight, strict=True):
            g = MU[z] + SD * e
            ahead = b * PI[0, 0] + (1 - b) * PI[1, 0]
            first, second = (
                ahead * np.exp(-(((g - MU[0]) / SD) ** 2) / 2),
                (1 - ahead) * np.exp(-(((g - MU[1]) / SD) ** 2) / 2),
            )
            later = saved * np.exp(-g)
            c = solution.consumption(later, first / (first + second))
            value += chance * share * np.exp(-2 * g) * (0.36 * later**-0.64 + 0.975) * c**-2.0
    np.testing.assert_allclose((0.99 * value) ** -0.5, solution.consumption(k, b), rtol=5e-6)


@pytest.mark.slow
def test_households_that_follow_bayes_rule_consume_as_on_the_grid(tmp_path):
    errors, path, _ = train(tmp_path, "growth_hidden/belief", "evaluation.periods=4000")
    assert errors.loc["euler", "mean"] < 5e-5 and errors.loc["euler", "p99.9"] < 5e-4
    away = np.abs(path["c"] / solve(ECONOMY, 40, 31, 9).consumption(path["k"], path["b"]) - 1)
    assert away.mean() < 1e-4 and away.max() < 2e-4  # nearly all of it is the file's five quadrature nodes


def test_a_belief_that_is_no_probability_is_outside_of_the_economy():
    state = states_of(economy_of(FILE), 3)
    belief = tf.constant([0.5, -0.01, 1.01], state.belief.dtype)
    np.testing.assert_array_equal(economy_of(FILE).is_inside(state._replace(belief=belief)), [True, False, False])


def test_who_cannot_learn_anything_consumes_as_if_growth_were_independent_over_time():
    """Both rows of the chain alike: the belief tells nothing of the future, so consumption does not depend on it."""
    same = ECONOMY._replace(transition=np.full((2, 2), 0.5))
    solution = solve(same, 30, 11, 9)
    b = np.linspace(0, 1, 9)
    c = solution.consumption(np.full(9, same.typical_capital()), b)
    np.testing.assert_allclose(c, c[0], rtol=1e-9)
