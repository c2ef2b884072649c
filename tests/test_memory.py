"""Decision rules with memory: the recurrence, simulations, E, gradients over periods, and a regime that nobody sees."""

import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from numpy.polynomial.hermite_e import hermegauss
from projects import deqn, make_project
from small import file_of, randomize
from test_guide import BLOCKS, home, write_files
from test_phase_parameters import live_weights
from test_several_networks import Agents

from deqn.equilibrium import Economy
from deqn.equilibrium.evaluation import evaluate, simulated_states
from deqn.equilibrium.implied import implied_error
from deqn.equilibrium.memory import as_seen_by, remembered, with_memory
from deqn.equilibrium.settings import EvaluationSettings
from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.tasks.build import build_problem
from deqn.tasks.compare import Solved, _check_alike, compared
from deqn.training.trainer import Trainer

SMALL = [
    "memory=2", "network.hidden=[5]", "sampling.tracks=3", "sampling.periods=4", "precision=float64",
    "validation.tracks=8", "validation.periods=4", "validation.burn_in=2", "updates_per_call=5", "validate_every=10",
    "compiler=graph", "phases=[{updates: 20, optimizer: {name: Adam, learning_rate: 0.01}}]",
]  # fmt: skip
CHAIN, MEAN, SD = np.array([[0.95, 0.05], [0.1, 0.9]]), np.array([0.04, -0.02]), 0.05  # hidden.yaml's, typed again


@pytest.fixture(scope="module")
def hidden(tmp_path_factory):
    """The guide's economy with a hidden regime: its parameter file."""
    folder = make_project(tmp_path_factory.mktemp("project"))
    write_files(folder)
    return folder / "models/hidden/hidden.yaml"


@pytest.fixture(scope="module")
def rule(hidden):
    problem = build_problem(file_of(hidden, *SMALL))
    randomize(problem.network, scale=1.0)
    return problem.rule()


def kept(output, memory):
    """The memory after a period, from the network's five numbers: one for the price, two gates, two candidates."""
    gate = 1 / (1 + np.exp(-output[:, 1:3]))
    return gate * memory + (1 - gate) * np.tanh(output[:, 3:])


def states_of(rule, count, seed=0):
    generator = np.random.default_rng(seed)
    state = rule.economy.initial_states(count, generator)
    return rule.economy.tensors(state._replace(memory=generator.uniform(-1, 1, (count, 2))))


def test_a_simulation_begins_with_nothing_remembered_and_keeps_what_the_gates_let_through(rule):
    found = evaluate(rule, 30, 0, seed=3)
    np.testing.assert_array_equal(found.state.memory[0], 0.0)
    output = rule.output(rule.economy.tensors(found.state)).numpy()
    np.testing.assert_allclose(found.state.memory[1:], kept(output, found.state.memory)[:-1], rtol=1e-12)
    assert np.abs(np.diff(found.state.memory, axis=0)).min(axis=0).max() > 0


def test_a_rule_that_goes_along_another_rules_path_remembers_what_its_own_simulation_of_it_does(rule):
    states = simulated_states(rule, 30, 0, seed=3, tracks=2)
    forgotten = as_seen_by(rule, states._replace(memory=None), tracks=2)
    np.testing.assert_allclose(forgotten.memory, states.memory, rtol=1e-12, atol=1e-15)
    assert np.abs(states.memory).max() > 0.1


def test_rules_with_and_without_memory_are_compared_at_the_same_states(rule, hidden, tmp_path):
    plain = build_problem(file_of(hidden, *(each for each in SMALL if not each.startswith("memory")))).rule()
    path = EvaluationSettings(periods=40, burn_in=10, seed=3)
    two = [Solved(RunFolder(tmp_path / name), name, each, 1) for name, each in (("plain", plain), ("own", rule))]
    _check_alike(two)
    found = compared(two, path).arrays
    wanted = evaluate(rule, 40, 10, seed=3)  # here the state is exogenous: its own path is the same one
    letters = rule.economy.report.letters
    np.testing.assert_array_equal(found[letters.get("growth", "growth")], wanted.state.growth)
    np.testing.assert_allclose(found[f"2/{letters.get('price', 'price')}"], wanted.policy.price, rtol=1e-12)


def test_a_state_that_is_given_without_memory_has_nothing_behind_it(rule):
    given = {"growth": [0.01, 0.03], "shock": [0, 1]}
    np.testing.assert_array_equal(rule.economy.check_states(given).memory, np.zeros((2, 2)))
    own = np.array([[0.1, 0.2], [0.3, 0.4]])
    np.testing.assert_array_equal(rule.economy.check_states({**given, "memory": own}).memory, own)


def test_the_expectation_asks_next_periods_rule_with_the_memory_after_this_period(rule):
    state, expected = states_of(rule, 6), np.zeros(6)
    memory = kept(rule.output(state).numpy(), state.memory.numpy())
    points, weights = hermegauss(3)
    for e, weight in zip(points, weights / weights.sum(), strict=True):
        for z in range(2):
            growth = np.full(6, MEAN[z] + SD * e)
            following = rule.economy.State(tf.constant(growth), tf.fill([6], z), tf.constant(memory))
            expected += weight * CHAIN[state.shock, z] * np.exp(growth) * rule(following).price
    E = rule.expectation(state, rule(state))
    np.testing.assert_allclose(E(lambda s, q: tf.exp(s.growth) * q.price), expected, rtol=1e-12)


def test_what_is_kept_in_the_first_period_is_learned_from_the_last(rule):
    """The derivative of the fourth period's price by each weight, through three memories, by differences."""
    states = [states_of(rule, 3, seed) for seed in range(4)]
    weights = rule.network.trainable_variables

    def price():
        return tf.reduce_sum(rule(remembered(rule, states)[-1]).price)

    with tf.GradientTape() as tape:
        total = price()
    slopes = tape.gradient(total, weights)
    for weight, slope in zip(weights, slopes, strict=True):
        direction = tf.constant(np.random.default_rng(5).standard_normal(weight.shape))
        each = []
        for step in (1e-5, -2e-5):
            weight.assign_add(step * direction)
            each.append(float(price()))
        weight.assign_add(1e-5 * direction)
        difference = (each[0] - each[1]) / 2e-5
        assert float(tf.reduce_sum(slope * direction)) == pytest.approx(difference, rel=1e-5)


def test_implied_errors_are_of_the_decisions_and_not_of_what_is_remembered(rule):
    state = evaluate(rule, 200, 0, seed=3).state
    implied = implied_error(rule, state)
    assert list(implied.followed) == ["price"]
    E = rule.expectation(now := rule.economy.tensors(implied.state), policy := rule(now))
    residual = rule.economy.residuals(now, policy, E)["price"] * rule.economy.guess  # worth less price
    np.testing.assert_allclose(implied.one_step["price"], residual / policy.price, rtol=1e-9)


@pytest.mark.slow
def test_a_resumed_training_equals_the_uninterrupted_one(hidden, tmp_path):
    def trainer(**more):
        file = file_of(hidden, *SMALL)
        return Trainer(build_problem(file), file.settings, **more)

    whole = trainer(folder=None)
    whole.train()
    with RunFolder(tmp_path / "hidden" / "run").open() as folder:
        begun = trainer(folder=folder, should_stop=lambda: begun.update >= 10)
        assert begun.train().stopped
        resumed = trainer(folder=folder)
        resumed.resume(*begun.state())
        resumed.train()
    for (name, one), other in zip(live_weights(whole).items(), live_weights(resumed).values(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert np.abs(whole.carry.now.memory).max() > 0
    np.testing.assert_array_equal(whole.carry.now.memory, resumed.carry.now.memory)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["sampling.periods=1"], "sampling: 1 periods in minibatches of 3 states, expected at least 2 periods"),
        (["sampling.minibatch=6"], "sampling: 4 periods in minibatches of 6 states, expected at least 2 periods"),
        (["warm_start={guess: linear}"], "memory: a rule with memory has no warm_start and no network.own"),
        (["network.own=true"], "memory: a rule with memory has no warm_start and no network.own"),
    ],
)
def test_settings_that_a_memory_does_not_go_with_are_refused(hidden, settings, words):
    with pytest.raises(UserError) as told:
        build_problem(file_of(hidden, *SMALL, *settings))
    assert words in str(told.value)


def test_one_network_over_agents_and_a_field_called_memory_are_refused():
    with pytest.raises(UserError, match="memory: one network over many agents has none"):
        _ = with_memory(Agents, 2)(None).width
    with pytest.raises(UserError, match="memory: Agents has a field memory of its own; rename it"):
        with_memory(with_memory(Agents, 2), 2)


def test_an_economy_that_takes_its_outputs_by_name_takes_them_beside_a_memory(rule):
    class Named(type(rule.economy).__mro__[2]):
        def __init__(self, parameters, dtype="float64"):
            super().__init__(parameters, dtype)
            self.outputs = {"price": 1}

        def policy(self, output, state):
            return super().policy(output.price[:, None], state)

    assert issubclass(Named, Economy)
    economy = with_memory(Named, 2)(rule.economy.p, "float64")
    state = states_of(rule, 4)
    output = rule.output(state)
    for one, other in zip(economy.decide(output, state), rule(state), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_rule_that_remembers_comes_close_to_the_price_of_bayes_rule_and_one_that_does_not_stays_far(hidden):
    """The second script of the guide compares with the price as a function of the probability of a boom."""
    project = hidden.parents[2]
    (script,) = [text for language, text in BLOCKS if "Bayes" in text and not home(text)]
    said = []
    for changes in ([], ["--set", "memory=0", "--set", "phases.0.updates=1000"]):
        done = deqn(project, "train", hidden, *changes)
        assert done.returncode == 0, done.stderr
        found = subprocess.run([sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True)
        said.append(float(re.search(r"([\d.e-]+) %$", found.stdout.strip())[1]))
    assert said[0] < 1, said
    assert said[1] > 8, said
