"""Checkpoints: what is loaded equals what was saved, whatever happens in between."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from deqn.project.errors import UserError
from deqn.training import checkpoint

ARRAYS = {
    "policy/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "file": np.asfortranarray(np.random.default_rng(0).normal(size=(5, 2))),
    "update": np.array(12, np.int64),
    "empty": np.zeros((0, 3)),
    "mask": np.array([True, False]),
}


def damaged_reports(folder: Path) -> tuple[Path | None, list[str]]:
    reports: list[str] = []
    return checkpoint.latest(folder, reports.append), reports


def rewrite(path, members):
    """With fitting CRCs, which the container alone would accept."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def assert_equal_arrays(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].dtype == right[name].dtype
        np.testing.assert_array_equal(left[name], right[name])


def test_a_checkpoint_loads_as_it_was_saved(tmp_path):
    path = checkpoint.save(tmp_path / "checkpoints", checkpoint.LAST, ARRAYS, {"update": 12, "best": [0.5, None]})
    arrays, meta = checkpoint.load(path)
    assert_equal_arrays(arrays, ARRAYS)
    assert meta == {"update": 12, "best": [0.5, None]}
    assert [each.name for each in path.parent.iterdir()] == ["last.npz"]


def test_numpy_reads_a_checkpoint_without_this_package(tmp_path):
    with np.load(checkpoint.save(tmp_path, checkpoint.LAST, ARRAYS, {})) as file:
        np.testing.assert_array_equal(file["policy/kernel"], ARRAYS["policy/kernel"])


def test_an_array_of_objects_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="Object arrays"):
        checkpoint.save(tmp_path, checkpoint.LAST, {"x": np.array([{}])}, {})
    assert not list(tmp_path.iterdir())


def test_a_clock_that_is_set_back_does_not_change_which_checkpoint_is_the_latest(tmp_path, monkeypatch):
    for name, clock in (("last.npz", 9e18), ("update-00000100.npz", 1.0)):
        monkeypatch.setattr("time.time_ns", lambda clock=clock: int(clock))
        checkpoint.save(tmp_path, name, {}, {})
    assert damaged_reports(tmp_path) == (tmp_path / "update-00000100.npz", [])


def test_an_entry_that_a_checkpoint_lacks_is_told_with_its_file_and_one_that_nobody_knows_does_no_harm(tmp_path):
    meta = {"good": {"update": 3}, "from_the_future": [1]}
    path = checkpoint.save(tmp_path, checkpoint.LAST, ARRAYS, meta)
    _, found = pickle.loads(pickle.dumps(checkpoint.load(path)))  # as it goes to other ranks
    assert found == meta
    for entries, key in ((found, "update"), (found["good"], "episode")):
        with pytest.raises(UserError, match=rf"last\.npz: the checkpoint does not say '{key}'"):
            entries[key]


def test_the_latest_checkpoint_is_the_one_saved_last_though_its_update_may_be_lower(tmp_path):
    for name in ("update-00000900.npz", "last.npz", "update-00000100.npz", "best.npz", "stage-05.npz"):
        checkpoint.save(tmp_path, name, {}, {})
    (tmp_path / "last.npz").touch()  # as a copy of the folder would
    assert damaged_reports(tmp_path) == (tmp_path / "update-00000100.npz", [])


def test_there_is_no_latest_checkpoint_in_an_empty_or_missing_folder(tmp_path):
    assert damaged_reports(tmp_path) == (None, [])
    assert damaged_reports(tmp_path / "missing") == (None, [])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_half_written_checkpoint_is_passed_over_with_a_message(tmp_path, share):
    older = checkpoint.save(tmp_path, checkpoint.numbered(100), ARRAYS, {"update": 100})
    newer = checkpoint.save(tmp_path, checkpoint.LAST, ARRAYS, {"update": 200})
    newer.write_bytes(newer.read_bytes()[: int(share * newer.stat().st_size)])
    found, reports = damaged_reports(tmp_path)
    assert found == older
    assert len(reports) == 1 and "last.npz: damaged checkpoint" in reports[0]


def test_no_flipped_byte_loads_as_something_else(tmp_path):
    path = checkpoint.save(tmp_path, checkpoint.LAST, {"x": np.arange(3.0)}, {"update": 1})
    whole = path.read_bytes()
    refused = 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            arrays, meta = checkpoint.load(path)
        except UserError as error:
            refused += "\n" not in str(error)
        else:  # fields of the zip container that carry no content, such as dates
            assert_equal_arrays(arrays, {"x": np.arange(3.0)})
            assert meta == {"update": 1}
            refused += 1
    assert refused == len(whole)


def test_a_checkpoint_with_an_array_replaced_is_refused(tmp_path):
    path = checkpoint.save(tmp_path, checkpoint.LAST, {"x": np.zeros(3), "y": np.ones(3)}, {})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["x.npy"], members["y.npy"] = members["y.npy"], members["x.npy"]
    rewrite(path, members)
    with pytest.raises(UserError, match="checksum"):
        checkpoint.load(path)


def test_a_missing_checkpoint_and_a_foreign_file_are_user_errors(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.ones(2))
    for name in ("missing.npz", "other.npz"):
        with pytest.raises(UserError, match=name):
            checkpoint.load(tmp_path / name)


@pytest.mark.parametrize("found", ["none", "3"])
def test_a_checkpoint_of_another_release_is_refused_in_one_line(tmp_path, found):
    path = checkpoint.save(tmp_path, checkpoint.LAST, ARRAYS, {})
    members = checkpoint._members(path) | {"format": found.encode()}
    if found == "none":
        del members["format"]
    rewrite(path, members | {"checksum": checkpoint._checksum(members).encode()})
    message = rf"last.npz: a checkpoint of another release of deqn \(format {found}, expected 2\); train the run anew$"
    with pytest.raises(UserError, match=message):
        checkpoint.load(path)
    with pytest.raises(UserError, match=message):
        checkpoint.latest(tmp_path, pytest.fail)


def test_a_checkpoint_whose_description_is_nested_too_deeply_is_refused_in_one_line(tmp_path):
    path = checkpoint.save(tmp_path, checkpoint.LAST, ARRAYS, {})
    members = checkpoint._members(path) | {"meta.json": b"[" * 200_000 + b"]" * 200_000}
    rewrite(path, members | {"checksum": checkpoint._checksum(members).encode()})
    with pytest.raises(UserError, match=r"last\.npz: damaged checkpoint \(it is nested too deeply\)"):
        checkpoint.load(path)


def test_pruning_keeps_the_highest_updates_and_every_other_name(tmp_path):
    names = ["last.npz", "best.npz", "stage-05.npz", *map(checkpoint.numbered, (5, 99_999_999, 100_000_000, 70))]
    for name in names:
        checkpoint.save(tmp_path, name, {}, {})
    checkpoint.prune(tmp_path, 2)
    kept = {"last.npz", "best.npz", "stage-05.npz", "update-99999999.npz", "update-100000000.npz"}
    assert {each.name for each in tmp_path.iterdir()} == kept
