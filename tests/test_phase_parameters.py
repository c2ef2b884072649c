"""Parameters of an economy that change from phase to phase, each phase from the last one's weights."""

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


def trainer_of(*settings, folder=None, should_stop=lambda: False):
    file = file_of(FILE, *SMALL, *settings)
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
def test_a_resumed_training_equals_the_uninterrupted_one(tmp_path):
    chosen = phases("discount_factor: 0.98", "discount_factor: 0.985", "", updates=10)
    whole, _ = trainer_of(chosen)
    whole.train()
    with RunFolder(tmp_path / "growth" / "run").open() as folder:
        begun, _ = trainer_of(chosen, folder=folder, should_stop=lambda: begun.update >= 15)
        assert begun.train().stopped
        resumed, problem = trainer_of(chosen, folder=folder)
        resumed.resume(*begun.state())
        assert problem.economy.p.discount_factor == 0.985
        resumed.train()
    for (name, one), other in zip(live_weights(whole).items(), live_weights(resumed).values(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


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
