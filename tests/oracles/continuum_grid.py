"""A continuum of households with one bond on grids: models/continuum/grid.py."""

from .of_models import grid_of

_grid = grid_of("continuum")
Continuum, approximate, follow, quantiles, stationary, wealth_grid = (
    _grid.Continuum, _grid.approximate, _grid.follow, _grid.quantiles, _grid.stationary, _grid.wealth_grid
)  # fmt: skip
