"""A recurrent network for parity whose weights nobody had to train: exact for strings of any length.

    h_t = relu(x_t W + h_{t-1} U + b),   W = [1, 1],   U = [[1, 1], [-2, -2]],   b = [0, -1],   p_t = h_t1 - 2 h_t2

With p_{t-1} the parity so far (1 after an odd number of ones), s = x_t + p_{t-1} is 0, 1 or 2 and
p_t = relu(s) - 2 relu(s - 1) is 0, 1, 0: exclusive or.
"""

import numpy as np

W = np.array([[1.0, 1.0]])
U = np.array([[1.0, 1.0], [-2.0, -2.0]])
b = np.array([0.0, -1.0])
READOUT = np.array([1.0, -2.0])


def even(digits: np.ndarray) -> np.ndarray:
    """Returns whether the number of ones up to each digit is even, [strings, digits]."""
    h = np.zeros((len(digits), 2))
    parities = []
    for x in digits.T:
        h = np.maximum(x[:, None] @ W + h @ U + b, 0.0)
        parities.append(h @ READOUT)
    return np.stack(parities, axis=1) == 0
