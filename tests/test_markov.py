"""Markov chains against eigenvectors, closed forms and the moments of the AR(1) that Rouwenhorst stands for."""

import numpy as np
import pytest
from scipy.stats import binom

from deqn.equilibrium.markov import check_chain, rouwenhorst, stationary_distribution

# Depreciation and TFP of the 60-cohort economy: Azinovic, Gaegauf and Scheidegger (2019), section 3.
DEPRECIATION = [[0.98, 0.02], [0.25, 0.75]]
TFP = [[0.5, 0.5], [0.5, 0.5]]


def test_a_chain_comes_back_unchanged_in_double_precision():
    chain = check_chain(DEPRECIATION)
    assert chain.dtype == np.float64
    np.testing.assert_array_equal(chain, DEPRECIATION)


def test_a_row_that_does_not_sum_to_one_is_refused():
    with pytest.raises(ValueError) as error:
        check_chain([[0.5, 0.5], [0.25, 0.747]])
    assert str(error.value) == "transition: row 2 sums to 0.997, expected 1"


def test_a_transposed_chain_is_recognised():
    with pytest.raises(ValueError, match=r"^Pi: row 1 sums to 1\.23, expected 1 \(its columns do: .*transpose it\)$"):
        check_chain(np.transpose(DEPRECIATION), name="Pi")


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.1, -0.1], [0.5, 0.5]], "row 1 holds -0.1, expected"),
        ([[0.5, 0.5], [np.nan, 1.0]], "row 2 holds a value that is not finite"),
        ([[0.5, 0.5]], "shape is 1 x 2"),
        ([0.5, 0.5], "shape is 2,"),
        (1.0, "shape is a single number"),
        ([], "shape is 0"),
        ([[0.5, 0.5], [1.0]], "not a matrix of numbers"),
        ([["a", "b"], ["c", "d"]], "not a matrix of numbers"),
    ],
)
def test_what_is_no_chain_is_refused_in_one_line(matrix, message):
    with pytest.raises(ValueError, match=message) as error:
        check_chain(matrix)
    assert "\n" not in str(error.value)


def test_row_sums_are_held_to_1e_8():
    check_chain([[0.5, 0.5 + 9e-9], [0.5, 0.5]])
    with pytest.raises(ValueError, match="row 1 sums"):
        check_chain([[0.5, 0.5 + 2e-8], [0.5, 0.5]])


def test_two_states_have_the_closed_form_distribution():
    # pi_1 / pi_2 = Prob(2 -> 1) / Prob(1 -> 2)
    np.testing.assert_allclose(stationary_distribution(DEPRECIATION), [0.25 / 0.27, 0.02 / 0.27], rtol=1e-14)


def test_independent_chains_have_the_product_of_their_distributions():
    joint = stationary_distribution(np.kron(DEPRECIATION, TFP))
    np.testing.assert_allclose(joint, [0.25 / 0.54, 0.25 / 0.54, 0.02 / 0.54, 0.02 / 0.54], rtol=1e-14)


def test_the_distribution_is_the_left_eigenvector_of_one():
    chain = np.random.default_rng(0).dirichlet(np.ones(7), size=7)
    values, vectors = np.linalg.eig(chain.T)
    eigenvector = np.real(vectors[:, np.argmin(abs(values - 1))])
    np.testing.assert_allclose(stationary_distribution(chain), eigenvector / eigenvector.sum(), atol=1e-13)


def test_a_periodic_chain_has_its_distribution():
    np.testing.assert_allclose(
        stationary_distribution([[0, 1, 0], [0, 0, 1], [1, 0, 0]]), np.full(3, 1 / 3), rtol=1e-14
    )


def test_transient_states_have_no_mass():
    chain = [[0.5, 0.5, 0.0], [0.0, 0.98, 0.02], [0.0, 0.25, 0.75]]
    np.testing.assert_allclose(stationary_distribution(chain), [0, 0.25 / 0.27, 0.02 / 0.27], atol=1e-15)


def test_two_recurrent_classes_are_refused():
    chain = np.zeros((3, 3))
    chain[[0, 1, 2], [2, 1, 0]] = 1
    with pytest.raises(ValueError, match=r"\[1, 3\].*\[2\].*never reach each other"):
        stationary_distribution(chain)


@pytest.mark.parametrize("states", [2, 3, 5, 11])
@pytest.mark.parametrize("persistence", [-0.4, 0.0, 0.95, 0.999])
def test_rouwenhorst_has_the_conditional_moments_of_the_ar1(states, persistence):
    sd = 0.007
    log_z, transition = rouwenhorst(states, persistence, sd)
    mean = check_chain(transition) @ log_z
    variance = transition @ log_z**2 - mean**2
    np.testing.assert_allclose(mean, persistence * log_z, atol=1e-14)
    np.testing.assert_allclose(variance, sd**2, rtol=1e-9)  # in every state, Kopecky and Suen (2010), section 2


def test_rouwenhorst_has_the_unconditional_variance_of_the_ar1():
    log_z, transition = rouwenhorst(5, 0.95, 0.035)
    share = stationary_distribution(transition)
    np.testing.assert_allclose(share @ log_z, 0, atol=1e-15)
    np.testing.assert_allclose(share @ log_z**2, 0.035**2 / (1 - 0.95**2), rtol=1e-12)


def test_rouwenhorst_is_binomial_in_the_long_run():
    _, transition = rouwenhorst(7, 0.9, 0.01)
    np.testing.assert_allclose(stationary_distribution(transition), binom.pmf(range(7), 6, 0.5), rtol=1e-12)


def test_rouwenhorst_with_three_states_is_the_printed_matrix():
    p = (1 + 0.8) / 2
    _, transition = rouwenhorst(3, 0.8, 0.1)
    printed = [
        [p**2, 2 * p * (1 - p), (1 - p) ** 2],
        [p * (1 - p), p**2 + (1 - p) ** 2, p * (1 - p)],
        [(1 - p) ** 2, 2 * p * (1 - p), p**2],
    ]
    np.testing.assert_allclose(transition, printed, rtol=1e-13)


@pytest.mark.parametrize(
    "arguments", [(1, 0.9, 0.1), (3, 1.0, 0.1), (3, 0.9, -0.1), (3, np.nan, 0.1), (3, 0.9, np.nan)]
)
def test_rouwenhorst_refuses_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match=r"^rouwenhorst: .* expected"):
        rouwenhorst(*arguments)
