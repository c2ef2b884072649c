"""A chain and normal innovations together, and beliefs that differ from the truth, against loops and closed forms."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from numpy.polynomial.hermite_e import hermegauss
from small import rule_of, states_of

from deqn.equilibrium import Economy, Gaussian, Joint, MarkovChain, Report
from deqn.equilibrium.checks.dry_run import check_equations
from deqn.equilibrium.evaluation import evaluate
from deqn.equilibrium.implied import implied_error
from deqn.project.errors import UserError

TRUE = np.array([[0.9, 0.1], [0.3, 0.7]])
BELIEVED = np.array([[0.6, 0.4], [0.5, 0.5]])
MEAN, SD, RHO = np.array([0.03, -0.02]), 0.05, 0.8


class State(NamedTuple):
    x: tf.Tensor  # [batch]
    shock: tf.Tensor  # [batch]


class Policy(NamedTuple):
    value: tf.Tensor  # [batch]


class Regimes(Economy):
    """x' = rho x + mean(z') + sd e' and the value v = 1 + .5 E[ exp(x') v' ], under what is believed of z."""

    State, Policy = State, Policy
    report = Report(letters={"x": "x", "shock": "z", "value": "v"})

    def __init__(self, nodes=5, believed=None):
        super().__init__(None, "float64")
        self.shocks = Joint(e=Gaussian(1, nodes=nodes), z=MarkovChain(TRUE))
        if believed is not None:
            self.perceived = Joint(e=Gaussian(1, nodes=nodes), z=MarkovChain(believed))
        self.outputs = 1

    def features(self, state):
        return state.x[:, None]

    def policy(self, output, state):
        return Policy(2 + output[:, 0])

    def transition(self, state, policy, shock):
        return State(RHO * state.x + SD * shock.e[:, 0], shock.z)

    def expected_value(self, E):
        return E(lambda s, q: tf.exp(s.x + self.by_shock(MEAN, s.shock)) * q.value)

    def residuals(self, state, policy, E):
        return {"value": 1 + 0.5 * self.expected_value(E) - policy.value}  # linear, so that implied errors are exact

    def definitions(self, state, policy, E):
        return {"expected": self.expected_value(E)}

    def initial_states(self, count, generator):
        return State(0.1 * generator.standard_normal(count), generator.integers(0, 2, count))


@pytest.mark.parametrize("heads", [True, False])
@pytest.mark.parametrize("nodes", [3, 7])  # six pairs written out, fourteen in a loop
@pytest.mark.parametrize("believed", [None, BELIEVED])
def test_the_expectation_is_the_sum_over_all_pairs_under_what_is_believed(heads, nodes, believed):
    economy = Regimes(nodes, believed)
    rule, state = rule_of(economy, heads), states_of(economy, 6)
    E = rule.expectation(state, rule(state))
    assert E.loops == (nodes == 7)
    chain = TRUE if believed is None else believed
    points, weights = hermegauss(nodes)
    expected = np.zeros(6)
    for e, w in zip(points, weights / weights.sum(), strict=True):
        for z in range(2):
            following = State(RHO * state.x + SD * e, tf.fill([6], z))
            value = np.exp(following.x + MEAN[z]) * rule(following).value
            expected += w * chain[state.shock, z] * value
    np.testing.assert_allclose(economy.expected_value(E), expected, rtol=1e-12)


def test_nature_draws_from_the_true_chain_whatever_is_believed():
    found = evaluate(rule_of(Regimes(believed=BELIEVED)), 20000, 0, seed=3)
    z = found.state.shock
    drawn = np.array([[np.mean(z[1:][z[:-1] == i] == j) for j in (0, 1)] for i in (0, 1)])
    np.testing.assert_allclose(drawn, TRUE, atol=0.02)
    innovation = (found.state.x[1:] - RHO * found.state.x[:-1]) / SD
    assert abs(innovation.mean()) < 0.03 and abs(innovation.std() - 1) < 0.03
    assert abs(np.corrcoef(innovation, z[1:])[0, 1]) < 0.03


def test_the_two_parts_may_be_named_in_any_order():
    first, second = Joint(z=MarkovChain(TRUE), e=Gaussian(2)), Joint(e=Gaussian(2), z=MarkovChain(TRUE))
    state = State(tf.zeros([3], tf.float64), tf.constant([0, 1, 1]))
    for one, other in zip(first.successors(state), second.successors(state), strict=True):
        for name in getattr(one, "_fields", ()):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    key = tf.constant([1, 2])
    np.testing.assert_array_equal(first.draw(state, key).e, second.draw(state, key).e)


@pytest.mark.parametrize("economy", [Regimes(), Regimes(3, BELIEVED)], ids=["true", "believed"])
def test_an_economy_of_both_passes_also_with_states_under_every_shock(economy):
    assert check_equations(economy, every_shock=True) == ["value"]


def test_implied_errors_of_a_value_follow_both_parts():
    """v solves a linear equation, by iteration on a fine grid of x."""
    economy = Regimes(5, BELIEVED)
    rule = rule_of(economy, scale=0.01)
    implied = implied_error(rule, evaluate(rule, 2200, 200, seed=1).state)
    grid, points = np.linspace(-1.2, 1.2, 241), hermegauss(5)
    weights = points[1] / points[1].sum()
    value = np.ones((2, 241))
    for _ in range(400):
        each = []
        for z in range(2):
            ahead = RHO * grid[:, None] + SD * points[0]
            each.append((np.exp(ahead + MEAN[z]) * np.interp(ahead, grid, value[z])) @ weights)
        value = 1 + 0.5 * BELIEVED @ np.array(each)
    right = np.array([np.interp(x, grid, value[z]) for x, z in zip(implied.state.x, implied.state.shock, strict=True)])
    off = right / implied.policy["value"] - 1
    np.testing.assert_allclose(implied.followed["value"], off, atol=0.02 * np.abs(off).max())


class Wrong(Regimes):
    def __init__(self):
        super().__init__()
        self.perceived = Joint(e=Gaussian(1), z=MarkovChain(np.full((3, 3), 1 / 3)))


def test_beliefs_of_another_number_of_regimes_are_refused():
    with pytest.raises(UserError, match="of perceived shocks 3 are discrete, of the true ones 2; expected as many"):
        check_equations(Wrong())


def test_two_chains_are_refused_and_told_how_to_make_one():
    with pytest.raises(ValueError, match="got the chains y and z, expected parts by name, at most one of them a chain"):
        Joint(y=MarkovChain(TRUE), z=MarkovChain(TRUE))
