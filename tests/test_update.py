"""One compiled update: what it minimises, what it carries on, and what it does with numbers that are not finite."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from toys import ActorCritic, Bowl, Faults, FixedPoint, Regression, Tracks, Weights, advance_of, drawn

from deqn.training.problem import Losses, Problem
from deqn.training.update import make_advance, update_key


class Broken(Problem):
    """Whose losses are what `answer` makes of its two vectors."""

    def __init__(self, answer):
        self.answer = answer
        self.networks = {"used": Weights([1.0, 2.0]), "idle": Weights([3.0])}
        self.trainable = {"all": [self.networks["used"].vector, self.networks["idle"].vector]}

    def start(self, key):
        return tf.zeros([3])

    def losses(self, batch, carry, key):
        return self.answer(self.networks["used"].vector, self.networks["idle"].vector, carry)


class Mirror:
    """A rank of two whose other one sees the same."""

    kind, rank, size, local_rank = "made", 0, 2, 0

    def average(self, vector):
        return vector


def normal(key):
    return tf.random.stateless_normal([64], key)


def run(advance, carry, first, count, batch=()):
    return advance(batch, carry, tf.constant(first), tf.constant(count))


def test_one_call_of_many_updates_equals_many_calls_of_one_bit_for_bit():
    results = []
    for counts in ([40], [1] * 40):
        problem = Tracks()
        advance, carry, phases = advance_of(problem, {"name": "Adam", "learning_rate": 0.01, "schedule": "cosine"})
        for number, count in enumerate(counts):
            carry, _ = run(advance, carry, number, count)
        results.append([np.array(x) for x in (*tf.nest.flatten(carry), *phases.optimizers["persistence"].variables,
                                              problem.networks["persistence"].vector)])  # fmt: skip
    for whole, single in zip(*results, strict=True):
        np.testing.assert_array_equal(whole, single)


def test_the_carry_after_many_updates_is_the_simulation_that_numpy_makes_of_it():
    problem = Tracks()
    advance, carry, _ = advance_of(problem)
    x = carry["x"].numpy().astype(float)
    carry, _ = run(advance, carry, 5, 30)
    for update in range(5, 35):
        x = 0.8 * x + 0.1 * drawn(normal, tf.constant(update)).numpy()
    np.testing.assert_allclose(carry["x"], x, atol=1e-6)
    assert int(carry["updates"]) == 30


def begun_actor_critic():
    problem = ActorCritic()
    problem.networks["critic"].vector.assign([0.2, 0.5, -0.3])
    problem.networks["actor"].vector.assign([0.4])
    return problem


def alone_and_mirrored(make, count, optimizer=None, local_updates=1):
    """The problem, carry and tally after `count` updates by one rank, and by one of two that see the same."""
    for mirrored in (False, True):
        problem = make()
        advance, carry, phases = advance_of(problem, optimizer)
        if mirrored:
            advance = make_advance(problem, phases.optimizers, 0, Mirror(), ((), carry), local_updates)
        yield problem, run(advance, carry, 0, count)


@pytest.mark.parametrize(
    "faults", [Faults(), Faults(gradient=2), Faults(loss=0), Faults(loss=2), Faults(loss=4)], ids=str
)
def test_ranks_that_see_the_same_make_the_updates_of_one_bit_for_bit(faults):
    (alone, left), (ranked, left_ranked) = alone_and_mirrored(lambda: Bowl(faults), 5)
    np.testing.assert_array_equal(alone.x, ranked.x)
    tf.nest.map_structure(np.testing.assert_array_equal, left, left_ranked)


@pytest.mark.parametrize("faults", [Faults(), Faults(gradient=2), Faults(loss=4)], ids=str)
def test_ranks_that_see_the_same_and_average_weights_make_the_updates_of_one_bit_for_bit(faults):
    (alone, left), (ranked, left_ranked) = alone_and_mirrored(lambda: Bowl(faults), 5, local_updates=2)
    np.testing.assert_array_equal(alone.x, ranked.x)
    # Sums are added in another order.
    tf.nest.map_structure(functools.partial(np.testing.assert_allclose, rtol=1e-6), left, left_ranked)


def test_ranks_average_their_weights_after_so_many_updates_of_their_own():
    other = 3.0  # all that the other rank ever sends

    class Constant(Mirror):
        def average(self, vector):
            return tf.concat([vector[:1], (vector[1:] + other) / 2], axis=0)  # in front: no loss was bad

    problem, plain = Bowl(), Bowl()
    _, carry, phases = advance_of(problem, {"name": "SGD", "learning_rate": 0.1})
    advance = make_advance(problem, phases.optimizers, 0, Constant(), ((), carry), local_updates=2)
    run(advance, carry, 0, 5)
    advance, carry, _ = advance_of(plain, {"name": "SGD", "learning_rate": 0.1})
    for first, count in ((0, 2), (2, 2), (4, 1)):
        carry, _ = run(advance, carry, first, count)
        plain.networks["x"].vector.assign((plain.x + other) / 2)
    np.testing.assert_allclose(problem.x, plain.x, rtol=1e-6)


def test_ranks_move_each_network_by_the_gradient_of_its_own_loss():
    optimizer = {name: {"name": "SGD", "learning_rate": 0.1} for name in ("actor", "critic")}
    (alone, _), (ranked, _) = alone_and_mirrored(begun_actor_critic, 3, optimizer)
    for name in optimizer:
        np.testing.assert_array_equal(alone.networks[name].vector, ranked.networks[name].vector)


def test_keys_differ_between_updates_ranks_and_seeds():
    of = itertools.product((0, 1), (0, 1), range(50))
    assert len({tuple(update_key(seed, rank, tf.constant(update)).numpy()) for seed, rank, update in of}) == 200


def test_each_loss_moves_its_own_variables_only():
    problem = begun_actor_critic()
    optimizer = {"actor": {"name": "SGD", "learning_rate": 0.1}, "critic": {"name": "SGD", "learning_rate": 0.05}}
    advance, carry, _ = advance_of(problem, optimizer)
    _, tally = run(advance, carry, 0, 1)
    act = drawn(lambda key: tf.random.stateless_uniform([256], key, -1.0, 2.0), tf.constant(0)).numpy().astype(float)
    error = 0.2 + 0.5 * act - 0.3 * act**2 + (act - 0.7) ** 2
    gradient = [2 * (error * act**power).mean() for power in range(3)]
    np.testing.assert_allclose(problem.networks["actor"].vector, [0.4 + 0.1 * (0.5 - 0.6 * 0.4)], rtol=1e-6)
    np.testing.assert_allclose(
        problem.networks["critic"].vector, np.array([0.2, 0.5, -0.3]) - 0.05 * np.array(gradient), rtol=1e-5
    )
    np.testing.assert_allclose(tally.sums["critic"], (error**2).mean(), rtol=1e-5)
    np.testing.assert_allclose(tally.sums["loss"], tally.sums["actor"] + tally.sums["critic"], rtol=1e-6)


def test_the_norm_of_all_gradients_together_is_clipped():
    problem = Regression(whole=True)
    (batch,) = problem.batches(0)
    x, y = np.column_stack([problem.x, np.ones(64)]).astype(float), problem.y
    gradient = -2 * x.T @ y / 64  # at zero weights
    assert np.linalg.norm(gradient) > 1
    advance, carry, _ = advance_of(problem, {"name": "SGD", "learning_rate": 0.1, "clip": 0.5}, batch)
    run(advance, carry, 0, 1, batch)
    np.testing.assert_allclose(problem.fitted(), -0.1 * 0.5 * gradient / np.linalg.norm(gradient), rtol=1e-5)


def test_a_gradient_that_is_not_finite_is_skipped_and_counted_and_the_carry_goes_on():
    problem = Bowl(Faults(gradient=2))
    advance, carry, phases = advance_of(problem)
    carry, tally = run(advance, carry, 0, 4)
    x, losses = np.ones(2), []
    for update in range(4):
        losses.append(0.5 * (x**2 * Bowl.curvature).sum())
        x = x * (1 - 0.1 * Bowl.curvature) if update != 2 else x
    np.testing.assert_allclose(problem.x, x, rtol=1e-6)
    assert (int(tally.skipped), int(tally.first_bad), int(carry)) == (1, -1, 4)
    assert int(phases.optimizers["x"].iterations) == 3
    np.testing.assert_allclose(tally.sums["loss"], np.sum(losses), rtol=1e-6)


def test_a_loss_that_is_not_finite_ends_the_call_with_the_weights_and_carry_that_made_it():
    problem = Bowl(Faults(loss=3))
    advance, carry, _ = advance_of(problem)
    carry, tally = run(advance, carry, 100, 10)
    assert (int(tally.first_bad), int(carry)) == (103, 3)
    np.testing.assert_allclose(problem.x, (1 - 0.1 * Bowl.curvature) ** 3, rtol=1e-6)


def test_the_largest_loss_of_losses_below_zero_is_below_zero():
    problem = Broken(lambda used, idle, carry: Losses({"all": -tf.reduce_sum(used**2) - tf.reduce_sum(idle**2)}, carry))
    advance, carry, _ = advance_of(problem)
    _, tally = run(advance, carry, 0, 2)
    np.testing.assert_allclose(tally.largest_loss, -14.0, rtol=1e-6)


def test_a_variable_that_the_loss_does_not_use_is_named():
    advance, carry, _ = advance_of(Broken(lambda used, idle, carry: Losses({"all": tf.reduce_sum(used**2)}, carry)))
    with pytest.raises(ValueError, match=r"loss 'all' does not depend on \S*weights_\d+/vector: leave these out"):
        run(advance, carry, 0, 1)


@pytest.mark.parametrize(
    ("carry", "message"),
    [
        (lambda carry: tf.zeros([4]), r"a carry of float32 \(3,\) came back as float32 \(4,\), expected the same"),
        (lambda carry: tf.zeros([3], tf.float64), r"came back as float64 \(3,\)"),
        (lambda carry: (carry, carry), "structure"),
    ],
)
def test_a_carry_of_another_shape_type_or_structure_is_refused(carry, message):
    with pytest.raises((ValueError, TypeError), match=message):
        advance_of(Broken(lambda used, idle, c: Losses({"all": tf.reduce_sum(used) + tf.reduce_sum(idle)}, carry(c))))


def test_losses_must_have_the_names_of_what_they_train():
    with pytest.raises(ValueError, match=r"minimises \['policy'\], expected one loss .* trainable: \['all'\]"):
        advance_of(Broken(lambda used, idle, carry: Losses({"policy": tf.reduce_sum(used)}, carry)))


def test_xla_refuses_a_loop_without_a_bound():
    problem = FixedPoint()
    problem.compiler = "xla"
    advance, carry, _ = advance_of(problem)
    with pytest.raises(tf.errors.InvalidArgumentError, match="XLA"):
        run(advance, carry, 0, 2)
