"""Growth on a grid: models/growth/grid.py."""

from .of_models import grid_of

_grid = grid_of("growth")
Growth, rouwenhorst, solve_ar1, solve_markov = _grid.Growth, _grid.rouwenhorst, _grid.solve_ar1, _grid.solve_markov
