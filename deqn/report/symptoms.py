"""The causes that `deqn doctor` knows; each is a function that reads a run's files and reports what it found, or None.

The thresholds are judgements: wide enough that a run which converges shows none of them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from deqn.report.axes import Axes, text

_CLIPPED_SHARE = 1e-4  # of entries at a floor, above which a solution is said to be infeasible in places
_JUMP = 10.0  # times the median of the five rows before
_DOMINATES = 3.0  # times the mean over all, or the next condition
_ROUNDING = 1e-12  # below it a condition holds by construction
_NO_BETTER, _SMALL = 0.9, 1e-5  # of the error before training; an error before training that needs no lowering
_STUCK = 3.0  # fresh-path error over training error; a converged run has less than one
_DRIFT_SHARE, _DRIFT_T = 0.05, 4.0  # of the mean along the path, and in standard errors
_FALLING = 0.9  # the error of the last quarter over the one before


class Finding(NamedTuple):
    """A cause: its name, the evidence with numbers, and what to do."""

    name: str
    seen: str
    cure: str


class Evidence(NamedTuple):
    """What a run's files hold; empty where a file is not written yet.

    metrics: columns of metrics.csv, [rows] each. errors: rows of errors.csv. simulation: arrays of simulation.npz
    by the names of description.json: states, policies, aggregates, track.
    """

    parameters: Mapping[str, Any]
    provenance: Mapping[str, Any]
    description: Mapping[str, Any]
    metrics: Mapping[str, np.ndarray]
    errors: list[dict[str, Any]]
    simulation: Mapping[str, np.ndarray]


def broke_down(run: Evidence) -> Finding | None:
    """Training ended as diverged, or a file could not be written."""
    if run.provenance.get("status") not in ("diverged", "failed"):
        return None
    return Finding(
        "training broke down",
        str(run.provenance.get("message", "no message was kept")),
        "a learning rate ten times smaller, a warm start, or --from the run of a neighbouring calibration",
    )


def loss_jumps(run: Evidence) -> Finding | None:
    """Roll-backs, skipped updates, or a loss that jumps far above its recent level again and again."""
    loss = run.metrics.get("loss", np.zeros(0))
    recent = [np.median(loss[at - 5 : at]) for at in range(5, len(loss))]
    # Of what can be negative, as an actor's loss, there is no tenfold.
    jumps = sum(now > _JUMP * before > 0 for now, before in zip(loss[5:], recent, strict=True))
    rollbacks, skipped = (int(np.nanmax(run.metrics[name], initial=0)) if name in run.metrics else 0
                          for name in ("rollbacks", "skipped"))  # fmt: skip
    if not (rollbacks or skipped or jumps >= 2):
        return None
    return Finding(
        "learning rate too high",
        f"the loss jumped more than {_JUMP:g}-fold {jumps} times; {rollbacks} roll-backs; {skipped} updates not "
        "applied because they were not finite",
        "a smaller phases.0.optimizer.learning_rate, a longer warm_up, or clip: 1.0",
    )


def clipped(run: Evidence) -> Finding | None:
    """Floors or guards that were active, on the evaluation's path or at the end of training; constraints are none."""
    shares = {f"{name} on the evaluation's path": share
              for name, share in run.description.get("shares_of_active_guards", {}).items()}  # fmt: skip
    for name, column in run.metrics.items():
        if name.startswith("share_"):
            late = np.nanmean(column[-(len(column) // 4 + 1) :])
            shares[f"{name.removeprefix('share_')} in late training"] = float(late)
    active = {name: share for name, share in shares.items() if share > _CLIPPED_SHARE}
    if not active:
        return None
    seen = "; ".join(f"{name.replace('_', ' ')}: {share:.2%} of entries" for name, share in active.items())
    return Finding(
        "the policy asks for what is not possible",
        seen,
        "errors there say nothing; begin from the warm start, with a smaller learning rate or more sampling.resets",
    )


def stuck_tracks(run: Evidence) -> Finding | None:
    """Small errors where the network is trained, large ones where the economy goes."""
    pairs = [(name, *_trained_and_fresh(run, name, loss)) for name, loss in _losses(run)]
    stuck = {name: (trained, fresh) for name, trained, fresh in pairs if fresh > _STUCK * trained}
    if not stuck:
        return None
    name, (trained, fresh) = max(stuck.items(), key=lambda item: item[1][1])
    return Finding(
        "tracks away from the ergodic set",
        f"the error on fresh paths of {name}, {100 * fresh:.3g} %, is {fresh / max(trained, 1e-300):.0f} times the "
        f"training error, {100 * trained:.3g} %: the states trained on are not those that the economy visits",
        "more sampling.tracks, a few sampling.resets, longer training; with a frozen next period, a smaller "
        "next_period.average",
    )


def _losses(run: Evidence) -> list[tuple[str, str]]:
    """Conditions that are validated and their column of the loss; the one that decides where there is one loss only."""
    names = [name.removesuffix(".mean") for name in run.metrics if name.endswith(".mean")]
    own = [(name, f"loss_{name}") for name in names if f"loss_{name}" in run.metrics]
    alone = not any(name.startswith("loss_") and name != "loss_max" for name in run.metrics)
    return own or ([(names[0], "loss")] if names and alone else [])


def _trained_and_fresh(run: Evidence, condition: str, column: str) -> tuple[float, float]:
    """Late training's error of a condition, and the last one on fresh paths; NaN before the first."""
    loss, fresh = run.metrics[column], run.metrics[f"{condition}.mean"]
    fresh = fresh[np.isfinite(fresh)]
    if not (len(loss) and len(fresh)):
        return np.nan, np.nan
    return float(np.sqrt(np.median(loss[-(len(loss) // 4 + 1) :]))), float(fresh[-1])


def drift(run: Evidence) -> Finding | None:
    """The aggregate with the largest trend along the whole simulated path, if that is large and certain."""
    track = run.simulation.get("track")
    if track is not None and np.ptp(track):
        return None
    aggregates = {name: run.simulation.get(name) for name in run.description.get("aggregates", {}).values()}
    trends = {name: _trend(x) for name, x in aggregates.items() if x is not None and len(x) >= 100}
    certain = {
        name: (change, t) for name, (change, t) in trends.items() if abs(change) >= _DRIFT_SHARE and t >= _DRIFT_T
    }
    if not certain:
        return None
    name, (change, t) = max(certain.items(), key=lambda item: abs(item[1][0]))
    return Finding(
        f"{name} drifts",
        f"aggregate {name} {'rises' if change > 0 else 'falls'} by {abs(change):.0%} along the simulated path, a trend "
        f"of {t:.0f} standard errors: no stationary distribution is in sight",
        "a longer --burn-in shows whether it settles; else train longer: small errors of one sign add up over time",
    )


def _trend(x: np.ndarray) -> tuple[float, float]:
    """The change of x [T] along its trend as a share of its mean, and the trend's size in standard errors."""
    # Means of twenty blocks are nearly independent, so that an ordinary regression can judge the trend.
    means = np.array([block.mean() for block in np.array_split(x, 20)])
    time = np.linspace(-0.5, 0.5, len(means))
    slope = time @ means / (time @ time)
    residual = means - means.mean() - slope * time
    standard_error = np.sqrt(residual @ residual / (len(means) - 2) / (time @ time))
    return slope / means.mean(), abs(slope) / max(standard_error, 1e-300)


def saturated(run: Evidence) -> Finding | None:
    """A decision by age that hardly differs between states, though no constraint holds it."""
    for name, multiplier in run.description.get("binding", {}).items():
        if finding := _saturated(run, name, run.simulation.get(multiplier)):
            return finding
    return None


def _saturated(run: Evidence, name: str, multiplier: np.ndarray | None) -> Finding | None:
    decision = run.simulation.get(name)
    if decision is None or decision.ndim != 2 or len(decision) < 100:
        return None
    states = (run.simulation[each] for each in run.description.get("states", ()) if each in run.simulation)
    moves = any(np.ptp(x.reshape(len(x), -1).sum(axis=1)) >= 1e-6 for x in states if x.dtype.kind == "f")
    free = np.ones(decision.shape, bool) if multiplier is None else multiplier <= 0
    same = np.isclose(decision, np.median(decision, axis=0), rtol=1e-6, atol=1e-9) & free
    stiff = np.flatnonzero(same.mean(axis=0) > 0.9)
    if not (len(stiff) and moves):
        return None
    along = Axes.read(run.description).of(name, decision.shape[1:])
    first = f"{next(iter(along))} {text(next(iter(along.values()))[stiff[0]])}" if along else f"place {stiff[0] + 1}"
    return Finding(
        "saturated outputs",
        f"{name} at {len(stiff)} of {decision.shape[1]} places (first: {first}) is the same number in "
        "nearly all states, though no constraint binds there",
        "the network no longer answers there: a smaller learning rate, another seed, or an activation that does not "
        "die (silu for relu)",
    )


def dominating(run: Evidence) -> Finding | None:
    """A condition, shock or place on the axis whose mean error is several times that of the others."""
    rows = [row for row in run.errors if row["unit"] == "relative" and np.isfinite(row["mean"])]
    overall = sorted((row for row in rows if row["group"] == "all"), key=lambda row: -row["mean"])
    if not overall:
        return None
    worst = overall[0]
    seen = []
    others = [row["mean"] for row in overall[1:] if row["mean"] > _ROUNDING]
    if others and worst["mean"] > _DOMINATES * others[0]:
        seen.append(f"condition {worst['condition']} ({_times(worst['mean'], others[0])} the next)")
    for group in dict.fromkeys(row["group"] for row in rows if row["group"] not in ("all", "binding")):
        within = [row for row in rows if row["group"] == group and row["condition"] == worst["condition"]]
        peak = max(within, key=lambda row: row["mean"], default=None)
        if peak and peak["mean"] > _DOMINATES * worst["mean"]:
            place = f"shock {peak['key']}, never visited," if group == "unvisited" else f"{group} {peak['key']}"
            seen.append(f"{place} ({_times(peak['mean'], worst['mean'])} the mean over all)")
    if not seen:
        return None
    return Finding(
        "errors sit in one place",
        f"mean {worst['condition']} error {100 * worst['mean']:.3g} %, dominated by " + ", ".join(seen),
        "for a condition: its entry of weights; for a shock: a sampling.chain that visits it more often; else longer "
        "training, or a network with own: true",
    )


def _times(value: float, other: float) -> str:
    return f"{value / other:.0f} times" if other > 0 else "against zero for"


def no_better(run: Evidence) -> Finding | None:
    """The error on fresh paths that decides was hardly lowered by training."""
    best = run.provenance.get("validation_of_best", {})
    name = next((name for name in best if name.endswith(".mean")), "")
    before = run.provenance.get("validation_before_training", {}).get(name, 0.0)
    if not (run.provenance.get("updates") and name and before > _SMALL and best[name] > _NO_BETTER * before):
        return None
    means = {each.removesuffix(".mean"): x for each, x in best.items() if each.endswith(".mean") and each != name}
    condition = next((each for each, x in means.items() if x == best[name]), name.removesuffix(".mean"))
    return Finding(
        "training made it no better",
        f"mean {condition} error on fresh paths {100 * before:.3g} % before training, {100 * best[name]:.3g} % after",
        f"a larger weights.{condition} if it is among the residuals, else validation.decided_by another condition",
    )


def thresholds_missed(run: Evidence) -> Finding | None:
    """Algorithm 1's thresholds were asked for and not reached."""
    if run.provenance.get("thresholds_reached") is not False:
        return None
    reached = run.provenance.get("validation_of_best", {})
    asked = run.parameters.get("stop", {})
    seen = ", ".join(f"{name} {reached.get(name, float('nan')):.3g} (asked for {at:g})" for name, at in asked.items())
    errors = next((column for name, column in run.metrics.items() if name.endswith(".mean")), np.zeros(0))
    errors = errors[np.isfinite(errors)]
    quarter = len(errors) // 4
    falling = quarter and errors[-quarter:].mean() < _FALLING * errors[-2 * quarter : -quarter].mean()
    cure = (
        "the error was still falling: more updates in the last phase"
        if falling
        else "the error no longer fell: a smaller final learning rate, a wider network, or more tracks"
    )
    return Finding("thresholds not reached", f"best on fresh paths: {seen}", cure)


# Causes before consequences: what is named first is what to mend first.
SYMPTOMS: tuple[Callable[[Evidence], Finding | None], ...] = (
    broke_down,
    loss_jumps,
    clipped,
    stuck_tracks,
    drift,
    saturated,
    dominating,
    no_better,
    thresholds_missed,
)
