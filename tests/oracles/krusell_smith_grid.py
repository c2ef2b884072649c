"""Aiyagari's and Krusell and Smith's economies on grids: models/krusell_smith/grid.py."""

from .of_models import grid_of

_grid = grid_of("krusell_smith")
follow, krusell_smith, lottery, quantiles, stationary = (
    _grid.follow, _grid.krusell_smith, _grid.lottery, _grid.quantiles, _grid.stationary
)  # fmt: skip
wealth_grid, with_labour, with_unemployment = _grid.wealth_grid, _grid.with_labour, _grid.with_unemployment
