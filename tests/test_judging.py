"""Every condition is validated, the worst decides, and what is not a number ends with an error."""

import numpy as np
import pytest
import tensorflow as tf
from toys import Bowl, settings

from deqn.commands.template.economy import Mine
from deqn.equilibrium import judging
from deqn.equilibrium.checks.dry_run import check_before_training, conditions_that_move
from deqn.equilibrium.evaluation import at_states
from deqn.equilibrium.problem import Equilibrium
from deqn.equilibrium.reporting import results_of
from deqn.equilibrium.settings import EvaluationSettings
from deqn.project.errors import Diverged, UserError
from deqn.project.schema import validate
from deqn.tasks.parameter_file import EconomyFile
from deqn.training import checkpoint, position
from deqn.training.trainer import Trainer

PATH = EvaluationSettings(periods=400, burn_in=100)
RARE = [[0.8, 0.2, 0.0], [0.2, 0.8, 0.0], [0.0, 0.2, 0.8]]  # the third shock is never reached


class Identity(Mine):
    """The first condition is an identity, the third one does not depend on the network at all."""

    def errors(self, state, policy, E):
        wealth = self.output(state) + (1 - self.p.depreciation) * state.capital
        budget = (policy.consumption + policy.savings) / wealth - 1
        return {"budget": budget, **self.residuals(state, policy, E), "given": 0.04 + 0 * state.capital}

    def flags(self, state, policy):
        return {"poor": state.capital < self.steady, "floor": state.capital < 0}

    report = Mine.report._replace(constraints=["poor"])


class NoNumber(Mine):
    """A condition that is not a number where capital is above the steady state's."""

    def errors(self, state, policy, E):
        return {**self.residuals(state, policy, E), "log": tf.math.log(self.steady - state.capital) * policy.savings}


def file_of(**more):
    return validate(EconomyFile, {
        "economy": "Mine", "network": {"hidden": [8], "heads": "shock"}, "sampling": {"tracks": 16},
        "phases": [{"updates": 60, "optimizer": {"learning_rate": 0.01}}], "validate_every": 20,
        "validation": {"tracks": 8, "periods": 10, "burn_in": 20}, "updates_per_call": 20, **more,
    })  # fmt: skip


def problem_of(economy=Identity, parameters=None, **more):
    return Equilibrium(economy, validate(economy.Parameters, parameters or {}), file_of(**more))


def test_what_no_output_moves_is_not_among_the_conditions_that_may_be_the_worst():
    assert conditions_that_move(Identity(Mine.Parameters(), "float64")) == ["euler"]
    problem = problem_of()
    errors = problem.validate()
    judged = problem.judged(errors)
    assert list(judged)[:4] == ["worst.mean", "worst.p99.9", "worst.max", "budget.mean"]
    assert judged["worst.mean"] == errors["euler.mean"] < errors["given.mean"] == pytest.approx(0.04)
    assert problem.in_words(judged) == f"mean error on fresh paths {100 * errors['euler.mean']:.3g} % (euler)"


def test_an_identity_as_the_first_condition_does_not_keep_untrained_weights():
    problem = problem_of()
    outcome = Trainer(problem, problem.settings).train()
    assert outcome.best["euler.mean"] < 0.5 * outcome.initial["euler.mean"]


def test_the_condition_that_the_file_names_stands_first():
    errors = {f"{name}.{each}": x for name, x in (("a", 1.0), ("b", 2.0)) for each in judging.STATISTICS}
    assert next(iter(judging.deciding_first(errors, ["a", "b"]).items())) == ("worst.mean", 2.0)
    assert next(iter(judging.deciding_first(errors, ["a", "b"], "a").items())) == ("a.mean", 1.0)
    assert np.isnan(judging.deciding_first(errors | {"a.mean": np.nan}, ["a", "b"])["worst.mean"])


@pytest.mark.parametrize(("more", "words"), [
    ({"validation": {"decided_by": "budget"}}, "decided_by: no output of the network moves budget"),
    ({"validation": {"decided_by": "given"}}, "moves given, so that the untrained weights would be the best; name"),
    ({"stop": {"buget.mean": 1.0}}, r"stop\.buget\.mean: validation has no such figure; did you mean 'budget\.mean'"),
])  # fmt: skip
def test_a_judge_that_cannot_judge_is_refused_before_training(more, words):
    with pytest.raises(UserError, match=words):
        check_before_training(Identity, Mine.Parameters(), file_of(**more))


def test_a_validation_with_a_number_that_is_none_is_never_the_best():
    problem, seen = Bowl(), []

    def validate():
        seen.append(0)
        return {"error": 1.0 / len(seen), "other": np.nan if len(seen) > 2 else 0.0}

    problem.validate = validate
    with pytest.raises(Diverged, match="the error on fresh data, other, is nan"):
        Trainer(problem, settings(40, validate_every=10, divergence={"retries": 1})).train()


def test_training_without_a_validation_that_is_a_number_has_no_best_weights():
    problem = Bowl()
    problem.validate = lambda: {"error": np.nan}
    with pytest.raises(Diverged, match="no weights are the best ones"):
        Trainer(problem, settings(0)).train()


def test_weights_that_are_not_finite_are_refused(tmp_path):
    problem = Bowl()
    arrays = position.read(position.network_groups(problem))
    arrays["networks/x/000"][1] = np.inf
    path = checkpoint.save(tmp_path, checkpoint.BEST, arrays, {})
    with pytest.raises(UserError, match=r"best\.npz: networks/x/000 holds 1 of 2 weights that are not finite"):
        position.load_networks(problem, path)


def test_an_evaluation_that_is_not_finite_names_condition_number_and_first_period():
    rule = problem_of(NoNumber).rule()
    capital = results_of(problem_of(Mine).rule(), PATH).archives["simulation"]["k"]  # of the same path
    bad = capital >= rule.economy.steady
    with pytest.raises(UserError) as caught:
        results_of(rule, PATH)
    words = f"condition log is not finite in {bad.sum()} of 300 periods, first in period {bad.argmax() + 1} after the"
    assert words in str(caught.value)


def test_a_shock_that_the_path_never_visits_is_named_and_the_rule_is_judged_there():
    problem = problem_of(Mine, {"transition": RARE})
    rule = problem.rule()
    results = results_of(rule, PATH)
    assert results.description["unvisited_shocks"] == [3]
    assert any(note.startswith("shocks that the path never visited: 3;") for note in results.notes)
    (row,) = (row for row in results.tables["errors"] if row["group"] == "unvisited")
    state = rule.economy.State(results.archives["simulation"]["a"], np.full(300, 2, np.int32))
    (error,) = at_states(rule, state)[3].values()
    assert (row["key"], row["n"]) == (3, 300)
    np.testing.assert_allclose([row["mean"], row["max"]], [abs(error).mean(), abs(error).max()], rtol=1e-9)


def test_a_constraint_is_told_apart_from_a_guard_and_the_headline_is_of_the_worst_condition():
    problem = problem_of()
    results = results_of(problem.rule(), PATH)
    poor = np.mean(results.archives["simulation"]["k"] < problem.economy.steady)
    words = f"share of entries at a constraint: poor {poor:.4%}; where a guard was active: floor 0.0000%"
    assert words in results.notes
    assert results.description["shares_of_active_guards"] == {"floor": 0.0}
    record = problem.losses((), problem.start(tf.constant([0, 1])), tf.constant([0, 2])).record
    assert {"constrained_poor", "share_floor"} <= set(record)
    assert results.headline == "given mean 4 %, p99.9 4 %"
