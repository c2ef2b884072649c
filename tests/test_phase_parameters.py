"""Parameters of an economy that change from phase to phase, each phase from the last one's weights."""

import functools

import numpy as np
import pytest
from small import ROOT, file_of

from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.tasks.build import build_problem
from deqn.training.trainer import Trainer

FILE = ROOT / "models/growth/growth_ar1.yaml"
SMALL = [
    "warm_start=null", "network.hidden=[8]", "sampling.tracks=32", "validate_every=10", "validation.periods=4",
    "validation.tracks=8", "validation.burn_in=2", "updates_per_call=5", "compiler=graph",
]  # fmt: skip
ADAM = "optimizer: {name: Adam, learning_rate: 0.01}"


TINY = ["warm_start={iterations: 15, stages: [[2, 0], [5, 0]]}", "parameters.borrowing_limit=-0.04"]


def trainer_of(*settings, folder=None, should_stop=lambda: False, source=FILE):
    file = file_of(source, *SMALL, *settings)
    problem = build_problem(file)
    return Trainer(problem, file.settings, folder, should_stop=should_stop), problem


def phases(*parameters, updates=20):
    each = [f"{{updates: {updates}, parameters: {{{changed}}}, {ADAM}}}" for changed in parameters]
    return f"phases=[{', '.join(each)}]"


def live_weights(trainer):
    """Of the last update, not the best ones."""
    arrays, _ = trainer.state()
    return {name: array for name, array in arrays.items() if "best" not in name}


@pytest.mark.slow
def test_a_phase_trains_the_economy_of_its_parameters():
    one, problem = trainer_of(phases("discount_factor: 0.98"))
    one.train()
    other, same = trainer_of(phases(""), "parameters.discount_factor=0.98")
    other.train()
    assert problem.economy.p == same.economy.p
    np.testing.assert_array_equal(one.carry.now.log_productivity, other.carry.now.log_productivity)
    assert problem.file_rule.economy.p.discount_factor == problem.rule().economy.p.discount_factor != 0.98


def test_validation_and_results_are_of_the_files_own_parameters():
    _, problem = trainer_of(phases("discount_factor: 0.98", ""))
    before = problem.validate()
    problem.enter_phase({}, {"discount_factor": 0.98})
    assert problem.economy.p.discount_factor == 0.98
    assert problem.validate() == before
    problem.enter_phase({}, {})
    assert problem.economy.p == problem.parameters


def test_a_step_towards_the_files_parameters_goes_on_where_the_rule_cannot_yet_be_judged_by_them(monkeypatch):
    one, problem = trainer_of(phases("discount_factor: 0.98", ""))
    judged = problem.validate_from

    def unless_changed(carry):
        changed = problem.economy.p != problem.parameters
        return {name: np.nan if changed else value for name, value in judged(carry).items()}

    monkeypatch.setattr(problem, "validate_from", unless_changed)
    outcome = one.train()
    assert one.rollbacks == 0 and one.best_update in (30, 40) and np.isfinite(list(outcome.best.values())).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "steps", "settings"),
    [
        ("growth/growth_ar1", ["discount_factor: 0.98", "discount_factor: 0.985"], []),
        ("olg/tiny", ["borrowing_limit: 0.0", "borrowing_limit: -0.02"], TINY),
    ],
)
def test_a_resumed_training_equals_the_uninterrupted_one(tmp_path, file, steps, settings):
    chosen = phases(*steps, "", updates=10).replace("0.01}", "0.0001}")
    trainer = functools.partial(trainer_of, chosen, *settings, source=ROOT / f"models/{file}.yaml")
    whole, _ = trainer()
    whole.train()
    with RunFolder(tmp_path / "growth" / "run").open() as folder:
        begun, _ = trainer(folder=folder, should_stop=lambda: begun.update >= 15)
        assert begun.train().stopped
        resumed, problem = trainer(folder=folder)
        resumed.resume(*begun.state())
        assert steps[1] in f"{problem.economy.p}".replace("=", ": ")
        resumed.train()
    for (name, one), other in zip(live_weights(whole).items(), live_weights(resumed).values(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_a_looser_limit_is_taken_up_by_the_warm_start_from_the_rule_of_the_tighter_one():
    # Errors under the looser limit: 1e16 with the rule of the tighter one; .0003 by a warm start that begins there.
    chosen = phases("borrowing_limit: 0.0", "")
    file = file_of(ROOT / "models/olg/tiny.yaml", "parameters.borrowing_limit=-0.1", "compiler=graph", chosen)
    problem = build_problem(file)
    problem.enter_phase({}, file.settings.phases[0].parameters)
    problem.warm_start(lambda line: None)
    problem.enter_phase({}, {})
    before = problem.validate()["optimality.mean"]
    problem.follow_parameters(lambda line: None)
    assert problem.validate()["optimality.mean"] < 0.001 < 1 < before


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("discount_fctor: 0.9", "phases.0.parameters.discount_fctor: unknown; did you mean 'discount_factor'?"),
        ("discount_factor: 2.0", "phases.0.parameters.discount_factor: 2"),
    ],
)
def test_a_mistake_in_the_parameters_of_a_phase_is_told_with_its_place(parameters, words):
    with pytest.raises(UserError) as told:
        file_of(FILE, phases(parameters))
    assert words in str(told.value)


def test_a_phase_cannot_change_the_size_of_the_network():
    file = file_of(ROOT / "models/olg/tiny.yaml", "warm_start=null", phases("cohorts: 4, labour: [1.0, 1.0, 1.0, 1.0]"))
    with pytest.raises(
        UserError, match=r"phases.0.parameters: cohorts, labour would change the inputs from \d+ to \d+"
    ):
        build_problem(file)
