"""Every check of `deqn verify` on the solution in closed form, which passes, and on mutations of it, which fail."""

import ast

import numpy as np
import pytest
import tensorflow as tf
from oracles import lucas_tree
from oracles.olg_analytic import saving_shares
from scipy import stats
from small import ROOT, economy_of

from deqn.equilibrium.decision_rule import OutputRule
from deqn.equilibrium.evidence import dynamics, on_path, truths
from deqn.equilibrium.evidence.statistics import bands, equal_means, orthogonality
from deqn.equilibrium.evidence.subject import Subject, policies_at, subject_of
from deqn.equilibrium.exogenous import MarkovChain
from deqn.equilibrium.settings import EvaluationSettings, VerifySettings
from deqn.project.user_code import load_module

PATH, SHORT = (EvaluationSettings(periods=periods, burn_in=100, seed=1) for periods in (1700, 400))


class Formula(OutputRule):
    """Decides by a formula for the outputs, [batch, outputs]."""

    def __init__(self, economy, output):
        self.economy, self._output = economy, output

    def output(self, state):
        return self._output(state)


def evidence(model):
    return load_module(ROOT / "models" / model, "evidence")


def planner(*overrides, believed=None, off=lambda k: 0.0 * k):
    """Brock and Mirman's saving; of who believes in another discount factor, or is wrong by off(ln k)."""
    economy = economy_of(ROOT / "models/brock_mirman/brock_mirman.yaml", *overrides)
    share = 1 - economy.p.capital_share * (believed or economy.p.discount_factor)

    def output(state):
        consumed = share * tf.exp(off(tf.math.log(state.capital)))
        return tf.math.log(economy.output(state) * consumed / (1 - consumed))[:, None]

    return Formula(economy, output)


def verdicts(checks):
    """The verdict of each check by its name."""
    return {check.name: check.verdict for check in checks}


def failed(checks):
    return [name for name, verdict in verdicts(checks).items() if verdict == "fail"]


def subject(rule, path=SHORT):
    return subject_of(rule, path, VerifySettings())


@pytest.fixture(scope="module")
def right():
    return subject(planner(), PATH)


@pytest.fixture(scope="module")
def impatient():
    """A planner of beta .95 in an economy of .96."""
    return subject(planner(believed=0.95))


# --- the closed form passes ------------------------------------------------------------------------------------------


def all_of(one, closed_form=None):
    for checks in (on_path.errors, on_path.implied, on_path.feasibility, on_path.welfare, dynamics.den_haan_marcet,
                   dynamics.ergodicity, dynamics.box):  # fmt: skip
        yield from checks(one)
    yield from truths.known_solution("closed form", one, closed_form)


def test_the_solution_in_closed_form_passes_every_check(right):
    found = list(all_of(right, evidence("brock_mirman").closed_form))
    assert not failed(found)
    assert len([each for each in found if each.verdict == "pass"]) > 10
    numbers = [each.number for each in found if each.unit == "%"]
    assert max(numbers) < 1e-9


# --- a discount factor that is another one ---------------------------------------------------------------------------


def test_another_discount_factor_fails_errors_implied_errors_closed_form_and_welfare(impatient):
    assert verdicts(on_path.errors(impatient))["relative Euler error, mean"] == "fail"
    assert "implied error of consumption, mean" in failed(on_path.implied(impatient))
    closed = failed(truths.known_solution("closed form", impatient, evidence("brock_mirman").closed_form))
    assert {"closed form: savings, mean", "closed form: consumption, mean"} <= set(closed)
    assert failed(on_path.welfare(impatient)) == ["welfare cost of the errors"]


def test_the_welfare_cost_of_log_utility_is_half_the_squared_error_of_consumption(impatient):
    (found,) = on_path.welfare(impatient)
    alpha = 0.36
    error = (1 - alpha * 0.96) / (1 - alpha * 0.95) - 1  # by which consumption should change
    np.testing.assert_allclose(found.number, error**2 / 2, rtol=0.02)


# --- weights that are perturbed --------------------------------------------------------------------------------------


def test_a_perturbed_rule_fails_against_the_closed_form_and_on_the_path():
    one = subject(planner(off=lambda k: 0.01 * tf.sin(40 * k)))
    assert {"closed form: consumption, mean"} <= set(
        failed(truths.known_solution("closed form", one, evidence("brock_mirman").closed_form))
    )
    assert "relative Euler error, mean" in failed(on_path.errors(one))


def test_a_rule_that_is_right_where_it_goes_and_wrong_beyond_fails_on_the_box(right):
    edge = np.log(right.path.state.capital).max()
    one = subject(planner(off=lambda k: 30.0 * tf.nn.relu(k - edge)))
    assert not failed(on_path.errors(one))
    assert failed(dynamics.box(one)) == ["relative Euler error on a box, mean"]


def test_states_of_the_box_where_a_guard_is_active_are_left_out_unless_they_are_many(right):
    edge = np.log(right.path.state.capital).max()
    one = subject(planner(off=lambda k: 30.0 * tf.nn.relu(k - edge)))
    for bound, verdict, words in ((edge, "pass", "where a guard is active"), (-9.0, "not applicable", "100.0% of its")):
        one.rule.economy.flags = lambda state, policy, bound=bound: {"beyond": tf.math.log(state.capital) > bound}
        (check,) = dynamics.box(one)
        assert (check.verdict, words in check.note) == (verdict, True)


def test_a_rule_with_two_resting_points_is_not_ergodic():
    """Beyond a threshold of capital more is saved, so that a track stays where it began."""
    middle = np.log(0.36 * 0.96) / (1 - 0.36)  # where the logarithm of capital rests under the middle shock
    one = subject(planner(off=lambda k: -0.2 * tf.tanh(200 * (k - middle))), PATH)
    (found,) = dynamics.ergodicity(one)
    assert found.verdict == "fail", found


# --- other economies -------------------------------------------------------------------------------------------------


def overlapping(economy):
    """The closed form of `models/olg_analytic`."""
    saved = saving_shares(economy.p.cohorts, economy.p.discount_factor)[:-1]

    def output(state):
        x = economy.cash(state)[:, :-1]
        multiple = (1 - saved) * x / saved / economy.steady.consumption[:-1]
        return tf.math.log(tf.math.expm1(4 * multiple)) / 4 - 1

    return Formula(economy, output)


def test_overlapping_generations_pass_against_their_closed_form_and_swapped_cohorts_fail():
    economy = economy_of(ROOT / "models/olg_analytic/six.yaml")
    rule = overlapping(economy)
    closed_form = evidence("olg_analytic").closed_form
    assert not failed(truths.known_solution("closed form", subject(rule), closed_form))
    swapped = Formula(economy, lambda state: rule.output(state)[:, ::-1])
    assert "closed form: savings, mean" in failed(truths.known_solution("closed form", subject(swapped), closed_form))


PERSISTENT = [[0.9, 0.1], [0.3, 0.7]]
TWO = ["parameters.tfp=[0.9, 1.1]", f"parameters.transition={PERSISTENT}"]


def portfolio(lent=0.0, *overrides, believed=None, chain=None):
    """The closed form of `models/portfolio`, but the old lend this share of their savings to the young.

    believed: another discount factor by which all save. chain: another one by which the price is formed.
    """
    economy = economy_of(ROOT / "models/portfolio/portfolio.yaml", *overrides)
    p = economy.p
    saved = saving_shares(p.cohorts, believed or p.discount_factor)[:-1]
    chain, tfp = tf.constant(p.transition if chain is None else chain, tf.float64), np.asarray(p.tfp)

    def output(state):
        s = economy.wealth(state)[:, :-1] * saved
        K = tf.reduce_sum(s, axis=1, keepdims=True)
        inverse_return = K ** (1 - p.capital_share) / (p.capital_share * tfp)
        price = tf.reduce_sum(tf.gather(chain, state.shock) * inverse_return, axis=1, keepdims=True)
        odds = np.log(saved / (1 - saved)) - economy.log_odds
        wanted = s * lent * np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
        bonds = wanted - s * tf.reduce_sum(wanted, axis=1, keepdims=True) / K
        held = price * (bonds + p.collateral * (s - price * bonds)) / s
        rest = [tf.math.log(held / (1 - held)) + 2.0, tf.math.log(price / 0.5)]
        return tf.concat([tf.zeros_like(held) + odds, *rest], axis=1)

    return Formula(economy, output)


def test_another_discount_factor_is_rejected_by_den_haan_and_marcet_and_the_right_one_is_not():
    (kept,), (rejected,) = (
        dynamics.den_haan_marcet(subject(portfolio(0.0, *TWO, believed=each))) for each in (None, 0.8)
    )
    assert (kept.verdict, rejected.verdict) == ("pass", "fail"), (kept, rejected)
    assert rejected.figures["condition"] == "euler_bond"


class Transposed(MarkovChain):
    """Draws by the rows of its matrix and expects by the columns."""

    def successors(self, state):
        columns = tf.constant(transposed(self.transition).T)
        return super().successors(state)[0], tf.gather(columns, state.shock, axis=1)


def transposed(chain):
    """The columns as rows, each summing to one."""
    return np.transpose(chain) / np.sum(chain, axis=0)[:, None]


def test_expectations_by_the_columns_of_the_transition_are_rejected_by_den_haan_and_marcet():
    """The rule meets the conditions as they are written: only what happens contradicts them."""
    rule = portfolio(0.0, *TWO, chain=transposed(PERSISTENT))
    rule.economy.shocks = Transposed(PERSISTENT)
    one = subject(rule)
    assert not failed(on_path.errors(one))
    assert failed(dynamics.den_haan_marcet(one)) == ["Den Haan-Marcet"]


def test_portfolios_that_nobody_wants_fail_the_implied_error_while_markets_clear():
    closed_form = evidence("portfolio").closed_form
    assert not failed(truths.known_solution("closed form", subject(portfolio(0.0)), closed_form))
    one = subject(portfolio(1.0))
    assert "implied error of bonds bought, mean" in failed(on_path.implied(one))
    assert "closed form: bonds bought, mean" in failed(truths.known_solution("closed form", one, closed_form))
    assert verdicts(on_path.errors(one))["clearing, mean"] == "pass"


def test_swapped_assets_fail_errors_and_market_clearing():
    rule = portfolio(0.0)
    N = rule.economy.p.cohorts - 1

    def swapped(state):
        output = rule.output(state)
        # x' and k' change places: the share held in one becomes that held in the other.
        return tf.concat([output[:, :N], 4.0 - output[:, N : 2 * N], output[:, 2 * N :]], axis=1)

    found = failed(on_path.errors(subject(Formula(rule.economy, swapped))))
    assert {"clearing, mean", "euler bond, mean"} <= set(found)


CALM = ["parameters.risk_aversion=2", "parameters.relative_sd=0.1"]  # or a track's discount varies too much to tell


def tree(off):
    """v and p of the tree by collocation, both too high by a factor."""
    economy = economy_of(ROOT / "models/asset_pricing/lucas_annual.yaml", "parameters.nodes=9", *CALM)
    p = economy.p
    solved = lucas_tree.solve(
        lucas_tree.Tree(p.discount_factor, p.risk_aversion, p.substitution, p.mean_growth, p.growth_sd, p.persistence,
                        p.relative_sd, p.correlation)
    )  # fmt: skip

    def polynomial(coefficients, x):
        powers = np.polynomial.chebyshev.cheb2poly(coefficients)
        return tf.add_n([c * (x / solved.edge) ** n for n, c in enumerate(powers)])

    def output(state):
        wanted = [polynomial(each, state.expected) for each in (solved.log_value, solved.log_price)]
        return tf.stack([w + np.log(o / g) for w, o, g in zip(wanted, off, economy.first_guess, strict=True)], axis=1)

    return Formula(economy, output)


def test_a_price_that_is_five_per_cent_too_high_fails_against_its_payoffs_along_tracks():
    paid = evidence("asset_pricing").paid
    (kept,) = truths.present_values(subject(tree((1.0, 1.0))), paid)
    (rejected,) = truths.present_values(subject(tree((1.0, 1.05))), paid)
    assert kept.verdict == "pass", kept
    assert rejected.verdict == "fail", rejected


def test_the_saddle_path_of_growth_passes_against_its_grid_and_a_rule_that_consumes_more_fails():
    """Outputs of zero are the linear saddle path, whose consumption is right to less than a thousandth."""
    found = []
    for odds in (0.0, 0.05):
        economy = economy_of(ROOT / "models/growth/growth.yaml")
        rule = Formula(economy, lambda state, odds=odds: odds + 0.0 * state.capital[:, None])
        found.append(failed(truths.known_solution("grid", subject(rule), evidence("growth").grid)))
    assert found[0] == []
    assert {"grid: consumption, mean", "grid: consumption, p99.9"} <= set(found[1])


# --- where nothing is uncertain --------------------------------------------------------------------------------------

CERTAIN = ["parameters.log_productivity=[0.0]", "parameters.transition=[[1.0]]"]


def test_without_risk_the_rule_is_held_to_the_steady_state():
    (kept,) = truths.steady_state(subject(planner(*CERTAIN)))
    (rejected,) = truths.steady_state(subject(planner(*CERTAIN, believed=0.95)))
    assert (kept.verdict, rejected.verdict) == ("pass", "fail")
    assert kept.number < 1e-9


def test_with_risk_the_distance_from_the_steady_state_is_told_and_no_check(right):
    (found,) = truths.steady_state(right)
    assert (found.verdict, found.number) == ("not applicable", None)
    assert "the file has risk" in found.note


def test_den_haan_and_marcet_leave_out_conditions_that_what_happens_does_not_move():
    """In Brock and Mirman's solution r'/c' does not depend on the next shock; any small error would be rejected."""
    one = subject(planner(off=lambda k: 1e-5 * tf.sin(6 * k)))
    (found,) = dynamics.den_haan_marcet(one)
    assert (found.verdict, found.number) == ("not applicable", None)


def test_without_uncertainty_den_haan_and_marcet_have_nothing_to_test():
    (found,) = dynamics.den_haan_marcet(subject(planner(*CERTAIN)))
    assert found.verdict == "not applicable"


# --- a trained run with constraints ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(solution):
    return subject(solution.rule)


def test_a_stale_multiplier_fails_the_conditions_that_use_it(solution, monkeypatch):
    """The multiplier of the cohort before: what was right for somebody else is no longer right."""
    economy = solution.economy
    fresh = type(economy).policy

    def stale(self, output, state):
        policy = fresh(self, output, state)
        return policy._replace(multiplier=tf.roll(policy.multiplier, 1, axis=1))

    rule = solution.rule
    before = {check.name: check.number for check in on_path.errors(subject(rule))}
    monkeypatch.setattr(type(economy), "policy", stale)
    after = {check.name: check for check in on_path.errors(subject(rule))}
    assert after["KKT error, mean"].verdict == "fail"
    assert before["KKT error, mean"] == 0
    assert after["relative Euler error, mean"].number > 2 * before["relative Euler error, mean"]


def broken(one, **changes):
    """The same with another path."""
    return Subject(one.rule, one.settings, one.path._replace(**changes), one.starts, one.seed)


def test_a_negative_multiplier_is_not_feasible(trained):
    assert verdicts(on_path.feasibility(trained))["feasibility: multiplier below zero"] == "pass"
    policy = trained.path.policy._replace(multiplier=-1 - trained.path.policy.multiplier)
    assert failed(on_path.feasibility(broken(trained, policy=policy))) == ["feasibility: multiplier below zero"]


def test_an_active_guard_and_a_state_outside_are_not_feasible(trained):
    flags = {**trained.path.flags, "capital_floor": np.arange(len(trained.path.track)) == 3}
    inside = np.arange(len(trained.path.track)) != 5
    found = failed(on_path.feasibility(broken(trained, flags=flags, inside=inside)))
    assert found == ["feasibility: capital floor", "feasibility: outside the economy's is_inside"]


def test_perturbed_weights_fail_against_the_weights_before(solution, trained):
    same = policies_at(solution.rule, trained.sample)
    assert not failed(truths.distances("seed 1", trained, {"consumption": same["consumption"]}))
    weights = [np.array(each) for each in solution.rule.network.weights]
    try:
        for each in solution.rule.network.trainable_variables:
            each.assign(each * 1.5)
        other = policies_at(solution.rule, trained.sample)
    finally:
        for each, before in zip(solution.rule.network.weights, weights, strict=True):
            each.assign(before)
    assert "seed 1: consumption, mean" in failed(
        truths.distances("seed 1", trained, {"consumption": other["consumption"]})
    )


# --- the statistics --------------------------------------------------------------------------------------------------


def test_the_band_of_a_mean_is_that_of_theory_where_periods_are_independent():
    values = np.abs(np.random.default_rng(1).standard_normal((10_000, 1))) + 3
    mean, _ = bands(values, 99.9)
    half = 1.96 * values.std() / 100
    np.testing.assert_allclose([mean.low, mean.high], [values.mean() - half, values.mean() + half], rtol=2e-3)


def test_the_band_of_a_mean_is_wider_where_periods_are_alike():
    generator = np.random.default_rng(2)
    e = generator.standard_normal(20_000)
    x = np.zeros_like(e)
    for t in range(1, len(e)):
        x[t] = 0.9 * x[t - 1] + e[t]
    mean, _ = bands((x + 100)[:, None], 99.9)
    theory = 2 * 1.96 / (1 - 0.9) / np.sqrt(len(e))
    assert 0.75 * theory < mean.high - mean.low < 1.2 * theory


def test_the_band_of_a_percentile_holds_the_percentile_of_the_resamples():
    values = np.random.default_rng(3).exponential(size=(4_000, 5))
    _, tail = bands(values, 99.0)
    assert tail.low < np.percentile(values, 99.0) < tail.high
    assert tail.low < -np.log(0.01) < tail.high


def test_den_haan_and_marcets_statistic_rejects_as_often_as_its_level_says():
    generator = np.random.default_rng(4)
    p_values = []
    for _ in range(400):
        h = np.column_stack([np.ones(500), generator.standard_normal((500, 2))])
        p_values.append(orthogonality(generator.standard_normal((500, 1)), h).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_batch_means_reject_as_often_as_their_level_says_and_always_if_means_differ():
    generator = np.random.default_rng(5)
    p_values = [equal_means(generator.standard_normal((5, 300, 1)), 6).p_value for _ in range(400)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    apart = generator.standard_normal((5, 300, 1)) + np.arange(5)[:, None, None]
    assert equal_means(apart, 6).p_value < 1e-6


def test_what_is_declared_as_evidence_imports_nothing_of_deqn_or_of_the_economy():
    files = [*(ROOT / "models").glob("*/*evidence.py"), *(ROOT / "models").glob("*/grid.py")]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                beside = path.parent / f"{node.module}.py"
                names = [] if node.level and beside in files else ["." * node.level + node.module]
            assert {name.split(".")[0] for name in names} <= {"numpy", "scipy", "collections", "copy", "dataclasses",
                                                               "functools", "typing"}, (path, names)  # fmt: skip
