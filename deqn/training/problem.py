"""The protocol between what is solved and the engine that trains it.

What differs between an equilibrium, a regression, a sequence model and an agent is where an episode's data come from,
what is minimised, and what lives between updates. A problem supplies these three; the engine owns the update.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from deqn.project.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import numpy as np
    import tensorflow as tf


Batch = Any
Carry = Any


class Losses(NamedTuple):
    """What one batch says about the networks.

    minimize: one scalar for each entry of `Problem.trainable`.
    carry: tensors that live between updates (simulated tracks, hidden state); same structure and shapes as came in.
    record: scalars for metrics.csv, averaged over the updates of an episode.
    detail: errors by condition, each [batch] or [batch, ...], from which a message says where a NaN began.
    """

    minimize: Mapping[str, tf.Tensor]
    carry: Carry
    record: Mapping[str, tf.Tensor] = {}
    detail: Mapping[str, tf.Tensor] = {}


class Results(NamedTuple):
    """What a trained problem shows.

    headline: its figure in a few words, such as "test accuracy 0.967"; `deqn list` shows it beside the run.
    tables: rows by the name of the table, columns in the order of the first row; each is written as NAME.csv.
    printed: the names of the tables that are printed; None: all of them.
    arrays: written as results.npz, for figures.py beside the parameter file and for checks of one's own.
    archives: further arrays by the name of their file, NAME.npz.
    description: further entries of description.json, which figures and tables read.
    notes: lines that are printed below the tables.
    """

    headline: str
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    arrays: Mapping[str, np.ndarray] = {}
    archives: Mapping[str, Mapping[str, np.ndarray]] = {}
    printed: Sequence[str] | None = None
    description: Mapping[str, Any] = {}
    notes: Sequence[str] = ()


class Problem(abc.ABC):
    """What a parameter file names, `problem:` or for the equilibrium of an economy `economy:`. Subclasses are final.

    Such a class stands in problem.py beside the parameter file. It is made as Class(parameters, settings, rank, ranks):

    parameters: of the file, an instance of the schema in parameters.py: the class named as this one with "Parameters"
        after it, else `Parameters`.
    settings: the rest of the file; `seed`, `precision` and `workers` concern a problem.
    rank: of `ranks` workers; each should draw data of its own.

    It has these attributes:

    networks: saved in checkpoints and kept equal on all workers: target networks and normalisers too.
    trainable: the variables that each loss trains; the same key names the loss, the variables and their optimiser. By
        default each network has a loss of its own, under the network's name.
    compiler: "xla", or "graph" where XLA can't compile (a while_loop without a bound).
    updates_per_call: updates made on one batch before Python sees the result; above 1 only where `losses` makes its
        own data from carry and key.
    states_per_update: of those that decide in an economy, its states that an update looks at; `deqn compare` shows it.
    updates_per_episode: of a problem whose `losses` simulate an episode and make so many updates on it; None where an
        episode is what `batches` gives.
    """

    networks: Mapping[str, keras.Model]
    compiler: Literal["xla", "graph"] = "xla"
    updates_per_call: int = 1
    states_per_update: int = 0
    updates_per_episode: int | None = None

    @functools.cached_property
    def trainable(self) -> Mapping[str, Sequence[keras.Variable]]:
        """The variables that each loss trains."""
        return {name: network.trainable_variables for name, network in self.networks.items()}

    def start(self, key: tf.Tensor) -> Carry:
        """The first carry, such as tracks or a hidden state of zeros; `key` is a stateless seed, int32 [2]."""
        return ()

    def batches(self, episode: int) -> Iterator[Batch]:
        """The data of one episode, made on the host: by default one empty batch, because `losses` simulates."""
        yield ()

    @abc.abstractmethod
    def losses(self, batch: Batch, carry: Carry, key: tf.Tensor) -> Losses:
        """Pure TensorFlow (branches and loops on tensors are tf.cond and tf.while_loop).

        All randomness comes from `key`, int32 [2].
        """

    def after_update(self) -> None:  # noqa: B027 - by default nothing follows
        """Runs in the graph after the variables have changed, for instance to average target networks."""

    def enter_phase(self, settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        """What a phase of training changes in the problem itself; the update is compiled anew afterwards.

        parameters: those that differ in this phase from the file's. Validation is of the file's own in every phase.
        """
        if settings or parameters:
            changes = {**settings, **parameters}
            raise ValueError(f"phases: {type(self).__name__} has nothing that a phase can change, got {changes}")

    def follow_parameters(self, say: Callable[[str], None]) -> bool:
        """Runs when a phase with other parameters than the last one's begins; what it has to tell goes to `say`.

        Returns whether networks were changed and what `start` gives begins anew; by default nothing follows.
        """
        return False

    def validate(self) -> Mapping[str, float]:
        """Errors on data that training never sees; the first decides which weights are best, or what `judged` says.

        Without entries no weights are kept as the best ones. Over several workers the mean of each entry is taken, or
        the largest where its name ends in _max or .max.
        """
        return {}

    def validate_from(self, carry: Carry) -> Mapping[str, float]:
        """As `validate`, for a problem whose validations begin where training is; by default they do not.

        carry: that of the next update.
        """
        return self.validate()

    def judged(self, errors: Mapping[str, float]) -> Mapping[str, float]:
        """What `validate` gave, over all workers, with the figure in front that decides which weights are best.

        The smaller it is the better. By default the entries stay as they are.
        """
        return errors

    def in_words(self, errors: Mapping[str, float]) -> str:
        """The deciding figure of what `judged` gave, as a reader sees it."""
        name, value = next(iter(errors.items()))
        return f"{name.replace('_', ' ')} {value + 0.0:.4g}"  # never -0

    def host_state(self) -> Mapping[str, Any]:
        """NumPy arrays that live on the host between episodes: replay buffers, environments."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - by default there is nothing to take back
        """Takes back what `host_state` gave."""

    def start_from(self, host_state: Mapping[str, Any]) -> None:  # noqa: B027 - by default the networks are enough
        """What a training that begins with the networks of another run takes of that run's host state."""

    def warm_start(self, say: Callable[[str], None]) -> None:  # noqa: B027 - by default training begins untrained
        """A first guess, made before a training that begins from nothing; `say` is told of its progress."""

    # --- what the commands ask ------------------------------------------------------------------------------------

    def describe(self) -> Mapping[str, str]:
        """What the header of a training says: a line of text by its first word, such as {"data": "20,000 strings"}."""
        return {}

    def results(self) -> Results:
        """What has been found: called on a new object with a run's weights, the best ones if the problem validates.

        `restore` has been called with the host state of the run's end.
        """
        return Results("trained", {})

    def at_stage(self) -> Sequence[Mapping[str, Any]]:
        """Rows that are kept of the weights at `checkpoints.stages`, as stages/PERCENT.csv; by default none."""
        return ()

    def predict(self, inputs: Any, network: str | None = None) -> Any:
        """What the present weights say of new inputs, NumPy in and out; for `deqn.load`.

        By default the outputs of a network: inputs as it takes them, [batch, ...]; network: its name, if there are
        several. Raises UserError for inputs that it does not take, or no network of that name.
        """
        import tensorflow as tf

        name = network or next(iter(self.networks))
        if name not in self.networks or (network is None and len(self.networks) > 1):
            raise UserError(f"network: got {network!r}, expected one of {', '.join(self.networks)}")
        try:
            return tf.nest.map_structure(lambda x: x.numpy(), self.networks[name](tf.convert_to_tensor(inputs)))
        except (ValueError, TypeError, tf.errors.InvalidArgumentError, NotImplementedError) as error:
            first = str(error).strip().splitlines()[0]
            shape = getattr(inputs, "shape", None)
            raise UserError(f"predict: {name} does not take inputs of shape {shape}: {first}") from error

    def rule(self) -> Any:
        """What the present weights decide, a DecisionRule in an economy of float64; for `deqn.load` and `deqn compare`.

        Raises UserError unless the problem decides in an economy.
        """
        raise UserError(f"{type(self).__name__} decides in no economy and has no states; expected an economy")

    def training_rule(self) -> Any:
        """What `rule` gives, in the precision of the training where that is faster: for means over many tracks."""
        return self.rule()
