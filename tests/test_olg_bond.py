"""Capital and a bond: what holds by construction, closed forms, the equations on a grid, and what training finds."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from oracles.of_models import grid_of
from small import CHAIN, ROOT, economy_of, states_of, train

from deqn.equilibrium.decision_rule import OutputRule
from deqn.equilibrium.simulation import along
from deqn.project.user_code import load_module

FOLDER = ROOT / "models/olg_bond"
EVIDENCE = load_module(FOLDER, "evidence")  # NumPy and SciPy; it imports nothing of the economy
TFP, DELTA = np.array([0.85, 1.15, 0.85, 1.15]), np.array([0.5, 0.5, 0.9, 0.9])
KINDS = ["adjustment=holdings", "adjustment=proceeds", "trading_cost=0.7"]
LABOUR = {n: (0.5 + np.sin(np.linspace(0.5, 3, n))).tolist() for n in (6, 60)}


def economy(file="bond_six", *parameters):
    return economy_of(FOLDER / f"{file}.yaml", *(f"parameters.{each}" for each in parameters))


def of_size(cohorts, *parameters):
    labour = f"labour={LABOUR[cohorts]}" if cohorts in LABOUR else "labour=[1.2, 1.0, 0.3]"
    return economy("bond_six", f"cohorts={cohorts}", labour, *parameters)


def illiquid(cohorts, *parameters):
    labour = [f"parameters.labour={LABOUR[cohorts]}"] if cohorts in LABOUR else ["parameters.labour=[1.2, 1.0, 0.3]"]
    settings = [f"parameters.{each}" for each in (f"cohorts={cohorts}", *parameters)]
    return economy_of(FOLDER / "bond_six.yaml", "economy=illiquid.Illiquid", *labour, *settings)


class Said(OutputRule):
    """The rule whose outputs are a function of the states, in NumPy."""

    def __init__(self, economy, outputs):
        self.economy, self.outputs = economy, outputs

    def output(self, state):
        return tf.constant(self.outputs(tf.nest.map_structure(np.asarray, state)))


def conditions_of(economy, outputs, state):
    """Residuals and the completed policy at these states."""
    policy, E = (rule := Said(economy, outputs)).completed(state)
    assert rule.economy is economy
    return {name: np.asarray(x) for name, x in economy.residuals(state, policy, E).items()}, policy


def random_policy(economy, spread, count=50):
    state = states_of(economy, count)
    output = spread * np.random.default_rng(1).standard_normal((count, economy.width))
    return state, economy.decide(tf.constant(output), state)


def arrays(policy):
    return [np.asarray(x) for x in (policy.savings, policy.bonds_bought, policy.consumption, policy.price)]


# ---- by construction


@pytest.mark.parametrize("kind", KINDS)
def test_the_budget_of_every_household_is_met(kind):
    one = economy("bond_six", kind)
    state, policy = random_policy(one, 0.02)
    a, d, c, price = arrays(policy)
    k, b, z, labour = np.asarray(state.capital), np.asarray(state.bonds), np.asarray(state.shock), one.labour
    ratio = k.sum(1) / labour.sum()
    r, w = 0.3 * TFP[z] * ratio**-0.7 + 1 - DELTA[z], 0.7 * TFP[z] * ratio**0.3
    a, d = (np.pad(x, [(0, 0), (0, 1)]) for x in (a, d))
    away = a - k * (r[:, None] if kind.endswith("proceeds") else 1)
    costs = (0.25 if kind.endswith("proceeds") else 0.5) * away**2 + (0.7 * d**2 if kind.startswith("trading") else 0)
    cash = r[:, None] * k + np.minimum(3 * r, 1)[:, None] * b + w[:, None] * labour
    np.testing.assert_allclose(c + a + price[:, None] * d + costs, cash, atol=1e-12)


@pytest.mark.parametrize("cohorts", [3, 6, 60])
@pytest.mark.parametrize("spread", [0.01, 0.3, 5.0])
def test_bonds_clear_and_no_limit_is_passed_whatever_the_network_says(cohorts, spread):
    one = of_size(cohorts)
    state, policy = random_policy(one, spread)
    a, d, c, _ = arrays(policy)
    total = a.sum(1, keepdims=True)
    np.testing.assert_allclose(d.sum(1), 0, atol=1e-13 * max(total.max(), 1))
    assert (a >= 0).all() and (3 * d + a >= -1e-12 * total).all() and (c > 0).all()
    for multiplier, slack in one.constraints(state, policy).values():
        assert np.min(multiplier) >= 0
        np.testing.assert_allclose(np.asarray(multiplier * slack), 0, atol=1e-12 * np.max(total / one.p.floor))
    assert spread < 1 or any(np.any(m > 0) for m, _ in one.constraints(state, policy).values())


def test_the_price_of_two_cohorts_is_the_one_at_which_the_young_want_no_bond():
    one = economy("bond_two")
    state = states_of(one, 50)
    errors, policy = conditions_of(one, lambda s: np.tile([0.03, -0.1], (len(s.shock), 1)), state)
    np.testing.assert_allclose(errors["euler_bond"], 0, atol=1e-13)
    assert np.abs(errors["euler"]).max() > 0.01 and np.std(policy.price) > 0.01


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize(("cohorts", "spread"), [(3, 0.1), (60, 0.05), (60, 0.1)])
def test_where_moving_capital_costs_todays_market_is_in_equilibrium_whatever_the_network_says(kind, cohorts, spread):
    one = illiquid(cohorts, kind)
    state, policy = random_policy(one, spread)
    a, d, c, price = arrays(policy)
    W, V, total, price = np.asarray(policy.liquid), np.asarray(policy.valued), a.sum(1, keepdims=True), price[:, None]
    np.testing.assert_allclose(d.sum(1), 0, atol=1e-8 * total.max())
    assert (a >= 0).all() and (3 * d + a >= -1e-12 * total).all() and (c > 0).all()
    moved, c = np.asarray(one.moved(state, policy.savings)[0])[:, :-1], c[:, :-1]
    left = np.asarray(one.cash(state))[:, :-1] - a - price * d - moved**2 / (4 * one.psi)
    np.testing.assert_allclose(c, left, atol=1e-9)
    # Both conditions in units of u'(c), with the two expectations that W and V stand for; u' = c^-2.
    marginal = c**2 / W**2
    m_a, m_v = np.asarray(policy.capital_multiplier), np.asarray(policy.bond_multiplier)
    pledged = price / 3 * (1 - (1 + m_v) ** -2)
    np.testing.assert_allclose(marginal + 3 * pledged, price * np.ones_like(c), rtol=1e-9)
    np.testing.assert_allclose(1 + moved, marginal * V + 1 - (1 + m_a) ** -2 + pledged, rtol=1e-6)
    assert not np.any(m_a * a) and np.max(m_v * (3 * d + a)) < 1e-9 and np.any(m_v > 0) and np.min(m_v) >= 0


def test_the_price_moves_with_the_networks_answers_as_finite_differences_say():
    one, step = illiquid(3, "adjustment=proceeds"), 1e-6
    state, output = states_of(one, 20), tf.constant(0.05 * np.random.default_rng(4).standard_normal((20, 4)))

    @tf.function(jit_compile=True)
    def price(output):
        return one.decide(output, state).price

    with tf.GradientTape() as tape:
        tape.watch(output)
        total = tf.reduce_sum(price(output))
    found = tape.gradient(total, output).numpy()
    for column in range(4):
        away = step * tf.one_hot(column, 4, dtype=tf.float64)
        np.testing.assert_allclose(
            found[:, column], (price(output + away) - price(output - away)) / (2 * step), atol=1e-6
        )
    assert np.abs(found).max() > 0.1


# ---- closed forms and other models


def test_nobody_trades_with_log_utility_full_depreciation_and_labour_in_youth_only():
    one = economy("no_trade")
    beta, left = 0.75, np.arange(5, 0, -1)
    share = np.array([(beta ** np.arange(1, n + 1)).sum() / (beta ** np.arange(n + 1)).sum() for n in left])

    def outputs(s):
        cash = np.asarray(one.cash(one.tensors(s)))[:, :-1]
        K = (share * cash).sum(1, keepdims=True)
        R = 0.3 * np.array([0.93, 1.07]) * K**-0.7  # next period's, by shock
        p = (np.array([[0.7, 0.3], [0.3, 0.7]])[s.shock] * np.minimum(3 * R, 1) / R).sum(1, keepdims=True)
        other = np.zeros_like(cash)
        return np.hstack([share - one.saved + other, other, np.log(p / one.price_guess)])

    state = states_of(one, 50)
    state = state._replace(bonds=tf.zeros_like(state.bonds))
    errors, policy = conditions_of(one, outputs, state)
    for error in errors.values():
        np.testing.assert_allclose(error, 0, atol=1e-9)
    np.testing.assert_allclose(policy.bonds_bought, 0, atol=1e-14)


def test_without_adjustment_cost_and_with_boundless_collateral_the_economy_is_that_of_models_olg():
    size = ["cohorts=6", "labour=[0.78, 1.18, 1.4, 1.4, 1.085, 0.7]"]
    plain = economy_of(ROOT / "models/olg/tiny.yaml")
    bond = economy("bond_six", *size, "adjustment_cost=0", "collateral=1e9")
    move = np.random.default_rng(2).uniform(-0.5, 0.5, 5)

    def olg(s):
        return plain.decide(
            tf.tile(move[None], [len(s.shock), 1]), plain.State(tf.constant(s.capital), tf.constant(s.shock))
        )

    def outputs(s):
        policy, cash = olg(s), np.asarray(bond.cash(bond.tensors(s)))[:, :-1]
        c, free = np.asarray(policy.consumption)[:, :-1], np.asarray(policy.unconstrained)
        wanted = np.where(np.asarray(policy.multiplier) > 0, 1 - free / c, np.asarray(policy.savings) / cash)
        return np.hstack([wanted - bond.saved, np.zeros_like(c), np.zeros((len(c), 1))])

    class Plain(OutputRule):
        economy = plain

        def output(self, state):
            return tf.tile(tf.constant(move[None]), [state.capital.shape[0], 1])

    state = states_of(bond, 100)
    state = state._replace(bonds=tf.zeros_like(state.bonds))
    errors, policy = conditions_of(bond, outputs, state)
    there = plain.State(state.capital, state.shock)
    expected, E = Plain().completed(there)
    np.testing.assert_allclose(policy.savings, expected.savings, atol=1e-9)
    assert np.mean(np.asarray(expected.multiplier) > 0) > 0.05
    np.testing.assert_allclose(errors["euler"], plain.errors(there, expected, E)["euler"], atol=1e-7)


# ---- the grid


def test_what_the_network_sees_by_moments_leaves_a_difference_of_one_cohort_alone_to_die_out():
    one, random = economy_of(FOLDER / "ags22.yaml"), np.random.default_rng(0)
    state = states_of(one, 8, seed=3)
    alone = 0.1 * random.standard_normal(state.capital.shape) * one.guess
    alone -= alone @ one.moments @ one.moments.T  # what no moment shows
    seen = one.features(state).numpy()
    np.testing.assert_allclose(one.features(state._replace(capital=state.capital + alone)), seen, atol=1e-10)
    slopes = 0.002 * random.standard_normal((seen.shape[1], one.width)) / seen.std(0)[:, None]
    rule = Said(one, lambda s: (one.features(one.tensors(s)).numpy() - seen.mean(0)) @ slopes)
    shocks = tf.constant(random.integers(4, size=(15, 8)), tf.int32)
    here, there = (along(one, rule, state._replace(capital=state.capital + x), shocks) for x in (0.0, alone))
    capital, bonds = (np.abs(np.asarray(x)).sum(2).mean(1) for x in (here[0] - there[0], here[1] - there[1]))
    assert capital[6] < 0.1 * capital[0] and bonds.max() < 2 * capital[0]  # a bond is spent over the rest of life


@functools.cache
def three():
    grid = grid_of("olg_bond")
    found = grid.Economy((1.2, 1.0, 0.3), tuple(TFP), tuple(DELTA), CHAIN, 0.95, 2.0, 0.3, 0.5, 3.0)
    return grid, grid.solve_where_visited(found, (9, 9, 9))


@pytest.mark.slow
def test_the_conditions_hold_at_the_solution_on_a_grid_where_no_limit_binds():
    grid, solution = three()
    capital, bonds, shock = grid.simulate(solution, periods=4, tracks=15, seed=3)
    one = economy("bond_three")

    def outputs(s):
        a, d, _, p, left = solution.policies(s.capital, s.bonds, s.shock)
        assert left.max() < 1e-5
        cash = np.asarray(one.cash(one.tensors(s)))[:, :-1]
        return np.hstack([a / cash - one.saved, 3 * d / cash, np.log(p / one.price_guess)[:, None]])

    errors, policy = conditions_of(one, outputs, one.State(*map(tf.constant, (capital, bonds, shock.astype(np.int32)))))
    free = 3 * np.asarray(policy.bonds_bought) + np.asarray(policy.savings) > 1e-4
    assert free.all(1).mean() > 0.2 and not free.all()
    for name, most in {"euler": 1e-3, "euler_bond": 1e-3, "excess": 1e-2}.items():
        assert np.abs(errors[name][free.all(1)]).max() < most, name
    assert np.abs(errors["price"]).max() < 1e-4


@pytest.mark.slow
def test_with_the_expectations_of_the_grid_todays_market_is_the_grids():
    grid, solution = three()
    capital, bonds, shock = grid.simulate(solution, periods=4, tracks=15, seed=3)
    a, d, _, p, _ = solution.policies(capital, bonds, shock)
    one = illiquid(3)
    paid, capitals = np.zeros_like(a), np.zeros_like(a)
    for z in range(4):  # tomorrow, by shock: returns and consumption from the grid's rules alone
        k, b = (np.pad(x, [(0, 0), (1, 0)]) for x in (a, d))
        at = np.full(len(shock), z)
        later, _, consumed, _, _ = solution.policies(k, b, at)
        ratio = k.sum(1, keepdims=True) / 2.5
        r = 0.3 * TFP[z] * ratio**-0.7 + 1 - DELTA[z]
        R = (r + np.pad(later, [(0, 0), (0, 1)]) - k)[:, 1:]
        weight = np.asarray(CHAIN)[shock, z][:, None] * consumed[:, 1:] ** -2.0
        paid, capitals = paid + weight * np.minimum(3 * r, 1), capitals + weight * R
    state = one.tensors(one.State(capital, bonds, shock.astype(np.int32)))
    W, V = (0.95 * paid) ** -0.5, capitals / paid
    price, chosen = one.cleared(one.cash(state)[:, :-1], one.kept(state)[:, :-1], tf.constant(W), tf.constant(V))
    np.testing.assert_allclose(price[:, 0], p, rtol=2e-3)
    np.testing.assert_allclose(chosen.savings, a, atol=2e-3 * a.max())
    np.testing.assert_allclose(chosen.spent / price, d, atol=2e-3 * a.max())


@pytest.mark.long
def test_a_finer_grid_moves_the_solution_by_less_than_a_thousandth_of_wealth():
    grid, solution = three()
    capital, bonds, shock = grid.simulate(solution, periods=4, tracks=15, seed=4)
    finer = grid.solve_where_visited(solution.economy, (12, 11, 12))
    for one, other in zip(solution.policies(capital, bonds, shock), finer.policies(capital, bonds, shock), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


# ---- what training finds, against what is known


def distances(path, policies):
    """Mean and 99.9th percentile in %: savings and bonds over cash on hand, consumption and price over themselves."""
    cash = path["c"][:, :-1] + path["a"] + path["p"][:, None] * path["d"]
    away = {name: (path[letter] - policies[name]) / cash for name, letter in (("savings", "a"), ("bonds_bought", "d"))}
    away |= {name: path[letter] / policies[name] - 1 for name, letter in (("consumption", "c"), ("price", "p"))}
    return {name: (100 * np.abs(x).mean(), 100 * np.percentile(np.abs(x), 99.9)) for name, x in away.items()}


def trained(folder, file, *settings):
    """Errors, path, and distances from the solution that evidence.py knows."""
    errors, path, _ = train(folder, f"olg_bond/{file}", *settings)
    one = economy(file)
    state = one.State(path["k"], path["b"], path["z"])
    known = EVIDENCE.closed_form(one.p, state) if file == "no_trade" else EVIDENCE.grid(one.p, state)
    return errors, path, distances(path, known)


@pytest.mark.long
def test_two_cohorts_agree_with_the_root_of_one_equation(tmp_path):
    _, path, away = trained(tmp_path, "bond_two", "evaluation.periods=4000")
    assert not np.any(path["d"])
    assert max(away["savings"][0], away["price"][0]) < 0.01, away


@pytest.mark.long
def test_nobody_trades_much_where_nobody_should(tmp_path):
    errors, path, away = trained(tmp_path, "no_trade", "evaluation.periods=4000")
    assert np.abs(path["d"]).mean() < 0.005 * path["a"].mean()
    assert errors["mean"]["euler"] < 5e-4 and away["consumption"][0] < 0.1, away


@pytest.mark.long
def test_three_cohorts_agree_with_the_grid(tmp_path):
    _, path, away = trained(tmp_path, "bond_three", "evaluation.periods=4000")
    assert 0.2 < np.mean(3 * path["d"][:, 0] + path["a"][:, 0] < 1e-9) < 0.7
    for name, (mean, tail) in away.items():
        assert mean < 0.1 and tail < 1, (name, away)
