"""The problems of the parameter files in models/, made and trained in memory."""

import pandas as pd

from deqn.project.project import Project
from deqn.project.user_code import load_module
from deqn.tasks.build import build_problem
from deqn.tasks.parameter_file import read_parameter_file
from deqn.training.trainer import Trainer

PROJECT = Project.around(__file__)
MODELS = PROJECT.models


def module(folder, name):
    """A Python file of a folder of models/."""
    return load_module(MODELS / folder, name)


def problem_of(file, *overrides, rank=0, ranks=1):
    """The problem of a parameter file such as "iris/iris", untrained, and its settings."""
    read = read_parameter_file(MODELS / f"{file}.yaml", overrides, PROJECT)
    return build_problem(read, rank, ranks), read.settings


def trained(file, *overrides):
    """The problem after training as its settings say."""
    problem, settings = problem_of(file, *overrides)
    Trainer(problem, settings).train()
    return problem


def tables_of(file, *overrides):
    """What the problem has found after training, each table as a DataFrame."""
    return {name: pd.DataFrame(rows) for name, rows in trained(file, *overrides).results().tables.items()}
