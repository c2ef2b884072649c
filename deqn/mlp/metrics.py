"""Measures of how good a classifier is. Counts and averages are scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from deqn.mlp.checks import labels


def confusion_matrix(actual: Any, predicted: Any, classes: int = 2) -> np.ndarray:
    """Returns int [classes, classes]: rows are actual, columns predicted; of two classes [[TN, FP], [FN, TP]].

    actual, predicted: [n] labels. Raises ValueError: labels outside [0, classes), unequal lengths.
    """
    actual, predicted = _pair(actual, predicted, classes)
    return metrics.confusion_matrix(actual, predicted, labels=range(classes))


def confusion_rows(matrix: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns a confusion matrix as the rows of a table: the actual class, and how often each class was predicted."""
    return [
        {"actual": name, **dict(zip(names, map(int, row), strict=True))}
        for name, row in zip(names, matrix, strict=True)
    ]


def classification(actual: Any, predicted: Any, classes: int = 2) -> dict[str, float]:
    """Returns accuracy, precision, recall and F1: of two classes for class 1, of more the means over classes.

    Precision is 0 where a class is never predicted. Raises ValueError as `confusion_matrix` does.
    """
    actual, predicted = _pair(actual, predicted, classes)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        actual, predicted, labels=[1] if classes == 2 else range(classes), average="macro", zero_division=0.0
    )
    return {
        "accuracy": float(metrics.accuracy_score(actual, predicted)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }


def _pair(actual: Any, predicted: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    actual, predicted = labels(actual, classes, "actual"), labels(predicted, classes, "predicted")
    if len(actual) != len(predicted):
        raise ValueError(f"predicted: got {len(predicted)} labels, expected {len(actual)} as in actual")
    return actual, predicted
