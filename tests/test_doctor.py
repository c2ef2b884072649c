"""`deqn doctor` on made run folders: a healthy one, and the same with one thing wrong."""

import json

import numpy as np
import pytest

from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.report.doctor import diagnosis, findings, in_short

ROWS, T, N = 40, 1000, 4


def metrics(**changes):
    """Columns of a training that converges: the loss falls to 1e-8, the error on fresh paths to 5e-5."""
    at = np.arange(1, ROWS + 1)
    noise = 1 + 0.1 * np.random.default_rng(0).standard_normal(ROWS)
    columns = {
        "update": 100 * at,
        "loss": np.maximum(1e-3 * 10.0 ** (-at / 4), 1e-8) * noise,
        "worst.mean": np.where(at % 5 == 0, 5e-5 + 1e-2 * np.exp(-at / 2.0), np.nan),
        "rollbacks": 0 * at,
        "skipped": 0 * at,
        "share_consumption_floor": 0.0 * at,
    }
    return columns | changes


def errors(ages=(1.0, 1.2, 0.8), shocks=(0.9, 1.1), optimality=3e-5, euler=4e-5):
    lines = ["condition,group,key,unit,n,mean,max"]
    for name, mean in (("optimality", optimality), ("euler", euler), ("kkt", 0.0)):
        unit = "product" if name == "kkt" else "relative"
        lines.append(f"{name},all,,{unit},1000,{mean},1e-3")
        lines += [f"{name},age,{21 + h},{unit},333,{mean * share},1e-3" for h, share in enumerate(ages)]
        lines += [f"{name},shock,{z + 1},{unit},500,{mean * share},1e-3" for z, share in enumerate(shocks)]
    return "\n".join(lines) + "\n"


def simulation(**changes):
    """An AR(1) of aggregate capital with persistence .95, and savings that follow it; the youngest are constrained."""
    rng = np.random.default_rng(1)
    K = np.zeros(T)
    for t in range(1, T):
        K[t] = 0.95 * K[t - 1] + 0.05 * rng.standard_normal()
    K = 5 * np.exp(K - K.mean())
    k = K[:, None] * np.array([0.0, 0.2, 0.3, 0.5])
    a = np.column_stack([np.zeros(T), 0.25 * K, 0.4 * K])
    lam = np.column_stack([np.ones(T), np.zeros(T), np.zeros(T)])
    return {"K": K, "k": k, "a": a, "lam": lam, "track": np.zeros(T, int)} | changes


def a_run(tmp_path, columns=None, rows=None, arrays=None, shares=None, record=None, stop=None):
    run = RunFolder(tmp_path / "runs" / "olg" / "first")
    run.path.mkdir(parents=True)
    run.parameters.write_text(json.dumps({"stop": stop or {}}))
    run.provenance.write_text(json.dumps({"status": "done", "thresholds_reached": None} | (record or {})))
    columns = columns or metrics()
    lines = [",".join(columns)]
    for values in zip(*columns.values(), strict=True):
        lines.append(",".join("" if np.isnan(value) else repr(float(value)) for value in values))
    run.metrics.write_text("\n".join(lines) + "\n")
    run.errors.write_text(rows or errors())
    np.savez(run.simulation, **(arrays or simulation()))
    description = {
        "shares_of_active_guards": shares or {"consumption_floor": 0.0}, "axes": {"labels": {"age": [21, 22, 23, 24]}},
        "letters": {"capital": "k", "savings": "a", "multiplier": "lam"}, "states": ["capital"],
        "policies": ["savings", "multiplier"], "aggregates": {"K": "capital stock"},
        "binding": {"savings": "multiplier"},
    }  # fmt: skip
    (run.path / "description.json").write_text(json.dumps(description))
    return run


def names(run):
    return [finding.name for finding in findings(run)]


def test_a_healthy_run_shows_nothing(tmp_path):
    run = a_run(tmp_path)
    assert findings(run) == []
    assert list(diagnosis(run)) == ["olg/first: nothing conspicuous"]


def test_clipped_states_on_the_path_are_named_with_their_share(tmp_path):
    (finding,) = findings(a_run(tmp_path, shares={"consumption_floor": 0.031, "capital_floor": 0.0}))
    assert finding.name == "the policy asks for what is not possible"
    assert "consumption floor on the evaluation's path: 3.10% of entries" in finding.seen
    assert "capital" not in finding.seen


def test_states_clipped_in_late_training_count_and_those_of_the_beginning_do_not(tmp_path):
    early = np.where(np.arange(ROWS) < 10, 0.2, 0.0)
    assert not names(a_run(tmp_path / "early", columns=metrics(share_consumption_floor=early)))
    (finding,) = findings(a_run(tmp_path / "late", columns=metrics(share_consumption_floor=early[::-1])))
    assert "consumption floor in late training" in finding.seen


def test_the_dominating_condition_age_and_shock_are_named(tmp_path):
    (finding,) = findings(a_run(tmp_path, rows=errors(ages=(0.1, 3.5, 0.1), shocks=(0.8, 3.2), euler=4e-4)))
    assert finding.name == "errors sit in one place"
    assert "condition euler (13 times the next)" in finding.seen
    assert "age 22 (4 times the mean over all)" in finding.seen
    assert "shock 2 (3 times" in finding.seen


def test_small_training_errors_beside_large_ones_on_fresh_paths_mean_stuck_tracks(tmp_path):
    at = np.arange(ROWS)
    (finding,) = findings(a_run(tmp_path, columns=metrics(**{"worst.mean": np.where(at % 5 == 4, 2e-3, np.nan)})))
    assert finding.name == "tracks away from the ergodic set"
    assert "0.2 %, is 20 times the training error, 0.0101 %" in finding.seen


def test_capital_with_a_trend_drifts_and_persistent_capital_does_not(tmp_path):
    for seed in range(20):  # persistence alone is no drift, whatever the draw
        noise = np.random.default_rng(seed).standard_normal(T)
        K = np.zeros(T)
        for t in range(1, T):
            K[t] = 0.98 * K[t - 1] + 0.02 * noise[t]
        assert not names(a_run(tmp_path / str(seed), arrays=simulation(K=5 * np.exp(K)))), seed
    rising = simulation()["K"] * np.linspace(1, 2.5, T)
    (finding,) = findings(a_run(tmp_path / "rising", arrays=simulation(K=rising)))
    assert finding.name == "capital stock drifts"
    assert "rises by 8" in finding.seen  # 1.5 over a mean of 1.75


def test_savings_that_answer_to_nothing_are_saturated_unless_the_limit_binds(tmp_path):
    arrays = simulation()
    arrays["a"][:, 2] = 1.3
    (finding,) = findings(a_run(tmp_path, arrays=arrays))
    assert finding.name == "saturated outputs"
    assert (
        "savings at 1 of 3 places (first: age 23)" in finding.seen
    )  # the youngest save nothing too, but are constrained


@pytest.mark.parametrize("sign", ["jumps", "rollbacks", "skipped"])
def test_a_learning_rate_too_high_shows_in_jumps_roll_backs_or_skipped_updates(tmp_path, sign):
    columns = metrics()
    if sign == "jumps":
        columns["loss"][[20, 30]] *= 1e3
    else:
        columns[sign] = np.where(np.arange(ROWS) > 20, 2, 0)
    (finding,) = findings(a_run(tmp_path, columns=columns))
    assert finding.name == "learning rate too high"


def test_a_household_at_its_constraint_is_no_finding(tmp_path):
    run = a_run(tmp_path, columns=metrics(constrained_borrowing_limit=np.full(ROWS, 0.3)))
    assert list(in_short(run)) == ["findings: nothing conspicuous"]


def test_an_error_that_training_did_not_lower_is_named_with_its_condition(tmp_path):
    figures = {"worst.mean": 0.043, "euler.mean": 1e-4, "resources.mean": 0.043}
    record = {"updates": 100, "validation_before_training": figures, "validation_of_best": figures}
    (line,) = list(in_short(a_run(tmp_path, record=record)))[1:]
    assert line.startswith("- training made it no better: mean resources error on fresh paths 4.3 % before training")


def test_an_identity_dominates_nothing_and_a_shock_never_visited_is_named(tmp_path):
    rows = errors(optimality=3e-15) + "euler,unvisited,4,relative,300,4e-3,1e-2\n"
    (finding,) = findings(a_run(tmp_path, rows=rows))
    assert (
        finding.seen == "mean euler error 0.004 %, dominated by shock 4, never visited, (100 times the mean over all)"
    )


def test_a_problem_whose_errors_have_other_columns_is_diagnosed(tmp_path):
    assert names(a_run(tmp_path, rows="split,accuracy\n1,0.97\n")) == []


def test_a_loss_that_may_be_negative_does_not_jump(tmp_path):
    columns = {name: column for name, column in metrics().items() if not name.startswith("worst.")}
    columns["loss"] = np.where(np.arange(ROWS) % 2, -3.0, -1.0)
    assert not findings(a_run(tmp_path, columns=columns))


def test_missed_thresholds_say_whether_the_error_was_still_falling(tmp_path):
    record = {"thresholds_reached": False, "validation_of_best": {"worst.mean": 5e-5}}
    (finding,) = findings(a_run(tmp_path / "flat", record=record, stop={"worst.mean": 1e-5}))
    assert finding.name == "thresholds not reached"
    assert "worst.mean 5e-05 (asked for 1e-05)" in finding.seen
    assert "no longer fell" in finding.cure
    at = np.arange(ROWS)
    falling = metrics(**{"worst.mean": np.where(at % 2 == 1, 2e-4 * np.exp(-at / 30), np.nan)})
    (finding,) = findings(a_run(tmp_path / "falling", columns=falling, record=record, stop={"worst.mean": 1e-5}))
    assert "still falling" in finding.cure


def test_a_diverged_run_repeats_its_message_before_all_else(tmp_path):
    message = "condition 'euler' is not finite in update 7, first at age group 3 of 5"
    run = a_run(tmp_path, shares={"consumption_floor": 0.5}, record={"status": "diverged", "message": message})
    assert names(run)[0] == "training broke down"
    assert message in next(line for line in diagnosis(run) if "broke down" in line)


def test_a_run_in_progress_is_read_as_far_as_it_has_written(tmp_path):
    run = a_run(tmp_path)
    for path in (run.errors, run.simulation, run.path / "description.json"):
        path.unlink()
    assert list(diagnosis(run))[1].startswith("not evaluated: deqn evaluate olg/first")
    run.metrics.unlink()
    run.provenance.unlink()
    with pytest.raises(UserError, match="neither provenance"):
        findings(run)


@pytest.mark.parametrize("content", ["{half", "[" * 200_000 + "]" * 200_000, "[" + "1," * 9_000_000 + "1]"])
def test_a_damaged_file_and_one_too_deep_or_too_large_to_be_read_is_named(tmp_path, content):
    run = a_run(tmp_path)
    run.provenance.write_text(content)
    with pytest.raises(UserError, match=r"provenance\.json: cannot be read"):
        findings(run)
