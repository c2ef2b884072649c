"""Solutions known without a network, for `deqn verify`: NumPy and SciPy, nothing of the economy's own code."""

import numpy as np
from scipy.optimize import brentq

from .grid import Economy, solve_where_visited


def closed_form(parameters, state):
    """Nobody trades where log utility meets full depreciation and labour in youth only: all want one mix of assets.

    Age h saves a fixed share of its wealth, all in capital. c' is proportional to R': p = E[ min(kappa R', 1) / R' ].
    """
    p = parameters
    if p.risk_aversion != 1 or min(p.depreciation) < 1 or any(p.labour_endowments()[1:]) or p.adjustment_cost:
        return "a closed form is known for log utility, full depreciation, labour in youth only, no adjustment cost"
    N, beta, alpha, L = p.cohorts, p.discount_factor, p.capital_share, p.labour_endowments()[0]
    z, K = np.asarray(p.tfp), state.capital.sum(axis=1, keepdims=True)
    output = z[state.shock][:, None] * K**alpha * L ** (1 - alpha)
    R = alpha * output / K
    wealth = R * state.capital + np.minimum(p.collateral * R, 1) * state.bonds
    wealth[:, :1] = (1 - alpha) * output
    left = np.arange(N - 1, -1, -1)  # periods of life after this one
    share = np.array([(beta ** np.arange(1, n + 1)).sum() / (beta ** np.arange(n + 1)).sum() for n in left])
    saved = (share * wealth)[:, :-1]
    later = alpha * z * (saved.sum(axis=1, keepdims=True) / L) ** (alpha - 1)  # R' by next shock
    price = (np.asarray(p.transition)[state.shock] * np.minimum(p.collateral * later, 1) / later).sum(axis=1)
    return {
        "savings": saved,
        "bonds_bought": np.zeros_like(saved),
        "consumption": (1 - share) * wealth,
        "price": price,
    }


def grid(parameters, state):
    """Two cohorts by a root at each state, three by time iteration on a grid of the distribution of wealth."""
    p = parameters
    if p.trading_cost:
        return "the grid knows no cost of trading bonds"
    if p.cohorts == 2:
        return _two_cohorts(p, state)
    if p.cohorts != 3:
        return f"a grid is possible with 2 or 3 cohorts, not with {p.cohorts}"
    economy = Economy(
        tuple(p.labour_endowments()), tuple(p.tfp), tuple(p.depreciation), np.asarray(p.transition), p.discount_factor,
        p.risk_aversion, p.capital_share, p.adjustment_cost, p.collateral, p.adjustment == "proceeds",
    )  # fmt: skip
    capital, bonds, shock = (np.asarray(x) for x in (state.capital, state.bonds, state.shock))
    savings, bought, consumption, price, _ = solve_where_visited(economy).policies(capital, bonds, shock)
    return {"savings": savings, "bonds_bought": bought, "consumption": consumption, "price": price}


def _two_cohorts(p, state):
    """The young save all the capital there will be, and nobody is there to trade with: one equation at each state."""
    labour, alpha, L = p.labour_endowments(), p.capital_share, p.labour_endowments().sum()
    eta, delta, chain = np.asarray(p.tfp), np.asarray(p.depreciation), np.asarray(p.transition)
    proceeds = p.adjustment == "proceeds"
    psi = p.adjustment_cost / 2 if proceeds else p.adjustment_cost

    def prices(K, z):
        return alpha * eta[z] * (K / L) ** (alpha - 1) + 1 - delta[z], (1 - alpha) * eta[z] * (K / L) ** alpha

    def of_the_old(k, z):
        """Consumption, what another unit of k gives, and the gross return."""
        r, w = prices(k, z)
        m = r if proceeds else np.ones_like(r)
        return r * k + w * labour[1] - psi * (m * k) ** 2, r - 2 * psi * m * m * k, r

    def expected(a, z, what):
        c, gain, r = of_the_old(a, np.arange(len(eta)))
        paid = gain if what == "capital" else np.minimum(p.collateral * r, 1)
        return p.discount_factor * (chain[z] * paid * c**-p.risk_aversion).sum()

    young, old, savings, price = (np.empty(len(state.shock)) for _ in range(4))
    for row, (k, z) in enumerate(zip(np.asarray(state.capital)[:, 1], np.asarray(state.shock), strict=True)):
        cash = prices(k, z)[1] * labour[0]

        # The budget is met, and the old eat something, between these ends; more saved makes capital worth less.
        def missing(a, cash=cash, z=z):
            c = cash - a - psi * a**2
            return (1 + 2 * psi * a) * c**-p.risk_aversion - expected(a, z, "capital")

        most = cash if not psi else (np.sqrt(1 + 4 * psi * cash) - 1) / (2 * psi)
        savings[row] = brentq(missing, 1e-6 * most, (1 - 1e-9) * most, xtol=1e-14, rtol=1e-13)
        young[row] = cash - savings[row] - psi * savings[row] ** 2
        old[row] = of_the_old(k, z)[0]
        price[row] = expected(savings[row], z, "bond") / young[row] ** -p.risk_aversion
    nothing = np.zeros((len(price), 1))
    return {
        "savings": savings[:, None],
        "bonds_bought": nothing,
        "consumption": np.column_stack([young, old]),
        "price": price,
    }
