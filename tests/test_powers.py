"""Powers of positive numbers against NumPy's, for the exponents that economies have and for any other."""

import numpy as np
import pytest
import tensorflow as tf

from deqn.equilibrium import power


@pytest.mark.parametrize("exponent", [-2.0, -1.0, -0.5, 0.3, 0.5, 1.0, 2.0, 3.0, -1 / 3, 1.5, 4.7])
@pytest.mark.parametrize(("dtype", "digits"), [("float32", 4e-6), ("float64", 2e-14)])
def test_a_power_is_numpys_and_so_is_its_derivative(exponent, dtype, digits):
    x = np.geomspace(1e-4, 1e4, 41).astype(dtype)
    with tf.GradientTape() as tape:
        tape.watch(given := tf.constant(x))
        found = power(given, exponent)
    np.testing.assert_allclose(found, x.astype("float64") ** exponent, rtol=digits)
    derivative = exponent * x.astype("float64") ** (exponent - 1)
    np.testing.assert_allclose(tape.gradient(found, given), derivative, rtol=3 * digits)
