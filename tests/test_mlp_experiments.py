"""OR and XOR, irises and digits: the parameter files as they stand, and what they refuse."""

import struct

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from problems import module, problem_of, trained

from deqn.mlp.descent import Momentum
from deqn.project.errors import UserError

# ---- what the engine trains is what is written by hand


def test_the_engine_and_back_propagation_by_hand_take_the_same_path_through_xor():
    problem = trained("perceptron/xor", "parameters.repetitions=2", "phases.0.updates=300")
    for number in range(2):
        network = problem.by_hand(number)
        begun = network.weights
        x, targets = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), [[0], [1], [1], [0]]
        network.fit(x, targets, Momentum(0.25, 0.9), 300)
        assert np.abs(network.weights - begun).max() > 0.5
        reached = np.concatenate([each.ravel() for each in problem.ensemble.layers_of(number)])
        np.testing.assert_allclose(reached, network.weights, atol=1e-6)  # Keras holds the rate .9 in float32


@pytest.mark.slow
def test_a_perceptron_learns_or_but_not_xor_and_three_hidden_neurons_learn_both():
    for name in ("or", "xor"):
        rows = trained(f"perceptron/{name}").results().tables["correct"]
        assert len(rows) == 20
        assert all(row["by_hand"] == row["trained"] == 4 for row in rows), name
        assert all((row["perceptron"] == 4) == (name == "or") for row in rows), name
        assert all(("not separable" in row["perceptron_says"]) == (name == "xor") for row in rows), name


@pytest.mark.slow
def test_irises_are_told_apart_on_the_median_of_ten_splits():
    *rows, median = trained("iris/iris").results().tables["accuracy"]
    assert len(rows) == 10
    for column in ("accuracy_trained", "accuracy_by_hand"):
        assert median[column] == np.median([row[column] for row in rows])
        assert median[column] >= 0.93


@pytest.mark.slow
def test_handwritten_digits_are_read():
    results = trained("digits/digits").results()
    for row in results.tables["accuracy"]:
        assert row["accuracy"] >= 0.95, row["network"]
        confusion = results.arrays[row["network"]]
        assert confusion.sum() == 450
        assert np.trace(confusion) / 450 == pytest.approx(row["accuracy"])


# ---- data


def test_the_parts_of_a_split_have_the_species_in_equal_shares_and_the_training_sets_statistics():
    problem, _ = problem_of("iris/iris")
    for parts in problem.splits:
        assert [len(part.x) for part in parts.values()] == [75, 37, 38]
        for part in parts.values():
            assert np.ptp(np.bincount(part.labels)) <= 1
        np.testing.assert_allclose(parts["training"].x.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(parts["training"].x.std(axis=0), 1, rtol=1e-12)
        assert np.abs(parts["test"].x.mean(axis=0)).max() > 1e-3
    first, second = (problem.splits[number]["test"].x for number in range(2))
    assert not np.array_equal(first, second)


@pytest.fixture
def mnist(tmp_path):
    """A folder as MNIST's, with 60 made training images of 2 x 2 pixels and 20 test images."""
    for name, count in (("train", 60), ("t10k", 20)):
        labels = np.arange(count, dtype=np.uint8) % 10
        pixels = np.repeat(25 * labels, 4)
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 2, 2) + pixels.tobytes())
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.tobytes())
    return tmp_path


def test_mnists_files_are_taken_where_they_are_at_hand(mnist):
    problem, _ = problem_of("digits/digits", f"parameters.folder={mnist}")
    assert [len(each.x) for each in (problem.training, problem.validation, problem.test)] == [48, 12, 20]
    for part in (problem.training, problem.validation, problem.test):
        np.testing.assert_allclose(part.x, np.repeat(25 * part.labels[:, None] / 255, 4, axis=1))
        assert np.ptp(np.bincount(part.labels)) <= 1
    (mnist / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match=r"parameters: .*t10k-labels-idx1-ubyte\.gz: cannot be read"):
        problem_of("digits/digits", f"parameters.folder={mnist}")


# ---- what is refused


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("iris/iris", "parameters.split=[0.5, 0.25, 0.5]", r"parameters\.split: got \[0.5, 0.25, 0.5\]"),
        ("iris/iris", "parameters.normalization=variance", r"parameters\.normalization: 'variance'; expected one of"),
        ("iris/iris", "parameters.activation=swich", "activation: got 'swich', expected one of"),
        ("digits/digits", "parameters.dropout=1.0", r"parameters\.dropout: 1.0; expected a number at least 0 and bel"),
        ("digits/digits", "parameters.learning_rate=0", r"parameters\.learning_rate: 0; expected a number above 0"),
        ("digits/digits", "phases.0.optimizer.learning_rate=-1", r"learning_rate: -1; expected a number above 0"),
        ("perceptron/xor", "parameters.function=and", r"parameters\.function: 'and'; expected one of 'or', 'xor'"),
        ("genz/discontinuous", "parameters.dimensions=[1, 2]", "dimension: got 1, expected 2 or more for disc"),
        ("genz/gaussian", "parameters.activation=swich", "activation: got 'swich', expected one of"),
        ("genz/gaussian", "parameters.function=gauss", r"parameters\.function: 'gauss'; expected one of"),
    ],
)
def test_a_mistake_in_a_parameter_file_is_told_by_its_key(name, override, words):
    with pytest.raises(UserError, match=words):
        problem_of(name, override)


def test_batch_normalisation_is_refused_on_several_ranks():
    with pytest.raises(UserError, match=r"parameters\.batch_normalization: true on 2 ranks, expected one"):
        problem_of("digits/digits", "parameters.batch_normalization=true", ranks=2)
    assert problem_of("digits/digits", "parameters.batch_normalization=true")[0].network.normalizations


# ---- figures


def test_the_figure_of_genz_shows_both_errors_by_dimension_and_number_of_points(tmp_path):
    rows = [
        {"d": d, "N": points, "mean_error": 1 / points, "max_error": d / points, "relative_max_error": 1.0}
        for d in (2, 5)
        for points in (10, 500)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "errors.csv", index=False)
    (drawing,) = module("genz", "figures").drawings(tmp_path)
    assert isinstance(drawing.figure, Figure)
    assert drawing.name == "errors"
    assert [axes.get_title() for axes in drawing.figure.axes] == ["d = 2", "d = 5"]
    largest, mean = drawing.figure.axes[1].lines
    np.testing.assert_allclose(largest.get_ydata(), [0.5, 0.01])
    np.testing.assert_allclose(mean.get_ydata(), [0.1, 0.002])
    assert list(drawing.data) == ["d", "N", "max_error", "mean_error"]
