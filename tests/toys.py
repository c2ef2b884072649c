"""Four problems small enough to be known in closed form, which train through the engine, and one that breaks down."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from deqn.training.phases import Phases
from deqn.training.problem import Losses, Problem
from deqn.training.settings import TrainingSettings
from deqn.training.update import make_advance, update_key
from deqn.workers.workers import SingleWorker


def settings(updates=100, optimizer=None, **more):
    """Of one phase, or of as many as `phases` lists."""
    phases = more.pop("phases", [{"updates": updates, "optimizer": optimizer or {"name": "SGD", "learning_rate": 0.1}}])
    return TrainingSettings.model_validate({"phases": phases, **more})


def advance_of(problem, optimizer=None, batch=(), updates=100):
    """The compiled update of a problem, its first carry, and the phases that hold the optimisers."""
    phases = Phases(problem, settings(updates, optimizer).phases)
    carry = problem.start(tf.constant([0, 7]))
    return make_advance(problem, phases.optimizers, 0, SingleWorker(), (batch, carry)), carry, phases


@tf.function(jit_compile=True)
def drawn(draw, update):
    """`draw` of an update's key with seed 0, compiled as the engine does: outside XLA a key draws other numbers."""
    return draw(update_key(0, 0, update))


class Weights(keras.Model):
    """A vector to be trained."""

    def __init__(self, start, dtype="float32"):
        super().__init__(dtype=dtype)
        self.vector = self.add_weight(
            shape=(len(start),), name="vector", initializer=lambda shape, dtype: tf.constant(start, dtype)
        )
        self.built = True

    def call(self, inputs):
        return inputs * self.vector


class Regression(Problem):
    """Least squares on batches from the host: `episode_batches` of them, each 16 rows drawn by the episode's number."""

    def __init__(self, whole=False, dtype="float32", validates=True):
        generator = np.random.default_rng(3)
        self.x = generator.normal(size=(64, 3)).astype(dtype)
        self.y = (self.x @ [1.0, -2.0, 0.5] + 0.3 + 0.1 * generator.normal(size=64)).astype(dtype)
        self.whole, self.validates = whole, validates
        self.episode_batches = 1 if whole else 4
        self.line = keras.layers.Dense(1, dtype=dtype, kernel_initializer="zeros")
        self.networks = {"line": keras.Sequential([keras.Input((3,), dtype=dtype), self.line])}

    def batches(self, episode):
        generator = np.random.default_rng(episode)
        for _ in range(self.episode_batches):
            rows = np.arange(64) if self.whole else generator.choice(64, 16, replace=False)
            yield self.x[rows], self.y[rows]

    def losses(self, batch, carry, key):
        x, y = batch
        return Losses({"line": tf.reduce_mean((self.networks["line"](x)[:, 0] - y) ** 2)}, carry)

    def validate(self):
        if not self.validates:
            return {}
        error = np.asarray(self.networks["line"](self.x))[:, 0] - self.y
        return {"error_mean": float(np.abs(error).mean()), "error_max": float(np.abs(error).max())}

    def fitted(self):
        """Kernel and constant."""
        return np.concatenate([np.asarray(self.line.kernel)[:, 0], np.asarray(self.line.bias)])

    def closed_form(self):
        return np.linalg.lstsq(np.column_stack([self.x, np.ones(64)]).astype(float), self.y.astype(float))[0]


class ActorCritic(Problem):
    """The critic fits q(a) = v_0 + v_1 a + v_2 a^2 to the reward -(a - 0.7)^2 of random acts; the actor climbs q."""

    updates_per_call = 100
    best_act = 0.7

    def __init__(self):
        self.networks = {"actor": Weights([0.0]), "critic": Weights([0.0, 0.0, 0.0])}

    def q(self, act):
        v = self.networks["critic"].vector
        return v[0] + v[1] * act + v[2] * act**2

    def losses(self, batch, carry, key):
        act = tf.random.stateless_uniform([256], key, -1.0, 2.0)
        critic = tf.reduce_mean((self.q(act) + (act - self.best_act) ** 2) ** 2)
        return Losses({"actor": -tf.reduce_sum(self.q(self.networks["actor"].vector)), "critic": critic}, carry)


class Tracks(Problem):
    """x' = 0.8 x + 0.1 e on 64 tracks that live between updates; the network learns the persistence 0.8."""

    def __init__(self, updates_per_call=7, validates=True):  # 7: not where phases, validations and stages end
        self.updates_per_call, self.validates = updates_per_call, validates
        self.networks = {"persistence": Weights([0.1])}
        self.phase = None

    def start(self, key):
        return {"x": tf.random.stateless_normal([64], key), "updates": tf.constant(0)}

    def losses(self, batch, carry, key):
        x = carry["x"]
        following = 0.8 * x + 0.1 * tf.random.stateless_normal([64], key)
        error = following - self.networks["persistence"](x)
        return Losses(
            {"persistence": tf.reduce_mean(error**2)},
            {"x": following, "updates": carry["updates"] + 1},
            record={"mean_x": tf.reduce_mean(x)},
        )

    def enter_phase(self, settings, parameters):
        self.phase = dict(settings)

    def validate(self):
        return {"error": abs(float(self.networks["persistence"].vector[0]) - 0.8)} if self.validates else {}


class FixedPoint(Problem):
    """Finds the t with which x = t cos(x) has the solution 1/2, iterating to it in a loop without a bound."""

    compiler = "graph"
    updates_per_call = 50
    solution = 0.5 / np.cos(0.5)

    def __init__(self):
        self.networks = {"t": Weights([0.1])}

    def losses(self, batch, carry, key):
        t = self.networks["t"].vector[0]
        _, x = tf.while_loop(
            lambda before, x: tf.abs(x - before) > 1e-6, lambda _, x: (x, t * tf.cos(x)), (tf.ones([]), tf.zeros([]))
        )
        return Losses({"t": (x - 0.5) ** 2}, carry)


class Faults(NamedTuple):
    """At which counts of a Bowl's carry something breaks: -1 for never."""

    loss: int = -1
    gradient: int = -1
    gradients_from: int = 10**6


NO_FAULTS = Faults()


class Bowl(Problem):
    """0.5 x'Hx with curvatures 1 and 4: descent at rate r multiplies x by 1 - r and 1 - 4 r, and breaks at r > 1/2."""

    curvature = np.array([1.0, 4.0])

    def __init__(self, faults=NO_FAULTS, updates_per_call=10, detail=True):
        self.faults, self.updates_per_call, self.detail = faults, updates_per_call, detail
        self.networks = {"x": Weights([1.0, 1.0])}

    @property
    def x(self):
        return np.asarray(self.networks["x"].vector)

    def start(self, key):
        return tf.constant(0)

    def losses(self, batch, carry, key):
        def is_fault(count):
            return tf.equal(carry, count)

        x = _with_gradient(
            self.networks["x"].vector, is_fault(self.faults.gradient) | (carry >= self.faults.gradients_from)
        )
        errors = tf.broadcast_to(x, [5, 2])
        broken = tf.reshape(tf.range(10), [5, 2]) == 3  # the second entry of the second state
        errors = tf.where(broken & is_fault(self.faults.loss), tf.constant(np.nan), errors)
        loss = 0.5 * tf.reduce_sum(tf.reduce_mean(errors, axis=0) ** 2 * self.curvature)
        return Losses({"x": loss}, carry + 1, detail={"kkt": x, "euler": errors} if self.detail else {})

    def validate(self):
        return {"error": float(np.abs(self.x).max())}


def schedule_free(start, updates, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """x, y of Schedule-Free AdamW (Defazio et al. 2024, algorithm 1) on the bowl, x held as such; equal weights."""
    x = y = z = start
    velocity = np.zeros_like(start)
    for step in range(1, updates + 1):
        gradient = Bowl.curvature * y
        velocity = beta_2 * velocity + (1 - beta_2) * gradient**2
        z = z - rate * gradient / (np.sqrt(velocity / (1 - beta_2**step)) + epsilon)
        x = (1 - 1 / step) * x + z / step
        y = (1 - beta_1) * z + beta_1 * x
    return x, y


@tf.custom_gradient
def _with_gradient(x, is_broken):
    """x, with a gradient that is not a number where `is_broken`."""
    return tf.identity(x), lambda upstream: (tf.where(is_broken, tf.constant(np.nan, x.dtype), upstream), None)
