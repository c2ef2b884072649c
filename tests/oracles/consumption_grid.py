"""A household's consumption on a grid: models/consumption/grid.py."""

from .of_models import grid_of

_grid = grid_of("consumption")
Household, mean_one, rouwenhorst, solve = _grid.Household, _grid.mean_one, _grid.rouwenhorst, _grid.solve
