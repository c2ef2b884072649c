"""The commands as a user types them: answers, speed, and one line for every mistake with nothing written."""

import io
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from projects import ROOT, answers_quickly, exit_status
from small import trained_project

import deqn as deqn_package
from deqn.report.tables import error_rows
from deqn.training import checkpoint
from deqn.workers import memory

TINY = "models/olg/tiny.yaml"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with models and the trained run tiny/one."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(trained_project(), folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def typed(project, capfd, monkeypatch):
    """Types a command in the project folder; (exit status, stdout, stderr). In this process: TensorFlow loads once."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)

    def run(*words):
        return exit_status(*words), *capfd.readouterr()

    return run


def contents(folder):
    """Every file below a folder and when it was last written."""
    found = {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    return {path: at for path, at in found.items() if "__pycache__" not in path.parts}


@pytest.fixture
def refused(typed, project):
    """Types a command that has to be refused: its one line on stderr."""

    def run(*words):
        before = contents(project)
        status, out, err = typed(*words)
        assert (status, out) == (2, ""), err
        assert err.count("\n") == 1 and err.startswith("deqn: "), err
        assert contents(project) == before
        return err

    return run


# ---- parameter files


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("parameters.discont_factor=1", "parameters.discont_factor: unknown; did you mean 'discount_factor'?"),
        ("paramters.cohorts=3", "paramters: unknown; did you mean 'parameters'?"),
        ("parameters.discount_factor=2", "parameters.discount_factor: 2; expected a number above 0 and below 1.5"),
        ("parameters.transition.1=[0.49, 0.49, 0.01, 0.02]", "row 2 sums to 1.01, expected 1"),
        ("parameters.labour=[1, 2]", "parameters.labour: got 2 numbers, expected 6, one a cohort"),
        ("parameters.borrowing_limit=half", "parameters.borrowing_limit: 'half'; expected a number"),
        ("economy=OLGG", "'OLGG' is not a class in models/olg/economy.py; did you mean 'OLG'?"),
        ("network.activation=sillu", "network.activation: 'sillu'; expected a Keras activation; did you mean 'silu'?"),
        ("network.activation=[silu, sillu]", "network.activation: 'sillu'; expected a Keras activation;"),
        ("network.activation=[silu]", "network.activation: got 1 names, expected one, or one for each of the 2 hidden"),
        ("network.hidden=[0]", "network.hidden.0: 0; expected a whole number at least 1"),
        ("sampling.minibatch=5", "sampling.minibatch: got 5, expected a divisor of tracks x periods = 128"),
        ("sampling.chain=[[0.5, 0.5], [0.5, 0.5]]", "sampling.chain: got 2 rows, expected 4, one a shock"),
        ("phases.0.optimizer.name=Adan", "'Adan' is not in keras.optimizers; did you mean 'Adam'?"),
        ("phases.0.problem.gradint=full", "phases.0.problem.gradint: unknown; did you mean 'gradient'?"),
        ("warm_start.iteratons=3", "warm_start.iteratons: unknown; did you mean 'iterations'?"),
        ("stop.error_mean=1", "stop.error_mean: unknown; expected a condition and .mean, .p99.9 or .max after it"),
        ("stop.eulr.mean=1", "stop.eulr.mean: validation has no such figure; did you mean 'euler.mean'?"),
        ("validation.decided_by=eulr", "validation.decided_by: 'eulr' is not a condition; did you mean 'euler'?"),
        ("validation.decided_by=kkt", "no output of the network moves kkt, so that the untrained weights would be the"),
        ("weights.euler=0", "weights.euler: 0; expected a number above 0"),
        ("weights.eulr=2", "weights.eulr: not a condition of the economy; did you mean 'euler'?"),
        ("seed", "--set seed: expected KEY=VALUE"),
        ("parameters.risk_aversion=yes", "parameters.risk_aversion: 'yes'; expected a number"),
        ("parameters.risk_aversion=06", "parameters.risk_aversion: '06'; expected a number"),
        ("risk_aversion=3", "risk_aversion: unknown here; it is one of the parameters, write parameters.risk_aversion"),
        ("parameters.cohorts=1e9", "parameters.cohorts: 1000000000; expected a whole number at least 2 and at most"),
        (f"phases={'[' * 60}{']' * 60}", "more than 50 levels"),
    ],
)
def test_a_mistaken_setting_is_told_in_one_line(refused, setting, words):
    assert words in refused("train", TINY, "--set", setting)


@pytest.mark.parametrize(
    "setting", ["sampling.tracks=1e12", "network.hidden=[1000000000]", "validation.tracks=1e12",
                "evaluation.periods=1e12", "warm_start.tracks=1e12"],
)  # fmt: skip
def test_sizes_beyond_the_memory_of_the_machine_are_told_before_anything_is_built(refused, setting):
    err = refused("train", TINY, "--set", setting)
    assert err.startswith(f"deqn: {setting.partition('=')[0]}: needs ") and "and this machine has " in err


def test_an_evaluation_beyond_the_memory_of_the_machine_is_refused(refused):
    assert "evaluation.periods: needs " in refused("evaluate", "tiny/one", "--periods", 10**12)


@pytest.mark.parametrize("limit", ["memory.max", "memory/memory.limit_in_bytes"])
def test_the_memory_there_is_is_that_of_the_container_if_it_has_less(tmp_path, monkeypatch, limit):
    (tmp_path / limit).parent.mkdir(exist_ok=True)
    (tmp_path / limit).write_text("1000000\n")
    monkeypatch.setattr(memory, "_GROUPS", ((tmp_path, "memory.max"), (tmp_path / "memory", "memory.limit_in_bytes")))
    assert memory.memory_there_is() == 10**6
    (tmp_path / limit).write_text("max\n")
    assert memory.memory_there_is() > 10**8


@pytest.mark.parametrize(
    "words", [["check", "models/olg/{}.yaml"], ["evaluate", "{}"], ["plot", "tiny/{}"], ["train", TINY, "--run", "{}"],
              ["train", TINY, "--from", "{}"], ["compare", "tiny/one", "{}"], ["new", "models/{}"]],
)  # fmt: skip
def test_a_name_that_is_too_long_is_told_in_one_line(refused, words):
    refused(*(word.format("a" * 300) for word in words))


@pytest.mark.parametrize(("command", "within"), [("evaluate", "evaluate_and_draw"), ("plot", "_draw")])
def test_an_interrupted_command_ends_with_130_and_a_message(typed, monkeypatch, command, within):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"deqn.commands.on_runs.{within}", interrupt)
    assert typed(command, "tiny/one") == (130, "", "deqn: interrupted; what was written before stands\n")


def test_list_into_a_full_device_ends_with_2_and_one_line(project):
    with Path("/dev/full").open("w") as full:
        command = [str(Path(sys.executable).with_name("deqn")), "list"]
        done = subprocess.run(command, cwd=project, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr and done.stderr.count("\n") == 1


def test_a_flag_that_xla_does_not_know_is_told_in_one_line(project):
    command = [str(Path(sys.executable).with_name("deqn")), "check", TINY]
    environment = os.environ | {"XLA_FLAGS": "--xla_no_such_flag"}
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert "XLA_FLAGS=--xla_no_such_flag: XLA refuses them" in done.stderr and done.stderr.count("\n") == 1


def test_states_that_are_no_plain_file_are_refused_before_they_are_read(refused):
    assert "/dev/zero is no plain file" in refused("policy", "tiny/one", "--states", "/dev/zero", "--out", "x.npz")


def test_load_is_shown_by_dir():
    assert {"load", "Solution"} <= set(dir(deqn_package))


def test_a_folder_that_is_no_project_is_refused_before_anything_is_trained(tmp_path, monkeypatch, capfd):
    shutil.copytree(ROOT / "models/brock_mirman", tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    assert exit_status("train", "brock_mirman.yaml") == 2
    err = capfd.readouterr().err
    assert "not in a project of deqn" in err and err.count("\n") == 1


def test_two_files_of_one_name_in_two_folders_do_not_share_runs(refused, project):
    shutil.copy(project / TINY, project / "models/growth/tiny.yaml")
    try:
        assert "models/growth/tiny.yaml has the same name, and both would share runs/tiny" in refused("check", TINY)
    finally:
        (project / "models/growth/tiny.yaml").unlink()


def test_broken_yaml_is_told_with_its_place(refused, project):
    (project / "models/olg/broken.yaml").write_text("economy: OLG\nparameters: {cohorts: 6\n")
    try:
        assert "models/olg/broken.yaml, line 3, column 1: not valid YAML" in refused("train", "models/olg/broken.yaml")
    finally:
        (project / "models/olg/broken.yaml").unlink()


@pytest.mark.parametrize("command", ["train", "check"])
def test_a_mistyped_parameter_file_names_the_nearest(refused, command):
    assert "did you mean 'models/olg/tiny.yaml'?" in refused(command, "models/olg/tinny.yaml")


# ---- runs


def test_a_run_that_exists_is_not_trained_over(refused):
    assert "run tiny/one exists; continue it with --resume" in refused("train", TINY, "--run", "one")


def test_a_setting_other_than_a_length_must_not_change_on_resuming(refused):
    err = refused("train", TINY, "--run", "one", "--resume", "--set", "parameters.risk_aversion=3")
    assert "--resume:" in err and "only lengths may change" in err


@pytest.mark.parametrize("command", ["evaluate", "plot", "doctor"])
def test_a_missing_run_names_the_nearest(refused, command):
    assert "tiny/onne: no such run; did you mean 'tiny/one'?" in refused(command, "tiny/onne")


@pytest.mark.parametrize("command", ["evaluate", "plot", "doctor"])
def test_a_foreign_folder_is_no_run(refused, command):
    assert "models/olg: not a run (it has no parameters.yaml)" in refused(command, "models/olg")


def test_from_a_mistyped_run_names_the_nearest(refused):
    assert "did you mean 'tiny'?" in refused("train", TINY, "--from", "tinny")


def test_from_a_run_of_another_size_is_refused(refused):
    err = refused("train", TINY, "--run", "two", "--from", "tiny/one")
    assert "--from tiny/one: " in err and "the checkpoint holds" in err and "of another economy" in err


@pytest.mark.parametrize("periods", [["--periods", "100", "--burn-in", "100"], ["--burn-in", "1100"]])
def test_a_burn_in_that_leaves_nothing_is_refused(refused, periods):
    assert "expected fewer than the periods" in refused("evaluate", "tiny/one", *periods)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?; see deqn --help"),
        (["train"], "Missing argument 'FILE'; see deqn train --help"),
        (["evaluate", "tiny", "--peroids", "3"], "No such option"),
        (["train", TINY, "--seed", "-1"], "'--seed'"),
    ],
)
def test_a_mistyped_command_or_option_is_told_in_one_line(refused, words, answer):
    assert answer in refused(*words)


# ---- checkpoints


@pytest.fixture
def tampered(project):
    """The run tiny/tampered, a copy of tiny/one whose best.npz a test may replace."""
    folder = project / "runs/tiny/tampered"
    shutil.copytree(project / "runs/tiny/one", folder)
    yield folder
    shutil.rmtree(folder)


def wider(arrays):
    return {name: np.pad(value, [(0, 1)] * value.ndim) for name, value in arrays.items()}


def fewer(arrays):
    return dict(list(arrays.items())[:-3])


@pytest.mark.parametrize("other", [wider, fewer])
@pytest.mark.parametrize("command", ["evaluate", "policy"])
def test_a_checkpoint_of_another_network_is_refused(refused, tampered, tmp_path, other, command):
    arrays, meta = checkpoint.load(tampered / "checkpoints/best.npz")
    policy = {name: value for name, value in arrays.items() if name.startswith("networks/policy/")}
    checkpoint.save(tampered / "checkpoints", "best.npz", other(policy), meta)
    np.savez(tmp_path / "states.npz", z=[0], k=[[0, 1.0, 1.0, 1.0]])
    more = ["--states", tmp_path / "states.npz", "--out", tampered / "out.npz"] if command == "policy" else []
    err = refused(command, "tiny/tampered", *more)
    assert "best.npz: the checkpoint" in err and "another economy" in err


def test_a_damaged_checkpoint_is_refused(refused, tampered):
    path = tampered / "checkpoints/best.npz"
    path.write_bytes(path.read_bytes()[:1000])
    assert "best.npz: damaged checkpoint" in refused("evaluate", "tiny/tampered")


# ---- states


STATES = {"z": np.array([0, 3]), "k": np.array([[0.0, 0.1, 0.2, 0.3], [0.0, 0.2, 0.3, 0.1]])}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": None}, "no array k among ['z']; expected k, z"),
        ({"z": np.array([0, 4])}, "shock[1] is 4, expected 0 to 3 (arrays count from 0)"),
    ],
)
def test_states_that_the_economy_does_not_allow_are_refused(refused, project, tmp_path, changes, words):
    arrays = {name: value for name, value in (STATES | changes).items() if value is not None}
    np.savez(tmp_path / "states.npz", **arrays)
    out = project / "policy.npz"
    assert words in refused("policy", "tiny/one", "--states", tmp_path / "states.npz", "--out", out)


def npy():
    buffer = io.BytesIO()
    np.save(buffer, STATES["k"])
    return buffer.getvalue()


@pytest.mark.parametrize("data", [b"", b"z,k\n0,1\n", b"PK\x03\x04 half a zip", npy()])
def test_a_states_file_that_is_no_npz_is_refused(refused, project, tmp_path, data):
    (tmp_path / "states.npz").write_bytes(data)
    err = refused("policy", "tiny/one", "--states", tmp_path / "states.npz", "--out", project / "policy.npz")
    assert "cannot be read as an .npz of arrays" in err


def test_missing_states_and_a_missing_output_folder_are_refused(refused, tmp_path):
    assert "nowhere.npz not found" in refused("policy", "tiny/one", "--states", "nowhere.npz", "--out", "x.npz")
    np.savez(tmp_path / "states.npz", **STATES)
    words = ["policy", "tiny/one", "--states", tmp_path / "states.npz", "--out", "no/such/folder/policy.npz"]
    assert "--out: no/such/folder is no folder" in refused(*words)


# ---- answers


def test_policy_gives_what_the_simulation_recorded(typed, project, tmp_path):
    path = np.load(project / "runs/tiny/one/simulation.npz")
    np.savez(tmp_path / "states.npz", z=path["z"][:50], k=path["k"][:50])
    status, out, _ = typed("policy", "tiny/one", "--states", tmp_path / "states.npz", "--out", tmp_path / "policy.npz")
    assert status == 0 and out.startswith(f"policy at 50 states written to {tmp_path / 'policy.npz'}; largest error ")
    policy = np.load(tmp_path / "policy.npz")
    for letter in ("a", "lam", "c"):
        np.testing.assert_allclose(policy[letter], path[letter][:50], rtol=1e-12, atol=1e-14)


def test_a_stem_names_its_latest_run(typed):
    status, out, err = typed("doctor", "tiny")
    assert (status, err) == (0, "")
    assert out.startswith("tiny/one: ")


def test_check_says_size_memory_and_time_and_writes_nothing(typed, project):
    before = contents(project)
    status, out, err = typed("check", TINY, "--set", "network.hidden=[16]")
    assert (status, err) == (0, ""), err
    assert "network.hidden.0: 32 -> 16" in out
    assert "7 inputs, hidden 16 silu, 5 outputs, one head a shock" in out
    for words in ("weights to train", "MiB", "CPU-seconds"):
        assert words in out
    assert contents(project) == before


def test_list_shows_economies_files_and_runs(typed):
    status, out, err = typed("list")
    assert (status, err) == (0, "")
    for words in ("OLG", TINY, "tiny/one", "relative Euler error", "done"):
        assert words in out


def test_without_a_command_the_help_is_shown(typed):
    assert typed()[:2] == typed("--help")[:2]
    assert all(command in typed()[1] for command in ("train", "evaluate", "policy", "check", "plot", "list", "doctor"))


def test_the_readme_recomputes_the_errors_from_the_arrays_alone(project):
    text = (ROOT / "README.md").read_text()
    code = text[text.index("    import numpy as np, yaml") :].partition("\n## ")[0]
    code = textwrap.dedent(code).replace("tiny/first", "tiny/one")
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    row = next(row for row in error_rows(project / "runs/tiny/one") if row["condition"] == "optimality")
    assert done.stdout == f"mean {100 * row['mean']:.2g} %, max {100 * row['max']:.2g} %\n"


# ---- in processes of their own

QUICK = [
    ["--help"],
    ["list"],
    ["trian"],
    ["evaluate", "nosuch"],
    ["train", "models/olg/tinny.yaml"],
    ["train", TINY, "--from", "nosuch"],
    ["train", TINY, "--set", "parameters.discont_factor=1"],
]


@pytest.mark.parametrize("words", QUICK, ids=" ".join)
def test_help_list_and_mistyped_names_answer_within_half_a_second_without_tensorflow_or_pandas(project, words):
    assert answers_quickly(project, *words) == (0 if words[0] in ("--help", "list") else 2)


LOAD = """
import sys
import deqn
import numpy as np
from deqn.project.errors import UserError
solution = deqn.load(sys.argv[1], trust=True)
low, high = solution.rule.visited
policy = solution.policy(capital=((low + high) / 2)[None, :4], shock=np.array([2]))
path = solution.simulate(periods=20, seed=3)
print(policy.savings.shape, policy.savings.dtype, path["k"].shape, path["z"].min() >= 0)
try:
    solution.policy(capital=np.ones((1, 4)))
except UserError as error:
    print(error)
"""


def test_a_script_in_another_folder_loads_a_run_by_its_path_and_tensorflow_stays_silent(project, tmp_path):
    (tmp_path / "script.py").write_text(LOAD)
    command = [sys.executable, "script.py", str(project / "runs/tiny/one")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "(1, 3) float64 (20, 4) True",
        "states: shock missing; expected capital, shock",
    ]
