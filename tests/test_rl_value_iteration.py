"""Value iteration as updates of the engine: it is V <- T V, it contracts, and it finds the closed form."""

import numpy as np
import pytest
import tensorflow as tf
from problems import trained
from test_rl_environments import brock_mirman, economy, growth
from toys import advance_of, settings

from deqn.project.errors import UserError
from deqn.rl.economy_grid import economy_on_grid, refined, share_that_leads_to
from deqn.rl.value_iteration import Program, ValueIteration
from deqn.training.trainer import Trainer

SGD = {"name": "SGD", "learning_rate": 1.0}


class Given(ValueIteration):
    """A program of a test."""

    def __init__(self, program):
        self.set_program(program)

    def results(self):
        raise NotImplementedError


def random_program(seed=0, discount=0.9):
    generator = np.random.default_rng(seed)
    rewards = generator.normal(size=(2, 6, 6))
    rewards[0, 2, 1:4] = -np.inf
    transition = generator.dirichlet([1, 1], size=2)
    return Program(rewards, transition, discount)


def brute(program, value):
    """T V, by loops."""
    shocks, points, choices = program.rewards.shape
    new = np.empty((shocks, points))
    for z in range(shocks):
        for k in range(points):
            worth = []
            for m in range(choices):
                to = m if program.following is None else program.following[k, m]
                worth.append(program.rewards[z, k, m] + program.discount * program.transition[z] @ value[:, to])
            new[z, k] = max(worth)
    return new


def test_an_update_of_the_engine_is_an_application_of_the_bellman_operator():
    problem, value = Given(random_program()), np.zeros((2, 6))
    advance, carry, _ = advance_of(problem, SGD)
    for update in range(4):
        carry, _ = advance((), carry, tf.constant(update), tf.constant(1))
        value = brute(problem.program, value)
        np.testing.assert_allclose(problem.table.value, value, rtol=1e-14, atol=1e-14)


def test_choices_may_lead_elsewhere_than_to_the_point_of_their_number():
    program = random_program()
    following = np.random.default_rng(1).integers(6, size=(6, 6))
    problem = Given(program._replace(following=following))
    value = np.random.default_rng(2).normal(size=(2, 6))
    np.testing.assert_allclose(problem.bellman(tf.constant(value)), brute(problem.program, value), rtol=1e-14)


def test_the_fixed_point_is_the_value_of_its_own_policy():
    # A second way: with the best choices fixed, V solves a linear system.
    problem = Given(random_program())
    Trainer(problem, settings(400, SGD, validate_every=400, precision="float64")).train()
    rewards, transition, discount, _ = problem.program
    system, paid, choice = np.eye(12), np.zeros(12), problem.choices()
    for z in range(2):
        for k in range(6):
            paid[6 * z + k] = rewards[z, k, choice[z, k]]
            for following in range(2):
                system[6 * z + k, 6 * following + choice[z, k]] -= discount * transition[z, following]
    np.testing.assert_allclose(np.ravel(problem.table.value), np.linalg.solve(system, paid), rtol=1e-12)


def test_the_operator_contracts_by_the_discount_factor_and_no_more():
    problem = Given(random_program(discount=0.8))
    generator = np.random.default_rng(3)
    for _ in range(20):
        one, other = generator.normal(size=(2, 2, 6))
        shrunk = np.abs(problem.bellman(tf.constant(one)) - problem.bellman(tf.constant(other))).max()
        assert shrunk <= 0.8 * np.abs(one - other).max() + 1e-12
    shifted = problem.bellman(tf.constant(one + 1.0)) - problem.bellman(tf.constant(one))
    np.testing.assert_allclose(shifted, 0.8, rtol=1e-12)  # a shift shrinks by the modulus itself


def test_a_point_at_which_nothing_is_possible_is_named():
    program = random_program()
    program.rewards[1, 4] = -np.inf
    with pytest.raises(ValueError, match="no choice is possible in shock 1 at grid point 4, expected one or more"):
        Given(program)


def test_the_program_of_an_economy_has_its_utility_and_what_cannot_be_saved_is_impossible():
    grid = np.array([0.1, 0.2, 0.3, 0.9])
    program = economy_on_grid(brock_mirman("float64"), grid)
    z = np.exp([-0.1, 0.0, 0.1])[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        utility = np.log(z * grid[:, None] ** 0.36 - grid)
    np.testing.assert_allclose(program.rewards, np.where(np.isnan(utility), -np.inf, utility), rtol=1e-12)
    assert program.discount == 0.96 and np.isneginf(program.rewards[0, 0, 3])


def test_the_share_that_leads_to_next_periods_state_leads_there():
    made = growth("float64")
    state = made.initial_states(7, np.random.default_rng(0))
    share = share_that_leads_to(made, state.capital, state.shock, 1.01 * state.capital[:, None])[:, 0]
    policy = made.policy_from_share(tf.constant(share), made.tensors(state))
    np.testing.assert_allclose(policy.savings, 1.01 * state.capital, rtol=1e-12)
    budget = policy.savings + policy.consumption
    np.testing.assert_allclose(budget, made.goods(made.tensors(state)).cash, rtol=1e-12)


def test_a_parabola_is_refined_to_its_top():
    grid = np.linspace(0, 1, 11)
    objective = -((grid - 0.537) ** 2)[None, None, :]
    np.testing.assert_allclose(refined(objective, np.array([[5]]), grid), 0.537, rtol=1e-12)
    np.testing.assert_allclose(
        refined(objective[..., ::-1] * 0 + grid, np.array([[10]]), grid), 1.0
    )  # at an end: itself


def test_an_economy_of_two_continuous_states_has_no_grid():
    ar1 = economy("growth", "ar1.GrowthAR1", nodes=3)
    with pytest.raises(UserError, match="a grid needs a State of a shock and one number, got"):
        economy_on_grid(ar1, np.linspace(50, 90, 5))


def test_brock_and_mirman_on_a_grid_meet_the_closed_form():
    row = trained("brock_mirman/brock_mirman_vfi", "parameters.points=400").results().tables["iteration"][0]
    assert row["contraction"] <= 0.96 + 1e-6
    assert row["savings error, max"] <= row["grid step"]
    assert row["value error, max"] < 2e-5
    assert row["euler error, mean"] < 1e-3
