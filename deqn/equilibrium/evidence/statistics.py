"""Bands and tests of what is measured along simulated paths, whose periods are not independent. Without TensorFlow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

_RESAMPLES, _TOP = 400, 0.05


class Band(NamedTuple):
    """An estimate, and the interval that holds it in 95 of 100 samples."""

    estimate: float
    low: float
    high: float


def bands(errors: np.ndarray, percentile: float, seed: int = 0) -> tuple[Band, Band]:
    """Of the mean and a high percentile of absolute errors [T, ...], all entries pooled, by a circular block bootstrap.

    Blocks of sqrt(T) successive periods are drawn with replacement (Politis & Romano 1992), so that the dependence
    within a block is kept. Of the errors only the largest twentieth is sorted, which is where the percentile lies.
    """
    sizes = np.abs(errors).reshape(len(errors), -1)
    periods, entries = sizes.shape
    weight = _weights(periods, np.random.default_rng(seed))  # [resamples, T]
    means = weight @ sizes.mean(axis=1) / periods
    flat = sizes.ravel()
    kept = max(int(_TOP * flat.size), 1)
    top = np.argpartition(flat, flat.size - kept)[flat.size - kept :]
    top = top[np.argsort(-flat[top], kind="stable")]
    above = (1 - percentile / 100) * periods * entries  # so much weight lies above the percentile
    values, rows = flat[top], top // entries
    tails = [values[min(np.searchsorted(np.cumsum(each[rows]), above), kept - 1)] for each in weight]
    return (
        Band(float(sizes.mean()), *_middle(means)),
        Band(float(np.percentile(flat, percentile)), *_middle(np.array(tails))),
    )


def _weights(periods: int, generator: np.random.Generator) -> np.ndarray:
    """How often each resample has each period, [resamples, T]."""
    length = max(1, round(np.sqrt(periods)))
    blocks = -(-periods // length)
    begin = generator.integers(0, periods, (_RESAMPLES, blocks, 1))
    chosen = ((begin + np.arange(length)) % periods).reshape(_RESAMPLES, -1)[:, :periods]
    return np.stack([np.bincount(each, minlength=periods) for each in chosen]).astype(float)


def _middle(values: np.ndarray) -> tuple[float, float]:
    return float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))


class Tested(NamedTuple):
    """A test: its statistic, degrees of freedom, p-value, and which entry it is of."""

    statistic: float
    degrees: int
    p_value: float
    entry: int


def orthogonality(u: np.ndarray, instruments: np.ndarray) -> Tested | None:
    r"""The chi-squared test of E[u_{t+1} (x) h_t] = 0 (Den Haan & Marcet 1994, Review of Economic Studies 61, eq. 5).

        Q = T g' S^+ g,   g = 1/T sum_t u_{t+1} h_t,   S = 1/T sum_t u_{t+1}^2 h_t h_t'   ~   chi^2(rank S)

    u: [T, n] innovations of n conditions, each tested alone: those of cohorts are hardly distinct. Of the smallest
    p-value, times n (Bonferroni). instruments: [T, m], known when u was not. None if no condition has any innovation.
    """
    found = []
    for entry, each in enumerate(u.T):
        products = each[:, None] * instruments
        mean, S = products.mean(axis=0), products.T @ products / len(products)
        scale = np.sqrt(np.diag(S))
        if not np.isfinite(scale).all():
            return Tested(np.nan, 0, np.nan, entry)
        used = scale > 0
        if not used.any():
            continue
        mean, S = mean[used] / scale[used], S[np.ix_(used, used)] / np.outer(scale[used], scale[used])
        statistic = float(len(products) * mean @ np.linalg.pinv(S, rcond=1e-8, hermitian=True) @ mean)
        degrees = int(np.linalg.matrix_rank(S, tol=1e-8 * len(S), hermitian=True))
        found.append(Tested(statistic, degrees, float(stats.chi2.sf(statistic, degrees)), entry))
    if not found:
        return None
    worst = min(found, key=lambda each: each.p_value)
    return worst._replace(p_value=min(1.0, worst.p_value * len(found)))


def equal_means(series: np.ndarray, batches: int) -> Tested:
    """Whether K tracks [K, T, n] have one mean: an analysis of variance of their batch means, of each series alone.

        F = (variance between the tracks) / (variance between the batches within a track)  ~  F(K - 1, K (batches - 1))

    Batches are long enough to be nearly independent, or the test is too strict. Smallest p-value, times n (Bonferroni).
    """
    tracks, periods, count = series.shape
    length = periods // batches
    means = series[:, : length * batches].reshape(tracks, batches, length, count).mean(axis=2)
    by_track = means.mean(axis=1, keepdims=True)
    between = batches * ((by_track - means.mean(axis=(0, 1))) ** 2).sum(axis=(0, 1)) / (tracks - 1)
    degrees = tracks * (batches - 1)
    within = ((means - by_track) ** 2).sum(axis=(0, 1)) / degrees
    with np.errstate(divide="ignore", invalid="ignore"):
        F = np.where(between > 0, between / within, 0.0)
    F = np.where(np.isfinite(series).all(axis=(0, 1)), F, np.nan)
    p_values = np.where(np.isnan(F), np.nan, stats.f.sf(F, tracks - 1, degrees))
    worst = int(np.argmin(np.where(np.isnan(p_values), -1, p_values)))
    return Tested(float(F[worst]), degrees, float(np.minimum(1.0, p_values[worst] * count)), worst)
