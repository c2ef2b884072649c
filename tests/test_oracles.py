"""The grid solutions and closed forms that judge the networks, judged in turn."""

import functools

import numpy as np
import pytest
from oracles import olg_analytic, olg_grid
from oracles.chains import chain_path, rouwenhorst
from oracles.growth_grid import Growth, solve_ar1, solve_markov
from scipy.optimize import brentq
from scipy.sparse import coo_matrix, identity
from scipy.sparse.linalg import spsolve

CALIBRATIONS = pytest.mark.parametrize(("risk_aversion", "sd"), [(2.0, 0.007), (10.0, 0.035)])
BINDING = {"persistence": 0.9, "innovation_sd": 0.12}  # TFP under which irreversibility binds in 7 % of periods


def brock_mirman_states():
    rng = np.random.default_rng(0)
    economy = Growth(capital_share=0.36, discount_factor=0.96, depreciation=1.0, risk_aversion=1.0)
    return economy, economy.steady_capital() * np.exp(rng.uniform(-1, 1, 500)), rng


def test_the_rouwenhorst_chain_has_the_moments_of_the_autoregression():
    ln_z, transition = rouwenhorst(5, 0.95, 0.007)
    stationary = np.linalg.matrix_power(transition, 4000)[0]
    np.testing.assert_allclose(transition.sum(1), 1, rtol=1e-14)
    np.testing.assert_allclose(transition @ ln_z, 0.95 * ln_z, atol=1e-15)
    np.testing.assert_allclose(stationary @ ln_z**2, 0.007**2 / (1 - 0.95**2), rtol=1e-9)


def test_growth_on_a_chain_meets_the_closed_form_of_brock_and_mirman():
    economy, k, rng = brock_mirman_states()
    z, shock = np.exp([-0.1, 0.0, 0.1]), rng.integers(0, 3, 500)
    solution = solve_markov(economy, z, [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]], nodes=200)
    np.testing.assert_allclose(solution.capital(k, shock), 0.36 * 0.96 * z[shock] * k**0.36, rtol=1e-9)


def test_growth_with_gaussian_tfp_meets_the_closed_form_of_brock_and_mirman():
    economy, k, rng = brock_mirman_states()
    ln_z = rng.normal(0, 0.03, 500)
    solution = solve_ar1(economy, persistence=0.9, innovation_sd=0.01, nodes=200)
    np.testing.assert_allclose(solution.capital(k, ln_z), 0.36 * 0.96 * np.exp(ln_z) * k**0.36, rtol=1e-9)


@CALIBRATIONS
def test_growth_on_a_chain_solves_its_euler_equation_off_the_grid(risk_aversion, sd):
    economy = Growth(risk_aversion=risk_aversion)
    ln_z, transition = rouwenhorst(5, 0.95, sd)
    solution = solve_markov(economy, np.exp(ln_z), transition, nodes=300)
    shock = chain_path(transition, 500, seed=1)
    k = solution.simulate(shock)
    c, saved, value = solution.consumption(k, shock), solution.capital(k, shock), 0.0
    np.testing.assert_allclose(saved[:-1], k[1:])
    for after in range(5):  # the equation once more, from alpha = .4, beta = .9896, delta = .0196 and the policy alone
        gross_return = 0.4 * np.exp(ln_z[after]) * saved**-0.6 + 0.9804
        probability = transition[shock, after]
        value += probability * gross_return * solution.consumption(saved, np.full(500, after)) ** -risk_aversion
    np.testing.assert_allclose((0.9896 * value) ** (-1 / risk_aversion), c, rtol=1e-9)


@CALIBRATIONS
def test_growth_with_gaussian_tfp_solves_its_euler_equation_by_the_trapezoid_rule(risk_aversion, sd):
    solution = solve_ar1(Growth(risk_aversion=risk_aversion), 0.95, sd, nodes=200)
    rng, eps = np.random.default_rng(0), np.linspace(-6, 6, 121)
    ln_z = rng.normal(0, sd / np.sqrt(1 - 0.95**2), 50)
    k = solution.economy.steady_capital() * np.exp(rng.uniform(-0.3, 0.5, 50))
    saved = solution.capital(k, ln_z)
    ahead, later = np.repeat(saved, 121), (0.95 * ln_z[:, None] + sd * eps).reshape(-1)
    marginal = (0.4 * np.exp(later) * ahead**-0.6 + 0.9804) * solution.consumption(ahead, later) ** -risk_aversion
    value = 0.9896 * marginal.reshape(50, 121) @ (np.exp(-(eps**2) / 2) / np.exp(-(eps**2) / 2).sum())
    np.testing.assert_allclose(value ** (-1 / risk_aversion), solution.consumption(k, ln_z), rtol=1e-7)


@pytest.fixture(scope="module")
def irreversible():
    ln_z, transition = rouwenhorst(5, **BINDING)
    solution = solve_markov(Growth(irreversible=True), np.exp(ln_z), transition)
    shock = chain_path(transition, 10_000, seed=0)
    return solution, solution.simulate(shock), shock, np.exp(ln_z), transition


def test_irreversibility_binds_in_at_least_a_twentieth_of_periods_and_is_never_broken(irreversible):
    solution, k, shock, *_ = irreversible
    binds = solution.multiplier(k, shock) > 0
    assert binds.mean() > 0.05
    kept = 0.9804 * k
    assert (solution.capital(k, shock) >= kept * (1 - 1e-12)).all()
    np.testing.assert_allclose(solution.capital(k, shock)[binds], kept[binds], rtol=1e-12)


def test_the_irreversible_economy_has_small_euler_errors_on_its_path(irreversible):
    solution, k, shock, *_ = irreversible
    error = np.abs(solution.euler_error(k, shock))
    assert error.mean() < 1e-8
    assert error.max() < 1e-5


def test_the_irreversible_multiplier_agrees_with_the_slope_of_lifetime_utility(irreversible):
    """Envelope: V_k = R u'(c) - (1-delta) mu, with V from the policy alone by a linear solve on a fine grid."""
    solution, _, _, z, transition = irreversible
    economy, count = solution.economy, 4000
    grid = economy.steady_capital() * np.geomspace(0.15, 5, count)
    rows, columns, entries, flow = [], [], [], []
    for now in range(5):
        shock = np.full(count, now)
        saved = np.clip(solution.capital(grid, shock), grid[0], grid[-1])
        flow.append(-1 / solution.consumption(grid, shock))  # c^(1-2) / (1-2)
        left = np.clip(np.searchsorted(grid, saved) - 1, 0, count - 2)
        right_weight = (saved - grid[left]) / (grid[left + 1] - grid[left])
        for after in range(5):
            for column, weight in ((left, 1 - right_weight), (left + 1, right_weight)):
                rows.append(now * count + np.arange(count))
                columns.append(after * count + column)
                entries.append(transition[now, after] * weight)
    step = coo_matrix((np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))))
    value = spsolve((identity(5 * count) - 0.9896 * step).tocsc(), np.concatenate(flow)).reshape(5, count)
    inside = (grid > 0.5 * economy.steady_capital()) & (grid < 2.5 * economy.steady_capital())
    bound = 0
    for now in range(5):
        shock = np.full(count, now)
        c, mu = solution.consumption(grid, shock), solution.multiplier(grid, shock)
        slope = economy.gross_return(grid, z[now]) * c**-2.0 - 0.9804 * mu
        np.testing.assert_allclose(np.gradient(value[now], grid)[inside], slope[inside], rtol=2e-4)
        bound += (mu[inside] * c[inside] ** 2 > 0.01).sum()
    assert bound > 100  # the multiplier was large enough, in enough places, to be seen


def test_closed_form_saving_shares_are_those_printed_for_six_cohorts():
    printed = [0.659999, 0.639393, 0.605211, 0.543379, 0.411765, 0]
    np.testing.assert_allclose(olg_analytic.saving_shares(6, 0.7), printed, atol=5e-7)


def test_closed_form_shares_solve_the_euler_equation_of_a_drawn_economy():
    """c'^{h+1} = beta r' c^h for every return r', and so in expectation: one cohort's share implies the next."""
    k = np.abs(np.random.default_rng(0).normal(size=(20, 6)))
    k[:, 0] = 0
    r, w = np.full(20, 1.3), np.full(20, 0.4)
    saved = olg_analytic.savings(k, r, w, 0.7)
    cash = k * r[:, None] + w[:, None] * np.eye(6)[0]
    for later_return in (0.6, 1.9):
        after = np.column_stack([np.zeros(20), saved[:, :-1]])
        later = later_return * after - olg_analytic.savings(after, np.full(20, later_return), np.zeros(20), 0.7)
        np.testing.assert_allclose(later[:, 1:], 0.7 * later_return * (cash - saved)[:, :-1], rtol=1e-12)


def test_two_cohorts_agree_with_a_root_search_by_hand():
    economy = olg_grid.Economy(labour=(1.0, 0.6), risk_aversion=1.0)
    solution = olg_grid.solve(economy, nodes=(20,))
    capital, shock = solution.simulate(100, seed=3)

    def excess(saved, z, wage):
        value = 0.0
        for after in range(4):
            gross_return = 0.3 * economy.tfp[after] * (saved / 1.6) ** -0.7 + 1 - economy.depreciation[after]
            later_wage = 0.7 * economy.tfp[after] * (saved / 1.6) ** 0.3
            value += economy.transition[z, after] * gross_return / (gross_return * saved + 0.6 * later_wage)
        return 1 / (wage - saved) - 0.95 * value

    wages = 0.7 * np.asarray(economy.tfp)[shock] * (capital[:, 1] / 1.6) ** 0.3
    by_hand = [brentq(excess, 1e-9, w - 1e-9, args=(z, w), xtol=1e-14) for z, w in zip(shock, wages, strict=True)]
    np.testing.assert_allclose(solution.savings(capital, shock)[:, 0], by_hand, rtol=1e-9)


@pytest.mark.parametrize(
    ("nodes", "tolerance"), [((30, 24), 1e-5), pytest.param((40, 24, 24), 5e-5, marks=pytest.mark.slow)]
)
def test_the_grid_finds_the_closed_form_shares(nodes, tolerance):
    cohorts = len(nodes) + 1
    economy = olg_grid.Economy(labour=(1.0,) + (0.0,) * len(nodes), risk_aversion=1.0)
    solution = olg_grid.solve(economy, nodes)
    capital, shock = solution.simulate(2000, seed=3)
    shares = solution.savings(capital, shock) / economy.cash(capital, shock)[:, :-1]
    np.testing.assert_allclose(
        shares, np.tile(olg_analytic.saving_shares(cohorts, 0.95)[:-1], (2000, 1)), rtol=tolerance
    )


def optimality_error(solution, capital, shock):
    """min(T/c - 1, (a - a_low)/c) [M, N-1], with technology and expectation written out anew."""
    economy = solution.economy
    c, saved = solution.consumption(capital, shock), solution.savings(capital, shock)
    np.testing.assert_allclose((economy.cash(capital, shock) - c)[:, :-1], saved)
    after, labour, value = np.column_stack([np.zeros(len(saved)), saved]), np.asarray(economy.labour), 0.0
    for z in range(4):
        eta, delta = (0.85, 1.15, 0.85, 1.15)[z], (0.5, 0.5, 0.9, 0.9)[z]
        gross_return = 0.3 * eta * (after.sum(1) / labour.sum()) ** -0.7 + 1 - delta
        stays_low, eta_half = np.array([[0.98, 0.02], [0.25, 0.75]])[shock // 2, z // 2], 0.5
        later = solution.consumption(after, np.full(len(after), z))[:, 1:]
        value = value + (stays_low * eta_half * gross_return)[:, None] * later**-2.0
    target = (0.95 * value) ** -0.5
    return np.minimum(target / c[:, :-1] - 1, (saved - economy.borrowing_limit) / c[:, :-1])


@functools.cache
def grid(labour, nodes):
    """The solution without debts, which two tests look at."""
    return olg_grid.solve(olg_grid.Economy(labour), nodes)


def worst_and_mean(error):
    return np.abs(error).max(), np.abs(error).mean()


@pytest.mark.parametrize(
    ("labour", "nodes", "mean", "worst"),
    [
        ((0.6, 1.4, 0.5), (120, 80), 1e-6, 5e-4),
        ((0.5, 0.88, 2.2, 0.7), (30, 16, 16), 5e-5, 2e-3),
        pytest.param((0.5, 0.88, 2.2, 0.7), (80, 40, 40), 1.5e-5, 1e-3, marks=pytest.mark.long),
    ],
)
def test_the_optimality_system_holds_on_the_states_the_economy_visits(labour, nodes, mean, worst):
    solution = grid(labour, nodes)
    capital, shock = solution.simulate(500, seed=7, tracks=20)
    measured = worst_and_mean(optimality_error(solution, capital, shock))
    assert measured[0] < worst
    assert measured[1] < mean
    assert (solution.savings(capital, shock) >= 0).all()
    assert (solution.savings(capital, shock)[:, 0] == 0).mean() > 0.2  # the kink is among the states tested


def test_a_borrowing_limit_below_zero_is_respected_and_binds():
    solution = olg_grid.solve(olg_grid.Economy((0.5, 1.4, 0.5), borrowing_limit=-0.005), (60, 40))
    capital, shock = solution.simulate(500, seed=7, tracks=4)
    saved = solution.savings(capital, shock)
    assert saved.min() >= -0.005 - 1e-12
    assert (saved[:, 0] < -0.005 + 1e-12).mean() > 0.05
    assert worst_and_mean(optimality_error(solution, capital, shock))[0] < 1e-3


@pytest.mark.parametrize(
    ("labour", "coarse", "fine"),
    [
        ((0.6, 1.4, 0.5), (30, 20), (120, 80)),
        pytest.param((0.5, 0.88, 2.2, 0.7), (40, 20, 20), (60, 32, 32), marks=pytest.mark.long),
    ],
)
def test_a_finer_grid_moves_consumption_by_less_than_a_hundredth_of_a_percent(labour, coarse, fine):
    rough, sharp = (grid(labour, nodes) for nodes in (coarse, fine))
    capital, shock = sharp.simulate(500, seed=2, tracks=20)
    gap = np.abs(rough.consumption(capital, shock) / sharp.consumption(capital, shock) - 1)
    assert gap.mean() < 1e-4
    assert gap.max() < 2e-3
