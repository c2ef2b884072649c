"""A price that is an expectation is computed by `complete`; definitions may take E; what is not there yet is told."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from small import rule_of, states_of
from test_expectation import RHO, SD, Walk

from deqn.equilibrium import Report
from deqn.equilibrium.checks.dry_run import check_equations
from deqn.equilibrium.evaluation import evaluate
from deqn.equilibrium.implied import implied_error
from deqn.project.errors import UserError


class Policy(NamedTuple):
    choice: tf.Tensor  # [batch]
    price: tf.Tensor  # [batch], of what gives exp(logs'_0) next period


class Priced(Walk):
    Policy = Policy
    report = Report(letters={"logs": "x", "price": "p"})

    def policy(self, output, state):
        return Policy(tf.exp(output[:, 0]), None)

    def complete(self, state, policy, E):
        return policy._replace(price=E(lambda s, q: tf.exp(s.logs[:, 0])))

    def residuals(self, state, policy, E):
        return {"choice": policy.choice / policy.price - 1 + 0.1 * E(lambda s, q: q.choice)}

    def definitions(self, state, policy, E):
        return {"second": E(lambda s, q: tf.exp(s.logs[:, 1]))}


def lognormal_mean(logs, which):
    return np.exp(RHO * logs[:, which] + SD[which] ** 2 / 2)


@pytest.mark.parametrize("nodes", [2, 7])  # 4 written out, 49 in a loop
def test_evaluated_prices_and_definitions_are_the_means_of_lognormals(nodes):
    found = evaluate(rule_of(Priced(nodes), heads=False), 40, 0, seed=1)
    accuracy = 1e-3 if nodes == 2 else 1e-9
    np.testing.assert_allclose(found.policy.price, lognormal_mean(found.state.logs, 0), rtol=accuracy)
    np.testing.assert_allclose(found.definitions["second"], lognormal_mean(found.state.logs, 1), rtol=accuracy)


def test_an_economy_that_computes_a_price_passes():
    assert check_equations(Priced()) == ["choice"]


def test_implied_errors_are_of_what_is_decided_alone():
    rule = rule_of(Priced(2), heads=False)
    state = tf.nest.map_structure(np.asarray, states_of(rule.economy, 600))
    assert set(implied_error(rule, state).followed) == {"choice"}


class SeesItInE(Priced):
    def residuals(self, state, policy, E):
        return {"choice": policy.choice - E(lambda s, q: 2 * q.price)}


class SeesItInTransition(Priced):
    def transition(self, state, policy, shock):
        return super().transition(state, policy, shock)._replace(logs=state.logs * policy.price[:, None])


class NeverComputesIt(Priced):
    def complete(self, state, policy, E):
        return policy


class HasNoComplete(Walk):
    Policy = Policy

    def policy(self, output, state):
        return Policy(tf.exp(output[:, 0]), None)


@pytest.mark.parametrize(
    ("economy", "words"),
    [
        (
            SeesItInE,
            "policy: price is None there, for `complete` computes it from E: `transition`, and functions inside",
        ),
        (SeesItInTransition, "if next period's price is needed, learn it"),
        (
            NeverComputesIt,
            "complete: price is None, expected [11] or [11, N]; let it give all that `policy` leaves out",
        ),
        (
            HasNoComplete,
            "policy: price is None, expected [11] or [11, N]; give it here or, if it is an expectation, in",
        ),
    ],
)
def test_a_price_that_is_not_there_yet_is_told_in_one_message(economy, words):
    with pytest.raises(UserError) as told:
        check_equations(economy())
    assert words in str(told.value)
