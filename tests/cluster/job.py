"""What one rank does in the tests of several: `python job.py NAME KIND FOLDER` trains and leaves RANK.json there."""

import json
import os
import sys
from pathlib import Path

import numpy as np

from deqn.workers.devices import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
import toys  # noqa: E402
from small import economy_of, file_of  # noqa: E402

from deqn.equilibrium.decision_rule import NetworkRule  # noqa: E402
from deqn.equilibrium.network import build_network  # noqa: E402
from deqn.project.errors import Diverged, UserError  # noqa: E402
from deqn.training.problem import Losses, Problem  # noqa: E402
from deqn.training.trainer import Trainer  # noqa: E402
from deqn.workers.ranks import together  # noqa: E402
from deqn.workers.settings import WorkerSettings  # noqa: E402

TINY = Path(__file__).parents[2] / "models/olg/tiny.yaml"
STATES = 64


class FedOverlappingGenerations(Problem):
    """The Euler errors of the six cohorts at states from the host: of n ranks each gets every n-th of the same 64."""

    def __init__(self, rank, ranks):
        # A perceptron: behind an output layer that begins at zero gradients would be rounding, which Adam enlarges.
        self.economy = economy_of(TINY, dtype="float32")
        settings = file_of(TINY, "network.kind=mlp", "network.own=false").settings
        network = build_network(self.economy, settings.network, seed=0)
        self.rule = NetworkRule(self.economy, network, heads=True)
        states = self.economy.initial_states(STATES, np.random.default_rng(5))
        network.adapt(np.asarray(self.economy.features(self.economy.tensors(states))))
        self.states = self.economy.tensors(tf.nest.map_structure(lambda x: x[rank::ranks], states))
        self.networks = {"policy": network}

    def batches(self, episode):
        yield self.states

    def losses(self, batch, carry, key):
        policy = self.rule(batch)
        errors = self.economy.residuals(batch, policy, self.rule.expectation(batch, policy))["euler"]
        return Losses({"policy": tf.reduce_mean(errors**2)}, carry)


class OneSided(toys.Regression):
    """Least squares; on rank 1 a fault: its data turn to NaN, or its host side raises."""

    def __init__(self, rank, fault):
        super().__init__(whole=True)
        self.rank, self.fault = rank, fault

    def batches(self, episode):
        for x, y in super().batches(episode):
            if self.rank == 1 and episode == 5 and self.fault == "raises":
                raise RuntimeError("no memory left on this node")
            yield (x, y * np.nan if self.rank == 1 and self.fault == "nan" and episode >= 5 else y)


def learned(problem, workers):
    """The weights that a problem trains, before and after 20 updates of Adam."""

    def weights():
        return np.concatenate([np.ravel(each) for group in problem.trainable.values() for each in group]).tolist()

    before = weights()
    Trainer(problem, toys.settings(20, {"name": "Adam", "learning_rate": 1e-3}), workers=workers).train()
    return {"before": before, "weights": weights()}


def fed(workers, compression):
    """Learns from the same 64 states, however many ranks share them."""
    return learned(FedOverlappingGenerations(workers.rank, workers.size), workers)


def agent(workers, compression):
    """DQN on the same 64 transitions, however many ranks share them."""
    import rl_worlds

    return learned(rl_worlds.FedDQN(workers.rank, workers.size), workers)


def tracks(workers, compression, local_updates=1):
    """Weights and simulated states after 50 updates on tracks of each rank's own."""
    problem = toys.Tracks(validates=False)
    trainer = Trainer(problem, toys.settings(50, workers={"local_updates": local_updates}), workers=workers)
    trainer.train()
    return {
        "weights": np.asarray(problem.networks["persistence"].vector).tolist(),
        "states": np.asarray(trainer.carry["x"]).tolist(),
        "checksums": trainer.weights_checksums(),
    }


def tracks_averaged(workers, compression):
    """The same with weights averaged after every third update."""
    return tracks(workers, compression, local_updates=3)


def asked_to_stop(workers, compression):
    """Rank 1 alone is asked to stop after its third episode: how many updates each rank made."""
    asked = iter([False, False, True, *[True] * 99]) if workers.rank == 1 else iter([False] * 99)
    trainer = Trainer(toys.Tracks(), toys.settings(70), workers=workers, should_stop=lambda: next(asked))
    outcome = trainer.train()
    return {"stopped": outcome.stopped, "updates": outcome.updates}


def other_plan(workers, compression):
    """Rank 1 has another number of updates."""
    Trainer(toys.Tracks(), toys.settings(70 + 7 * workers.rank), workers=workers).train()
    return {}


def unequal(workers, compression):
    """Rank 1's weights are changed behind the engine's back."""
    problem = toys.Tracks()

    def changed():
        if workers.rank == 1:
            problem.networks["persistence"].vector.assign([0.123])
        return False

    Trainer(problem, toys.settings(70, validate_every=7), workers=workers, should_stop=changed).train()
    return {}


def nan_averaged(workers, compression):
    """Rank 1 alone sees a NaN between two averages of weights."""
    return nan(workers, compression, local_updates=3)


def nan(workers, compression, local_updates=1):
    """Rank 1 alone sees a NaN: what each rank then does."""
    said = []
    settings = toys.settings(60, validate_every=4, workers={"local_updates": local_updates})
    try:
        Trainer(OneSided(workers.rank, "nan"), settings, workers=workers, say=said.append).train()
    except Diverged as error:
        said.append(str(error))
    return {"said": said}


def raises(workers, compression):
    """Rank 1's data source fails."""
    Trainer(OneSided(workers.rank, "raises"), toys.settings(60), workers=workers).train()
    return {}


def averages(workers, compression):
    """The mean over ranks of a vector, in a graph, and every rank's number."""

    @tf.function
    def mean():
        return workers.average(tf.constant([1.0, 10.0 / 3]) * (workers.rank + 1))

    return {"means": mean().numpy().tolist(), "ranks": workers.gather(workers.rank)}


def main(name, kind, folder, compression="none"):
    keras.utils.set_random_seed(0)
    settings = WorkerSettings(compression=compression, stall_seconds=float(os.environ.get("STALL_SECONDS", "60")))
    with together(kind, settings) as workers:
        result = globals()[name](workers, compression)
        Path(folder, f"{workers.rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (Diverged, UserError) as error:  # as the command line tells it
        print(f"deqn: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
