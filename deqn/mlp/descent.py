r"""Gradient descent and its variants, as formulas on a vector of weights.

Which data the gradient g sees makes the difference between batch, minibatch and stochastic descent (`batches`); the
rules say what is then done with it. t counts updates from 0, eta_t is the learning rate.

    GradientDescent  w <- w - eta_t g(w)
    Momentum         w <- w + v,   v = mu v - eta_t g(w)                                          (Qian 1999)
    ... nesterov     w <- w + v,   v = mu v - eta_t g(w + mu v)                                   (Nesterov 1983)
    AdaGrad          w <- w - eta_t g / sqrt(A + eps),   A = A + g^2                              (Duchi et al. 2011)
    RMSProp          w <- w - eta_t g / sqrt(A + eps),   A = beta A + (1 - beta) g^2              (Hinton 2012)
    Adam             w <- w - eta_t r m / (sqrt(v) + eps),   m = b1 m + (1 - b1) g,   v = b2 v + (1 - b2) g^2,
                     r = sqrt(1 - b2^(t+1)) / (1 - b1^(t+1))                                      (Kingma & Ba 2015)

Two slips of the lecture's slide are mended: its Nesterov looks ahead in the wrong direction, w - mu v with this sign of
v, and its Adam feeds the moments divided by 1 - b^t back into their own recursion, which overflows
(test_the_slides_adam_overflows_and_the_corrected_one_does_not).
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import final

import numpy as np

from deqn.mlp.checks import above_zero, share

Gradient = Callable[[np.ndarray], np.ndarray]  # [n] -> [n]
Rate = float | Callable[[int], float]
Memory = tuple[np.ndarray, ...]


def inverse_time(start: float, decay: float) -> Callable[[int], float]:
    """Returns the rate eta_t = start / (1 + decay t). Raises ValueError unless start > 0 and decay >= 0."""
    above_zero(start, "start")
    if not decay >= 0:
        raise ValueError(f"decay: got {decay}, expected a number of at least 0")
    return lambda t: start / (1 + decay * t)


def cosine(start: float, updates: int) -> Callable[[int], float]:
    """Returns a rate that falls from `start` to nearly 0 over so many updates (Loshchilov & Hutter 2017)."""
    above_zero(start, "start")
    return lambda t: start * max((1 + np.cos(np.pi * t / updates)) / 2, 1e-3)


class Descent(abc.ABC):
    """A subclass is a rule for one update. Its memory, vectors of the size of the weights, is passed in and out.

    rate: eta, a number or a function of t. Raises ValueError unless it is above 0.
    """

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        above_zero(self._eta(0), "rate")

    def _eta(self, t: int) -> float:
        return self.rate(t) if callable(self.rate) else self.rate

    def start(self, w: np.ndarray) -> Memory:
        """Returns the memory before the first update of w [n]."""
        return ()

    @abc.abstractmethod
    def step(self, w: np.ndarray, gradient: Gradient, memory: Memory, t: int) -> tuple[np.ndarray, Memory]:
        """Returns the weights and memory after update t of w [n]; the arguments are not changed."""


@final
class GradientDescent(Descent):
    """Plain descent, w <- w - eta_t g(w), has no memory."""

    def step(self, w: np.ndarray, gradient: Gradient, memory: Memory, t: int) -> tuple[np.ndarray, Memory]:
        return w - self._eta(t) * gradient(w), memory


@final
class Momentum(Descent):
    """Each change of the weights carries on a share mu of the change before, which is v.

    nesterov: the gradient is taken where momentum alone would lead, g(w + mu v). Keras moves the points w + mu v
    instead of w: its weights are those at which this rule takes gradients.
    """

    def __init__(self, rate: Rate, mu: float = 0.9, nesterov: bool = False) -> None:
        super().__init__(rate)
        self.mu, self.nesterov = share(mu, "mu"), nesterov

    def start(self, w: np.ndarray) -> Memory:
        return (np.zeros_like(w),)

    def step(self, w: np.ndarray, gradient: Gradient, memory: Memory, t: int) -> tuple[np.ndarray, Memory]:
        carried = self.mu * memory[0]
        v = carried - self._eta(t) * gradient(w + carried if self.nesterov else w)
        return w + v, (v,)


@final
class ScaledBySquares(Descent):
    """In AdaGrad and RMSProp each weight's rate falls with its squared gradients, A <- keep A + add g^2.

    AdaGrad sums them (keep = add = 1) and begins at `initial`, in Keras at 0.1; RMSProp averages them (keep = beta,
    add = 1 - beta).
    """

    def __init__(self, rate: Rate, keep: float, add: float, epsilon: float, initial: float = 0.0) -> None:
        super().__init__(rate)
        self.keep, self.add, self.epsilon, self.initial = keep, add, above_zero(epsilon, "epsilon"), initial

    def start(self, w: np.ndarray) -> Memory:
        return (np.full_like(w, self.initial),)

    def step(self, w: np.ndarray, gradient: Gradient, memory: Memory, t: int) -> tuple[np.ndarray, Memory]:
        g = gradient(w)
        A = self.keep * memory[0] + self.add * g**2
        return w - self._eta(t) * g / np.sqrt(A + self.epsilon), (A,)


def adagrad(rate: Rate, epsilon: float = 1e-7, initial: float = 0.0) -> Descent:
    """Makes the rule of Duchi, Hazan and Singer (2011)."""
    return ScaledBySquares(rate, 1.0, 1.0, epsilon, initial)


def rmsprop(rate: Rate, beta: float = 0.9, epsilon: float = 1e-7) -> Descent:
    """Makes the rule of Hinton (2012)."""
    return ScaledBySquares(rate, share(beta, "beta"), 1 - beta, epsilon)


@final
class Adam(Descent):
    """Adam averages the gradient and its square, and corrects both averages for having begun at 0.

    Algorithm 1 in the order that its authors recommend (end of section 2) and Keras follows; their epsilon-hat is eps.
    """

    def __init__(self, rate: Rate, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> None:
        super().__init__(rate)
        self.beta_1, self.beta_2 = share(beta_1, "beta_1"), share(beta_2, "beta_2")
        self.epsilon = above_zero(epsilon, "epsilon")

    def start(self, w: np.ndarray) -> Memory:
        return np.zeros_like(w), np.zeros_like(w)

    def step(self, w: np.ndarray, gradient: Gradient, memory: Memory, t: int) -> tuple[np.ndarray, Memory]:
        g = gradient(w)
        m = self.beta_1 * memory[0] + (1 - self.beta_1) * g
        v = self.beta_2 * memory[1] + (1 - self.beta_2) * g**2
        r = np.sqrt(1 - self.beta_2 ** (t + 1)) / (1 - self.beta_1 ** (t + 1))
        return w - self._eta(t) * r * m / (np.sqrt(v) + self.epsilon), (m, v)


def descend(rule: Descent, gradient: Gradient, start: np.ndarray, steps: int) -> Iterator[np.ndarray]:
    """Yields the weights [n] before the first update and after each of `steps` updates with one gradient."""
    w, memory = np.asarray(start, float), rule.start(np.asarray(start, float))
    yield w
    for t in range(steps):
        w, memory = rule.step(w, gradient, memory, t)
        yield w


def batches(rows: int, size: int | None, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yields the rows of each update of one pass over the data, in a new order every time.

    size: None for all rows at once (batch descent), 1 for stochastic descent, else minibatches, the last one smaller
    if size does not divide rows. Raises ValueError unless size is at least 1.
    """
    if size is None:
        yield np.arange(rows)
        return
    if size < 1:
        raise ValueError(f"size: got {size}, expected None or a whole number of at least 1")
    order = generator.permutation(rows)
    for first in range(0, rows, size):
        yield order[first : first + size]
