"""A parameter file that names a problem: the commands that an economist types, on a least-squares line in a file."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from projects import make_project, typed
from small import file_of

import deqn
from deqn.project.errors import UserError
from deqn.training.validation import Validations

PROBLEM = '''
"""A straight line through noisy points."""

import keras
import numpy as np
import tensorflow as tf

from deqn.training.problem import Losses, Problem, Results


class Line(Problem):
    def __init__(self, parameters, settings, rank=0, ranks=1):
        generator = np.random.default_rng([settings.seed, rank])
        x = generator.normal(size=[parameters.points, 1])
        self.x, self.y = x.astype(np.float32), (parameters.slope * x + 0.5).astype(np.float32)
        network = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
        self.networks, self.trainable = {"line": network}, {"line": network.trainable_variables}

    def describe(self):
        return {"data": f"{len(self.x)} points"}

    def losses(self, batch, carry, key):
        return Losses({"line": tf.reduce_mean((self.networks["line"](self.x) - self.y) ** 2)}, carry)

    def validate(self):
        return {"shortfall": float(np.mean((self.networks["line"](self.x) - self.y) ** 2)) - 1.0}

    def results(self):
        slope, intercept = (float(np.squeeze(w)) for w in self.networks["line"].get_weights())
        rows = [{"term": "slope", "value": slope}, {"term": "[intercept]", "value": intercept}]
        return Results(f"slope {slope:.3f}", {"coefficients": rows}, {"x": self.x})
'''
PARAMETERS = """
from deqn.project.schema import Section, setting


class Parameters(Section):
    points: int = setting(20, ge=2)


class LineParameters(Parameters):
    slope: float = setting(2.0, unit="y a unit of x")
"""
FIGURES = """
import pandas as pd
from matplotlib.figure import Figure

from deqn.report.paper import Drawing


def drawings(folder):
    figure = Figure()
    figure.subplots().plot([0, 1])
    yield Drawing("own", figure, pd.read_csv(folder / "coefficients.csv"))
"""
LINE = """# A line through points
problem: Line
parameters: {points: 16}
phases: [{updates: 100, optimizer: {name: SGD, learning_rate: 0.2}}]
validate_every: 10
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the problem and one run of it, line/one."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    (folder / "models/line").mkdir(parents=True)
    for name, text in {"problem": PROBLEM, "parameters": PARAMETERS, "figures": FIGURES}.items():
        (folder / f"models/line/{name}.py").write_text(text)
    (folder / "models/line/line.yaml").write_text(LINE)
    done = typed(folder, "train", "models/line/line.yaml", "--run", "one")
    assert done.returncode == 0, done.stderr
    (folder / "log").write_text(done.stdout)
    return folder


def test_training_says_what_it_does_and_prints_what_it_found(project):
    log = (project / "log").read_text()
    assert (
        "problem      Line of models/line/line.yaml\ndata         16 points\ntraining     100 updates (100 x SGD)"
        in log
    )
    assert "line/one: slope 2.000" in log
    assert "| [intercept] |" in log


def test_tables_and_arrays_stand_in_the_run_folder(project):
    run = project / "runs/line/one"
    table = pd.read_csv(run / "coefficients.csv", index_col="term")["value"]
    np.testing.assert_allclose(table[["slope", "[intercept]"]], [2.0, 0.5], atol=1e-4)
    assert np.load(run / "results.npz")["x"].shape == (16, 1)


def test_the_figure_of_its_own_is_drawn_beside_the_one_of_training(project):
    assert (project / "runs/line/one/figures/own.pdf").is_file()
    training = pd.read_csv(project / "runs/line/one/figures/training.csv")
    assert training["shortfall"].min() == pytest.approx(-1.0, abs=1e-6)


def test_evaluating_again_writes_the_same_table(project):
    table = project / "runs/line/one/coefficients.csv"
    before = table.read_text()
    table.unlink()
    done = typed(project, "evaluate", "line/one")
    assert (done.returncode, table.read_text()) == (0, before), done.stderr


def test_list_shows_file_run_and_headline(project):
    out = typed(project, "list").stdout
    assert "| Line               | models/line/line.yaml | A line through points |" in out
    assert "| line/one | slope 2.000 |" in out
    assert "| done " in out


def test_check_measures_an_update_and_shows_the_size(project):
    out = typed(project, "check", "models/line/line.yaml").stdout
    assert "data: 16 points\n2 weights to train" in out
    assert "100 updates at about" in out


def test_doctor_finds_nothing_in_a_run_that_went_well(project):
    assert typed(project, "doctor", "line/one").stdout == "line/one: nothing conspicuous\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "line/one", "--periods", "9"], "--periods: line is no economy and has no path to simulate"),
        (
            ["policy", "line/one", "--states", "s.npz", "--out", "o.npz"],
            "Line decides in no economy and has no states; expected an economy",
        ),
        (["train", "models/line/line.yaml", "--set", "problem=Lyne"], "problem: 'Lyne' is not a class in"),
        (["train", "models/line/line.yaml", "--set", "parameters.slop=1"], "parameters.slop: unknown; did you mean"),
        (["train", "models/line/line.yaml", "--set", "stop.mean=1"], "stop.mean: not validated; known: shortfall"),
    ],
)
def test_a_mistake_is_told_in_one_line(project, arguments, message):
    np.savez(project / "s.npz", z=np.zeros(1))
    done = typed(project, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "instead", "place"),
    [
        ("generator.normal(", "generator.nomal(", "in __init__: AttributeError"),
        ("(self.x) - self.y) ** 2)}", "(self.x) - self.z) ** 2)}", "in losses: AttributeError"),
        ("get_weights()", "weights_()", "in results: AttributeError"),
    ],
)
def test_an_error_in_the_users_own_python_is_told_with_its_line(project, tmp_path, text, instead, place):
    shutil.copytree(project / "models", tmp_path / "models")
    make_project(tmp_path)
    assert text in PROBLEM
    (tmp_path / "models/line/problem.py").write_text(PROBLEM.replace(text, instead))
    done = typed(tmp_path, "train", "models/line/line.yaml", "--run", "one", "--set", "phases.0.updates=2")
    assert done.returncode == 2
    assert done.stderr.startswith("deqn: models/line/problem.py, line ")
    assert place in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_loaded_run_has_its_networks_and_says_what_they_predict(project, monkeypatch):
    monkeypatch.chdir(project)
    run = deqn.load("line/one")
    np.testing.assert_allclose(run.predict(np.array([[0.0], [1.0]])), [[0.5], [2.5]], atol=1e-4)
    np.testing.assert_allclose(run.networks["line"].get_weights()[1], [0.5], atol=1e-4)
    assert run.problem.x.shape == (16, 1)
    with pytest.raises(UserError, match=r"predict: line does not take inputs of shape \(2, 3\)"):
        run.predict(np.ones((2, 3)))
    with pytest.raises(UserError, match="network: got 'curve', expected one of line"):
        run.predict(np.ones((2, 1)), "curve")


def test_the_schema_named_after_the_class_comes_before_the_common_one(project):
    assert file_of(project / "models/line/line.yaml").parameters.slope == 2.0


def test_training_goes_on_after_an_interruption_as_if_there_had_been_none(project):
    def weights(run):
        with np.load(project / f"runs/line/{run}/checkpoints/last.npz") as file:
            return {name: file[name] for name in file.files if name.startswith(("networks", "optimizers"))}

    half = ["--run", "two", "--set", "phases.0.updates=50"]
    assert typed(project, "train", "models/line/line.yaml", *half).returncode == 0
    assert typed(project, "train", "models/line/line.yaml", "--run", "two", "--resume").returncode == 0
    one, two = weights("one"), weights("two")
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_patience_ends_a_training_that_has_stopped_improving(project):
    done = typed(project, "train", "models/line/line.yaml", "--run", "three", "--set", "patience=3",
                "--set", "phases.0.updates=5000")  # fmt: skip
    record = json.loads((project / "runs/line/three/provenance.json").read_text())
    rows = pd.read_csv(project / "runs/line/three/metrics.csv")["shortfall"].dropna()
    assert done.returncode == 0, done.stderr
    assert record["updates"] < 5000
    assert rows.argmin() == len(rows) - 1 - 3


def test_patience_needs_a_validation(project):
    file = file_of(project / "models/line/line.yaml", "patience=3")
    with pytest.raises(UserError, match="patience: this problem does not validate"):
        Validations(file.settings).begin({})
