"""Several ranks against one: the same mean gradient, the same weights, the same decisions, and a common end."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from launchers import finished, needs_ranks, on_ranks

pytestmark = [pytest.mark.slow, pytest.mark.ranks, needs_ranks]
KINDS = pytest.mark.parametrize("kind", ["horovod", "mpi"])
JOB = str(Path(__file__).with_name("job.py"))


def job(name, folder, kind="mpi", ranks=2, compression="none", launcher="mpirun"):
    """Runs a function of job.py on so many ranks."""
    return finished(on_ranks(ranks, [sys.executable, JOB, name, kind, str(folder), compression], launcher), folder)


def results(name, folder, ranks=2, **options):
    """What each rank of a function of job.py found."""
    folder.mkdir(exist_ok=True)
    done = job(name, folder, ranks=ranks, **options)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(ranks)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The weights that one rank reaches on all the states."""
    folder = tmp_path_factory.mktemp("alone")
    result = results("fed", folder, ranks=1, kind="single")[0]
    assert np.median(np.abs(np.subtract(result["weights"], result["before"]))) > 0.003
    return np.array(result["weights"])


@pytest.mark.parametrize(("kind", "launcher"), [("horovod", "mpirun"), ("horovod", "horovodrun"), ("mpi", "mpirun")])
def test_two_ranks_at_half_the_batch_equal_one_at_the_whole(kind, launcher, alone, tmp_path):
    first, second = (np.array(each["weights"]) for each in results("fed", tmp_path, kind=kind, launcher=launcher))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - alone).max() < 1e-6


def test_two_ranks_with_half_the_transitions_each_make_one_agent(tmp_path):
    one = results("agent", tmp_path / "alone", ranks=1, kind="single")[0]
    first, second = (np.array(each["weights"]) for each in results("agent", tmp_path / "together"))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - one["weights"]).max() < 1e-6
    assert np.abs(np.subtract(one["weights"], one["before"])).max() > 0.003


@KINDS
def test_half_precision_in_the_exchange_changes_gradients_by_its_rounding_only(kind, alone, tmp_path):
    first, second = (np.array(each["weights"]) for each in results("fed", tmp_path, kind=kind, compression="fp16"))
    np.testing.assert_array_equal(first, second)
    assert 0 < np.abs(first - alone).max() < 5e-3


@KINDS
def test_averages_are_means_over_ranks(kind, tmp_path):
    for each in results("averages", tmp_path, kind=kind):
        np.testing.assert_allclose(each["means"], [1.5, 5.0])
        assert each["ranks"] == [0, 1]


@pytest.mark.parametrize("name", ["tracks", "tracks_averaged"])
@KINDS
def test_after_updates_weights_are_equal_and_simulated_states_are_not(kind, name, tmp_path):
    first, second = results(name, tmp_path, kind=kind)
    assert first["weights"] == second["weights"] != pytest.approx([0.1])
    assert np.abs(np.subtract(first["states"], second["states"])).min() > 0
    assert first["checksums"] == second["checksums"] and len(set(first["checksums"])) == 1


def test_all_ranks_stop_when_one_is_asked_to(tmp_path):
    # Episodes end where weights are kept for a stage, after updates 1 and 4, else after seven.
    assert results("asked_to_stop", tmp_path) == [{"stopped": True, "updates": 11}] * 2


def test_ranks_with_other_plans_are_refused_before_training(tmp_path):
    done = job("other_plan", tmp_path)
    assert done.returncode != 0
    assert "rank 1 has {'updates': 77" in done.stderr and "same parameter file" in done.stderr


def test_weights_that_differ_end_training_with_the_update_at_which_it_was_seen(tmp_path):
    done = job("unequal", tmp_path)
    assert done.returncode == 3
    assert "the weights of rank 1 differ from rank 0's after update" in done.stderr


@pytest.mark.parametrize("name", ["nan", "nan_averaged"])
def test_a_nan_on_one_rank_takes_all_back_and_ends_them_alike(name, tmp_path):
    first, second = results(name, tmp_path)
    assert first == second
    assert "roll-backs with smaller learning rates did not help" in first["said"][-1]


@KINDS
def test_an_exception_on_one_rank_ends_all_with_the_cause_in_the_log(kind, tmp_path):
    done = job("raises", tmp_path, kind=kind)
    assert done.returncode != 0
    assert "deqn: rank 1 on " in done.stderr and "no memory left on this node" in done.stderr
