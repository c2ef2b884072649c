"""Outputs of the network by name: the same numbers, cut by hand; and what is said of a name that is wrong."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from small import rule_of, states_of

from deqn.equilibrium import Economy, Gaussian, Report
from deqn.equilibrium.checks.dry_run import check_equations
from deqn.project.errors import UserError


class State(NamedTuple):
    wealth: tf.Tensor  # [batch]


class Policy(NamedTuple):
    bonds: tf.Tensor  # [batch, 2]
    price: tf.Tensor  # [batch]
    country: tf.Tensor  # [batch, 1]
    by_both: tf.Tensor  # [batch, 2, 3]


class Named(Economy):
    """Numbers without a meaning, each of which stands in a condition."""

    State, Policy = State, Policy
    report = Report(letters={"wealth": "w"})

    def __init__(self):
        super().__init__(None, "float64")
        self.shocks = Gaussian(1)
        self.outputs = {"bonds": 2, "price": 1, "country": (1,), "by_both": (2, 3)}

    def features(self, state):
        return state.wealth[:, None]

    def policy(self, output, state):
        return Policy(*(state.wealth[(...,) + (None,) * (len(x.shape) - 1)] + tf.exp(x) for x in output))

    def transition(self, state, policy, shock):
        return State(state.wealth * tf.exp(0.1 * shock[:, 0]))

    def residuals(self, state, policy, E):
        expected = E(lambda s, q: q.price)[:, None]
        return {
            "price": (policy.price[:, None] - expected) * policy.country,
            "bonds": policy.bonds - expected,
            "both": tf.reshape(policy.by_both - expected[:, None], [-1, 6]),
        }

    def initial_states(self, count, generator):
        return State(generator.uniform(1, 2, count))


class Forgetful(Named):
    """Its policy takes no third bond."""

    def __init__(self):
        super().__init__()
        self.outputs = {**self.outputs, "bonds": 3}

    def policy(self, output, state):
        return super().policy(output._replace(bonds=output.bonds[:, :2]), state)


class Misspelt(Named):
    def policy(self, output, state):
        return super().policy(output, state)._replace(price=output.prize)


def test_each_name_has_its_own_columns_in_the_order_in_which_they_are_named():
    economy = Named()
    rule, state = rule_of(economy, heads=False), states_of(economy, 5)
    numbers = rule.output(state).numpy()
    assert numbers.shape == (5, 10) and np.unique(numbers).size == 50
    policy, w = rule(state), state.wealth.numpy()
    np.testing.assert_allclose(policy.bonds, w[:, None] + np.exp(numbers[:, :2]))
    np.testing.assert_allclose(policy.price, w + np.exp(numbers[:, 2]))
    np.testing.assert_allclose(policy.country, w[:, None] + np.exp(numbers[:, 3:4]))
    for row in range(2):
        for column in range(3):
            expected = w + np.exp(numbers[:, 4 + 3 * row + column])
            np.testing.assert_allclose(policy.by_both[:, row, column], expected)
    np.testing.assert_array_equal(economy.taken.flat(economy.taken.grouped(numbers)), numbers)


def test_an_economy_with_named_outputs_passes():
    assert check_equations(Named()) == ["price", "bonds", "both"]


@pytest.mark.parametrize(
    ("economy", "words"),
    [
        (Forgetful, "outputs: the network's output.bonds[2] changes nothing in policy"),
        (Misspelt, "in policy: AttributeError: 'Outputs' object has no attribute 'prize'"),
    ],
)
def test_an_output_that_nobody_takes_and_one_that_is_not_there_are_told_by_name(economy, words):
    with pytest.raises(UserError) as told:
        check_equations(economy())
    assert words in str(told.value)
