"""The log-linear solution of the N-country economy of Juillard & Villemot (2011), by NumPy and SciPy alone.

In logs of everything but g: x = (ln k, ln a) is given, y = (ln k', ln lambda) decided. The N Euler equations and the
resource constraint F(x, y, x', y') = 0 are differentiated by central differences at the steady state, ln k = ln a = 0,
where A makes capital one and lambda is one; Klein's (2000) ordered QZ decomposition gives y = G x.
"""

import numpy as np
from scipy.linalg import ordqz

BETA, ALPHA, DELTA, PHI, RHO = 0.99, 0.36, 0.01, 0.5, 0.95
STEP = 1e-5


def elasticities(countries):
    """gamma_j, evenly from .25 to 1."""
    return 0.25 + 0.75 * np.arange(countries) / (countries - 1)


def scale_of_productivity():
    """A at which steady-state capital is one: 1 = beta (alpha A + 1 - delta)."""
    return (1 / BETA - 1 + DELTA) / ALPHA


def conditions(x, y, later_x, later_y):
    """The N Euler equations and the resource constraint without uncertainty, [N + 1]."""
    N = len(x) // 2
    k, a, k1, lam = np.exp(x[:N]), np.exp(x[N:]), np.exp(y[:N]), np.exp(y[N])
    later_k, later_a, k2, later_lam = np.exp(later_x[:N]), np.exp(later_x[N:]), np.exp(later_y[:N]), np.exp(later_y[N])
    A, g, later_g = scale_of_productivity(), k1 / k - 1, k2 / later_k - 1
    pays = later_a * ALPHA * A * later_k ** (ALPHA - 1) + 1 - DELTA + PHI / 2 * later_g * (later_g + 2)
    consumption = (A - DELTA) * lam ** -elasticities(N)
    produced = a * A * k**ALPHA + (1 - DELTA) * k
    euler = BETA * later_lam * pays / (lam * (1 + PHI * g)) - 1
    return np.append(euler, np.sum(produced - consumption - k1 - PHI / 2 * k * g**2))


def slopes(countries):
    """d ln k' and d ln lambda, [N + 1], by d ln k and d ln a, [2 N]; and the stable eigenvalues."""
    N = countries
    sizes = [2 * N, N + 1, 2 * N, N + 1]
    ends = np.cumsum(sizes)

    def at(z):
        return conditions(*np.split(z, ends[:-1]))

    unit = STEP * np.eye(ends[-1])
    jacobian = np.stack([(at(row) - at(-row)) / (2 * STEP) for row in unit], axis=1)
    by_x, by_y, by_later_x, by_later_y = np.split(jacobian, ends[:-1], axis=1)
    moves_x = np.diag(np.repeat([0.0, RHO], N))
    moves_y = np.zeros((2 * N, N + 1))
    moves_y[:N, :N] = np.eye(N)
    # [I 0; F_x' F_y'] (x', y') = [M_x M_y; -F_x -F_y] (x, y)
    ahead = np.block([[np.eye(2 * N), np.zeros((2 * N, N + 1))], [by_later_x, by_later_y]])
    now = np.block([[moves_x, moves_y], [-by_x, -by_y]])
    *_, alpha, beta, _, Z = ordqz(now, ahead, sort="iuc")
    assert np.sum(np.abs(alpha) < np.abs(beta)) == 2 * N
    G = Z[2 * N :, : 2 * N] @ np.linalg.inv(Z[: 2 * N, : 2 * N])
    return G, np.sort(np.abs(alpha[: 2 * N] / beta[: 2 * N]))
