"""Stochastic growth: steady state, saddle path, policy maps, and Euler equations against the grid solution."""

import numpy as np
import pytest
import tensorflow as tf
from oracles.chains import rouwenhorst
from oracles.growth_grid import Growth, solve_ar1, solve_markov
from small import ROOT, economy_of, states_of

from deqn.equilibrium.expectation import Expectation
from deqn.project.errors import UserError

FOLDER = ROOT / "models/growth"
FILES = ["growth", "growth_prudent", "growth_ar1", "growth_irreversible", "growth_family"]
STEADY = (0.4 / (1 / 0.9896 - 1 + 0.0196)) ** (1 / 0.6)


def growth(stem, *overrides):
    return economy_of(FOLDER / f"{stem}.yaml", *overrides, dtype="float64")


def output_for(economy, state, consumption, gamma):
    """The network's output that means this (unconstrained) consumption: the odds of consuming are linear in it."""
    ln_z = economy.log_productivity[state.shock] if economy.shocks.discrete else state.log_productivity
    consumed, saved = economy.rule.shares_of_cash(tf.zeros_like(state.capital), state.capital, ln_z, gamma)
    share = consumption / economy.goods(state).cash
    return np.log(share / (1 - share)) - np.log(consumed / saved)


def following(economy, output):
    """What decides at a list of states, from a function state -> outputs [batch, outputs]."""
    return lambda states: [economy.policy(tf.constant(output(state)), state) for state in states]


def errors_of(economy, state, output):
    decide = following(economy, output)
    (policy,) = decide([state])
    E = Expectation(economy, state, policy, decide)
    residuals = {name: value.numpy() for name, value in economy.residuals(state, policy, E).items()}
    return residuals, economy.errors(state, policy, E), policy


def grid_solution(economy, gamma, irreversible=False):
    p = economy.p
    ln_z, transition = rouwenhorst(5, p.persistence, p.innovation_sd)
    return solve_markov(Growth(risk_aversion=gamma, irreversible=irreversible), np.exp(ln_z), transition, nodes=1200)


def test_the_saddle_path_is_the_limit_of_the_grid_solution_for_small_shocks():
    economy = growth("growth", "parameters.innovation_sd=1e-5")
    solution, path = grid_solution(economy, 2.0), economy.rule
    for move in (1e-4, -1e-4):
        k, shock = np.full(5, STEADY * np.exp(move)), np.arange(5)
        ln_z = economy.log_productivity
        consumed, saved = path.shares_of_cash(np.zeros(5), k, ln_z, 2.0)
        cash = np.exp(ln_z) * k**0.4 + 0.9804 * k
        np.testing.assert_allclose(consumed * cash, solution.consumption(k, shock), rtol=2e-8)
        np.testing.assert_allclose(consumed + saved, 1.0, rtol=1e-15)


def test_simulations_begin_in_the_steady_state():
    for stem in FILES:
        economy = growth(stem)
        first = economy.initial_states(1, np.random.default_rng(5))
        assert first.capital[0] == pytest.approx(STEADY, rel=1e-12)
        assert economy.features(economy.tensors(first)).shape[0] == 1
        if economy.shocks.discrete:
            assert economy.log_productivity[first.shock[0]] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("stem", "gamma"),
    [("growth", 2.0), ("growth_prudent", 10.0), *(("growth_family", gamma) for gamma in (1.0, 2.5, 5.0))],
)
def test_the_grid_solution_for_each_risk_aversion_solves_the_euler_equation_on_a_chain(stem, gamma):
    economy = growth(stem)
    state, solution = states_of(economy, 200), grid_solution(economy, gamma)
    if stem == "growth_family":
        state = state._replace(risk_aversion=tf.fill([200], tf.constant(gamma, tf.float64)))

    def output(s):
        return output_for(economy, s, solution.consumption(s.capital.numpy(), s.shock.numpy()), gamma)[:, None]

    residuals, _, policy = errors_of(economy, state, output)
    np.testing.assert_allclose(residuals["euler"], 0.0, atol=1e-9)
    np.testing.assert_allclose(policy.savings, solution.capital(state.capital.numpy(), state.shock.numpy()), rtol=1e-12)
    tf.nest.map_structure(
        np.testing.assert_array_equal,
        economy.transition(state, policy, state.shock),
        state._replace(capital=policy.savings),
    )


def test_the_grid_solution_solves_the_euler_equation_with_gaussian_productivity():
    economy = growth("growth_ar1")
    state, solution = states_of(economy, 200), solve_ar1(Growth(risk_aversion=2.0), 0.95, 0.007)

    def output(s):
        consumption = solution.consumption(s.capital.numpy(), s.log_productivity.numpy())
        return output_for(economy, s, consumption, 2.0)[:, None]

    residuals, _, policy = errors_of(economy, state, output)
    np.testing.assert_allclose(residuals["euler"], 0.0, atol=1e-9)
    after = economy.transition(state, policy, tf.fill([200, 1], tf.constant(2.0, tf.float64)))
    np.testing.assert_allclose(after.log_productivity, 0.95 * state.log_productivity + 0.014, rtol=1e-12)


def test_the_family_begins_evenly_over_its_interval():
    economy = growth("growth_family")
    gamma = economy.initial_states(10, np.random.default_rng(0)).risk_aversion
    np.testing.assert_allclose(gamma, [3.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0])


def irreversible_outputs(economy, solution, s):
    """Both outputs at the grid solution: c_s is its free consumption, kappa makes u'(c_u) = u'(c) - mu."""
    k, shock = s.capital.numpy(), s.shock.numpy()
    c, mu = solution.consumption(k, shock), solution.multiplier(k, shock)
    y = np.exp(economy.log_productivity[shock]) * k**0.4
    unconstrained = np.where(mu > 0, (c**-2.0 - mu) ** (-1 / 2.0), c)
    smooth = np.where(mu > 0, y * (unconstrained / y) ** 2, c)  # any number above y where it binds; kappa is then 1/2
    kappa = np.log(np.where(mu > 0, 0.5, 1.0))
    return np.stack([output_for(economy, s, smooth, 2.0), kappa], axis=1)


def test_the_irreversible_grid_solution_solves_the_conditions_free_and_bound():
    economy = growth("growth_irreversible")
    solution = grid_solution(economy, 2.0, irreversible=True)
    state = states_of(economy, 2000)
    residuals, errors, policy = errors_of(economy, state, lambda s: irreversible_outputs(economy, solution, s))
    mu = solution.multiplier(state.capital.numpy(), state.shock.numpy())
    binds = economy.flags(state, policy)["irreversibility_binds"].numpy()
    assert 20 < binds.sum() < 1900
    np.testing.assert_array_equal(binds, mu > 0)
    np.testing.assert_allclose(policy.multiplier, mu, rtol=1e-9, atol=1e-14)
    for error in (residuals["euler"], *(value.numpy() for value in errors.values())):
        # Where the constraint starts to bind the grid's spline is accurate to 1e-6 only.
        assert np.abs(error).mean() < 1e-7
        assert np.abs(error).max() < 1e-5


@pytest.mark.parametrize("outputs", [(-3.0, 0.0), (0.0, 0.5), (0.3, -2.0), (3.0, 1.0)])
def test_whatever_the_network_says_investment_is_not_negative_and_complementarity_is_exact(outputs):
    economy = growth("growth_irreversible")
    state = states_of(economy, 300)
    policy = economy.policy(tf.tile(tf.constant([outputs], tf.float64), [300, 1]), state)
    y = economy.goods(state).output
    slack = (policy.savings - 0.9804 * state.capital).numpy()
    assert (slack >= 0).all()
    assert (policy.multiplier.numpy() >= 0).all()
    assert (policy.multiplier.numpy() * slack == 0).all()
    np.testing.assert_allclose(policy.consumption + policy.savings, y + 0.9804 * state.capital, rtol=1e-13)
    wanted = policy.consumption**-2.0 - policy.multiplier
    np.testing.assert_allclose(wanted, policy.unconstrained**-2.0, rtol=1e-9)


def test_unconstrained_consumption_is_continuous_where_the_constraint_starts_to_bind():
    economy = growth("growth_irreversible")
    k = STEADY * np.exp(np.linspace(-1, 3, 20001))
    state = economy.tensors(economy.State(k, np.full(len(k), 2, np.int32)))
    policy = economy.policy(tf.tile(tf.constant([[0.2, -1.0]], tf.float64), [len(k), 1]), state)
    assert 0 < economy.flags(state, policy)["irreversibility_binds"].numpy().mean() < 1
    np.testing.assert_allclose(np.diff(np.log(policy.unconstrained)), 0, atol=2e-4)


@pytest.mark.parametrize("stem", FILES)
@pytest.mark.parametrize("number", [-30.0, 0.0, 30.0])
def test_every_output_of_the_network_is_affordable(stem, number):
    economy = growth(stem)
    state = states_of(economy, 50)
    policy = economy.policy(tf.fill([50, economy.outputs], tf.constant(number, tf.float64)), state)
    cash = economy.goods(state).cash
    np.testing.assert_allclose(policy.consumption + policy.savings, cash, rtol=1e-13)
    assert (policy.consumption.numpy() > 0).all()
    assert (policy.savings.numpy() > 0).all()


@pytest.mark.parametrize("stem", FILES)
def test_prices_are_marginal_products_and_definitions_add_up(stem):
    economy = growth(stem)
    state, step = states_of(economy, 20), 1e-4
    policy = economy.policy(tf.zeros([20, economy.outputs], tf.float64), state)
    up, down = (economy.goods(state._replace(capital=state.capital + move)).cash for move in (step, -step))
    made = economy.definitions(state, policy)
    np.testing.assert_allclose(made["r"], (up - down) / (2 * step), rtol=1e-8)
    np.testing.assert_allclose(made["C"] + made["I"], made["Y"], rtol=1e-12)
    np.testing.assert_array_equal(made["K"], state.capital)


@pytest.mark.parametrize("stem", FILES)
def test_states_without_capital_are_refused(stem):
    economy = growth(stem)
    state = states_of(economy, 3)._asdict() | {"capital": [70.0, -1.0, 80.0]}
    with pytest.raises(UserError, match=r"^states: capital\[1\] is -1, expected above 0$"):
        economy.check_states(state)


def test_a_risk_aversion_that_the_family_was_not_trained_for_is_refused():
    economy = growth("growth_family")
    with pytest.raises(UserError, match=r"^states: risk_aversion\[0\] is 6, expected 1 to 5, for which"):
        economy.check_states({"capital": [70.0], "risk_aversion": [6.0], "shock": [0]})


@pytest.mark.parametrize(
    ("stem", "override", "message"),
    [
        ("growth", "parameters.states=1", "parameters.states"),
        ("growth", "parameters.persistence=1.0", "parameters.persistence"),
        ("growth_family", "parameters.risk_aversion=[5, 1]", r"got \[5.0, 1.0\], expected \[lowest, highest\]"),
        ("growth", "parameters.nodes=7", "^parameters: productivity moves on a chain here: give states"),
        ("growth_ar1", "parameters.nodes=null", "^parameters: productivity is an AR\\(1\\) here: give nodes"),
        ("growth", "parameters.risk_aversion=[1, 5]", r"^parameters.risk_aversion: got \[1.0, 5.0\], expected a num"),
        ("growth_family", "parameters.risk_aversion=2", "^parameters.risk_aversion: got 2, expected an interval"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(stem, override, message):
    with pytest.raises(UserError, match=message):
        growth(stem, override)
