"""Forecasts without a network that an econometrician makes first, by scikit-learn; all see the same windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import Lasso, LinearRegression, Ridge


class Windows(NamedTuple):
    """x: [windows, time, nodes, features], y: [windows, nodes], hour: int [windows, time] of each row of x."""

    x: np.ndarray
    y: np.ndarray
    hour: np.ndarray


def forecasts(train: Windows, validation: Windows, test: Windows) -> Mapping[str, np.ndarray]:
    """Returns [windows, nodes] by name; penalties are those with the smallest error on the windows to validate."""
    flat = [each.x.reshape(len(each.x), -1) for each in (train, validation, test)]
    hours = [each.hour[:, -1] for each in (train, test)]
    by_hour = {h: train.y[hours[0] == h].mean(axis=0) for h in np.unique(hours[0])}
    everywhere = train.y.mean(axis=0)

    def penalised(make, penalties):
        fitted = [make(penalty).fit(flat[0], train.y) for penalty in penalties]
        errors = [((each.predict(flat[1]) - validation.y) ** 2).mean() for each in fitted]
        return fitted[int(np.argmin(errors))].predict(flat[2])

    own = [
        LinearRegression().fit(train.x[:, :, i].reshape(len(train.x), -1), train.y[:, i]).predict(
            test.x[:, :, i].reshape(len(test.x), -1)
        )
        for i in range(train.y.shape[1])
    ]  # fmt: skip
    return {
        "AR by node": np.stack(own, axis=1),
        "VAR": LinearRegression().fit(flat[0], train.y).predict(flat[2]),
        "ridge VAR": penalised(Ridge, np.logspace(-1, 5, 25)),
        "LASSO VAR": penalised(lambda penalty: Lasso(penalty, precompute=True), np.logspace(-3, 0, 10)),
        "historical average": np.stack([by_hour.get(h, everywhere) for h in hours[1]]),
        "persistence": test.x[:, -1, :, 0],
    }


def row(name: str, forecast: np.ndarray, truth: np.ndarray) -> dict[str, float | str]:
    """Returns measures of one forecast: mean squared error, its root, and sum |error| / sum |x| (wMAPE)."""
    error = forecast - truth
    mse = float((error**2).mean())
    return {
        "forecast": name, "mse": mse, "rmse": mse**0.5, "wmape": float(np.abs(error).sum() / np.abs(truth).sum()),
    }  # fmt: skip
