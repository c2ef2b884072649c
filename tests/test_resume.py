"""A training that is interrupted and taken up in new objects equals the uninterrupted one bit for bit."""

import functools

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from toys import ActorCritic, Bowl, Regression, Tracks, settings

from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.training import checkpoint, position
from deqn.training.trainer import Trainer

TWO_PHASES = [
    {"updates": 20, "optimizer": {"name": "Adam", "learning_rate": 0.03, "schedule": "cosine", "warm_up": 3}},
    {"updates": 20, "optimizer": {"name": "ScheduleFreeAdamW", "learning_rate": 0.02}},
]


CHOSEN = settings(phases=TWO_PHASES, validate_every=8, seed=4)


class Replay(Tracks):
    """Draws batches on the host with a generator that lives between episodes."""

    def __init__(self):
        super().__init__(updates_per_call=2)
        self.generator = np.random.default_rng(5)

    def batches(self, episode):
        for _ in range(2):
            yield self.generator.normal(size=64).astype("float32")

    def losses(self, batch, carry, key):
        losses = super().losses(batch, carry, key)
        pull = tf.reduce_mean((self.networks["persistence"](batch) - 0.8 * batch) ** 2)
        return losses._replace(minimize={"persistence": losses.minimize["persistence"] + pull})

    def host_state(self):
        state = self.generator.bit_generator.state["state"]
        return {"generator": np.array([hex(state["state"]), hex(state["inc"])])}

    def restore(self, state):
        words = {name: int(str(word), 16) for name, word in zip(("state", "inc"), state["generator"], strict=True)}
        self.generator.bit_generator.state = {**self.generator.bit_generator.state, "state": words}


def ends(trainer, folder):
    """All that a training leaves: networks, optimisers, carry, metrics.csv without the clock."""
    arrays, meta = trainer.state()
    rows = pd.read_csv(folder.metrics).drop(columns="cpu_seconds")
    return arrays, {key: meta[key] for key in ("update", "episode", "rollbacks", "skipped", "best", "initial")}, rows


def trained(make, chosen, path, stop_at=()):
    """Trains to the end, interrupted at the first opportunity after each of these updates."""
    stops = [*stop_at, None]
    with RunFolder(path / "toy" / "run").open() as folder:
        for stop in stops:
            trainer = Trainer(make(), chosen, folder)
            if stop is not None:
                trainer.should_stop = lambda stop=stop, trainer=trainer: trainer.update >= stop
            found = checkpoint.latest(folder.checkpoints)
            if found:
                trainer.resume(*checkpoint.load(found))
            outcome = trainer.train()
            assert outcome.stopped == (stop is not None)
        return ends(trainer, folder), outcome


def assert_equal(one, other):
    (arrays, meta, rows), (arrays_, meta_, rows_) = one, other
    assert arrays.keys() == arrays_.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, arrays_[name], err_msg=name)
    assert meta == meta_
    pd.testing.assert_frame_equal(rows, rows_, check_exact=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """How the uninterrupted training of a class of problems ends; trained once."""
    return functools.cache(lambda make: trained(make, CHOSEN, tmp_path_factory.mktemp("whole"))[0])


@pytest.mark.parametrize(("make", "stop_at"), [(Tracks, (1, 8, 20)), (Regression, (20,)), (Replay, (30,))])
def test_an_interrupted_run_equals_the_uninterrupted_one(make, stop_at, whole, tmp_path):
    parts, _ = trained(make, CHOSEN, tmp_path, stop_at)
    assert_equal(whole(make), parts)


def test_a_problem_made_from_a_run_has_its_best_weights_and_the_host_state_of_its_end(tmp_path):
    trained(Replay, CHOSEN, tmp_path)
    checkpoints = tmp_path / "toy/run/checkpoints"
    with np.load(checkpoints / checkpoint.BEST) as best, np.load(checkpoints / checkpoint.LAST) as last:
        loaded, begun = Replay(), Replay()
        position.load_run(loaded, checkpoints)
        taken = {}
        begun.start_from = taken.update
        position.start_from(begun, checkpoints)
        for problem in (loaded, begun):
            np.testing.assert_array_equal(problem.networks["persistence"].vector, best["networks/persistence/000"])
        np.testing.assert_array_equal(loaded.host_state()["generator"], last["host/generator"])
        assert taken.keys() == {"generator"}
    stranger = Bowl()
    with pytest.raises(UserError, match=r"best.npz: the checkpoint holds 0 arrays of networks/x, expected 1"):
        position.load_run(stranger, checkpoints)


def test_an_interrupted_actor_and_critic_equal_the_uninterrupted_ones(tmp_path):
    chosen = settings(400, {"actor": {"name": "RMSprop"}, "critic": {"name": "Muon"}})
    uninterrupted, _ = trained(ActorCritic, chosen, tmp_path / "whole")
    parts, _ = trained(ActorCritic, chosen, tmp_path / "parts", (150,))
    assert_equal(uninterrupted, parts)


def test_interruptions_change_nothing_about_a_roll_back(tmp_path):
    """The rate becomes unstable with phase 2, at update 10; this is seen at update 20 and undone back to update 10."""
    phases = [
        {"updates": 10, "optimizer": {"name": "SGD", "learning_rate": 0.01}},
        {"updates": 40, "optimizer": {"name": "SGD", "learning_rate": 0.7}},
    ]
    chosen = settings(phases=phases, validate_every=10, divergence={"factor": 20})

    def make():
        return Bowl(updates_per_call=2)

    uninterrupted, outcome = trained(make, chosen, tmp_path / "whole")
    assert outcome.rollbacks == 1
    for stop_at in (4, 12, 34):  # before, within what is undone, after
        parts, _ = trained(make, chosen, tmp_path / str(stop_at), (stop_at,))
        assert_equal(uninterrupted, parts)


def test_the_clock_of_a_resumed_run_goes_on_where_it_stopped(tmp_path):
    with RunFolder(tmp_path / "toy" / "run").open() as folder:
        time = iter(range(0, 10_000, 100))
        first = Trainer(Bowl(), settings(40), folder, should_stop=lambda: True, clock=lambda: next(time))
        spent = first.train().cpu_seconds
        arrays, meta = checkpoint.load(folder.checkpoints / checkpoint.LAST)
        again = Trainer(Bowl(), settings(40), folder, clock=lambda: 7000.0)
        again.resume(arrays, meta)
        assert 0 < meta["cpu_seconds"] < spent
        assert again.train().cpu_seconds == meta["cpu_seconds"]


@pytest.mark.parametrize(("other", "message"), [
    (lambda: Tracks(), r"carries tensors of shapes \[\[\]\], expected \[\[\], \[64\]\]: it is of another problem"),
    (lambda: ActorCritic(), r"carries tensors of shapes \[\[\]\], expected \[\]"),
])  # fmt: skip
def test_a_checkpoint_of_another_problem_is_refused_and_changes_nothing(other, message):
    trainer = Trainer(Bowl(), settings(10))
    trainer.train()
    arrays, meta = trainer.state()
    stranger = Trainer(other(), settings(10))
    before = stranger._position()
    with pytest.raises(UserError, match=message):
        stranger.resume(arrays, meta)
    after = stranger._position()
    for name, array in {**before.shared, **before.own}.items():
        np.testing.assert_array_equal(array, {**after.shared, **after.own}[name])
