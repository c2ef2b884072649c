r"""A household with uncertain income that cannot borrow beyond a limit (Deaton 1991; Carroll 1997).

    c + a = R a_ + y(z),   a >= a_low
    u'(c) = beta R E[ u'(c') ] + lambda,   0 <= lambda  ⟂  a >= a_low,   u'(c) = c^-gamma

a_ is what was saved last year, z moves on a Rouwenhorst chain, and mean income is 1. The network gives c_u, and
consumption is c = min(c_u, x), where x = R a_ + y - a_low is all that can be spent; lambda is 0 where c < x, and what
the Euler equation lacks where c = x, so that complementarity is exact. What is left of optimality is, with the
consumption that the household would like today, c_w = u'^{-1}( beta R E[ u'(c') ] ),

    c_u = c_w   where c_w < x or c_u < x.

Nothing is asked of c_u where the limit binds, as it should: so the network need not learn the kink that is there, only
those where the limit begins to bind in a successor.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deqn.equilibrium import Economy, MarkovChain, Report, power
from deqn.equilibrium.markov import rouwenhorst
from deqn.project.errors import UserError

from .parameters import Parameters

_RICHEST = 60.0  # mean yearly incomes: training starts tracks with wealth up to this much
_LITTLE = 0.05  # mean yearly incomes: wealth that is much smaller hardly differs from none
_INCOMES = "mean yearly incomes"


class State(NamedTuple):
    wealth: tf.Tensor  # [batch] a_, saved in the last period
    shock: tf.Tensor  # [batch] index z of income, from 0


class Policy(NamedTuple):
    savings: tf.Tensor  # [batch] a
    consumption: tf.Tensor  # [batch] c
    unconstrained: tf.Tensor  # [batch] c_u, which means something where the limit does not bind
    multiplier: tf.Tensor  # [batch] lambda, in units of u'(c)


class Consumption(Economy):
    """The household above; the network sees wealth and has one output for each value of income."""

    Parameters, State, Policy = Parameters, State, Policy
    report = Report(
        letters={"wealth": "w", "shock": "z", "savings": "a", "consumption": "c", "multiplier": "lam"},
        units={
            "wealth": _INCOMES, "savings": _INCOMES, "consumption": f"{_INCOMES} per year", "income": _INCOMES,
            "multiplier": "utility per mean yearly income",
        },
        foreseen=["savings"],
        output="income",
        aggregates={"wealth_now": "wealth", "C": "consumption", "income": "income"},
        condition_names={"optimality": "Euler error, multiplier-free"},
        binding="multiplier",
    )  # fmt: skip

    def __init__(self, parameters: Parameters, dtype: str = "float32") -> None:
        super().__init__(parameters, dtype)
        p = parameters
        log_income, transition = rouwenhorst(p.states, p.persistence, p.innovation_sd)
        self.shocks = MarkovChain(transition)
        income = np.exp(log_income)
        self.income = income / (self.shocks.stationary @ income)  # [S]
        if self.income[0] <= -p.borrowing_limit * (p.gross_return - 1):
            raise UserError(
                f"parameters.borrowing_limit: interest on {-p.borrowing_limit:g} is more than the lowest income of "
                f"{self.income[0]:.3g}; expected a limit above {-self.income[0] / (p.gross_return - 1):.3g}"
            )
        self.outputs = 1
        # The yardstick: what the household would consume if later income were its mean for certain and no limit bound.
        self.propensity = 1 - (p.discount_factor * p.gross_return) ** (1 / p.risk_aversion) / p.gross_return
        later = np.linalg.solve(np.eye(p.states) - transition / p.gross_return, transition @ self.income)
        self.human_wealth = later / p.gross_return  # [S]

    def cash(self, state: State) -> tf.Tensor:
        """What can be consumed without debt, R a_ + y, [batch]."""
        return self.p.gross_return * state.wealth + self.by_shock(self.income, state.shock)

    def features(self, state: State) -> tf.Tensor:
        """Wealth from 0, at the limit, to 1, at the largest; in logarithms, as the kinks are at little wealth."""
        above = (state.wealth - self.p.borrowing_limit) / _LITTLE
        return (tf.math.log1p(above) / math.log1p((2 * _RICHEST - self.p.borrowing_limit) / _LITTLE))[:, None]

    def policy(self, output: tf.Tensor, state: State) -> Policy:
        cash = self.cash(state)
        certain = self.propensity * (cash + self.by_shock(self.human_wealth, state.shock))
        unconstrained = certain * tf.exp(output[:, 0])
        limit = cash - self.p.borrowing_limit
        c = tf.minimum(unconstrained, limit)
        savings = tf.where(unconstrained < limit, cash - c, self.p.borrowing_limit * tf.ones_like(c))
        return Policy(savings, c, unconstrained, multiplier=None)

    def complete(self, state: State, policy: Policy, E) -> Policy:
        """The multiplier is an expectation: u'(c) - beta R E[ u'(c') ] where the limit binds."""
        lacks = tf.maximum(self.u_prime(policy.consumption) - self.u_prime(self.wanted(E)), 0)
        free = policy.savings > self.p.borrowing_limit
        return policy._replace(multiplier=tf.where(free, tf.zeros_like(lacks), lacks))

    def transition(self, state: State, policy: Policy, shock: tf.Tensor) -> State:
        return State(policy.savings, shock)

    def u_prime(self, c: tf.Tensor) -> tf.Tensor:
        return power(c, -self.p.risk_aversion)

    def wanted(self, E) -> tf.Tensor:
        """u'^-1( beta R E[u'(c')] ): consumption today if no limit bound today, [batch]."""
        value = self.p.discount_factor * self.p.gross_return * E(lambda s, q: self.u_prime(q.consumption))
        return power(value, -1 / self.p.risk_aversion)

    def residuals(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        wanted, limit = self.wanted(E), self.cash(state) - self.p.borrowing_limit
        binds = (wanted > limit) & (policy.unconstrained > limit)
        return {"euler": tf.where(binds, tf.zeros_like(wanted), wanted / policy.unconstrained - 1)}

    def errors(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        """Zero where all of optimality holds, the limit included: min(c_wanted/c - 1, (a - a_low)/c)."""
        c, slack = policy.consumption, policy.savings - self.p.borrowing_limit
        return {"optimality": tf.minimum(self.wanted(E) / c - 1, slack / c)}

    def constraints(self, state: State, policy: Policy) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        """The borrowing limit, both in shares of consumption."""
        c = policy.consumption
        return {"kkt": (policy.multiplier / self.u_prime(c), (policy.savings - self.p.borrowing_limit) / c)}

    def definitions(self, state: State, policy: Policy, E) -> dict[str, tf.Tensor]:
        income = self.by_shock(self.income, state.shock)
        return {"wealth_now": state.wealth, "C": policy.consumption, "income": income}

    def is_inside(self, state: State) -> tf.Tensor:
        """Whether wealth is below twice the largest with which a track begins."""
        return state.wealth < 2 * _RICHEST

    def initial_states(self, count: int, generator: np.random.Generator) -> State:
        """Wealth from the limit to 60 incomes, most of it small; the first is at the limit, under the middle shock."""
        low = self.p.borrowing_limit
        wealth = low + (_RICHEST - low) * generator.uniform(0, 1, count) ** 5
        shock = generator.choice(self.p.states, size=count, p=self.shocks.stationary)
        wealth[0], shock[0] = low, self.p.states // 2
        return State(wealth, shock.astype(np.int32))

    def check_states(self, state) -> State:
        checked = super().check_states(state)
        low = self.p.borrowing_limit
        if (checked.wealth < low - 1e-6).any():  # rounding of the savings that led there
            bad = int(np.argmin(checked.wealth))
            raise UserError(f"states: wealth[{bad}] is {checked.wealth[bad]:g}, expected at least the limit of {low:g}")
        return checked

    def describe_shocks(self) -> list[str]:
        return [f"shock {z + 1}: income {value:.4g}" for z, value in enumerate(self.income)]
