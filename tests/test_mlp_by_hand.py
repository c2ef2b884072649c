"""deqn.mlp from first principles: perceptron, back-propagation, activations, statistics, metrics, idx files."""

import gzip
import struct

import numpy as np
import pytest
import tensorflow as tf
from problems import module

from deqn.mlp import metrics
from deqn.mlp.activations import ACTIVATIONS, activation, log_sum_exp, sigmoid, softmax, softmax_jacobian
from deqn.mlp.backpropagation import OUTPUTS, HandWrittenMLP
from deqn.mlp.checks import one_hot
from deqn.mlp.descent import Adam, GradientDescent, Momentum
from deqn.mlp.normalization import normalization_of
from deqn.mlp.perceptron import Perceptron, is_separable

idx = module("digits", "idx")
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
OR, XOR = np.array([[0, 1, 1, 1.0]]).T, np.array([[0, 1, 1, 0.0]]).T


def generator(seed=0):
    return np.random.default_rng(seed)


# ---- perceptron


@pytest.mark.parametrize("seed", range(10))
def test_a_perceptron_ends_without_having_learned_xor_and_says_why(seed):
    learned = Perceptron(2, 1, generator(seed)).learn(X, XOR, iterations=50)
    assert not learned.converged
    assert learned.correct < 4
    assert learned.iterations == 50
    assert "not separable" in learned.reason


def test_a_separable_table_that_was_not_learned_in_time_is_not_called_inseparable():
    learned = Perceptron(2, 1, generator()).learn(X, OR, iterations=0)
    assert not learned.converged
    assert "separable, but not converged" in learned.reason


def test_of_the_sixteen_logic_functions_only_xor_and_its_opposite_are_not_separable():
    tables = [np.array([[number >> row & 1] for row in range(4)], float) for number in range(16)]
    refused = [number for number, targets in enumerate(tables) if not is_separable(X, targets)]
    assert refused == [0b0110, 0b1001]
    for number in set(range(16)) - set(refused):
        assert Perceptron(2, 1, generator()).learn(X, tables[number]).converged


@pytest.mark.parametrize("seed", range(10))
def test_several_neurons_learn_each_its_own_function_exactly(seed):
    both = np.hstack([OR, X[:, :1] * X[:, 1:]])  # OR and AND
    perceptron = Perceptron(2, 2, generator(seed))
    learned = perceptron.learn(X, both)
    assert learned.converged
    assert learned.correct == 4
    np.testing.assert_array_equal(perceptron.recall(X), both)


def test_the_lectures_neuron_of_minus_one_and_two_gives_what_its_slide_says():
    perceptron = Perceptron(2, 1, generator())
    perceptron.weights = np.array([[3.0], [-2.0], [-1.0]])  # w_0 = 1 meets the bias input -1
    z = np.array([[-1.0, 2.0, -1.0]]) @ perceptron.weights
    assert z == -6
    np.testing.assert_allclose(sigmoid(z), 0.00247, atol=5e-6)
    assert perceptron.recall([[-1.0, 2.0]]) == 0


def test_a_neuron_does_not_fire_at_zero():
    perceptron = Perceptron(1, 1, generator())
    perceptron.weights = np.array([[1.0], [0.5]])
    np.testing.assert_array_equal(perceptron.recall([[0.5], [0.5 + 1e-12]]), [[0], [1]])


# ---- activations


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_of_activations_agree_with_finite_differences(name):
    value, derivative = activation(name)
    x = np.linspace(-5, 5, 40)  # without 0, where relu has none
    np.testing.assert_allclose(derivative(x), (value(x + 1e-6) - value(x - 1e-6)) / 2e-6, atol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_keras_ones_of_the_same_name(name):
    x = np.linspace(-30, 30, 101)
    np.testing.assert_allclose(
        activation(name).value(x), getattr(tf.keras.activations, name)(x), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_do_not_overflow(name):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        x = np.array([-1e3, 1e3])
        assert np.isfinite([activation(name).value(x), activation(name).derivative(x)]).all()
        assert np.isfinite([softmax(x), log_sum_exp(x) + 0 * x]).all()


def test_softmax_sums_to_one_and_does_not_change_with_the_level():
    x = generator().normal(size=(7, 4)) * 3
    np.testing.assert_allclose(softmax(x).sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(softmax(x + 1000), softmax(x), rtol=1e-11)
    np.testing.assert_allclose(softmax(x), np.exp(x) / np.exp(x).sum(axis=1, keepdims=True), rtol=1e-13)


def test_the_jacobian_of_softmax_agrees_with_finite_differences():
    x = generator().normal(size=(3, 4))
    for column, step in enumerate(1e-6 * np.eye(4)):
        difference = (softmax(x + step) - softmax(x - step)) / 2e-6
        np.testing.assert_allclose(softmax_jacobian(x)[:, :, column], difference, atol=1e-9)


# ---- back-propagation


def network_and_data(output, hidden=(5,), name="tanh", slope=1.0):
    network = HandWrittenMLP([4, *hidden, 3], output, generator(1), name, slope)
    x = generator(2).normal(size=(9, 4))
    targets = {
        "linear": generator(3).normal(size=(9, 3)),
        "logistic": generator(3).integers(2, size=(9, 3)).astype(float),
        "softmax": one_hot(generator(3).integers(3, size=9), 3),
    }[output]
    return network, x, targets


@pytest.mark.parametrize(
    ("hidden", "name", "slope"), [((5,), "sigmoid", 1.0), ((6, 5), "swish", 1.0), ((6, 5), "tanh", 1.7)]
)
@pytest.mark.parametrize("output", OUTPUTS)
def test_back_propagated_gradients_are_those_of_a_gradient_tape(output, hidden, name, slope):
    network, x, targets = network_and_data(output, hidden, name, slope)
    layers, g = [tf.Variable(each) for each in network.layers()], getattr(tf.keras.activations, name)
    with tf.GradientTape() as tape:
        a = tf.constant(x)
        for number, V in enumerate(layers):
            a = tf.concat([g(slope * a) if number else a, -tf.ones([9, 1], tf.float64)], axis=1) @ V
        loss = {
            "linear": lambda: tf.reduce_sum((a - targets) ** 2) / 18,
            "logistic": lambda: tf.reduce_sum((tf.sigmoid(slope * a) - targets) ** 2) / 2,
            "softmax": lambda: tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, a)),
        }[output]()
    np.testing.assert_allclose(network.loss(x, targets), loss, rtol=1e-12)
    expected = np.concatenate([np.ravel(g) for g in tape.gradient(loss, layers)])
    np.testing.assert_allclose(network.gradient(x, targets), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_three_hidden_neurons_learn_xor(seed):
    network = HandWrittenMLP([2, 3, 1], "logistic", generator(seed))
    fit = network.fit(X, XOR, Momentum(0.25, 0.9), 5001)
    assert fit.passes == fit.best == 5001
    np.testing.assert_array_equal(network(X) > 0.5, XOR)


@pytest.mark.parametrize("batch", [None, 4, 1])
def test_batch_minibatch_and_stochastic_updates_all_find_the_least_squares_line(batch):
    x, network = generator().normal(size=(20, 2)), HandWrittenMLP([2, 1], "linear", generator(1))
    targets = x @ [[2.0], [-1.0]] + 0.5
    network.fit(x, targets, GradientDescent(0.1), 1000, batch, generator(2))
    np.testing.assert_allclose(network.layers()[0], [[2.0], [-1.0], [-0.5]], atol=1e-6)


def test_learning_stops_after_some_passes_without_better_weights_and_takes_the_best():
    x, network = generator().normal(size=(8, 3)), HandWrittenMLP([3, 20, 1], "linear", generator(1), "tanh")
    noise = generator(2).normal(size=(8, 1))
    other = generator(3).normal(size=(50, 3)), generator(4).normal(size=(50, 1))
    fit = network.fit(x, noise, Adam(0.05), 1000, validation=other, patience=15)
    assert fit.passes == fit.best + 15 < 1000
    assert fit.validation[fit.best - 1] == min(fit.validation)
    assert network.loss(*other) == min(fit.validation)


def test_a_seed_fixes_what_is_learned():
    fitted = []
    for _ in range(2):
        network, x, targets = network_and_data("softmax")
        network.fit(x, targets, Adam(0.01), 20, 2, generator(5))
        fitted.append(network.weights)
    np.testing.assert_array_equal(*fitted)


def test_outputs_of_softmax_stay_finite_however_large_the_weights():
    network, x, targets = network_and_data("softmax")
    network.weights = network.weights * 1e4
    assert np.isfinite([network.loss(x, targets), *network.gradient(x, targets)]).all()


# ---- normalisation


@pytest.mark.parametrize(
    ("how", "scale"), [("std", np.std), ("var", np.var), ("maxabs", lambda x: np.abs(x - x.mean()).max())]
)
def test_data_are_normalised_by_statistics_of_the_training_set_alone(how, scale):
    training, test = generator().normal(3, 2, size=(50, 3)), generator(1).normal(9, 5, size=(20, 3))
    expected = np.column_stack([(b - a.mean()) / scale(a) for a, b in zip(training.T, test.T, strict=True)])
    normalized = normalization_of(training, how)
    np.testing.assert_allclose(normalized(test), expected, rtol=1e-12)


# ---- metrics


def test_rows_of_the_confusion_matrix_are_actual_and_columns_predicted():
    actual, predicted = [0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 0, 0, 1]
    np.testing.assert_array_equal(metrics.confusion_matrix(actual, predicted), [[3, 1], [2, 1]])  # [[TN, FP], [FN, TP]]
    found = metrics.classification(actual, predicted)
    assert found["accuracy"] == pytest.approx(4 / 7)
    assert (found["precision"], found["recall"]) == (pytest.approx(1 / 2), pytest.approx(1 / 3))
    assert found["f1"] == pytest.approx(2 / (2 + 3))


def test_a_class_that_never_occurs_still_has_its_row_and_column():
    np.testing.assert_array_equal(metrics.confusion_matrix([0, 2], [0, 2], 3), np.diag([1, 0, 1]))


# ---- idx files


@pytest.fixture
def ten_images(tmp_path):
    """Ten made images of 3 x 2 pixels and their labels, as MNIST's files are laid out."""
    pixels = generator().integers(256, size=(10, 3, 2)).astype(np.uint8)
    labels = np.arange(10, dtype=np.uint8)
    (tmp_path / "images").write_bytes(struct.pack(">iiii", idx.IMAGES, 10, 3, 2) + pixels.tobytes())
    (tmp_path / "labels.gz").write_bytes(gzip.compress(struct.pack(">ii", idx.LABELS, 10) + labels.tobytes()))
    return tmp_path, pixels, labels


def test_idx_files_are_read_as_written_compressed_or_not(ten_images):
    folder, pixels, labels = ten_images
    found_pixels, found_labels = idx.read_pair(folder / "images", folder / "labels.gz")
    np.testing.assert_array_equal(found_pixels, pixels)
    np.testing.assert_array_equal(found_labels, labels)


def test_a_damaged_idx_file_is_refused_by_name(ten_images):
    folder, pixels, _ = ten_images
    (folder / "short").write_bytes(struct.pack(">iiii", idx.IMAGES, 10, 3, 2) + pixels.tobytes()[:-1])
    (folder / "stub").write_bytes(b"\0\0\x08")
    (folder / "nine").write_bytes(struct.pack(">ii", idx.LABELS, 9) + bytes(9))
    (folder / "little").write_bytes(struct.pack("<ii", idx.LABELS, 9) + bytes(9))
    for read, names, words in (
        (idx.read_images, ["short"], r"short: got 59 bytes of data, expected \[10, 3, 2\]"),
        (idx.read_images, ["stub"], "stub: got 3 bytes, expected a header of 16"),
        (idx.read_labels, ["images"], "images: got magic number 2051, expected 2049"),
        (idx.read_labels, ["little"], "little: got magic number"),
        (idx.read_pair, ["images", "nine"], "nine: got 9 labels, expected 10"),
        (idx.read_labels, ["none"], "none: cannot be read"),
    ):
        with pytest.raises(ValueError, match=words):
            read(*(folder / name for name in names))


# ---- bad input


def mlp(output="linear", widths=(2, 3, 1), **more):
    return HandWrittenMLP(widths, output, generator(), **more)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: mlp()([[1.0, 2.0], [3.0]]), r"x: got .*, expected numbers \[n, m\], every row of one length"),
        (lambda: mlp()([[1.0, np.nan]]), "x: got nan in row 0, column 1, expected finite numbers"),
        (lambda: mlp()(X[:, :1]), r"x: got shape \[4, 1\], expected \[n, 2\]"),
        (lambda: mlp().loss(X, XOR[:3]), r"targets: got shape \[3, 1\], expected \[4, 1\]"),
        (lambda: Perceptron(2, 1, generator()).learn(X, XOR[:3]), r"targets: got shape \[3, 1\], expected \[4, 1\]"),
        (lambda: Perceptron(2, 1, generator()).learn(X, 2 * XOR), "targets: got values .*, expected 0 and 1"),
        (lambda: Perceptron(2, 1, generator()).learn(X, OR, learning_rate=0.0), "learning_rate: got 0.0, expected"),
        (lambda: one_hot([0, 3], 3), "labels: got 3 in row 1, expected whole numbers from 0 to 2"),
        (lambda: one_hot([-1, 0], 3), "labels: got -1 in row 0"),
        (lambda: one_hot([0.5], 3), "labels: got .*, expected a list of whole numbers"),
        (lambda: mlp(activation_name="sigmoids"), "activation: got 'sigmoids', expected one of linear, sigmoid, tanh"),
        (lambda: mlp("probit"), "output: got 'probit', expected one of linear, logistic, softmax"),
        (lambda: mlp("softmax"), "widths: got 1 output with softmax, expected 2 or more"),
        (lambda: mlp(widths=(2,)), r"widths: got \[2\], expected"),
        (lambda: mlp(slope=0.0), "slope: got 0.0, expected a number above 0"),
        (lambda: mlp().fit(X, XOR, GradientDescent(0.1), 5, patience=3), "patience: got 3, expected .* validation"),
        (lambda: mlp().fit(X, XOR, GradientDescent(0.1), 5, batch=0), "size: got 0, expected None or a whole number"),
        (lambda: GradientDescent(-0.1), "rate: got -0.1, expected a number above 0"),
        (lambda: Momentum(0.1, 1.0), "mu: got 1.0, expected a number of at least 0 and below 1"),
        (lambda: normalization_of([[1, 5], [2, 5]]), "training: got column 1 with the same value 5 in all rows"),
        (lambda: normalization_of(X, "range"), "how: got 'range', expected one of std, var, maxabs"),
        (lambda: metrics.confusion_matrix([0, 1], [0, 2]), "predicted: got 2 in row 1"),
        (lambda: metrics.classification([0, 1], [0]), "predicted: got 1 labels, expected 2"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_the_arguments_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()
