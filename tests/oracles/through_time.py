r"""Back-propagation through time by hand (Werbos 1988; Rumelhart, Hinton & Williams 1986), for the RNN.

    h_t = tanh(x_t W + h_{t-1} U + b),    y_t = softmax(h_t V + c)
    J = mean over the valid steps of -log y_t[label_t]

With e_t = dJ/d(h_t V + c) = (y_t - onehot(label_t)) / steps and a_t the argument of tanh,

    dJ/dh_t = e_t V' + dJ/da_{t+1} U'
    dJ/da_t = dJ/dh_t o (1 - h_t^2)
    dJ/dU   = sum_t h_{t-1}' dJ/da_t

The gradient of a weight that is used at every step is the sum of what each use contributes. Going back one step
multiplies by diag(1 - h_t^2) U': where that contracts, what was seen long ago contributes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deqn.mlp.activations import log_sum_exp
from deqn.rnn.cells import Weights, run


class Readout(NamedTuple):
    """V: [k, classes]. c: [classes]."""

    V: np.ndarray
    c: np.ndarray


class Gradients(NamedTuple):
    """Of J with respect to each weight, in its shape; by_step: [time, k, k], what each step contributes to U's."""

    W: np.ndarray
    U: np.ndarray
    b: np.ndarray
    V: np.ndarray
    c: np.ndarray
    by_step: np.ndarray


def loss_and_gradients(
    x: np.ndarray, labels: np.ndarray, weights: Weights, readout: Readout, mask: np.ndarray | None = None
) -> tuple[float, Gradients]:
    """J and its gradients.

    x: [batch, time, d]. labels: integers [batch, time]. mask: [batch, time], False at padding.
    Raises ValueError for shapes that disagree, or a label that is no class.
    """
    batch, time = x.shape[:2]
    classes = readout.V.shape[1]
    if labels.shape != (batch, time):
        raise ValueError(f"labels: got shape {labels.shape}, expected {(batch, time)}: [batch, time]")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels: got {labels.min()} to {labels.max()}, expected 0 to {classes - 1}")
    valid = np.ones((batch, time), bool) if mask is None else mask
    h, _ = run("rnn", x, weights, valid)
    logits = h @ readout.V + readout.c  # [batch, time, classes]
    log_y = logits - log_sum_exp(logits)
    right = np.eye(classes)[labels]
    share = valid[:, :, None] / valid.sum()
    e = (np.exp(log_y) - right) * share
    a, before = _back(h, e @ readout.V.T, weights.U, valid)
    by_step = np.einsum("btj,btk->tjk", before, a)
    return float(-(right * log_y * share).sum()), Gradients(
        W=np.einsum("btd,btk->dk", x, a),
        U=by_step.sum(axis=0),
        b=a.sum(axis=(0, 1)),
        V=np.einsum("btk,btc->kc", h, e),
        c=e.sum(axis=(0, 1)),
        by_step=by_step,
    )


def _back(h: np.ndarray, direct: np.ndarray, U: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dJ/da_t and h_{t-1}, both [batch, time, k], from what each h_t contributes to J directly."""
    before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1)
    a, later = np.zeros_like(h), np.zeros_like(h[:, 0])
    for t in reversed(range(h.shape[1])):
        total, is_valid = direct[:, t] + later, valid[:, t, None]
        a[:, t] = np.where(is_valid, total * (1.0 - h[:, t] ** 2), 0.0)
        later = np.where(is_valid, a[:, t] @ U.T, total)  # at padding the state is only handed on
    return a, before


def state_derivatives(x: np.ndarray, weights: Weights, initial: np.ndarray | None = None) -> np.ndarray:
    """dh_t/dh_0 of an RNN, [time, k, k] with rows for the entries of h_t, along one sequence x [time, d].

    initial: h_0 [k], zero by default. Its norm falls, or explodes, geometrically in t: by at most |U| a step.
    """
    start = None if initial is None else (initial[None],)
    h = run("rnn", x[None], weights, initial=start)[0][0]  # [time, k]
    product = np.eye(h.shape[1])
    products = []
    for h_t in h:
        product = (1.0 - h_t**2)[:, None] * weights.U.T @ product
        products.append(product)
    return np.stack(products)
