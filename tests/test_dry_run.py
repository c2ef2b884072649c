"""Mistakes in an economy's equations are told before training, in one line; economies without one pass in silence."""

import sys
import time

import pytest
from projects import make_project
from small import ROOT, economy_of, file_of

from deqn.commands.cli import main
from deqn.commands.new import make_economy
from deqn.equilibrium.checks.dry_run import check_equations, trace
from deqn.project.errors import UserError
from deqn.tasks.build import build_problem, class_of

# The economy that `deqn new` makes, in which one piece of text is replaced.
EULER = '{"euler": value ** (-1 / gamma) / policy.consumption - 1}'
ASKED = "E(lambda s, q: self.gross_return(s) * q.consumption**-gamma)"
CONSUMES = "consumption=tf.sigmoid(x) * wealth"
FOLLOWS = "State(capital=policy.savings, shock=shock)"
SEEN = "state.capital[:, None]"
DRAWN = "generator.integers(0, len(self.p.productivity), count)"
LAST = "    def initial_states("

MISTAKES = [
    # residuals
    (EULER, EULER.replace("value", "value[:, None]"), "residuals: euler has shape [11, 11] at 11 states and [6, 6] at"),
    (EULER, '{"euler": tf.reduce_mean(value * policy.consumption)}', "residuals: euler has shape [] at 11 states, exp"),
    (EULER, EULER.replace("- 1", "- tf.reduce_mean(value)"), "residuals: euler at a state changes with the other stat"),
    (EULER, "{}", "residuals: gives an empty one, expected a dictionary by name"),
    (EULER, "value", "residuals: gives a tensor, expected a dictionary by name"),
    (f"return {EULER}", "pass", "residuals: gives nothing (does it return?), expected a dictionary"),
    (EULER, EULER.replace("value **", "(value - 9) **"), "residuals: euler[0] is nan, where capital = "),
    (EULER, EULER.replace("- 1}", "- np.ones(3)}"), "economy.py, line 78, in residuals: InvalidArgumentError: Incompa"),
    # the network's part in them
    (EULER, EULER[:-1] + ', "y": self.output(state)}', "residuals: y does not depend on what the network says"),
    (EULER, '{"euler": value - 1}', "residuals: none of euler changes with what the network says today; next_period.g"),
    (EULER, EULER[:-1] + ', "root": tf.sqrt(0 * value * policy.savings)}', "the derivative of root is not finite wher"),
    ("self.outputs = 1", "self.outputs = 2", "outputs: the network's output 1 (from 0) changes nothing in policy"),
    ("output[:, 0]", "output[:, 1]", "in policy: InvalidArgumentError: slice index 1 of dimension 1 out of bounds; se"),
    ("self.outputs = 1", "self.outputs = {'share': 0}", "Mine: outputs['share'] is 0, expected how many numbers `poli"),
    ("self.outputs = 1", "self.outputs = {'a b': 1}", "Mine: outputs has 'a b', expected a name as of a variable"),
    ("self.outputs = 1", "self.outputs = {'share': 1}", "self.outputs gives the network's numbers names: write output"),
    ("self.outputs = 1", "pass", "Mine: outputs is None, expected a whole number at least 1"),
    # the expectation
    (ASKED, "policy.consumption**-gamma", "residuals: no condition takes an expectation"),
    (ASKED, "E(policy.consumption)", "line 77, in residuals: TypeError: E got a tensor, expected a function of next p"),
    (ASKED, "E(lambda s: s.capital)", "takes 1 positional argument but 2 were given; E takes a function of next perio"),
    (ASKED, "E(lambda s, q: policy.savings)", "residuals: E is taken, but of nothing that depends on next period"),
    (ASKED, "E(lambda s, q: 1.0)", "in residuals: ValueError: E's function gives shape [], expected [11, ...]"),
    (ASKED, ASKED.replace("q.c", "q.k"), "economy.py, line 77, in residuals: AttributeError: 'Policy' object has no a"),
    # the policy
    (CONSUMES, "consumption=tf.math.log(output[:, 0])", "policy: consumption[0] is -inf, where capital = 4.6469, shoc"),
    (CONSUMES, CONSUMES + "[:, None]", "policy: consumption has shape [11, 11] at 11 states and [6, 6] at 6, expected"),
    (CONSUMES, f"consumption=tf.cast({CONSUMES[12:]}, tf.float64)", "policy: consumption is float64, expected float32"),
    (CONSUMES, "consumption=0.5", "policy: consumption has shape [] at 11 states, expected [11] or [11, N]"),
    ("wealth = self", "wealth = tf.constant(0.0, tf.float32) + self", "in float64, as solutions are evaluated: "),
    ("wealth = self", "wealth = 0.0 if state.capital[0] < 0 else self", "instead of `if` on a state or policy write t"),
    # the transition
    (FOLLOWS, "State(policy.savings, state.shock)", "transition: the next state's shock is not the one drawn"),
    (FOLLOWS, "State(policy.savings[:, None], shock)", "transition: capital has shape [11, 1], expected [11] as initi"),
    (FOLLOWS, "State(tf.cast(policy.savings, tf.int32), shock)", "transition: capital is int32, but float32 at initia"),
    (FOLLOWS, "State(tf.math.log(-policy.savings), shock)", "transition: next period's capital[0] is nan, where capit"),
    (FOLLOWS, "State(policy.savings)", "in transition: TypeError: State.__new__() missing 1 required positional argum"),
    (FOLLOWS, "(policy.savings, shock)", "transition: gives a tuple, expected State(capital, shock)"),
    (FOLLOWS, "State(policy.savings + tf.cast(shock, self.dtype), shock)", "sampling.every_shock: next period's capit"),
    (LAST, f"    def is_inside(self, state): return state[0] > 99\n\n{LAST}", "one period after initial states is_"),
    (LAST, "    def is_inside(self, state): return state[0][:, None] > 0\n\n" + LAST, "is_inside: gives bool of shape"),
    # features, states, names
    (SEEN, "state.capital", "features: shape [11] at 11 states, expected [11, inputs]; write x[:, None] for one input"),
    (SEEN, "tf.math.log(-state.capital)[:, None]", "features[0, 0] is nan, where capital = 4.6469, shock = 2"),
    (SEEN, "np.log(state.capital)[:, None]", "write TensorFlow's function, such as tf.math.log for np.log"),
    (CONSUMES, "consumption=wealth / (1 + np.exp(-x))", "output: write TensorFlow's function, such as tf.math.log for"),
    ("self.by_shock(self.p.productivity, state.shock)", "self.p.productivity", "take self.by_shock(values, state.shoc"),
    ("generator.uniform(0.7, 1.3, count)", "np.ones(3)", "initial_states: capital is float64 of shape [3], expected n"),
    ("self.steady * generator", "np.nan * generator", "initial_states: capital holds nan, expected finite numbers"),
    (DRAWN, DRAWN.replace("0,", "2,") + " + 1", "initial_states: shock is int64 from 3 to 3, expected whole numbers f"),
    (f"State(capital, {DRAWN})", "State(capital)", "in initial_states: TypeError: State.__new__() missing 1 required"),
    ('"capital": "k"', '"kapital": "k"', "report.letters: 'kapital' unknown; did you mean 'capital'?"),
    ('output="Y"', 'output="y"', "report.output: 'y' unknown; did you mean 'Y'?"),
    ('savings": "a"}', 'savings": "a"}, binding="lambda"', "report.binding: 'lambda' unknown; known: cons"),
    ('"K": state.capital', '"K": state.kapital', "in definitions: AttributeError: 'State' object has no attribute 'ka"),
    ("definitions(self, state, policy, E)", "definitions(self, state, policy)", "definitions(self, state, policy, E)"),
    ("MarkovChain(self.p.transition)", "MarkovChain([[0.5, 0.6], [1, 0]])", "in __init__: ValueError: transition: row"),
    ("def transition(", "def transitions(", "in __init__: TypeError: Can't instantiate abstract class Mine"),
    ("= Parameters, State, Policy", "= Parameters, State, None", "Mine.Policy: not a NamedTuple; write `State, Policy"),
    ("    Parameters, State, Policy = Parameters", "    State, Policy, _ = Parameters", "no class Parameters(Section)"),
]  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with the economy that `deqn new models/mine` makes."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    make_economy("models/mine", tmp_path)
    return tmp_path


def replaced(project, text, instead):
    path = project / "models/mine/economy.py"
    before = path.read_text()
    assert before.count(text) >= 1
    path.write_text(before.replace(text, instead, 1))
    return project / "models/mine/mine.yaml"


@pytest.mark.parametrize(("text", "instead", "words"), MISTAKES, ids=[words for _, _, words in MISTAKES])
def test_a_mistake_is_told_in_one_line(project, text, instead, words):
    with pytest.raises(UserError) as told:
        build_problem(file_of(replaced(project, text, instead)))
    assert words in str(told.value)
    assert "\n" not in str(told.value) and len(str(told.value)) < 400


@pytest.mark.parametrize("command", ["check", "train"])
def test_both_commands_tell_it_and_leave_nothing_behind(project, capfd, monkeypatch, command):
    replaced(project, ASKED, ASKED.replace("q.c", "q.k"))
    monkeypatch.setattr(sys, "argv", ["deqn", command, "models/mine/mine.yaml"])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capfd.readouterr()
    assert (left.value.code, out) == (2, "")
    assert err == (
        "deqn: models/mine/economy.py, line 77, in residuals: AttributeError: 'Policy' object has no attribute "
        "'konsumption'\n"
    )
    assert not list((project / "runs").iterdir())


# ---- what looks like a mistake and is none

FINE = [
    (EULER, EULER[:-1] + ', "kkt": tf.maximum(-policy.savings, 0)}'),  # zero at every state
    (EULER, EULER[:-1] + ', "resources": policy.consumption + policy.savings - policy.savings}'),  # no expectation
    (LAST, "    def is_inside(self, state): return state.capital > self.steady\n\n" + LAST),  # half of the states
    (CONSUMES, f"consumption=tf.minimum({CONSUMES[12:]}, 0.9 * wealth)"),  # a bound that is far away
]


@pytest.mark.parametrize(("text", "instead"), FINE)
def test_constraints_and_conditions_that_hold_by_construction_pass(project, text, instead):
    file = file_of(replaced(project, text, instead))
    assert "euler" in check_equations(class_of(file)(file.parameters), every_shock=True, frozen=True)


ECONOMIES = [path for path in sorted((ROOT / "models").glob("*/*.yaml")) if "\neconomy:" in path.read_text()]


@pytest.mark.parametrize("path", ECONOMIES, ids=lambda path: path.stem)
def test_every_economy_of_the_library_passes_within_two_seconds_of_processor_time_or_eight_with_a_market(path):
    file = file_of(path)
    economies = [class_of(file)(file.parameters, dtype) for dtype in ("float32", "float64")]
    start = time.process_time()
    assert check_equations(
        economies[0], file.settings.sampling.every_shock, file.settings.next_period.gradient == "frozen"
    )
    trace(economies[1])
    # In olg_bond a threshold and a price are searched for in every successor: about three seconds on a quiet machine.
    # In continuum a histogram moves in each of six successors: about three seconds on a busy machine.
    assert time.process_time() - start < (8 if path.parent.name in ("olg_bond", "continuum") else 2)


# ---- more than one number a state, more than eight values of a shock

PORTFOLIO = """
from typing import NamedTuple
import numpy as np
import tensorflow as tf
from deqn.equilibrium import Economy, Gaussian, Report
from deqn.project.schema import Section

class Parameters(Section):
    pass

class State(NamedTuple):
    wealth: tf.Tensor  # [batch, 2]

class Policy(NamedTuple):
    consumption: tf.Tensor  # [batch, 2]

class Portfolio(Economy):
    Parameters, State, Policy = Parameters, State, Policy
    report = Report(letters={"wealth": "w"})

    def __init__(self, parameters, dtype="float32"):
        super().__init__(parameters, dtype)
        self.shocks = Gaussian(2, nodes=5)  # 25 nodes
        self.outputs = 2

    def features(self, state):
        return state.wealth

    def policy(self, output, state):
        return Policy(tf.sigmoid(output) * state.wealth)

    def transition(self, state, policy, shock):
        return State((state.wealth - policy.consumption) * tf.exp(0.1 * shock))

    def residuals(self, state, policy, E):
        return {"euler": E(lambda s, q: 1 / q.consumption) * policy.consumption - 1}

    def initial_states(self, count, generator):
        return State(generator.uniform(1, 2, (count, 2)))
"""


@pytest.fixture
def portfolio(project):
    """The economy of this text with one piece of it replaced."""

    def build(text="", instead=""):
        folder = project / "models/portfolio"
        folder.mkdir()
        assert text in PORTFOLIO
        (folder / "economy.py").write_text(PORTFOLIO.replace(text, instead, 1))
        (folder / "portfolio.yaml").write_text(
            "economy: Portfolio\nphases: [{updates: 1, optimizer: {name: Adam, learning_rate: 0.1}}]\n"
        )
        return economy_of(folder / "portfolio.yaml", dtype="float32")

    return build


def test_an_economy_of_two_households_and_two_shocks_passes(portfolio):
    assert check_equations(portfolio()) == ["euler"]


def test_an_output_that_moves_nothing_near_zero_may_do_so_far_from_it(portfolio):
    assert check_equations(portfolio("tf.sigmoid(output)", "tf.sigmoid(tf.maximum(output, [-9.0, 0.9]))")) == ["euler"]


@pytest.mark.parametrize(
    ("text", "instead", "words"),
    [
        ("* policy.consumption - 1}", "- 1 / tf.reduce_sum(policy.consumption, 0)}", "changes with the other states"),
        ("tf.sigmoid(output) *", "tf.sigmoid(output[:, 0]) *", "beside [batch, N] write x[:, None]"),
        ("tf.sigmoid(output) *", "tf.sigmoid(output[:, :1]) *", "the network's output 1 (from 0) changes nothing in p"),
        ("return {\"euler\": E(", "return {\"euler\": [[1.0, 0.0]] * E(", "output 1 (from 0) changes nothing in resid"),
    ],
)  # fmt: skip
def test_its_own_mistakes_are_told_too(portfolio, text, instead, words):
    economy = portfolio(text, instead)
    with pytest.raises(UserError) as told:
        check_equations(economy)
    assert words in str(told.value)
