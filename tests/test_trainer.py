"""The loop: toy problems to their closed forms, phases, roll-backs, thresholds, files."""

import math
import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from faults import FULL_DISKS
from toys import ActorCritic, Bowl, Faults, FixedPoint, Regression, Tracks, schedule_free, settings

from deqn.project.errors import Diverged, UserError
from deqn.project.run import RunFolder
from deqn.training import checkpoint
from deqn.training.trainer import Trainer
from deqn.training.validation import Validations


@pytest.fixture
def folder(tmp_path):
    with RunFolder(tmp_path / "toy" / "run").open() as run:
        yield run


def train(problem, chosen, folder=None, **more):
    """The outcome, and the lines that were said."""
    said = []
    return Trainer(problem, chosen, folder, say=said.append, **more).train(), said


def finding(problem, *errors):
    """The problem, whose validations find these errors in turn, the last from then on; None: its own."""
    plain, coming = problem.validate, list(errors)

    def validate():
        found = coming.pop(0) if len(coming) > 1 else coming[0]
        return plain() if found is None else found

    problem.validate = validate
    return problem


def test_a_run_whose_folder_is_removed_while_it_is_trained_ends_in_one_line_and_leaves_nothing(folder):
    folder.parameters.write_text("seed: 0\n")

    def report(progress):
        if progress.update >= 20:
            shutil.rmtree(folder.path, ignore_errors=True)

    with pytest.raises(UserError, match=r"run: somebody has removed the run's folder .* training ends at update \d+"):
        train(Tracks(updates_per_call=10), settings(400, validate_every=10), folder, report=report)
    assert not folder.path.exists()


# ---- four toy problems


def test_a_regression_on_batches_from_the_host_ends_at_least_squares():
    problem = Regression()
    outcome, _ = train(problem, settings(400, {"name": "Adam", "learning_rate": 0.05, "schedule": "cosine"}))
    assert outcome.updates == 400
    np.testing.assert_allclose(problem.fitted(), problem.closed_form(), atol=0.01)


def test_an_actor_and_a_critic_find_the_best_act(folder):
    problem = ActorCritic()
    by_loss = {"actor": {"name": "SGD", "learning_rate": 0.05}, "critic": {"name": "Adam", "learning_rate": 0.02}}
    train(problem, settings(1500, by_loss), folder)
    np.testing.assert_allclose(problem.networks["critic"].vector, [-0.49, 1.4, -1.0], atol=1e-3)
    np.testing.assert_allclose(problem.networks["actor"].vector, [0.7], atol=1e-3)
    rows = pd.read_csv(folder.metrics)
    np.testing.assert_allclose(rows["loss"], rows["loss_actor"] + rows["loss_critic"], rtol=1e-5, atol=1e-7)
    assert rows["learning_rate_actor"].eq(np.float32(0.05)).all()


def test_carried_tracks_teach_their_persistence():
    problem = Tracks(updates_per_call=50)
    outcome, _ = train(problem, settings(1000, {"name": "Adam", "learning_rate": 0.05, "schedule": "cosine"}))
    assert outcome.best["error"] < 0.01


def test_a_loop_without_a_bound_trains_under_the_graph_compiler():
    problem = FixedPoint()
    train(problem, settings(300, {"name": "Adam", "learning_rate": 0.05, "schedule": "cosine"}))
    np.testing.assert_allclose(problem.networks["t"].vector, [FixedPoint.solution], atol=1e-3)


def test_seeds_draw_different_tracks_and_the_same_seed_the_same():
    ends = []
    for seed in (0, 0, 1, 2):
        trainer = Trainer(Tracks(), settings(10, seed=seed))
        trainer.train()
        ends.append(trainer.carry["x"].numpy())
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(np.corrcoef(ends[1:]) - np.eye(3)).max() < 0.5


# ---- phases


def test_each_phase_has_its_optimiser_and_its_schedule_from_the_beginning():
    decaying = {"name": "SGD", "learning_rate": 0.1, "schedule": "cosine", "final": 0.0}
    phases = [{"updates": 4, "optimizer": decaying}, {"updates": 0}, {"updates": 6, "optimizer": decaying}]
    problem = Bowl(updates_per_call=3)
    train(problem, settings(phases=phases, validate_every=100))
    x = np.ones(2)
    for length in (4, 6):
        for update in range(length):
            x = x * (1 - 0.05 * (1 + np.cos(np.pi * update / length)) * Bowl.curvature)
    np.testing.assert_allclose(problem.x, x, rtol=1e-5)


def test_a_phase_changes_the_problem_and_metrics_show_its_rate(folder):
    problem = Tracks(updates_per_call=5)
    phases = [
        {"updates": 10, "optimizer": {"learning_rate": 0.02}, "problem": {"gradient": "frozen"}},
        {"updates": 10, "optimizer": {"name": "SGD", "learning_rate": 0.01}, "problem": {"gradient": "full"}},
    ]
    train(problem, settings(phases=phases), folder)
    assert problem.phase == {"gradient": "full"}
    rows = pd.read_csv(folder.metrics)
    np.testing.assert_allclose(rows["learning_rate"][rows["update"] <= 10], 0.02, rtol=1e-6)
    np.testing.assert_allclose(rows["learning_rate"][rows["update"] > 10], 0.01, rtol=1e-6)


def test_a_phase_begins_where_a_schedule_free_one_means_its_weights_to_be():
    free = {"updates": 25, "optimizer": {"name": "ScheduleFreeAdamW", "learning_rate": 0.1}}
    still = {"updates": 5, "optimizer": {"name": "SGD", "learning_rate": 1e-12}}
    alone, followed = Bowl(updates_per_call=25), Bowl(updates_per_call=25)
    outcome, _ = train(alone, settings(phases=[free], validate_every=25))
    train(followed, settings(phases=[free, still], validate_every=25))
    average, _ = schedule_free(np.ones(2), 25, 0.1)
    np.testing.assert_allclose(alone.x, average, atol=1e-5)
    np.testing.assert_allclose(followed.x, average, atol=1e-5)
    assert outcome.best["error"] == pytest.approx(average.max(), abs=1e-5)


# ---- metrics


def test_a_row_of_metrics_has_the_means_over_an_episode_skipped_updates_too(folder):
    train(Bowl(Faults(gradient=1), updates_per_call=4), settings(4, validate_every=4), folder)
    x = (1 - 0.1 * Bowl.curvature) ** np.array([0, 1, 1, 2])[:, None]
    losses = 0.5 * (x**2 * Bowl.curvature).sum(axis=1)
    rows = pd.read_csv(folder.metrics)  # the first ends with the update at which weights are kept for a figure
    assert rows[["update", "episode", "skipped"]].to_numpy().tolist() == [[1, 1, 0], [4, 2, 1]]
    np.testing.assert_allclose(rows["loss"], [losses[0], losses[1:].mean()], rtol=1e-6)
    np.testing.assert_allclose(rows["loss_max"], [losses[0], losses[1]], rtol=1e-6)


def test_metrics_count_the_simulated_episodes_that_have_begun_where_one_lasts_several_updates(folder):
    problem = Bowl(Faults(), updates_per_call=4)
    problem.updates_per_episode = 3
    train(problem, settings(10, validate_every=10), folder)
    rows = pd.read_csv(folder.metrics)
    assert rows["episode"].tolist() == [math.ceil(update / 3) for update in rows["update"]]


def test_errors_stand_only_in_rows_of_episodes_that_were_validated(folder):
    train(Bowl(updates_per_call=5), settings(20, validate_every=10), folder)
    rows = pd.read_csv(folder.metrics).set_index("update")
    assert rows.index.tolist() == [1, 6, 10, 15, 20]
    assert rows["error"].dropna().index.tolist() == [10, 20]
    np.testing.assert_allclose(rows["error"].dropna(), [0.9**10, 0.9**20], rtol=1e-5)


# ---- what is not finite, and divergence


def test_a_lone_gradient_that_is_not_finite_is_no_reason_to_roll_back():
    problem = Bowl(Faults(gradient=3), updates_per_call=1)
    outcome, said = train(problem, settings(10, validate_every=5))
    assert (outcome.skipped, outcome.rollbacks, said) == (1, 0, [])
    np.testing.assert_allclose(problem.x, (1 - 0.1 * Bowl.curvature) ** 9, rtol=1e-5)


def test_training_diverges_when_no_gradient_is_finite_any_more():
    with pytest.raises(Diverged, match="no gradient of the last 5 updates, up to 15, was finite; 2 roll-backs"):
        train(Bowl(Faults(gradients_from=10)), settings(100, validate_every=5, divergence={"retries": 2}))


@pytest.mark.parametrize(("detail", "cause"), [
    (True, r"condition 'euler' is not finite, first at entry 2 of 2 \(10.0% of its values\)"),
    (False, "the loss is not finite"),
])  # fmt: skip
def test_a_loss_that_is_not_finite_ends_in_a_message_of_update_condition_and_entry(folder, detail, cause):
    said = []
    trainer = Trainer(Bowl(Faults(loss=23), detail=detail), settings(100, validate_every=10, divergence={"retries": 1}),
                      folder, say=said.append)  # fmt: skip
    with pytest.raises(Diverged, match=f"^{cause} in update 23; 1 roll-backs .* best weights so far stand in toy/run"):
        trainer.train()
    assert said[0].endswith("in update 23: back to update 20, learning rate x 0.3 (1 of 1)")
    best, meta = checkpoint.load(folder.checkpoints / checkpoint.BEST)
    assert meta["update"] == 20
    np.testing.assert_allclose(best["networks/x/000"], (1 - 0.1 * Bowl.curvature) ** 20, rtol=1e-5)
    assert pd.read_csv(folder.metrics)["update"].tolist() == [1, 5, 10, 20]


def test_a_random_loss_that_is_not_finite_is_traced_to_its_cause_though_only_xla_draws_the_same_numbers():
    class Unlucky(Tracks):
        """Whose condition breaks where a draw is above a bound that is passed in about one of 200 updates."""

        def losses(self, batch, carry, key):
            losses = super().losses(batch, carry, key)
            draw = tf.random.stateless_uniform([], tf.random.experimental.stateless_fold_in(key, 9))
            error = tf.where(draw > 0.995, tf.constant(np.nan), losses.minimize["persistence"])
            return losses._replace(minimize={"persistence": error}, detail={"bad luck": error[None]})

    with pytest.raises(Diverged, match=r"^condition 'bad luck' is not finite \(100.0% of its values\) in"):
        train(Unlucky(updates_per_call=500), settings(2000, divergence={"retries": 0}))


def test_a_rate_that_is_too_large_is_cut_until_training_succeeds(folder):
    problem = Bowl()
    rate = {"name": "SGD", "learning_rate": 0.7}
    chosen = settings(200, rate, validate_every=10, divergence={"factor": 50})
    outcome, said = train(problem, chosen, folder)
    factor = np.abs(1 - 0.7 * Bowl.curvature[1]) ** 10
    assert factor > 50
    assert said == [
        f"after update 10 the error on fresh data, error, is {factor:.3g}, more than 50 times the best, 1: "
        "back to update 0, learning rate x 0.3 (1 of 3)"
    ]
    assert (outcome.rollbacks, outcome.updates) == (1, 200)
    rows = pd.read_csv(folder.metrics)
    assert rows["update"].tolist() == [2, *range(10, 201, 10)]
    np.testing.assert_allclose(rows["learning_rate"], 0.7 * 0.3, rtol=1e-6)
    np.testing.assert_allclose(rows["error"][rows["update"] == 50], (1 - 0.21) ** 50, rtol=1e-4)


def test_without_validation_a_roll_back_leads_to_the_last_look_not_to_the_beginning():
    problem = Bowl(Faults(loss=23))
    problem.validate = dict
    said = []
    with pytest.raises(Diverged, match=r"1 roll-backs with smaller learning rates did not help$"):
        Trainer(problem, settings(100, validate_every=10, divergence={"retries": 1}), say=said.append).train()
    assert "back to update 20" in said[0]


def test_a_roll_back_keeps_the_best_weights_of_the_undone_stretch(folder):
    problem = finding(Regression(), *({"error": error} for error in (3.0, 1.0, np.nan, 2.0)))
    # Two validations within an episode of four batches: good, then not a number.
    outcome, _ = train(problem, settings(8, validate_every=2), folder)
    assert (outcome.rollbacks, outcome.best) == (1, {"error": 1.0})
    best, meta = checkpoint.load(folder.checkpoints / checkpoint.BEST)
    assert meta == {"update": 2, "error": 1.0}
    np.testing.assert_array_equal(best["networks/line/000"], problem.line.kernel)


def test_training_may_begin_at_the_exact_solution_and_leave_it_by_less_than_counts():
    problem = finding(Bowl(), {"error": 1e-16}, {"error": 1e-5}, {"error": 1e-3}, {"error": 1e-5})
    outcome, _ = train(problem, settings(30, validate_every=10))
    assert outcome.rollbacks == 1  # 1e-5 is no divergence, 1e-3 is


def test_training_may_begin_where_validation_is_not_finite(folder):
    problem = finding(Bowl(), {"error": np.nan}, None)
    outcome, _ = train(problem, settings(30, validate_every=20), folder)
    assert outcome.best["error"] == pytest.approx(0.9**30, rel=1e-5)
    assert pd.read_csv(folder.metrics)["error"].notna().sum() == 2


# ---- thresholds


def test_thresholds_end_training_early_and_a_resumed_run_does_nothing_more(folder):
    problem, chosen = Bowl(), settings(1000, validate_every=10, stop={"error": 0.01})
    outcome, _ = train(problem, chosen, folder)
    assert (outcome.thresholds, outcome.updates) == (True, 50)  # 0.9^50 = 0.005, 0.9^40 = 0.015
    again = Trainer(Bowl(), chosen, folder)
    again.resume(*checkpoint.load(checkpoint.latest(folder.checkpoints)))
    assert again.train()._replace(cpu_seconds=0) == outcome._replace(cpu_seconds=0)


def test_thresholds_that_are_not_reached_are_said():
    outcome, _ = train(Bowl(), settings(20, validate_every=10, stop={"error": 0.01}))
    assert (outcome.thresholds, outcome.updates) == (False, 20)
    assert train(Bowl(), settings(20))[0].thresholds is None


def test_weights_within_all_thresholds_are_the_best_though_the_first_error_was_once_smaller():
    problem = finding(Bowl(), {"mean": 9.0, "max": 9.0}, {"mean": 1.0, "max": 5.0}, {"mean": 1.5, "max": 2.0})
    outcome, _ = train(problem, settings(100, validate_every=10, stop={"mean": 2.0, "max": 3.0}))
    assert (outcome.thresholds, outcome.updates, outcome.best) == (True, 20, {"mean": 1.5, "max": 2.0})


@pytest.mark.parametrize(("problem", "message"), [
    (Bowl(), "stop.largest: not validated; known: error"),
    (ActorCritic(), "stop.largest: not validated; expected no thresholds: this problem does not validate"),
])  # fmt: skip
def test_a_threshold_on_an_error_that_is_not_validated_is_refused_before_anything_is_written(folder, problem, message):
    with pytest.raises(UserError, match=message):
        Trainer(problem, settings(stop={"largest": 1.0}), folder).train()
    assert [each.name for each in folder.path.iterdir()] == [".lock"]


def test_the_cost_of_each_level_of_the_deciding_error_is_recorded_once():
    validations = Validations(settings())
    for cpu_seconds, error in enumerate([0.3, 0.25, 0.015, 0.03, 0.004, -1.0]):
        validations.add({"first": error, "second": 1e-9}, cpu_seconds)
    assert validations.cost_to_accuracy == {"50 %": 0, "20 %": 2, "10 %": 2, "5 %": 2, "2 %": 2, "1 %": 4, "0.5 %": 4}


# ---- files


def test_weights_are_kept_at_the_stages_of_the_file(folder):
    chosen = settings(200, validate_every=1000, checkpoints={"stages": [5, 30]})
    train(Bowl(updates_per_call=70), chosen, folder)
    stages = checkpoint.stages(folder.checkpoints)
    assert list(stages) == [5, 30]
    for (percent, path), update in zip(stages.items(), (10, 60), strict=True):
        weights, meta = checkpoint.load(path)
        np.testing.assert_allclose(
            weights["networks/x/000"], (1 - 0.1 * Bowl.curvature) ** update, rtol=1e-3, atol=1e-30
        )
        assert meta == {"update": update, "percent": percent}


FILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, "tests")
import numpy as np
from toys import Bowl, settings
from deqn.project.run import RunFolder
from deqn.training.trainer import Trainer

folder, said = RunFolder(Path(sys.argv[1]) / "run"), []

class Filling(Bowl):
    # After updates 10 and 15 its state is larger than the disk, and metrics.csv has filled what there is.
    def is_full(self):
        return 0.9**16 < self.x[0] < 0.9**9

    def host_state(self):
        return {"replay": np.zeros(20_000 if self.is_full() else 1)}

    def batches(self, episode):
        if not self.is_full() and self.rows is not None:
            os.truncate(folder.metrics, self.rows)
            self.rows = None
        if self.is_full() and self.rows is None:
            self.rows = folder.metrics.stat().st_size
            with folder.metrics.open("ab", buffering=0) as file:
                try:
                    for size in (4096, 64, 1):
                        while file.write(b"x" * size) == size:
                            pass
                except OSError:
                    pass
        yield ()

problem = Filling(updates_per_call=5)
problem.rows = None
with folder.open():
    chosen = settings(30, validate_every=5, checkpoints={"minutes": 1e-9, "keep": 0})
    outcome = Trainer(problem, chosen, folder, say=said.append).train()
    print(outcome.updates, np.allclose(problem.x, (1 - 0.1 * Bowl.curvature) ** 30, rtol=1e-4))
    print(*np.loadtxt(folder.metrics, delimiter=",", skiprows=1, usecols=0, dtype=int))
    print(np.load(folder.checkpoints / "last.npz")["networks/x/000"][0] < 0.9**29)
    print(*said, sep="\\n")
"""


def test_a_full_disk_costs_checkpoints_and_rows_but_no_updates(tmp_path):
    trained, rows, last_is_written, *said = FULL_DISKS[-1](FILLED, tmp_path).splitlines()
    assert (trained, last_is_written) == ("30 True", "True")
    assert rows == "1 2 5 10 25 30"
    about_rows = [line for line in said if line.endswith("training goes on without this row")]
    about_last = [line for line in said if "last.npz: cannot write" in line and line.endswith("; training goes on")]
    assert len(about_rows) == 1  # said once, not for every row of a long training
    assert len(about_last) >= 2
