"""The interface between sequence networks with latent variables and the bounds on their likelihoods."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Step(NamedTuple):
    """The result of one period for n rows (sequences times particles).

    state: what is carried, tensors [n, ...]. log_weight: [n], ln p(z_t | past) + ln p(x_t | z_t, past) - ln q(z_t).
    divergence: [n], KL(q || p) of z_t. mean, log_variance: [n, features], of x_t given z_t and the past.
    """

    state: Any
    log_weight: tf.Tensor
    divergence: tf.Tensor
    mean: tf.Tensor
    log_variance: tf.Tensor


class LatentSequence(keras.Model, abc.ABC):
    """A distribution of sequences x_1..x_T with latent z_1..z_T, and a proposal q for each z_t that sees x_1..x_t.

    p(x, z) = prod_t p(z_t | z_<t, x_<t) p(x_t | z_<=t, x_<t). Subclasses are final or abstract.
    """

    latent: int  # size of z_t

    @abc.abstractmethod
    def encode(self, x: tf.Tensor) -> Any:
        """Computes all that depends on x [batch, time, features] alone, once for all particles: [batch, time, ...]."""

    @abc.abstractmethod
    def start(self, rows: int) -> Any:
        """Returns the state before the first period, [rows, ...]."""

    @abc.abstractmethod
    def step(self, state: Any, seen: Any, noise: tf.Tensor) -> Step:
        """Makes one period; seen: of `encode`, [rows, ...]; noise: standard normal [rows, latent], which draws z_t."""
