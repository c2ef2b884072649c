"""A trained problem that is no economy: its networks, and what they say of new inputs.

run = deqn.load("quantiles/first")
forecasts = run.predict(past)      # [n, history] -> [n, horizon, quantiles]
run.networks["network"]            # Keras, to look at or to train on
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from deqn.project.run import RunFolder

if TYPE_CHECKING:
    import keras

    from deqn.training.problem import Problem


@final
class Trained:
    """A run's problem with its best weights, or its last ones if it does not validate.

    problem: as the run's Python has it, with its data; networks: Keras networks by name.
    """

    def __init__(self, run: RunFolder, problem: Problem) -> None:
        self.run, self.problem = run, problem
        self.networks: Mapping[str, keras.Model] = problem.networks

    def predict(self, inputs: Any, network: str | None = None) -> Any:
        """What the problem's `predict` says of new inputs, NumPy in and out: see its docstring for shapes.

        network: which of several answers. Raises UserError for inputs of another shape, or a network that is not there.
        """
        return self.problem.predict(inputs, network)
