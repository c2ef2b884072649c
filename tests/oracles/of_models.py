"""The grids that stand in models/ as evidence for `deqn verify`; they import nothing of deqn or of an economy."""

import importlib.util
import sys
from pathlib import Path


def grid_of(folder):
    """The module models/FOLDER/grid.py, loaded by its path as no package holds it."""
    path = Path(__file__).resolve().parents[2] / "models" / folder / "grid.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_grid", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
