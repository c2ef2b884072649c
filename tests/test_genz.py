"""Genz's functions against other formulas, and the lecture's exercise at its full size."""

import math

import numpy as np
import pytest
from problems import module, problem_of, tables_of

functions = module("genz", "functions")
FORMULAS, difficulty, drawn = functions.FORMULAS, functions.difficulty, functions.drawn


# ---- the functions


def by_the_slide(name, x, c, w):
    """One point at a time, with loops."""
    d = len(x)
    if name == "oscillatory":
        return math.cos(2 * math.pi * w[0] + sum(c[i] * x[i] for i in range(d)))
    if name == "product_peak":
        return math.prod(1 / (c[i] ** -2 + (x[i] - w[i]) ** 2) for i in range(d))
    if name == "corner_peak":
        return (1 + sum(c[i] * x[i] for i in range(d))) ** (-(d + 1))
    if name == "gaussian":
        return math.exp(-sum(c[i] ** 2 * (x[i] - w[i]) ** 2 for i in range(d)))
    if name == "continuous":
        return math.exp(-sum(c[i] * abs(x[i] - w[i]) for i in range(d)))
    return 0.0 if x[0] > w[0] or x[1] > w[1] else math.exp(sum(c[i] * x[i] for i in range(d)))


@pytest.mark.parametrize("dimension", [2, 5, 10])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_functions_are_the_slides(name, dimension):
    f = drawn(name, dimension, np.random.default_rng(dimension))
    x = np.random.default_rng(0).uniform(size=(300, dimension)) ** 3  # near 0, where the discontinuous one is not 0
    expected = [by_the_slide(name, row, f.c, f.w) for row in x]
    np.testing.assert_allclose(f(x), expected, rtol=1e-12)
    assert np.ptp(expected) > 0


@pytest.mark.parametrize("name", FORMULAS)
def test_parameters_sum_to_the_difficulty_and_to_one(name):
    for seed in range(20):
        _, c, w = drawn(name, 5, np.random.default_rng(seed))
        np.testing.assert_allclose([c.sum(), w.sum()], [difficulty(name, 5), 1], rtol=1e-12)
        assert c.min() >= 1e-3
        assert w.min() > 0
    assert [difficulty(each, 7) for each in FORMULAS] == [1.5, 7, 1.85, 7.03, 20.4, 4.3]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: drawn("sinusoidal", 2, np.random.default_rng(0)), "function: got 'sinusoidal', expected one of osc"),
        (lambda: drawn("discontinuous", 1, np.random.default_rng(0)), "dimension: got 1, expected 2 or more for disc"),
        (lambda: drawn("gaussian", 0, np.random.default_rng(0)), "dimension: got 0, expected 1 or more"),
        (lambda: drawn("gaussian", 2, np.random.default_rng(0))(np.ones((3, 4))), r"x: got shape \[3, 4\], expected"),
    ],
)
def test_a_function_that_cannot_be_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# ---- the exercise


def test_samples_of_a_repetition_are_nested_share_the_tests_and_are_scaled_by_themselves_alone():
    problem, _ = problem_of("genz/gaussian", "parameters.dimensions=[3]", "parameters.points=[10, 50]")
    few, many = problem.cells
    np.testing.assert_array_equal(few.x, many.x[:, :10])
    np.testing.assert_array_equal(few.test_y, many.test_y)
    np.testing.assert_allclose(few.y * few.scale + few.centre, (many.y * many.scale + many.centre)[:, :10])
    np.testing.assert_allclose([few.y.mean(axis=1), few.y.std(axis=1)], [np.zeros(5), np.ones(5)], atol=1e-12)
    assert few.x.shape == (5, 10, 3)
    assert few.test_x.shape == (5, 1000, 3)


def test_a_sample_on_which_the_function_is_zero_is_kept_and_counted():
    problem, _ = problem_of("genz/discontinuous", "parameters.dimensions=[10]", "parameters.points=[10]")
    (cell,) = problem.cells
    constant = np.ptp(cell.y, axis=1) == 0
    assert constant.any()
    assert np.isfinite(cell.y).all()
    assert "constant at all points of" in problem.describe()["function"]
    (row,) = problem.results().tables["errors"]
    assert row["constant_samples"] == constant.sum()


def test_errors_are_in_the_functions_own_units():
    problem, _ = problem_of(
        "genz/corner_peak", "parameters.dimensions=[2]", "parameters.points=[10]", "parameters.by_hand=0"
    )
    errors_of = module("genz", "problem").test_errors
    (cell,) = problem.cells
    answers = (cell.test_y + 0.25 - cell.centre) / cell.scale
    np.testing.assert_allclose(errors_of(cell, answers), np.full((2, 5), 0.25))


def test_the_network_by_hand_begins_with_other_weights_under_another_seed():
    one = ["dimensions=[2]", "points=[10]", "repetitions=1", "hidden=[4]", "by_hand_updates=1"]
    problem, _ = problem_of("genz/gaussian", *(f"parameters.{each}" for each in one))
    errors = []
    for problem.seed in (0, 0, 1):  # its data stay those of seed 0
        errors.append(problem.results().tables["by_hand"][0]["mean_error_by_hand"])
    assert errors[0] == errors[1] != errors[2]


def medians(name):
    """The table of errors of a parameter file as it stands, by (d, N); without the hand-written networks."""
    errors = tables_of(f"genz/{name}", "parameters.by_hand=0")["errors"]
    return {(row["d"], row["N"]): row for _, row in errors.iterrows()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dimensions", "ratio"),
    [
        ("oscillatory", [10], 5),
        ("product_peak", [2, 5, 10], 5),
        ("corner_peak", [2, 5, 10], 5),
        ("gaussian", [2, 5, 10], 5),
        ("continuous", [2, 5, 10], 1.5),
    ],
)
def test_five_hundred_points_give_smaller_errors_than_ten(name, dimensions, ratio):
    errors = medians(name)
    for d in dimensions:
        assert errors[d, 500]["mean_error"] <= errors[d, 10]["mean_error"] / ratio, d
        if name != "continuous":
            assert errors[d, 500]["max_error"] < errors[d, 10]["max_error"], d


@pytest.mark.slow
def test_the_maximum_error_of_the_discontinuous_function_stays_as_large_as_its_jump():
    errors = medians("discontinuous")
    for points in (10, 50, 100, 500):
        assert errors[2, points]["relative_max_error"] > 0.3
        assert errors[5, points]["relative_max_error"] > 0.3
