"""The grid that models/growth has as evidence for `deqn verify`; it imports nothing of deqn or of the economy."""

import importlib.util
import sys
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "growth_grid", Path(__file__).resolve().parents[2] / "models/growth/grid.py"
)
_grid = sys.modules[_SPEC.name] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_grid)

Growth, rouwenhorst, solve_ar1, solve_markov = _grid.Growth, _grid.rouwenhorst, _grid.solve_ar1, _grid.solve_markov
