"""What is reported of a multiplier and its slack, against NumPy; and what is said of pairs that are wrong."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from small import rule_of
from test_expectation import Walk

from deqn.equilibrium import Report
from deqn.equilibrium.checks.dry_run import check_equations, conditions_that_move
from deqn.equilibrium.evaluation import evaluate
from deqn.equilibrium.reporting import results_of
from deqn.equilibrium.settings import EvaluationSettings
from deqn.project.errors import UserError
from deqn.report.symptoms import Evidence, clipped


class Policy(NamedTuple):
    choice: tf.Tensor  # [batch]
    multiplier: tf.Tensor  # [batch]


class Limited(Walk):
    """Two limits: one that `policy` meets exactly, and one whose slack the network may break."""

    Policy = Policy
    report = Report(letters={"logs": "x", "choice": "c"})

    def policy(self, output, state):
        wanted = tf.exp(state.logs[:, 0] + output[:, 0])
        return Policy(tf.minimum(wanted, 1.0), tf.maximum(wanted - 1, 0.0))

    def constraints(self, state, policy):
        return {"exact": (policy.multiplier, 1 - policy.choice), "loose": (policy.choice, state.logs[:, 1])}


PATH = EvaluationSettings(periods=900, burn_in=100)


def test_products_and_where_each_binds_are_those_of_numpy():
    found = evaluate(rule_of(Limited(2), heads=False), 300, 0, seed=1)
    (c, mu), second = found.policy, found.state.logs[:, 1]
    assert list(found.errors) == ["none", "exact", "loose"]
    np.testing.assert_allclose(found.errors["exact"], mu * (1 - c), atol=1e-15)
    np.testing.assert_allclose(found.errors["loose"], c * second)
    np.testing.assert_array_equal(found.flags["exact"], mu > 1 - c)
    np.testing.assert_array_equal(found.flags["loose"], c > second)
    np.testing.assert_array_equal(found.flags["slack_of_loose_below_zero"], second < 0)
    assert 0.2 < np.mean(mu > 0) < 0.8 and not found.flags["slack_of_exact_below_zero"].any()


def test_tables_say_where_each_binds_and_a_negative_slack_is_a_finding():
    rule = rule_of(Limited(2), heads=False)
    results = results_of(rule, PATH)
    found = evaluate(rule, PATH.periods, PATH.burn_in, PATH.seed)
    shares = results.description["shares_at_constraints"]
    assert shares == {name: pytest.approx(found.flags[name].mean()) for name in ("exact", "loose")}
    rows = {(row["condition"], row["key"]): row for row in results.tables["errors"]}
    binds = found.flags["exact"]
    assert rows["none", "exact binding"]["mean"] == pytest.approx(np.abs(found.errors["none"][binds]).mean())
    assert rows["none", "exact free"]["n"] == np.count_nonzero(~binds)
    assert rows["loose", ""]["unit"] == "product" != rows["none", ""]["unit"]
    finding = clipped(Evidence({}, {}, results.description, {}, [], {}))
    assert (
        f"slack of loose below zero on the evaluation's path: {np.mean(found.state.logs[:, 1] < 0):.2%}" in finding.seen
    )


def test_a_product_that_holds_by_construction_does_not_count_for_the_worst_condition():
    economy = Limited(2)
    assert conditions_that_move(economy) == ["none", "loose"]
    assert check_equations(economy) == ["none"]


def limited(constraints):
    return type("Wrong", (Limited,), {"constraints": lambda self, state, policy: constraints(state, policy)})


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (
            lambda s, q: {"limit": (q.multiplier, q.choice - 2)},
            "constraints: the slack of limit is below 0 at every sta",
        ),
        (lambda s, q: {"limit": q.multiplier}, "constraints: limit is a tensor, expected a pair (multiplier, slack)"),
        (lambda s, q: {"limit": (q.multiplier, s.logs)}, "the multiplier has shape [11] and the slack [11, 2] at 11"),
        (
            lambda s, q: {"none": (q.multiplier, q.choice)},
            "constraints: none is one of `errors` too; the product is repo",
        ),
        (lambda s, q: q.multiplier, "constraints: gives a tensor, expected a dictionary"),
    ],
)
def test_pairs_that_are_wrong_are_told(constraints, words):
    with pytest.raises(UserError) as told:
        check_equations(limited(constraints)())
    assert words in str(told.value)
