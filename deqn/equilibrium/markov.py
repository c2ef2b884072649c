"""Finite Markov chains for discrete shocks.

A chain is a matrix Pi [S, S] of probabilities per period, rows = the state one comes from:

    Pi[z, z'] = Prob(z_{t+1} = z' | z_t = z)

so E[f(z') | z] is `Pi @ f`. Independent chains combine by `np.kron(Pi_slow, Pi_fast)`, the second index moving fastest.
States are counted from 0 in arrays and from 1 in messages.
"""

import numpy as np
from numpy.typing import ArrayLike

ROW_SUM_TOLERANCE = 1e-8  # a row typed with decimals passes; one with a digit missing does not


def check_chain(transition: ArrayLike, name: str = "transition") -> np.ndarray:
    """The transition matrix as a float64 array [S, S], unchanged, if it is one.

    transition: [S, S], rows = from, entries >= 0, each row summing to 1 within 1e-8.
    name: how messages call the matrix.
    Raises ValueError with one line that names the first row at fault, counted from 1.
    """
    try:
        chain = np.asarray(transition, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: not a matrix of numbers, expected rows of equal length") from None
    if chain.ndim != 2 or chain.shape[0] != chain.shape[1] or chain.size == 0:
        shape = " x ".join(map(str, chain.shape)) or "a single number"
        raise ValueError(f"{name}: shape is {shape}, expected a square matrix, one row and one column a state")
    for row, probabilities in enumerate(chain, start=1):
        if not np.isfinite(probabilities).all():
            raise ValueError(f"{name}: row {row} holds a value that is not finite, expected probabilities")
        if probabilities.min() < 0:
            raise ValueError(f"{name}: row {row} holds {probabilities.min():.10g}, expected probabilities >= 0")
    off = np.abs(chain.sum(axis=1) - 1) > ROW_SUM_TOLERANCE
    if off.any():
        row = int(np.argmax(off))
        # Papers print both conventions (Azinovic, Gaegauf and Scheidegger 2019, eq. 43, has columns = from).
        columns_do = np.allclose(chain.sum(axis=0), 1, rtol=0, atol=ROW_SUM_TOLERANCE)
        hint = " (its columns do: rows are the state one comes from, so transpose it)" if columns_do else ""
        raise ValueError(f"{name}: row {row + 1} sums to {chain[row].sum():.10g}, expected 1{hint}")
    return chain


def stationary_distribution(transition: ArrayLike) -> np.ndarray:
    """The share of periods that a long path spends in each state.

        pi = pi Pi,  sum(pi) = 1   <=>   pi (I - Pi + 1 1') = 1'

    The right-hand form is a regular linear system exactly when one recurrent class exists (Paige, Styan and Wachter
    1975, "Computation of the stationary distribution of a Markov chain"); a period of the chain does not matter.

    transition: [S, S], rows = from.
    Returns pi [S], >= 0, zero in transient states.
    Raises ValueError if this is no chain, or if several recurrent classes make pi depend on where the path starts.
    """
    # Imported here, because scipy takes long to import and check_chain has to answer within half a second.
    from scipy.sparse.csgraph import connected_components

    chain = check_chain(transition)
    classes, member = connected_components(chain > 0, directed=True, connection="strong")
    closed = [c for c in range(classes) if not chain[np.ix_(member == c, member != c)].any()]
    if len(closed) > 1:
        sets = " and ".join(str([int(z) + 1 for z in np.flatnonzero(member == c)]) for c in closed)
        raise ValueError(
            f"transition: states {sets} never reach each other, expected one recurrent class; "
            "the stationary distribution depends on the first state"
        )
    recurrent = member == closed[0]
    within = chain[np.ix_(recurrent, recurrent)]
    size = len(within)
    share = np.zeros(len(chain))
    share[recurrent] = np.linalg.solve((np.eye(size) - within + 1).T, np.ones(size))
    return share / share.sum()


def rouwenhorst(states: int, persistence: float, innovation_sd: float) -> tuple[np.ndarray, np.ndarray]:
    """A chain for the logarithm of an AR(1), log z' = rho log z + sigma e, e ~ N(0, 1).

    With p = (1 + rho) / 2 each of S - 1 independent two-state switches stays with probability p, and the state is the
    number of switches that are up, on an even grid of half-width sigma sqrt(S - 1) / sqrt(1 - rho^2). Conditional mean
    and variance, standard deviation and autocorrelation are those of the AR(1) exactly, for any S >= 2 (Rouwenhorst
    1995; Kopecky and Suen 2010, "Finite state Markov-chain approximations to highly persistent processes", RED 13).

    states: S >= 2. persistence: rho in (-1, 1), per period. innovation_sd: sigma >= 0, log points per period.
    Returns the log levels [S], ascending, with mean zero, and the transition [S, S], rows = from.
    Raises ValueError outside these ranges.
    """
    from scipy.stats import binom

    if states < 2:
        raise ValueError(f"rouwenhorst: states is {states}, expected at least 2")
    if not -1 < persistence < 1:
        raise ValueError(f"rouwenhorst: persistence is {persistence:g}, expected between -1 and 1, both excluded")
    if not 0 <= innovation_sd < np.inf:
        raise ValueError(f"rouwenhorst: innovation_sd is {innovation_sd:g}, expected a finite number >= 0")
    switches = states - 1
    stay = (1 + persistence) / 2
    transition = np.empty((states, states))
    for up in range(states):
        # z' = switches that stay up + switches that flip up: the sum of two independent binomials.
        remain = binom.pmf(np.arange(up + 1), up, stay)
        arrive = binom.pmf(np.arange(switches - up + 1), switches - up, 1 - stay)
        transition[up] = np.convolve(remain, arrive)
    half_width = innovation_sd * np.sqrt(switches) / np.sqrt((1 - persistence) * (1 + persistence))
    return np.linspace(-half_width, half_width, states), transition / transition.sum(axis=1, keepdims=True)
