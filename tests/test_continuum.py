"""A continuum of households with Epstein-Zin preferences and one bond: its printed equations, and the grids."""

import numpy as np
import pytest
import tensorflow as tf
from oracles.continuum_grid import Continuum, approximate, quantiles, stationary, wealth_grid
from small import ROOT, economy_of, file_of, rule_of, states_of, train

from deqn.project.errors import UserError
from deqn.tasks.build import build_problem

FOLDER = ROOT / "models/continuum"
FILE, STATIONARY = FOLDER / "continuum.yaml", FOLDER / "stationary.yaml"
SMALL = ("parameters.nodes=20", "parameters.bins=40")
CLEARED = ("parameters.price=cleared",)
TYPES = np.array([[0.7, 0.3], [0.3, 0.7]])
BETA, GAMMA, RHO = 0.95, 8.0, 2.0


def printed_chain():
    """Today's uncertainty, kept with probability .8, says how income moves."""
    normal = np.array([[0.7, 0.2, 0.1], [0.15, 0.7, 0.15], [0.1, 0.2, 0.7]])
    high = np.array([[0.75, 0.1, 0.15], [0.2, 0.6, 0.2], [0.15, 0.1, 0.75]])
    return np.block([[0.8 * normal, 0.2 * normal], [0.2 * high, 0.8 * high]])


def at_rest(**changes):
    """The economy without aggregate risk, typed again."""
    constants = {
        "discount_factor": BETA, "risk_aversion": GAMMA, "inverse_substitution": RHO, "income": np.ones(1),
        "chain": np.ones((1, 1)), "labour": np.array([0.8, 1.2]), "types": TYPES, "supply": 1.0,
    }  # fmt: skip
    return Continuum(**{**constants, **changes})


def line(x, nodes, values):
    """Between the nodes as np.interp, beyond the last as between the last two."""
    beyond = values[-1] + (x - nodes[-1]) * (values[-1] - values[-2]) / (nodes[-1] - nodes[-2])
    return beyond if x > nodes[-1] else np.interp(x, nodes, values)


def test_income_moves_by_the_uncertainty_of_today():
    np.testing.assert_allclose(economy_of(FILE, *SMALL).p.transition, printed_chain(), atol=1e-12)


def test_the_default_parameters_are_those_of_the_file():
    file = file_of(FILE).parameters
    assert type(file)() == file


def test_the_histogram_moves_as_a_lottery_by_hand():
    economy = economy_of(FILE, *SMALL)
    state = states_of(economy, 6)
    policy, mass = rule_of(economy, scale=0.5)(state), state.histogram.numpy()
    bins, price = economy.bins, policy.price.numpy()
    moved = np.zeros_like(mass)
    for b, j, s in np.ndindex(mass.shape):
        cash = bins[j] + economy.p.income[state.shock[b]] * economy.p.labour[s]
        c = min(cash, np.interp(bins[j], economy.nodes, policy.unconstrained.numpy()[b, :, s]))
        saved = min((cash - c) / price[b], bins[-1])
        below = min(np.searchsorted(bins, saved, side="right") - 1, len(bins) - 2)
        above = (saved - bins[below]) / (bins[below + 1] - bins[below])
        moved[b, below, s] += mass[b, j, s] * (1 - above)
        moved[b, below + 1, s] += mass[b, j, s] * above
    for z in (0, 5):
        ahead = economy.transition(state, policy, tf.fill([6], z))
        np.testing.assert_allclose(ahead.histogram, moved @ TYPES, atol=1e-13)
        assert (ahead.shock.numpy() == z).all()


@pytest.mark.parametrize("overrides", [(), CLEARED])
def test_complementarity_holds_and_errors_are_those_of_the_printed_equations(overrides):
    economy = economy_of(FILE, *SMALL, *overrides)
    state, rule = states_of(economy, 4), rule_of(economy, scale=0.5)
    policy, E = rule.completed(state)
    nodes, income = economy.nodes, np.outer([0.95, 1, 1.05] * 2, [0.8, 1.2])
    price, c, saved, v, tried = (x.numpy() for x in policy[:5])
    z = state.shock.numpy()
    cash = nodes[:, None] + income[z][:, None]
    np.testing.assert_allclose(c + price[:, None, None] * saved, cash, rtol=1e-12)
    np.testing.assert_array_equal(policy.multiplier.numpy() * saved, 0)
    assert 0.005 < (policy.multiplier.numpy() > 0).mean() < 0.5
    uncertain, marginal = np.zeros_like(c), np.zeros_like(c)
    following = [economy.transition(state, policy, tf.fill([4], y)) for y in range(6)]
    then = [rule(s) for s in following]
    successors = [(y, t) for y in range(6) for t in range(2)]
    for b, i, s in np.ndindex(c.shape):
        chance = np.array([printed_chain()[z[b], y] * TYPES[s, t] for y, t in successors])
        v_then = np.array([line(saved[b, i, s], nodes, then[y].value.numpy()[b, :, t]) for y, t in successors])
        c_then = np.array([
            min(saved[b, i, s] + income[y, t], line(saved[b, i, s], nodes, then[y].unconstrained.numpy()[b, :, t]))
            for y, t in successors
        ])  # fmt: skip
        m = uncertain[b, i, s] = (chance @ v_then ** (1 - GAMMA)) ** (1 / (1 - GAMMA))
        marginal[b, i, s] = chance @ ((v_then / m) ** (RHO - GAMMA) * c_then**-RHO)
    wanted = (BETA * marginal / price[:, None, None]) ** (-1 / RHO)
    value = ((1 - BETA) * c ** (1 - RHO) + BETA * uncertain ** (1 - RHO)) ** (1 / (1 - RHO))
    residuals, errors = economy.residuals(state, policy, E), economy.errors(state, policy, E)
    np.testing.assert_allclose(residuals["euler"], wanted / tried - 1, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(residuals["bellman"], value / v - 1, rtol=1e-9, atol=1e-12)
    asked = np.minimum(wanted / c - 1, price[:, None, None] * saved / c)
    np.testing.assert_allclose(errors["optimality"], asked, rtol=1e-9, atol=1e-12)
    held = np.einsum("bjs,j->b", following[0].histogram, economy.bins)  # nobody here wants more than the richest bin
    np.testing.assert_allclose(errors["clearing"], held - 1, atol=1e-10)
    assert ("clearing" in residuals) == (not overrides)


def test_the_error_of_the_price_is_zero_where_all_consume_what_they_want():
    economy = economy_of(FILE, *SMALL, *CLEARED)
    state, rule = states_of(economy, 4), rule_of(economy, scale=0.2)
    policy, E = rule.completed(state)
    wanted, _ = economy.wanted(state, policy, E)
    cash = economy.cash(state, economy.bins)
    mass, bins, nodes = state.histogram.numpy(), economy.bins, economy.nodes
    left = np.zeros(4)
    for b, j, s in np.ndindex(mass.shape):
        asked = min(float(cash[b, j, s]), np.interp(bins[j], nodes, wanted.numpy()[b, :, s]))
        left[b] += mass[b, j, s] * (float(cash[b, j, s]) - asked)
    np.testing.assert_allclose(economy.errors(state, policy, E)["price"], left / policy.price - 1, rtol=1e-9)


@pytest.mark.parametrize("inverse", [2.0, 5.0])
def test_with_risk_aversion_equal_to_1_over_substitution_the_euler_equation_is_that_of_crra(inverse):
    economy = economy_of(
        FILE, *SMALL, f"parameters.risk_aversion={inverse}", f"parameters.inverse_substitution={inverse}"
    )
    state, rule = states_of(economy, 3), rule_of(economy, scale=0.3)
    policy, E = rule.completed(state)
    saved, nodes = policy.savings.numpy(), economy.nodes
    marginal = np.zeros_like(saved)
    for y in range(6):
        ahead = economy.transition(state, policy, tf.fill([3], y))
        tried = rule(ahead).unconstrained.numpy()
        for b, i, s, t in np.ndindex(*saved.shape, 2):
            cash = saved[b, i, s] + economy.p.income[y] * economy.p.labour[t]
            c = min(cash, line(saved[b, i, s], nodes, tried[b, :, t]))
            marginal[b, i, s] += printed_chain()[state.shock[b], y] * TYPES[s, t] * c**-inverse
    wanted = (BETA * marginal / policy.price.numpy()[:, None, None]) ** (-1 / inverse)
    np.testing.assert_allclose(economy.wanted(state, policy, E)[0], wanted, rtol=1e-9)


def test_a_value_of_consuming_the_same_for_ever_is_that_consumption():
    economy = economy_of(FILE, *SMALL)
    c = tf.constant([0.5, 1.0, 3.0], tf.float64)
    np.testing.assert_allclose(economy.aggregated(c, c), c, rtol=1e-12)


@pytest.mark.parametrize("overrides", [(), CLEARED])
def test_goods_that_are_not_consumed_pay_for_bonds(overrides):
    economy = economy_of(FILE, *SMALL, *overrides)
    state = states_of(economy, 8)
    policy, E = rule_of(economy).completed(state)
    defined = economy.definitions(state, policy, E)
    ahead = economy.mean_wealth(economy.transition(state, policy, state.shock))
    goods = defined["B"] + np.take([0.95, 1, 1.05] * 2, state.shock)
    np.testing.assert_allclose(defined["C"] + policy.price * ahead, goods, rtol=1e-10)
    if overrides:
        np.testing.assert_allclose(ahead, 1, rtol=1e-12)


def test_the_network_of_the_price_does_not_see_own_wealth():
    problem = build_problem(file_of(FILE, *SMALL, "precision=float64"))
    economy, network = problem.economy, problem.network
    for weight in network.trainable_variables:
        weight.assign(weight + 0.1)
    state = states_of(economy, 5)
    groups = economy.taken.grouped(tf.cast(network(economy.features(state))[:, 2], tf.float64))
    assert np.ptp(groups.price, axis=1).max() < 1e-12 < np.ptp(groups.price, axis=0).max()
    assert np.ptp(groups.consumption, axis=1).min() > 1e-3


def test_paths_begin_with_the_supply_in_the_hands_of_households():
    economy = economy_of(FILE)
    state = economy.initial_states(50, np.random.default_rng(0))
    np.testing.assert_allclose(state.histogram.sum(axis=1), 0.5, rtol=1e-12)
    np.testing.assert_allclose(np.einsum("bjs,j->b", state.histogram, economy.bins), 1, rtol=2e-3)


def test_preferences_for_which_the_formulas_divide_by_zero_are_refused_in_one_line():
    with pytest.raises(UserError, match="got 1, for which the formulas divide by zero") as told:
        economy_of(FILE, "parameters.inverse_substitution=1")
    assert "\n" not in str(told.value)


# --- the grids -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"risk_aversion": 3.0, "inverse_substitution": 3.0}])
def test_the_grid_at_rest_clears_the_market_and_meets_its_equations_between_its_points(changes):
    economy = at_rest(**changes)
    gamma, rho = economy.risk_aversion, economy.inverse_substitution
    known = stationary(economy, nodes=600, bins=60)
    assert (known.histogram @ known.bins).sum() == pytest.approx(1, abs=1e-8)
    wealth = np.random.default_rng(0).uniform(0, 6, 400)
    c, v, saved = known.decisions(wealth)
    for s in range(2):
        free = saved[s] > 1e-9
        c_then, v_then, _ = known.decisions(saved[s])
        m = (TYPES[s] @ v_then ** (1 - gamma)) ** (1 / (1 - gamma))
        np.testing.assert_allclose(
            v[s], (0.05 * c[s] ** (1 - rho) + 0.95 * m ** (1 - rho)) ** (1 / (1 - rho)), rtol=1e-5
        )
        marginal = TYPES[s] @ ((v_then / m) ** (rho - gamma) * c_then**-rho)
        np.testing.assert_allclose(known.price * c[s][free] ** -rho, 0.95 * marginal[free], rtol=2e-3)
        assert (known.price * c[s] ** -rho > 0.95 * marginal * (1 - 2e-3)).all()
    moved = np.zeros_like(known.histogram)
    for s, j in np.ndindex(moved.shape):
        goes = min(known.decisions(known.bins)[2][s, j], 20.0)
        place = min(int(goes / known.bins[1]), 58)
        share = goes / known.bins[1] - place
        moved[s, place] += known.histogram[s, j] * (1 - share)
        moved[s, place + 1] += known.histogram[s, j] * share
    np.testing.assert_allclose(TYPES.T @ moved, known.histogram, atol=1e-12)


def test_the_grid_with_aggregate_states_that_do_not_differ_is_the_one_at_rest():
    known = stationary(at_rest(), nodes=120, bins=60)
    same = at_rest(income=np.ones(2), chain=np.array([[0.8, 0.2], [0.4, 0.6]]))
    shocks = np.random.default_rng(0).integers(0, 2, 60)
    found, path = approximate(same, known.histogram, shocks, known.bins, moment=False, nodes=120, burn_in=10)
    np.testing.assert_allclose(path["price"], known.price, atol=2e-6)
    np.testing.assert_allclose(found.price[:, 0], known.price, atol=2e-6)


# --- training ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_aggregate_risk_the_interest_rate_and_wealth_are_those_of_the_grid(tmp_path):
    errors, path, _ = train(tmp_path, "continuum/stationary")
    known = stationary(at_rest())
    assert abs(path["r"][-1] - (1 / known.price - 1)) < 1e-4
    shares = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]
    mine, theirs = (
        quantiles(known.bins, mass, shares) for mass in (path["m"][-1].sum(axis=1), known.histogram.sum(axis=0))
    )
    np.testing.assert_allclose(mine, theirs, rtol=5e-3)
    assert errors.loc["clearing", "mean"] < 2e-4
    assert errors.loc["bellman", "mean"] < 2e-4
    np.testing.assert_array_equal(wealth_grid(100, 20.0, 1.0), known.bins)
