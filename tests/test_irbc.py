"""The N-country economy: its equations against NumPy, what holds by construction, and irreversible investment."""

import numpy as np
import pytest
import tensorflow as tf
from oracles import irbc
from small import ROOT, constant, economy_of, euler_of, rule_of, states_of

from deqn.equilibrium.checks.dry_run import check_equations

IRBC2, IRREVERSIBLE = (ROOT / f"models/irbc/{stem}.yaml" for stem in ("irbc2", "irbc2_irreversible"))
BETA, ALPHA, DELTA, PHI, RHO, SIGMA = 0.99, 0.36, 0.01, 0.5, 0.95, 0.01
A = (1 / BETA - 1 + DELTA) / ALPHA


def numpy_policy(capital, ln_a, growth):
    """lambda and c where capital grows by these factors, by bisection on the resource constraint; one state."""
    gamma = irbc.elasticities(len(capital))
    invested = growth * capital + PHI / 2 * capital * (growth - 1) ** 2
    left = np.sum(np.exp(ln_a) * A * capital**ALPHA + (1 - DELTA) * capital - invested)
    low, high = 1e-3, 1e3
    for _ in range(200):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if np.sum((A - DELTA) * middle**-gamma) > left else (low, middle)
    return low, (A - DELTA) * low**-gamma


@pytest.mark.parametrize("countries", [2, 4])
def test_world_resources_are_shared_out_to_the_last_digit_whatever_the_network_says(countries):
    economy = economy_of(IRBC2, f"parameters.countries={countries}")
    state, rng = states_of(economy, 20), np.random.default_rng(0)
    output = 0.02 * rng.standard_normal((20, countries))
    policy = economy.policy(tf.constant(output), state)
    for row in range(20):
        capital, ln_a = state.capital[row].numpy(), state.log_productivity[row].numpy()
        lam, c = numpy_policy(capital, ln_a, np.exp(output[row]))
        assert policy.multiplier[row].numpy() == pytest.approx(lam, rel=1e-12)
        np.testing.assert_allclose(policy.consumption[row], c, rtol=1e-12)
        np.testing.assert_allclose(policy.next_capital[row], np.exp(output[row]) * capital, rtol=1e-14)


def test_the_multipliers_gradient_is_that_of_finite_differences():
    economy = economy_of(IRBC2, "parameters.countries=3")
    C = tf.constant([[0.7], [1.0], [1.4]], tf.float64) * economy.steady_consumption
    with tf.GradientTape() as tape:
        tape.watch(C)
        x = economy.log_multiplier(C)
    slope = (economy.log_multiplier(C * (1 + 1e-6)) - economy.log_multiplier(C * (1 - 1e-6))) / (2e-6 * C)
    np.testing.assert_allclose(tape.gradient(x, C), slope, rtol=1e-7)


def test_euler_errors_are_those_of_a_product_rule_in_numpy():
    # Policies of fixed growth; the quadrature is another one: 5 Gauss-Hermite nodes in each of three dimensions.
    economy, growth = economy_of(IRBC2), 1.003
    error, state, _ = euler_of(economy, constant(economy, np.log(growth)), count=5)
    node, weight = np.polynomial.hermite_e.hermegauss(5)
    weight = weight / weight.sum()
    for row in range(5):
        capital, ln_a = state.capital[row].numpy(), state.log_productivity[row].numpy()
        lam, _ = numpy_policy(capital, ln_a, growth * np.ones(2))
        value = np.zeros(2)
        for index in np.ndindex(5, 5, 5):
            e = node[list(index)]
            later_k, later_a = growth * capital, RHO * ln_a + SIGMA * (e[:2] + e[2])
            later_lam, _ = numpy_policy(later_k, later_a, growth * np.ones(2))
            pays = np.exp(later_a) * ALPHA * A * later_k ** (ALPHA - 1) + 1 - DELTA
            pays = pays + PHI / 2 * (growth - 1) * (growth + 1)
            value += weight[list(index)].prod() * later_lam * pays
        np.testing.assert_allclose(error[row], BETA * value / (lam * (1 + PHI * (growth - 1))) - 1, atol=1e-8)


def test_without_risk_the_steady_state_stays_and_meets_every_condition():
    economy = economy_of(IRBC2, "parameters.innovation_sd=1.0e-9")
    state = economy.tensors(economy.initial_states(1, np.random.default_rng(0)))
    (policy,) = constant(economy, 0.0)([state])
    np.testing.assert_allclose(policy.consumption, [[A - DELTA] * 2], rtol=1e-12)
    E = rule_of(economy, heads=False, scale=0.0).expectation(state, policy)
    errors = economy.errors(state, policy, E)
    assert set(errors) == {"euler", "resources"}
    assert max(np.abs(error).max() for error in errors.values()) < 1e-12


def test_countries_that_are_alike_may_change_places():
    economy = economy_of(IRBC2, "parameters.countries=3", "parameters.lowest_elasticity=1.0")
    rng, order = np.random.default_rng(1), [2, 0, 1]
    k, ln_a, output = np.exp(0.05 * rng.standard_normal((4, 3))), *(0.02 * rng.standard_normal((2, 4, 3)))

    def decided(where):
        state = economy.State(tf.constant(k[:, where]), tf.constant(ln_a[:, where]))
        return economy.policy(tf.constant(output[:, where]), state)

    here, there = decided([0, 1, 2]), decided(order)
    np.testing.assert_allclose(there.next_capital, here.next_capital.numpy()[:, order], rtol=1e-14)
    np.testing.assert_allclose(there.multiplier, here.multiplier, rtol=1e-13)


def test_irreversible_investment_is_complementary_to_its_multiplier_whatever_the_network_says():
    economy = economy_of(IRREVERSIBLE)
    state = states_of(economy, 200)
    output = tf.constant(0.02 * np.random.default_rng(2).standard_normal((200, 2)))
    policy = economy.policy(output, state)
    slack = (policy.next_capital - (1 - DELTA) * state.capital).numpy()
    mu = policy.irreversibility.numpy()
    binds = mu > 0
    assert 0.1 < binds.mean() < 0.9
    assert slack.min() >= -1e-15 and mu.min() == 0
    np.testing.assert_allclose(slack[binds], 0, atol=1e-15)
    # The first-order condition with the multiplier is that of unconstrained growth: lambda (1 + phi g) - mu.
    g, u, lam = policy.next_capital / state.capital - 1, policy.unconstrained - 1, policy.multiplier[:, None]
    np.testing.assert_allclose(lam * (1 + PHI * g) - mu, lam * (1 + PHI * u), rtol=1e-12)


def test_where_nothing_binds_irreversible_and_free_investment_are_one_economy():
    free, bound = economy_of(IRBC2), economy_of(IRREVERSIBLE)
    ours, _, _ = euler_of(bound, constant(bound, 0.004))
    theirs, _, _ = euler_of(free, constant(free, 0.004))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("path", [IRBC2, IRREVERSIBLE])
def test_the_equations_pass_the_dry_run(path):
    assert check_equations(economy_of(path, dtype="float32")) == ["euler"]
