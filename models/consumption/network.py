"""A perceptron of one input whose kinks are spread over the range of that input before training."""

from __future__ import annotations

import numpy as np

from deqn.mlp.networks import MLP


class Kinked(MLP):
    """A perceptron for a function of one input with many kinks, which begin evenly over the sample's range."""

    def adapt(self, sample: np.ndarray) -> None:
        """Standardises from a sample [n, 1], and puts the kinks of the first layer over its range."""
        super().adapt(sample)
        self.spread_bends(sample)
