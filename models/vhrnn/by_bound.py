"""What trainings of variational recurrent networks have in common: a network that raises a bound on its likelihood."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from deqn.sequence.bounds import BOUNDS, fivo
from deqn.sequence.hyper import VHRNN
from deqn.sequence.variational import VRNN, Data, VariationalRNN
from deqn.training.problem import Batch, Carry, Losses, Problem
from deqn.training.settings import TrainingSettings

from .parameters import NetworkParameters


class ByBound(Problem, abc.ABC):
    """Subclasses are final, read their data and call `set_network`. A batch is x [batch, T, d], or x and lengths."""

    def set_network(self, parameters: NetworkParameters, data: Data, settings: TrainingSettings) -> None:
        """Makes the network that the parameters name."""
        p, self.seed, self.dtype = parameters, settings.seed, settings.precision
        self.p = p
        more = {} if p.network == "vrnn" else {"omega_width": p.omega_width, "hyper_inputs": p.hyper_inputs}
        self.network: VariationalRNN = {"vrnn": VRNN, "vhrnn": VHRNN}[p.network](
            data, p.latent, p.hidden, p.layers, settings.seed, dtype=self.dtype, cell=p.cell, **more
        )
        self.compiled: dict[tuple[Callable, int], Callable] = {}
        self.networks = {"network": self.network}
        self.trainable = {"network": self.network.live_weights()}

    def of_network(self) -> dict[str, str]:
        """Returns what the header says of network and bound."""
        p = self.p
        return {
            "network": f"{p.network.upper()} of {p.cell.upper()}s, z = {p.latent}, h = {p.hidden}: "
            f"{self.network.parameters()} weights in use, {self.network.parameters(live=False)} as the paper counts",
            "bound": f"{p.bound}, {p.particles} particles",
        }

    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Returns the negative bound, in nats a step."""
        x, lengths = batch if isinstance(batch, tuple) else (batch, None)
        bound = BOUNDS[self.p.bound](self.network, x, key, self.p.particles, lengths)
        if lengths is None:
            loss = -tf.reduce_mean(bound.log_p) / x.shape[1]
        else:
            loss = -tf.reduce_sum(bound.log_p) / tf.cast(tf.reduce_sum(lengths), x.dtype)
        return Losses({"network": loss}, carry, {"divergence": tf.reduce_mean(bound.divergence)})

    def evaluate(self, x: np.ndarray, particles: int, bound: Callable = fivo, lengths: np.ndarray | None = None) -> Any:
        """Returns a bound on sequences [n, T, d], with draws that depend on the seed of the file alone."""
        key = tf.constant([self.seed, 77])
        if (bound, particles) not in self.compiled:  # compiled anew for other shapes only
            self.compiled[bound, particles] = tf.function(
                lambda x, lengths: bound(self.network, x, key, particles, lengths), jit_compile=True, autograph=False
            )
        given = None if lengths is None else tf.constant(lengths, tf.int32)
        found = self.compiled[bound, particles](tf.constant(x, self.dtype), given)
        return type(found)(*(each.numpy() for each in found))
