"""A perceptron of one input whose kinks are spread over the range of that input before training."""

from __future__ import annotations

import numpy as np

from deqn.mlp.networks import MLP


class Kinked(MLP):
    """A perceptron (`deqn.mlp.networks.MLP`) for a function of one input with many kinks.

    Keras begins with constants of zero: all units of the first layer then have their kink at the same input, and
    training has to move them apart. Here they begin evenly over the sample's range, half of them turned to each side.
    """

    def adapt(self, sample: np.ndarray) -> None:
        """Standardises from a sample [n, 1], and puts the kinks of the first layer over its range."""
        super().adapt(sample)
        first = self.layers_hidden[0]
        standardised = self.standardize(sample.astype(self.dtype)).numpy()[:, 0]
        kinks = np.linspace(standardised.min(), standardised.max(), first.units)
        side = np.where(np.arange(first.units) % 2, -1.0, 1.0)
        first.kernel.assign(side[None])
        first.bias.assign(-side * kinks)
