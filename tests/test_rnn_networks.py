"""Stacked and bidirectional networks, masks and causality, and truncated back-propagation through the engine."""

import numpy as np
import pytest
import tensorflow as tf
from oracles.through_time import Readout, loss_and_gradients
from toys import advance_of

from deqn.rnn.cells import Weights, run
from deqn.rnn.networks import Recurrent
from deqn.rnn.truncated import begun, chunks, mean_of_valid
from deqn.training.problem import Losses, Problem

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
CELLS = tuple(GATES)
BATCH, TIME, INPUTS = 3, 9, 2
MASK = np.arange(TIME) < np.array([[9], [5], [2]])


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def network(cell="lstm", units=(5, 4), **more):
    return Recurrent(INPUTS, 3, cell, units, seed=1, dtype="float64", **more)


def numpy_weights(layer):
    return Weights(*(np.asarray(v) for v in layer.weights))


@pytest.mark.parametrize("cell", CELLS)
def test_stacked_layers_are_the_equations_one_after_the_other(cell):
    net, x = network(cell), draw(BATCH, TIME, INPUTS)
    hidden = x
    for layer in net.layers_recurrent:
        hidden, _ = run(cell, hidden, numpy_weights(layer))
    expected = hidden @ np.asarray(net.readout.kernel) + np.asarray(net.readout.bias)
    np.testing.assert_allclose(net(x), expected, atol=1e-12)
    assert net.count_params() == GATES[cell] * (5 * (INPUTS + 5 + 1) + 4 * (5 + 4 + 1)) + 4 * 3 + 3


@pytest.mark.parametrize("cell", CELLS)
def test_a_bidirectional_layer_joins_a_forward_and_a_backward_reading(cell):
    net, x = network(cell, (4,), bidirectional=True), draw(BATCH, TIME, INPUTS)
    (layer,) = net.layers_recurrent
    forward, _ = run(cell, x, numpy_weights(layer.forward_layer))
    backward, _ = run(cell, x[:, ::-1], numpy_weights(layer.backward_layer))
    hidden = np.concatenate([forward, backward[:, ::-1]], axis=2)
    expected = hidden @ np.asarray(net.readout.kernel) + np.asarray(net.readout.bias)
    np.testing.assert_allclose(net(x), expected, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_masking_is_the_same_as_cutting_a_sequence_off(cell, bidirectional):
    net, x = network(cell, bidirectional=bidirectional), draw(BATCH, TIME, INPUTS)
    padded, last = net(x, mask=tf.constant(MASK)), net.last(x, mask=tf.constant(MASK))
    for row, length in enumerate(MASK.sum(axis=1)):
        alone = x[row : row + 1, :length]
        np.testing.assert_allclose(padded[row, :length], net(alone)[0], atol=1e-12)
        np.testing.assert_allclose(last[row], net.last(alone)[0], atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_an_output_does_not_depend_on_what_comes_later(cell):
    net, x = network(cell), draw(BATCH, TIME, INPUTS)
    later = np.where((np.arange(TIME) > 4)[:, None], draw(BATCH, TIME, INPUTS, seed=3), x)
    before, after = np.asarray(net(x)), np.asarray(net(later))
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.all(before[:, 5:] != after[:, 5:])


def test_a_bidirectional_network_is_refused_for_decisions():
    net = network("rnn", (4,), bidirectional=True)
    with pytest.raises(ValueError, match="bidirectional: got a network that reads its inputs backwards"):
        net.advance(draw(BATCH, TIME, INPUTS), net.zero_states(BATCH))


@pytest.mark.parametrize("cell", CELLS)
def test_a_period_at_a_time_gives_the_whole_sequence(cell):
    net, x = network(cell), draw(BATCH, TIME, INPUTS)
    states, steps = net.zero_states(BATCH), []
    for t in range(TIME):
        output, states = net.advance(x[:, t : t + 1], states)
        steps.append(output)
    np.testing.assert_allclose(np.concatenate(steps, axis=1), net(x), atol=1e-12)


def test_units_that_are_not_positive_and_unknown_cells_are_refused():
    with pytest.raises(ValueError, match=r"units: got \[\], expected one or more positive numbers"):
        network(units=())
    with pytest.raises(ValueError, match=r"units: got \[4, 0\], expected"):
        network(units=(4, 0))
    with pytest.raises(ValueError, match="cell: got 'transformer', expected one of rnn, lstm, gru"):
        network("transformer")


# ---- truncated back-propagation through time


class Labels(Problem):
    """Labels at every step of sequences that are handed over in chunks, with the states carried."""

    def __init__(self, cell="rnn", compiler="xla"):
        self.compiler = compiler
        self.network = Recurrent(INPUTS, 3, cell, (4,), seed=1, dtype="float64")
        self.networks = {"network": self.network}

    def start(self, key):
        return self.network.zero_states(BATCH)

    def losses(self, batch, carry, key):
        states = begun(carry, batch.begins)
        logits, states = self.network.advance(batch.inputs, states, batch.valid)
        errors = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.targets, logits)
        return Losses({"network": mean_of_valid(errors, batch.valid)}, states)


def sequences(time=TIME):
    return draw(BATCH, time, INPUTS), np.random.default_rng(4).integers(0, 3, (BATCH, time))


def follow(problem, pieces, rate=1e-9):
    """Trains on a list of chunks in turn; yields what the carry is after each."""
    advance, carry, _ = advance_of(problem, {"name": "SGD", "learning_rate": rate}, batch=pieces[0])
    for number, piece in enumerate(pieces):
        carry, _ = advance(piece, carry, tf.constant(number), tf.constant(1))
        yield carry


def test_a_chunk_has_zeros_beyond_a_sequences_end_whatever_stood_there():
    x, labels = sequences()
    x[1, 3:] = np.nan
    (piece,) = chunks(x, labels, TIME, np.array([TIME, 3, *[TIME] * (BATCH - 2)]))
    assert np.isfinite(piece.inputs).all() and not piece.inputs[1, 3:].any()
    np.testing.assert_array_equal(piece.inputs[0], x[0])
    problem = Labels(compiler="graph")
    with tf.GradientTape() as tape:
        loss = problem.losses(tf.nest.map_structure(tf.constant, piece), problem.start(None), None).minimize["network"]
    assert all(np.isfinite(g).all() for g in tape.gradient(loss, problem.network.trainable_variables))


@pytest.mark.parametrize("length", [TIME, TIME + 3])
def test_one_chunk_for_the_whole_sequence_makes_the_update_of_full_back_propagation(length):
    problem, (x, labels), rate = Labels(), sequences(), 0.5
    before = [np.array(v) for v in problem.network.trainable_variables]
    (_,) = follow(problem, list(chunks(x, labels, length)), rate)
    _, gradients = loss_and_gradients(x, labels, Weights(*before[:3]), Readout(*before[3:]))
    for variable, old, gradient in zip(problem.network.trainable_variables, before, gradients[:5], strict=True):
        np.testing.assert_allclose(old - np.asarray(variable), rate * gradient, atol=1e-12)


@pytest.mark.parametrize("compiler", ["xla", "graph"])
@pytest.mark.parametrize("cell", CELLS)
def test_states_after_all_chunks_are_those_of_one_pass(cell, compiler):
    problem, (x, labels) = Labels(cell, compiler), sequences(time=11)
    whole = problem.network.advance(x, problem.network.zero_states(BATCH))[1]
    *_, carried = follow(problem, list(chunks(x, labels, 4)))  # the third chunk has three steps and one of padding
    np.testing.assert_allclose(carried, whole, atol=1e-6)


def test_a_chunk_differentiates_through_its_own_steps_alone():
    # The second chunk's gradient is the full one of a sequence that starts from the carried states.
    problem, (x, labels) = Labels(), sequences(time=8)
    states = problem.network.advance(x[:, :4], problem.network.zero_states(BATCH))[1]
    before = [np.array(v) for v in problem.network.trainable_variables]
    with tf.GradientTape() as tape:
        logits, _ = problem.network.advance(x[:, 4:], states)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels[:, 4:], logits))
    expected = tape.gradient(loss, [v.value for v in problem.network.trainable_variables])
    _, second = chunks(x, labels, 4)
    advance, _, _ = advance_of(problem, {"name": "SGD", "learning_rate": 1.0}, batch=second)
    advance(second, states, tf.constant(0), tf.constant(1))
    for variable, old, gradient in zip(problem.network.trainable_variables, before, expected, strict=True):
        np.testing.assert_allclose(old - np.asarray(variable), gradient, atol=1e-12)


def test_a_new_sequence_forgets_what_was_carried():
    problem, (x, labels) = Labels(), sequences(time=4)
    first, second = follow(problem, [*chunks(x, labels, 4), *chunks(x, labels, 4)])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_chunks_keep_every_step_once_and_in_order():
    x, labels = sequences(time=11)
    lengths = np.array([11, 6, 1])
    pieces = list(chunks(x, labels, 4, lengths))
    assert [piece.begins.all() for piece in pieces] == [True, False, False]
    assert {piece.inputs.shape for piece in pieces} == {(BATCH, 4, INPUTS)}
    for row, length in enumerate(lengths):
        kept = np.concatenate([piece.inputs[row][piece.valid[row]] for piece in pieces])
        np.testing.assert_array_equal(kept, x[row, :length])


def test_chunks_refuse_what_does_not_fit():
    x, labels = sequences()
    with pytest.raises(ValueError, match=r"targets: got shape \(3, 8\), expected \(3, 9\) to begin with"):
        next(chunks(x, labels[:, :8], 4))
    with pytest.raises(ValueError, match="length: got 0, expected 1 step or more"):
        next(chunks(x, labels, 0))
    with pytest.raises(ValueError, match=r"lengths: got \[9, 9, 10\], expected 3 numbers from 1 to 9"):
        next(chunks(x, labels, 4, np.array([9, 9, 10])))
