"""A problem that a parameter file names: built from the file's parameters, and able to report what it has found."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from deqn.training.problem import Problem

if TYPE_CHECKING:
    import numpy as np

    from deqn.training.parameters import Section
    from deqn.training.settings import TrainingSettings


class Results(NamedTuple):
    """What a trained study shows.

    headline: its figure in a few words, such as "test accuracy 0.967"; `deqn list` shows it beside the run.
    tables: rows by the name of the table, columns in the order of the first row; each is printed and written as
        NAME.csv.
    arrays: written as results.npz, for figures.py beside the parameter file and for checks of one's own.
    """

    headline: str
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    arrays: Mapping[str, np.ndarray] = {}


class Study(Problem):
    """What `problem:` in a parameter file names, as `economy:` names an economy. Subclasses are final.

    Such a class stands in problem.py beside the parameter file. It is made as Class(parameters, settings, rank, ranks):

    parameters: of the file, an instance of the schema in parameters.py: the class named as this one with "Parameters"
        after it, else `Parameters`.
    settings: the rest of the file; `seed`, `precision` and `workers` concern a study.
    rank: of `ranks` workers; each should draw data of its own.
    """

    @abc.abstractmethod
    def __init__(self, parameters: Section, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None: ...

    def describe(self) -> Mapping[str, str]:
        """What the header of a training says: a line of text by its first word, such as {"data": "20,000 strings"}."""
        return {}

    @abc.abstractmethod
    def results(self) -> Results:
        """Called on a new object that holds the weights of a run, the best ones if the study validates.

        `restore` has been called with the host state of the run's end.
        """
