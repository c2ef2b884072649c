"""Growth by hidden regimes on a grid of capital and belief: models/growth_hidden/grid.py."""

from .of_models import grid_of

_grid = grid_of("growth_hidden")
HiddenGrowth, bayes, solve = _grid.HiddenGrowth, _grid.bayes, _grid.solve
