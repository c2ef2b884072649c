"""Optimisers by name: all train, rates follow their formulas, averages are read where the optimiser means them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from toys import Bowl, Regression, advance_of, schedule_free, settings

from deqn.project.errors import UserError
from deqn.training.optimizers import averages_in_use, optimizer, schedule, use_averages
from deqn.training.phases import Phases
from deqn.training.settings import OptimizerSettings

NAMES = {"Adam": 0.05, "AdamW": 0.05, "Muon": 0.05, "RMSprop": 0.02, "SGD": 0.1, "ScheduleFreeAdamW": 0.1}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_an_optimiser_trains_the_regression_under_xla(name, dtype):
    problem = Regression(whole=True, dtype=dtype)
    (batch,) = problem.batches(0)
    options = {"weight_decay": 0.0} if name == "AdamW" else {}
    chosen = {"name": name, "learning_rate": NAMES[name], "schedule": "cosine", "options": options}
    advance, carry, phases = advance_of(problem, chosen, batch, updates=400)
    advance(batch, carry, tf.constant(0), tf.constant(400))
    use_averages(phases.optimizers, problem.trainable)
    np.testing.assert_allclose(problem.fitted(), problem.closed_form(), atol=0.01)
    assert problem.line.kernel.dtype == dtype


def by_hand(update, rate, warm_up, updates, final):
    """Linear from 0 to `rate` over the warm-up, then a half cosine to the share `final` of it."""
    if update < warm_up:
        return rate * update / warm_up
    share = min((update - warm_up) / (updates - warm_up), 1.0)
    return rate * (final + (1 - final) * 0.5 * (1 + np.cos(np.pi * share)))


@pytest.mark.parametrize("warm_up", [0, 20])
def test_a_cosine_with_warm_up_follows_its_formula(warm_up):
    chosen = OptimizerSettings(learning_rate=0.02, schedule="cosine", warm_up=warm_up, final=0.1)
    rates = schedule(chosen, 100)
    for update in (0, 1, 10, 19, 20, 21, 60, 99, 100, 150):
        np.testing.assert_allclose(rates(update), by_hand(update, 0.02, warm_up, 100, 0.1), rtol=1e-5)


def test_a_constant_rate_is_reached_at_the_end_of_its_warm_up():
    rates = schedule(OptimizerSettings(learning_rate=0.02, warm_up=4), 100)
    np.testing.assert_allclose([rates(n) for n in range(6)], [0.005, 0.01, 0.015, 0.02, 0.02, 0.02], rtol=1e-6)
    assert float(schedule(OptimizerSettings(learning_rate=0.02), 100)(0)) == pytest.approx(0.02)


def test_a_cut_of_the_rate_holds_without_compiling_again():
    problem = Bowl()
    advance, carry, phases = advance_of(problem)
    carry, _ = advance((), carry, tf.constant(0), tf.constant(1))
    phases.rate_scale.assign(0.25)
    advance((), carry, tf.constant(1), tf.constant(1))
    np.testing.assert_allclose(problem.x, (1 - 0.1 * Bowl.curvature) * (1 - 0.025 * Bowl.curvature), rtol=1e-6)
    assert advance.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"name": "muno"}, r"optimizer.name: 'muno' is not in keras.optimizers; did you mean 'Muon'\?"),
        ({"name": "LossScaleOptimizer"}, "optimizer.name: 'LossScaleOptimizer' is not in keras.optimizers"),
        ({"name": "Optimizer"}, "optimizer.name: 'Optimizer' is not"),
        ({"options": {"beta1": 0.9}}, "optimizer.options: keras.optimizers.Adam refuses .*beta1"),
        ({"options": {"learning_rate": 0.9}}, "optimizer.options: keras.optimizers.Adam refuses .*learning_rate"),
        ({"clip": 1.0, "options": {"clipnorm": 1.0}}, "refuses .*Only one of `clipnorm`"),
    ],
)
def test_an_unknown_name_or_option_is_told_on_one_line(chosen, message):
    with pytest.raises(UserError, match=message) as error:
        optimizer(OptimizerSettings(**chosen), 10, tf.Variable(1.0))
    assert "\n" not in str(error.value)


def test_optimisers_by_loss_must_have_the_names_of_the_losses_in_every_phase():
    last = {"updates": 5, "optimizer": {"policy": {"name": "SGD"}}}
    with pytest.raises(UserError, match=r"phases.1.optimizer: names \['policy'\], expected .* each of \['x'\]"):
        Phases(Bowl(), settings(phases=[{"updates": 5}, last]).phases)


def test_muon_does_not_decay_weights_unless_asked_to():
    made = optimizer(OptimizerSettings(name="Muon"), 10, tf.Variable(1.0))
    assert (made.weight_decay, made.adam_weight_decay) == (0.0, 0.0)
    asked = OptimizerSettings(name="Muon", options={"weight_decay": 0.1})
    assert optimizer(asked, 10, tf.Variable(1.0)).weight_decay == 0.1


def test_a_schedule_free_optimiser_is_read_at_its_average_and_trains_on_from_where_it_was():
    problem = Bowl()
    advance, carry, phases = advance_of(problem, {"name": "ScheduleFreeAdamW", "learning_rate": 0.1})
    advance((), carry, tf.constant(0), tf.constant(25))
    x, y = schedule_free(np.ones(2), 25, 0.1)
    assert np.abs(x - y).max() > 0.01
    moved = problem.x
    np.testing.assert_allclose(moved, y, atol=1e-5)
    with averages_in_use(phases.optimizers, problem.trainable):
        np.testing.assert_allclose(problem.x, x, atol=1e-5)
    np.testing.assert_array_equal(problem.x, moved)


@pytest.mark.parametrize("shape", [(3, 5), (7, 2)])
def test_the_step_of_muon_is_scaled_as_in_keras(shape):
    step = np.random.default_rng(0).normal(size=shape).astype("float32")
    made = optimizer(OptimizerSettings(name="Muon"), 10, tf.Variable(1.0))
    np.testing.assert_allclose(made.lr_adjust(tf.constant(step)), keras.optimizers.Muon().lr_adjust(step), rtol=1e-6)


def test_an_optimiser_with_use_ema_is_read_at_its_moving_average():
    problem = Bowl()
    chosen = {"name": "SGD", "learning_rate": 0.1, "options": {"use_ema": True, "ema_momentum": 0.5}}
    advance, carry, phases = advance_of(problem, chosen)
    average = np.ones(2)  # nothing is averaged before the first update
    with averages_in_use(phases.optimizers, problem.trainable):
        np.testing.assert_array_equal(problem.x, average)
    advance((), carry, tf.constant(0), tf.constant(3))
    path = [(1 - 0.1 * Bowl.curvature) ** update for update in (1, 2, 3)]
    average = 0.25 * path[0] + 0.25 * path[1] + 0.5 * path[2]
    use_averages(phases.optimizers, problem.trainable)
    np.testing.assert_allclose(problem.x, average, rtol=1e-5)


def test_every_optimiser_that_keras_has_can_be_named():
    for name in ("Adadelta", "Adafactor", "Adagrad", "Adamax", "Ftrl", "Lamb", "Lion", "Nadam", *NAMES):
        assert isinstance(optimizer(OptimizerSettings(name=name), 10, tf.Variable(1.0)), keras.optimizers.Optimizer)
