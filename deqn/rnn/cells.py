r"""Recurrent cells as their equations, in NumPy; tests compare the Keras layers of `deqn.rnn.networks` with them.

With x_t [batch, d] and h_t [batch, k] as rows, and o for the product of entries:

RNN (Elman 1990), k (d + k + 1) weights:

    h_t = tanh(x_t W + h_{t-1} U + b)

LSTM (Hochreiter & Schmidhuber 1997; forget gate of Gers, Schmidhuber & Cummins 2000), 4 k (d + k + 1) weights:

    i_t = sigma(x_t W_i + h_{t-1} U_i + b_i)        what is written
    f_t = sigma(x_t W_f + h_{t-1} U_f + b_f)        what is kept
    g_t = tanh (x_t W_c + h_{t-1} U_c + b_c)        new content
    o_t = sigma(x_t W_o + h_{t-1} U_o + b_o)        what is shown
    c_t = f_t o c_{t-1} + i_t o g_t
    h_t = o_t o tanh(c_t)

GRU (Cho et al. 2014), 3 k (d + k + 1) weights:

    z_t = sigma(x_t W_z + h_{t-1} U_z + b_z)        what is kept
    r_t = sigma(x_t W_r + h_{t-1} U_r + b_r)        what the candidate sees of the past
    g_t = tanh (x_t W_g + (r_t o h_{t-1}) U_g + b_g)
    h_t = z_t o h_{t-1} + (1 - z_t) o g_t

This GRU is `keras.layers.GRU(reset_after=False)`. Keras's default resets after the product, r_t o (h_{t-1} U_g + b'),
with a second constant b' for every gate: 3 k (d + k + 2) weights and another function.

The gates stand side by side in W [d, gates k], U [k, gates k] and b [gates k], in the order above, which is Keras's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from deqn.mlp.activations import sigmoid
from deqn.mlp.checks import one_of

States = tuple[np.ndarray, ...]


class Weights(NamedTuple):
    """The weights of a cell, with all gates side by side: W [d, gates k], U [k, gates k], b [gates k]."""

    W: np.ndarray
    U: np.ndarray
    b: np.ndarray


class Cell(NamedTuple):
    """One period of a cell as `step`: (x [batch, d], states, weights) -> states, the first of them h [batch, k]."""

    step: Callable[[np.ndarray, States, Weights], States]
    gates: int
    states: int


def rnn_step(x: np.ndarray, states: States, weights: Weights) -> States:
    (h,), (W, U, b) = states, weights
    return (np.tanh(x @ W + h @ U + b),)


def lstm_step(x: np.ndarray, states: States, weights: Weights) -> States:
    (h, c), (W, U, b) = states, weights
    i, f, g, o = np.split(x @ W + h @ U + b, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(x: np.ndarray, states: States, weights: Weights) -> States:
    (h,), (W, U, b) = states, weights
    k = h.shape[-1]
    z, r = np.split(sigmoid(x @ W[:, : 2 * k] + h @ U[:, : 2 * k] + b[: 2 * k]), 2, axis=-1)
    g = np.tanh(x @ W[:, 2 * k :] + (r * h) @ U[:, 2 * k :] + b[2 * k :])
    return (z * h + (1.0 - z) * g,)


CELLS = {"rnn": Cell(rnn_step, 1, 1), "lstm": Cell(lstm_step, 4, 2), "gru": Cell(gru_step, 3, 1)}


def cell_named(name: str) -> Cell:
    """Returns the cell of that name. Raises ValueError with the known names."""
    return CELLS[one_of(name, CELLS, "cell")]


def run(
    name: str, x: np.ndarray, weights: Weights, mask: np.ndarray | None = None, initial: States | None = None
) -> tuple[np.ndarray, States]:
    """Follows a cell through a sequence.

    x: [batch, time, d]. mask: [batch, time], False at padding, where all states stay as they are. initial: the states
    before the first period, each [batch, k]; zero by default.
    Returns h of all periods [batch, time, k], and the states after the last. Raises ValueError if shapes disagree.
    """
    cell, units = cell_named(name), weights.U.shape[0]
    _check(cell, x, weights, mask)
    states = initial or tuple(np.zeros((len(x), units), x.dtype) for _ in range(cell.states))
    outputs = []
    for t in range(x.shape[1]):
        following = cell.step(x[:, t], states, weights)
        if mask is not None:
            following = tuple(np.where(mask[:, t, None], new, old) for new, old in zip(following, states, strict=True))
        states = following
        outputs.append(states[0])
    return np.stack(outputs, axis=1), states


def _check(cell: Cell, x: np.ndarray, weights: Weights, mask: np.ndarray | None) -> None:
    if x.ndim != 3:
        raise ValueError(f"x: got shape {x.shape}, expected [batch, time, inputs]")
    units = weights.U.shape[0]
    expected = {"W": (x.shape[2], cell.gates * units), "U": (units, cell.gates * units), "b": (cell.gates * units,)}
    for letter, shape in expected.items():
        got = getattr(weights, letter).shape
        if got != shape:
            raise ValueError(f"weights.{letter}: got shape {got}, expected {shape}")
    if mask is not None and mask.shape != x.shape[:2]:
        raise ValueError(f"mask: got shape {mask.shape}, expected {x.shape[:2]}: [batch, time]")
