"""Reference solutions against which the networks are held: grids and closed forms, in NumPy and SciPy alone.

Nothing here imports `deqn`, and no equation, chain or quadrature rule is shared with it: an error in the package cannot
be repeated by the oracle that should find it. `tests/test_oracles.py` proves the oracles themselves.
"""
