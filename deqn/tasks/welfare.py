"""`deqn welfare`: what a change of the economy, for ever and by surprise, is worth to whom.

The change comes at date 0, in a state of the first economy's ergodic distribution. From there both go on under the same
shocks: the same values of a chain, the same innovations of what is continuous. The gain is the share of consumption, in
every period that is left, that a household would have to be given without the change to be as well off as with it:

    (1 + g)^(1-gamma) E[ sum_j beta^j u(c_j) | without ] = E[ sum_j beta^j u(c_j) | with ],
    u(c) = c^(1-gamma) / (1-gamma)

(log utility: ln (1 + g) sum_j beta^j is the difference). The expectation is over states at date 0 and later shocks. In
an economy with the axis `age` there is a gain for each generation, alive or not yet born; else one for each member of
the axis of consumption, such as a country, over a horizon beyond which the weights beta^j add up to a ten-thousandth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import axes_of
from deqn.project.errors import UserError
from deqn.project.run import RunFolder
from deqn.report.axes import text
from deqn.report.tidy import Simulation
from deqn.tasks.solution import Solution, opened

SETTLING = 200  # periods from the initial states to the ergodic distribution
BATCHES = 20  # of tracks, from whose spread the standard errors come
_LEFT = 1e-4  # of the weights of all periods, beyond the horizon
_LONGEST = 5000  # periods


class Paths(NamedTuple):
    """consumption: [tracks, periods, ...]. series: [tracks, periods] by letter, what is one number a period."""

    consumption: np.ndarray
    series: dict[str, np.ndarray]


class Tastes(NamedTuple):
    """beta and gamma of the utility above; of several gammas each member of the axis of consumption has its own."""

    discount_factor: float
    risk_aversion: float | tuple[float, ...]

    def gamma(self, place: int = 0) -> float:
        """Of the member at this place."""
        return self.risk_aversion[place] if isinstance(self.risk_aversion, tuple) else self.risk_aversion


class Welfare(NamedTuple):
    """gains: rows by generation or member. transition: rows by period. tastes: those that both economies have."""

    gains: list[dict[str, Any]]
    transition: list[dict[str, Any]]
    tastes: Tastes


def welfare(
    before: RunFolder,
    after: RunFolder,
    tracks: int,
    births: int,
    risk_aversion: float | tuple[float, ...] | None,
    as_trained: bool,
) -> Welfare:
    """What the change from one economy to the other is worth. Raises UserError where they cannot be compared."""
    solutions = [opened(run, as_trained) for run in (before, after)]
    for run, each in zip((before, after), solutions, strict=True):
        if not isinstance(each, Solution):
            raise UserError(f"{run}: is no economy; welfare is that of its households")
    first, second = (each for each in solutions if isinstance(each, Solution))
    tastes = tastes_of(first, risk_aversion)
    if tastes_of(second, risk_aversion) != tastes:
        raise UserError(
            f"{after}: discount factor or risk aversion differ from those of {before}; they have to be alike"
        )
    paths = both_ways(first, second, tastes, tracks, births)
    economy, report = first.economy, first.economy.report
    members = 1 if "age" in economy.axes else math.prod(paths[0].consumption.shape[2:])
    if isinstance(tastes.risk_aversion, tuple) and len(tastes.risk_aversion) != members:
        raise UserError(f"--risk-aversion: got {len(tastes.risk_aversion)} numbers, expected one or {members}")
    if "age" in economy.axes:
        rows = gains(np.asarray(economy.axes["age"]), tastes, *paths)
    else:
        labels = axes_of(economy).of("consumption", paths[0].consumption.shape[2:])
        rows = gains_for_ever(labels, tastes, *paths)
    words = {letter: report.aggregates.get(letter, letter) for letter in paths[0].series}
    return Welfare(rows, list(transition(words, *paths)), tastes)


def both_ways(before: Solution, after: Solution, tastes: Tastes, tracks: int, births: int) -> tuple[Paths, Paths]:
    """Paths from the same states under the same shocks, without the change and with it.

    births: generations born after the change whose whole lives are covered, in an economy with ages.
    Raises UserError for economies whose states or shocks differ, or that have no consumption.
    """
    periods = births + len(before.economy.axes["age"]) if "age" in before.economy.axes else horizon(tastes)
    letters = before.economy.report.letters
    first = before.simulate(1, seed=7, burn_in=SETTLING, tracks=tracks)
    start = {name: first[letters.get(name, name)] for name in before.economy.State._fields}
    _check_innovations(before, after, start)
    without = before.simulate(periods, seed=8, tracks=tracks, initial_state=start)
    reformed = after.simulate(periods, seed=8, tracks=tracks, initial_state=start)
    shock = letters.get("shock", "shock")
    if shock in without and not np.array_equal(without[shock], reformed[shock]):
        raise UserError(f"{after.run}: its shocks follow another law than those of {before.run}; they have to be alike")
    return paths_of(without, before, tracks), paths_of(reformed, before, tracks)


def _check_innovations(before: Solution, after: Solution, start: Mapping[str, np.ndarray]) -> None:
    """Raises UserError if one draw leads to other innovations in one economy than in the other."""
    drawn = []
    for each in (before, after):
        state = each.economy.tensors(each.economy.check_states(start))
        drawn.append([x.numpy() for x in tf.nest.flatten(each.economy.shocks.draw(state, tf.constant([8, 1])))])
    if len(drawn[0]) != len(drawn[1]) or not all(map(np.array_equal, *drawn)):
        raise UserError(f"{after.run}: its shocks follow another law than those of {before.run}; they have to be alike")


def tastes_of(solution: Solution, risk_aversion: float | tuple[float, ...] | None) -> Tastes:
    """risk_aversion: for an economy without such a parameter. Raises UserError where something is lacking."""
    p = solution.economy.p
    if not hasattr(p, "discount_factor"):
        raise UserError(f"{solution.run}: has no parameter discount_factor, by which later utility counts less")
    own = getattr(p, "risk_aversion", None)
    if isinstance(own, int | float) and risk_aversion not in (None, own):
        raise UserError(f"--risk-aversion: got {risk_aversion}, that of {solution.run} is {own:g}; leave it out")
    gamma = own if isinstance(own, int | float) else risk_aversion if own is None else None
    if gamma is None:
        raise UserError(
            f"{solution.run}: its parameters say no risk aversion (one number); add --risk-aversion 1 for log, or a "
            "number for each country, such as 4,1"
        )
    return Tastes(float(p.discount_factor), gamma)


def horizon(tastes: Tastes) -> int:
    """Periods beyond which the weights of utility add up to a ten-thousandth of all."""
    if not tastes.discount_factor < 1:
        raise UserError(
            f"discount_factor is {tastes.discount_factor:g}: expected below 1 where households live for ever"
        )
    return min(_LONGEST, math.ceil(math.log(_LEFT) / math.log(tastes.discount_factor)))


def paths_of(path: Simulation, solution: Solution, tracks: int) -> Paths:
    """Raises UserError if the economy has no consumption."""
    letter = solution.economy.report.letters.get("consumption", "C")
    if letter not in path:
        raise UserError(f"{solution.run}: no consumption among {', '.join(path)}; welfare needs it")
    by_track = {name: x.reshape(tracks, -1, *x.shape[1:]) for name, x in path.items()}
    states = {solution.economy.report.letters.get(name, name) for name in solution.economy.State._fields}
    series = {n: x for n, x in by_track.items() if x.ndim == 2 and x.dtype.kind == "f" and n not in states}
    return Paths(by_track[letter], series)


def gains(ages: np.ndarray, tastes: Tastes, without: Paths, reformed: Paths) -> list[dict[str, Any]]:
    """By period of birth, 0 that of the change: g in % with its standard error, and the age at the change.

    ages: [N] of the cohorts.
    """
    beta, gamma, N, periods = tastes.discount_factor, tastes.gamma(), len(ages), without.consumption.shape[1]
    rows = []
    for birth in range(1 - N, periods - N + 1):
        lived = range(max(0, -birth), N)  # cohorts, from 0, in which it lives on after the change
        first, second = (
            _value(np.stack([each.consumption[:, birth + cohort, cohort] for cohort in lived], axis=1), beta, gamma)
            for each in (without, reformed)
        )
        whole, error = _with_error(first, second, len(lived), beta, gamma)
        age = float(ages[-birth]) if birth <= 0 else ""
        rows.append({"birth": birth, "age at the change": age, "gain %": whole, "standard error": error})
    return rows


def gains_for_ever(labels: Mapping[str, Any], tastes: Tastes, without: Paths, reformed: Paths) -> list[dict[str, Any]]:
    """By member of the axis of consumption (one where it has none) g in % with its standard error."""
    periods = without.consumption.shape[1]
    (axis, members), *_ = [*labels.items(), ("household", ["all"])]
    consumption = [each.consumption.reshape(*each.consumption.shape[:2], -1) for each in (without, reformed)]
    rows = []
    for place, member in enumerate(members):
        beta, gamma = tastes.discount_factor, tastes.gamma(place)
        first, second = (_value(each[..., place], beta, gamma) for each in consumption)
        whole, error = _with_error(first, second, periods, beta, gamma)
        rows.append({axis: text(member), "gain %": whole, "standard error": error})
    return rows


def _value(consumption: np.ndarray, beta: float, gamma: float) -> np.ndarray:
    """Discounted utility of each track, [tracks], of consumption [tracks, years]."""
    u = np.log(consumption) if gamma == 1 else consumption ** (1 - gamma) / (1 - gamma)
    return np.asarray(u @ beta ** np.arange(consumption.shape[1]))


def _with_error(
    without: np.ndarray, reformed: np.ndarray, years: int, beta: float, gamma: float
) -> tuple[float, float]:
    """The gain in %, and its standard error over batches of tracks."""
    left = float((beta ** np.arange(years)).sum())
    whole = _gain(without.mean(), reformed.mean(), left, gamma)
    batches = zip(*(v.reshape(BATCHES, -1).mean(axis=1) for v in (without, reformed)), strict=True)
    parts = [_gain(a, b, left, gamma) for a, b in batches]
    return 100 * whole, 100 * float(np.std(parts, ddof=1)) / math.sqrt(BATCHES)


def _gain(without: float, reformed: float, left: float, gamma: float) -> float:
    if gamma == 1:
        return float(np.expm1((reformed - without) / left))
    return float((reformed / without) ** (1 / (1 - gamma)) - 1)


def transition(words: Mapping[str, str], without: Paths, reformed: Paths) -> Iterator[dict[str, Any]]:
    """By period after the change: by how much the mean of each series is above that without it, in %.

    words: series by letter, in words; those whose mean is not positive throughout are left out.
    """
    means = {
        name: (without.series[letter].mean(axis=0), reformed.series[letter].mean(axis=0))
        for letter, name in words.items()
        if letter in without.series and letter in reformed.series
    }
    change = {name: 100 * (b / a - 1) for name, (a, b) in means.items() if (a > 0).all()}
    for period in range(len(next(iter(change.values()), ()))):
        yield {"period": period, **{name: values[period] for name, values in change.items()}}
