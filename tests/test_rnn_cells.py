"""Cells as equations against Keras's layers; back-propagation through time by hand against finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles.through_time import Readout, loss_and_gradients, state_derivatives

from deqn.mlp.activations import log_sum_exp
from deqn.rnn.cells import CELLS, Weights, run

BATCH, TIME, INPUTS, UNITS, CLASSES = 3, 7, 4, 5, 3
LAYERS = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
MASK = np.arange(TIME) < np.array([[7], [4], [1]])


def draw(*shape, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=shape)


def weights(name):
    columns = CELLS[name].gates * UNITS
    shapes = ([INPUTS, columns], [UNITS, columns], [columns])
    return Weights(*(draw(*shape, seed=seed, scale=0.5) for seed, shape in enumerate(shapes, start=1)))


def keras_layer(name):
    more = {"reset_after": False} if name == "gru" else {}
    layer = LAYERS[name](UNITS, return_sequences=True, return_state=True, dtype="float64", **more)
    layer.build((None, None, INPUTS))
    layer.set_weights(list(weights(name)))
    return layer


@pytest.mark.parametrize("mask", [np.ones_like(MASK), MASK], ids=["whole", "padded"])
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_as_its_equations_is_the_keras_layer_and_padding_holds_the_states(name, mask):
    x = draw(BATCH, TIME, INPUTS)
    outputs, states = run(name, x, weights(name), mask)
    expected, *ends = keras_layer(name)(x, mask=tf.constant(mask))
    np.testing.assert_allclose(outputs[mask], np.asarray(expected)[mask], atol=1e-12)
    np.testing.assert_allclose(states, ends, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_a_sequence_in_two_parts_is_the_sequence(name):
    x = draw(BATCH, TIME, INPUTS)
    whole, _ = run(name, x, weights(name))
    first, states = run(name, x[:, :3], weights(name))
    second, _ = run(name, x[:, 3:], weights(name), initial=states)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)


def test_keras_gru_as_it_comes_is_another_equation_with_more_weights():
    layer = keras.layers.GRU(UNITS, return_sequences=True, dtype="float64")
    layer.build((None, None, INPUTS))
    W, U, b = weights("gru")
    layer.set_weights([W, U, np.stack([b, 0 * b])])
    assert layer.count_params() == 3 * UNITS * (INPUTS + UNITS + 2)
    x = draw(BATCH, TIME, INPUTS)
    # From a state of zero the first step has nothing to reset; from then on the two differ.
    difference = np.abs(run("gru", x, weights("gru"))[0] - np.asarray(layer(x))).max(axis=(0, 2))
    assert difference[0] < 1e-12 < 1e-3 < difference[1]


def _problem():
    x, labels = draw(BATCH, TIME, INPUTS), np.random.default_rng(5).integers(0, CLASSES, (BATCH, TIME))
    return x, labels, weights("rnn"), Readout(draw(UNITS, CLASSES, seed=6), draw(CLASSES, seed=7))


@pytest.mark.parametrize("letter", ["W", "U", "b", "V", "c"])
def test_back_propagation_through_time_agrees_with_finite_differences(letter):
    x, labels, cell, readout = _problem()
    _, gradients = loss_and_gradients(x, labels, cell, readout, MASK)
    everything = cell._asdict() | readout._asdict()
    step, array = 1e-5, everything[letter]

    def loss(changed):
        new = everything | {letter: changed}
        changed_cell, changed_readout = Weights(new["W"], new["U"], new["b"]), Readout(new["V"], new["c"])
        return loss_and_gradients(x, labels, changed_cell, changed_readout, MASK)[0]

    expected = np.zeros_like(array)
    for at in np.ndindex(array.shape):
        up, down = array.copy(), array.copy()
        up[at] += step
        down[at] -= step
        expected[at] = (loss(up) - loss(down)) / (2 * step)
    np.testing.assert_allclose(getattr(gradients, letter), expected, rtol=1e-6, atol=1e-9)


def test_the_gradient_of_a_shared_weight_is_the_sum_over_its_uses():
    # A copy of U for every step, each changed alone.
    x, labels, cell, readout = _problem()
    _, gradients = loss_and_gradients(x, labels, cell, readout)

    def loss(change, at):
        h, steps = np.zeros((BATCH, UNITS)), []
        for t in range(TIME):
            h = np.tanh(x[:, t] @ cell.W + h @ (cell.U + change * (t == at)) + cell.b)
            steps.append(h)
        logits = np.stack(steps, axis=1) @ readout.V + readout.c
        log_y = logits - log_sum_exp(logits)
        return -np.take_along_axis(log_y, labels[:, :, None], axis=2).mean()

    direction = draw(UNITS, UNITS, seed=8)
    for t in range(TIME):
        expected = (loss(1e-5 * direction, t) - loss(-1e-5 * direction, t)) / 2e-5
        assert (gradients.by_step[t] * direction).sum() == pytest.approx(expected, rel=1e-6, abs=1e-10)
    np.testing.assert_allclose(gradients.by_step.sum(axis=0), gradients.U, rtol=1e-12)


def test_the_derivative_of_a_late_state_vanishes_geometrically_in_an_rnn():
    # U is 0.9 times a rotation: without inputs, at h = 0, a step multiplies every direction by exactly 0.9.
    rotation, _ = np.linalg.qr(draw(UNITS, UNITS))
    quiet = Weights(np.zeros((INPUTS, UNITS)), 0.9 * rotation, np.zeros(UNITS))
    norms = np.linalg.norm(state_derivatives(np.zeros((100, INPUTS)), quiet), ord=2, axis=(1, 2))
    np.testing.assert_allclose(norms, 0.9 ** np.arange(1, 101), rtol=1e-10)
    # Inputs saturate tanh: then it vanishes faster still.
    loud = quiet._replace(W=draw(INPUTS, UNITS, seed=1))
    norms = np.linalg.norm(state_derivatives(draw(100, INPUTS, seed=2), loud), ord=2, axis=(1, 2))
    assert np.all(norms <= 0.9 ** np.arange(1, 101))
    assert norms[99] < 1e-10


def test_state_derivatives_agree_with_finite_differences():
    x, cell, start = draw(6, INPUTS), weights("rnn"), draw(UNITS, seed=4, scale=0.3)
    step = 1e-6
    columns = []
    for j in range(UNITS):
        ends = [
            run("rnn", x[None], cell, initial=(start[None] + sign * step * np.eye(UNITS)[[j]],))[0][0]
            for sign in (1, -1)
        ]
        columns.append((ends[0] - ends[1]) / (2 * step))
    np.testing.assert_allclose(state_derivatives(x, cell, start), np.stack(columns, axis=2), atol=1e-8)


def test_an_lstm_whose_gates_keep_and_do_not_write_remembers_exactly():
    # f = 1 and i = 0 in double precision: sigma(1000) and sigma(-1000).
    units, inputs = 3, 2
    b = np.concatenate([np.full(units, -1000.0), np.full(units, 1000.0), np.zeros(2 * units)])
    keeps = Weights(draw(inputs, 4 * units), draw(units, 4 * units), b)
    c = draw(1, units, seed=9)
    _, (_, kept) = run("lstm", draw(1, 1000, inputs, seed=3), keeps, initial=(np.zeros((1, units)), c))
    np.testing.assert_array_equal(kept, c)


def test_bad_shapes_and_names_are_refused_with_what_was_expected():
    x, labels, cell, readout = _problem()
    with pytest.raises(ValueError, match=r"cell: got 'elman', expected one of rnn, lstm, gru"):
        run("elman", x, cell)
    with pytest.raises(ValueError, match=r"weights\.W: got shape \(4, 5\), expected \(4, 20\)"):
        run("lstm", x, cell)
    with pytest.raises(ValueError, match=r"x: got shape \(7, 4\), expected \[batch, time, inputs\]"):
        run("rnn", x[0], cell)
    with pytest.raises(ValueError, match=r"mask: got shape \(3, 6\), expected \(3, 7\)"):
        run("rnn", x, cell, MASK[:, :6])
    with pytest.raises(ValueError, match=r"labels: got 0 to 3, expected 0 to 2"):
        loss_and_gradients(x, np.where(MASK, 3, 0), cell, readout)
    with pytest.raises(ValueError, match=r"labels: got shape \(3, 6\), expected \(3, 7\)"):
        loss_and_gradients(x, labels[:, :6], cell, readout)
