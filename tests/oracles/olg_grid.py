"""Overlapping generations on a grid: models/olg/grid.py."""

from .of_models import grid_of

_grid = grid_of("olg")
Economy, Splines, chain_paths = _grid.Economy, _grid.Splines, _grid.chain_paths
coordinates, holdings, implied, solve = _grid.coordinates, _grid.holdings, _grid.implied, _grid.solve
