"""What the paper reads off its figures 2 to 4 and 6 to 8, put as numbers: does each claim hold for this network?

rand        the predicted variance follows that of the noise
switch      after a joint of two sequences the predicted variance is larger than before
long        the predicted variance rises with the size of x
noiseless   the KL of proposal and prior falls within a sequence
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from deqn.sequence.hmm import forward

from .synthetic import LEVELS, Sequences

_AROUND = 3  # steps before and after a joint that are compared


class Shown(NamedTuple):
    """What a network shows of sequences: divergence [n, T], mean and log_variance [n, T, 2]."""

    divergence: np.ndarray
    mean: np.ndarray
    log_variance: np.ndarray


def claims(tests: Mapping[str, Sequences], shown: Mapping[str, Shown]) -> list[dict[str, Any]]:
    """Returns a row for each claim: what was measured, what it is compared with, and whether it holds."""
    variance = {name: each.log_variance.mean(axis=2) for name, each in shown.items()}
    found, ceiling = follows_the_noise(tests["rand"], variance["rand"])
    jump, slope = after_a_joint(variance["switch"]), with_the_size(tests["long"].x, variance["long"])
    fall = falls_within(shown["noiseless"].divergence)
    return [
        {"claim": "rand: rank correlation of predicted and true variance at least half of an ideal observer's",
         "measured": found, "against": ceiling / 2, "holds": bool(found >= ceiling / 2)},
        {"claim": "switch: t of the predicted variance's rise at a joint above 3",
         "measured": jump, "against": 3.0, "holds": bool(jump > 3)},
        {"claim": "long: slope of predicted ln variance on ln norm of x above 0",
         "measured": slope, "against": 0.0, "holds": bool(slope > 0)},
        {"claim": "noiseless: t of the KL's fall from the first third to the last above 3",
         "measured": fall, "against": 3.0, "holds": bool(fall > 3)},
    ]  # fmt: skip


def follows_the_noise(tests: Sequences, variance: np.ndarray) -> tuple[float, float]:
    """Returns Spearman's correlation with ln sigma_t^2 of what a network shows, and of an ideal observer, t = 0 aside.

    The observer of rand knows that W = I and how the noise changes, and infers its level from x_1..x_t.
    """
    truth = 2 * np.log(tests.sigma[:, 1:]).ravel()
    network, observer = (
        stats.spearmanr(each.ravel(), truth).statistic for each in (variance[:, 1:], observed_noise(tests.x))
    )
    return float(network), float(observer)


def observed_noise(x: np.ndarray) -> np.ndarray:
    """Returns E[ln sigma_t^2 | x_0..x_t] of sequences of rand, [n, T-1]: the forward algorithm over the three levels.

    The number of changes is 0 to 3 with equal probability, at random periods: 1.5 of T - 1 in the mean.
    """
    steps = np.diff(x, axis=1)
    hazard = 1.5 / steps.shape[1]
    transition = (1 - hazard) * np.eye(3) + hazard / 2 * (1 - np.eye(3))
    sizes = (steps**2).sum(axis=2).T[:, :, None]  # [T-1, n, 1]
    levels = np.asarray(LEVELS)
    logs = -2 * np.log(levels) - 0.5 * sizes / levels**2
    likelihoods = np.exp(logs - logs.max(axis=2, keepdims=True))
    beliefs = np.stack([step.states for step in forward(np.full(3, 1 / 3), transition, likelihoods)], axis=1)
    return beliefs @ (2 * np.log(levels))


def after_a_joint(variance: np.ndarray) -> float:
    """Returns t of the rise of the mean over the three steps after a joint above that before; variance: [n, 3 T]."""
    length = variance.shape[1] // 3
    pairs = [(variance[:, at : at + _AROUND], variance[:, at - _AROUND : at]) for at in (length, 2 * length)]
    after, before = (np.concatenate([pair[i] for pair in pairs], axis=1) for i in (0, 1))
    return _paired(after, before)


def with_the_size(x: np.ndarray, variance: np.ndarray) -> float:
    """Returns the slope of variance [n, T] on ln of the norm of x [n, T, 2]."""
    return float(stats.linregress(np.log(np.linalg.norm(x, axis=2)).ravel(), variance.ravel()).slope)


def falls_within(divergence: np.ndarray) -> float:
    """Returns t of the fall from the first third of the steps to the last; divergence: [n, T]."""
    third = divergence.shape[1] // 3
    return _paired(divergence[:, :third], divergence[:, -third:])


def _paired(high: np.ndarray, low: np.ndarray) -> float:
    """t of the difference of means over steps [n, steps], paired by sequence."""
    return float(stats.ttest_rel(high.mean(axis=1), low.mean(axis=1)).statistic)
