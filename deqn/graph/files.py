"""A user's own edges and classes of panels, by CSV or Parquet; every mistake on one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from deqn.graph.graphs import adjacency
from deqn.project.errors import UserError, nearest
from deqn.project.tables import read_table


def read_edges(path: str | Path, names: Sequence[str], directed: bool = False, weighted: bool = True) -> np.ndarray:
    """Returns the adjacency [nodes, nodes] of a file with columns from, to and, if `weighted`, weight.

    names: of the nodes, in their order. Raises UserError: a node of another name, an edge from a node to itself, a
    weight that is not positive.
    """
    table = read_table(path, ["weight"] if weighted else [], texts=["from", "to"])
    for column in ("from", "to"):
        for row, name in enumerate(table[column]):
            if name not in names:
                raise UserError(f"{path}, line {row + 2}: no node {name!r};{nearest(name, names)}")
    place = {name: number for number, name in enumerate(names)}
    weight = table["weight"] if weighted else np.ones(len(table))
    try:
        edges = zip(table["from"].map(place), table["to"].map(place), weight, strict=True)
        return adjacency(len(names), edges, directed)
    except ValueError as error:
        raise UserError(f"{path}: {error}; nodes count from 0 as the file's columns") from error


def read_panels(path: str | Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Returns panels [panels, rows, nodes], their classes, 0 or 1 [panels], and the names of nodes.

    The file has columns panel and class and one for each node, and of each panel as many rows, in the order of time.
    Raises UserError: panels of different length or with two classes, other than two classes in all.
    """
    table = read_table(path, None, texts=["panel", "class"])
    names = [str(name) for name in table if name not in ("panel", "class")]
    panels = table.groupby("panel", sort=False)
    lengths, classes = panels.size(), panels["class"].agg(["first", "nunique"])
    for wrong, what in ((lengths != lengths.iloc[0], "another number of rows than the first panel"),
                        (classes["nunique"] > 1, "more than one class")):  # fmt: skip
        if wrong.any():
            raise UserError(f"{path}: panel {wrong.idxmax()!r} has {what}")
    label, kinds = pd.factorize(classes["first"], sort=True)
    if len(kinds) != 2:
        raise UserError(f"{path}: column class has {', '.join(map(repr, kinds))}, expected two classes")
    return np.stack([each[names].to_numpy(float) for _, each in panels]), label, names


def split(
    x: np.ndarray, label: np.ndarray, validation: int, tests: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns panels and classes to train, to validate, to test, drawn at random. Raises UserError: too few of them."""
    if len(x) < validation + tests + 2:
        raise UserError(
            f"parameters.file: {len(x)} panels, expected more than parameters.validation ({validation}) and "
            f"parameters.tests ({tests}) take"
        )
    order = rng.permutation(len(x))
    parts = np.split(order, [len(x) - validation - tests, len(x) - tests])
    return [(x[rows], label[rows]) for rows in parts]
