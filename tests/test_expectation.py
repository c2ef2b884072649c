"""The operator E against loops over successors, quadrature by hand and closed forms; its gradient; heads."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from numpy.polynomial.hermite import hermgauss
from small import CHAIN, THREE, olg, rows, rule_of, states_of

from deqn.equilibrium import Economy, Gaussian, MarkovChain, expectation
from deqn.equilibrium.decision_rule import NetworkRule
from deqn.project.errors import UserError

RHO, SD = 0.9, np.array([0.2, 0.3])


class Point(NamedTuple):
    logs: tf.Tensor  # [batch, 2]


class Walk(Economy):
    """Two autoregressions with normal innovations and a policy that looks at both: logs' = rho logs + sd e."""

    State, Policy = Point, NamedTuple("Policy", [("choice", tf.Tensor)])

    def __init__(self, nodes=5):
        super().__init__(None, "float64")
        self.shocks, self.outputs = Gaussian(2, nodes=nodes), 1

    def features(self, state):
        return state.logs

    def policy(self, output, state):
        return self.Policy(tf.exp(output[:, 0]))

    def transition(self, state, policy, shock):
        return Point(RHO * state.logs + SD * shock)

    def residuals(self, state, policy, E):
        return {"none": E(lambda s, q: q.choice) - policy.choice}

    def initial_states(self, count, generator):
        return Point(generator.normal(size=(count, 2)))


def marginal_value(economy):
    """r' u'(c'^{h+1}), what the Euler equation takes the expectation of."""
    return lambda s, q: economy.prices(s)[0] * economy.u_prime(q.consumption[:, 1:])


@pytest.mark.parametrize("heads", [True, False])
def test_over_a_chain_it_is_the_sum_that_a_loop_over_successors_gives(heads):
    economy = olg(*THREE)
    rule, state = rule_of(economy, heads), states_of(economy, 7)
    policy = rule(state)
    found = rule.expectation(state, policy)(marginal_value(economy)).numpy()
    L, tfp, delta = 2.5, [0.85, 1.15, 0.85, 1.15], [0.5, 0.5, 0.9, 0.9]
    for m in range(7):
        expected = np.zeros(2)
        for z in range(4):
            capital = np.concatenate([[0.0], policy.savings.numpy()[m]])
            r = 0.3 * tfp[z] * (capital.sum() / L) ** -0.7 + 1 - delta[z]
            following = rule(economy.State(tf.constant(capital[None]), tf.constant([z])))
            expected += CHAIN[state.shock[m], z] * r * following.consumption.numpy()[0, 1:] ** -2.0
        np.testing.assert_allclose(found[m], expected, rtol=1e-12)


def test_over_normal_shocks_it_is_gauss_hermite_by_hand():
    economy = Walk()
    rule, state = rule_of(economy, heads=False), states_of(economy, 6)
    found = rule.expectation(state, rule(state))(lambda s, q: q.choice * s.logs[:, 0] ** 2)
    x, w = hermgauss(5)  # the physicists' scale: E f(e) = sum w f(sqrt(2) x) / sqrt(pi)
    expected = np.zeros(6)
    for i in range(5):
        for j in range(5):
            logs = RHO * state.logs.numpy() + SD * np.sqrt(2) * np.array([x[i], x[j]])
            choice = rule(Point(tf.constant(logs))).choice.numpy()
            expected += w[i] * w[j] / np.pi * choice * logs[:, 0] ** 2
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_mean_of_a_lognormal_has_its_closed_form():
    economy = Walk(nodes=9)
    rule, state = rule_of(economy, heads=False), states_of(economy, 6)
    E = rule.expectation(state, rule(state))
    expected = np.exp(RHO * state.logs.numpy() + SD**2 / 2)
    np.testing.assert_allclose(E(lambda s, q: tf.exp(s.logs)), expected, rtol=1e-12)


def euler_like(rule, state, today, frozen=False):
    """Numbers [batch, 2] with E of next period's and today's, and E squared; today: [batch]."""
    policy = rule(state)
    E = rule.expectation(state, policy, frozen=frozen)
    return E(lambda s, q: s.logs * (q.choice * today)[:, None]) + E(lambda s, q: q.choice / policy.choice)[:, None] ** 2


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
def test_many_nodes_in_a_loop_give_the_values_and_derivatives_of_the_plain_sum(monkeypatch, frozen):
    economy = Walk(nodes=3)
    rule, state, today = rule_of(economy, heads=False), states_of(economy, 6), tf.linspace(0.5, 2.0, 6)
    today = tf.cast(today, tf.float64)

    def compiled():
        @tf.function(jit_compile=True, autograph=False)
        def differentiated(logs, today):
            sources = [logs, today, *(weight.value for weight in rule.network.trainable_variables)]
            with tf.GradientTape() as second:
                second.watch(sources)
                with tf.GradientTape() as first:
                    first.watch(sources)
                    values = euler_like(rule, Point(logs), today, frozen)
                gradient = first.gradient(values, sources, unconnected_gradients="zero")
                total = tf.add_n([tf.reduce_sum(x**2) for x in gradient])
            return values, gradient, second.gradient(total, sources, unconnected_gradients="zero")

        return tf.nest.flatten(differentiated(state.logs, today))

    looped = compiled()
    monkeypatch.setattr(expectation, "FEW", 9)
    for one, other in zip(looped, compiled(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    assert frozen or all(np.any(x) for x in looped)


@pytest.mark.parametrize("nodes", [5, 2])
def test_one_successor_of_each_state_at_a_time_is_seen_beside_what_is_known_today(nodes):
    economy = Walk(nodes=nodes)  # 25 in a loop, 4 written out
    rule, state = rule_of(economy, heads=False), states_of(economy, 6)
    policy = rule(state)
    E = rule.expectation(state, policy)
    inside = E(lambda s, q: policy.choice * q.choice)
    np.testing.assert_allclose(inside, policy.choice * E(lambda s, q: q.choice), rtol=1e-12)


@pytest.mark.parametrize("economy", [olg(*THREE), Walk()], ids=["chain", "normal"])
def test_the_expectation_of_one_is_one_and_it_is_linear(economy):
    rule, state = rule_of(economy, heads=False), states_of(economy, 5)
    E = rule.expectation(state, rule(state))
    f, g = (lambda s, q: q[0] ** 2), (lambda s, q: tf.sin(q[0]))
    np.testing.assert_allclose(E(lambda s, q: tf.ones_like(q[0])), 1.0, rtol=1e-14)
    np.testing.assert_allclose(E(lambda s, q: 2 * f(s, q) - g(s, q)), 2 * E(f) - E(g), rtol=1e-11, atol=1e-14)


def test_one_pass_of_the_heads_equals_each_successor_on_its_own():
    economy = olg(*THREE)
    rule, state = rule_of(economy), states_of(economy, 9)
    E = rule.expectation(state, rule(state))
    for following, policy in zip(E.states, E.policies, strict=True):
        for one_pass, alone in zip(policy, rule(following), strict=True):
            np.testing.assert_allclose(one_pass, alone, rtol=1e-12)


def test_under_every_shock_equals_each_shock_on_its_own():
    economy = olg(*THREE)
    rule, state = rule_of(economy), states_of(economy, 9)
    tiled, policy = rule.under_every_shock(state)
    for z in range(4):
        alone = state._replace(shock=tf.fill([9], z))
        here = tf.range(9 * z, 9 * (z + 1))
        np.testing.assert_array_equal(rows(tiled, here).capital, alone.capital)
        np.testing.assert_array_equal(rows(tiled, here).shock, alone.shock)
        for tiled_field, field in zip(rows(policy, here), rule(alone), strict=True):
            np.testing.assert_allclose(tiled_field, field, rtol=1e-12)


def test_frozen_lets_no_gradient_through_the_next_period_and_full_does():
    economy = olg(*THREE)
    rule, state = rule_of(economy), states_of(economy, 5)
    weights = rule.network.trainable_variables
    for frozen in (True, False):
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(rule.expectation(state, rule(state), frozen=frozen)(marginal_value(economy)))
        zero = [gradient is None or not np.any(gradient) for gradient in tape.gradient(value, weights)]
        assert zero == [frozen] * len(weights)


def test_another_rule_may_decide_in_the_next_period():
    economy = olg(*THREE)
    rule, other, state = rule_of(economy), rule_of(economy, seed=1), states_of(economy, 5)
    policy = rule(state)
    found = rule.expectation(state, policy, other)(marginal_value(economy))
    np.testing.assert_allclose(found, other.expectation(state, policy)(marginal_value(economy)), rtol=1e-14)
    own = rule.expectation(state, policy)(marginal_value(economy))
    assert np.abs(found / own - 1).max() > 1e-3


class PointAndShock(NamedTuple):
    logs: tf.Tensor  # [batch, 2]
    shock: tf.Tensor  # [batch]


class Seer(Walk):
    """Its features see the shock, which a network with heads must not."""

    State = PointAndShock

    def __init__(self):
        super().__init__()
        self.shocks = MarkovChain([[0.5, 0.5], [0.5, 0.5]])

    def features(self, state):
        return tf.concat([state.logs, tf.cast(state.shock, tf.float64)[:, None]], axis=1)

    def transition(self, state, policy, shock):
        return self.State(RHO * state.logs, shock)

    def initial_states(self, count, generator):
        return self.State(generator.normal(size=(count, 2)), np.zeros(count, int))


def test_heads_refuse_features_that_see_the_shock():
    network = rule_of(Seer(), heads=False).network
    with pytest.raises(UserError, match="features that do not depend on next period's shock, but those of Seer do"):
        NetworkRule(Seer(), network, heads=True)
