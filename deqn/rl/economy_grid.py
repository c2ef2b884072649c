r"""The planner's problem of an economy as a dynamic program on a grid of capital.

Choices are grid points; what is reported lies between them, where a parabola through the best one and its neighbours
is highest.
"""

from __future__ import annotations

import abc

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import MarkovChain
from deqn.project.errors import UserError
from deqn.rl.parameters import GridSettings
from deqn.rl.planner import Planner, planner_of
from deqn.rl.rules import ShareRule, euler_row, share_on_grid
from deqn.rl.value_iteration import Program, ValueIteration
from deqn.training.problem import Results
from deqn.training.settings import TrainingSettings


class GridOfEconomy(ValueIteration):
    """Value function iteration in an economy, on an even grid of capital. Final subclasses say in which one."""

    def __init__(self, parameters: GridSettings, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        self.p = parameters
        self.economy = self.make_economy("float64")
        self.grid = np.linspace(*parameters.capital, parameters.points)
        self.set_program(economy_on_grid(self.economy, self.grid), settings.precision)
        self.states_per_update = self.program.rewards.shape[0] * len(self.grid)

    @abc.abstractmethod
    def make_economy(self, dtype: str) -> Planner:
        """The economy of the parameters."""

    def against(self, rule: ShareRule) -> dict[str, float]:
        """Errors against what else is known of the solution, by name."""
        return {}

    def savings(self) -> np.ndarray:
        """k' in each shock at each grid point, [S, N]."""
        value = tf.convert_to_tensor(self.table.value)
        return refined((self._rewards + self.continuation(value)).numpy(), self.choices(), self.grid)

    def rule(self) -> ShareRule:
        """The share that these savings are, linear in capital between grid points."""
        shocks = len(self.program.transition)
        capital, shock = np.tile(self.grid, shocks), np.repeat(np.arange(shocks), len(self.grid))
        share = share_of_savings(self.economy, capital, shock, self.savings().reshape(-1, 1))
        return ShareRule(self.economy, share_on_grid(self.grid, share.reshape(shocks, -1)))

    def results(self) -> Results:
        """The rule on its own path, and the contraction of the first iterations from zero."""
        rule, step = self.rule(), float(self.grid[1] - self.grid[0])
        row = {"grid step": step, "contraction": self.contraction(), **euler_row(rule), **self.against(rule)}
        name, value = next((name, value) for name, value in row.items() if name.endswith("error, mean"))
        return Results(
            headline=f"{name} {value:.2g}, largest ratio of contraction {row['contraction']:.6f}",
            tables={"iteration": [row]},
            arrays={"capital": self.grid, "value": np.asarray(self.table.value), "savings": self.savings()},
        )

    def contraction(self, iterations: int = 100) -> float:
        """The largest ratio of one change's size to the change before it, from V = 0."""
        step = tf.function(self.bellman, jit_compile=True, autograph=False)
        before = tf.zeros_like(self.table.value)
        value, ratios = step(before), []
        for _ in range(iterations):
            following = step(value)
            ratios.append(np.abs(following - value).max() / np.abs(value - before).max())
            before, value = value, following
        return float(max(ratios))


def economy_on_grid(economy: Economy, grid: np.ndarray) -> Program:
    """The planner's program of an economy with capital, a Markov shock and savings that are next period's capital.

    grid: [N], ascending. Savings have to be affine in the share that `policy_from_share` takes: its two ends then tell
    which share leads to which point. Raises UserError for other economies.
    """
    if set(economy.State._fields) != {"capital", "shock"} or "savings" not in economy.Policy._fields:
        raise UserError(
            f"{type(economy).__name__}: a grid needs a State of capital and shock and a Policy with savings, got "
            f"{', '.join(economy.State._fields)} and {', '.join(economy.Policy._fields)}"
        )
    economy = planner_of(economy)
    assert isinstance(economy.shocks, MarkovChain)  # its State has a shock
    shocks, points = len(economy.shocks.transition), len(grid)
    capital, shock = np.tile(grid, shocks), np.repeat(np.arange(shocks), points)  # [S * N]
    share = share_of_savings(economy, capital, shock, grid[None, :])  # [S * N, N]
    possible = (share > 0) & (share < 1)
    state = economy.tensors(economy.State(capital=np.repeat(capital, points), shock=np.repeat(shock, points)))
    policy = economy.policy_from_share(tf.constant(np.where(possible, share, 0.5).ravel(), economy.dtype), state)
    utility = economy.period_utility(state, policy).numpy().reshape(shocks, points, points)
    rewards = np.where(possible.reshape(utility.shape), utility, -np.inf)
    return Program(rewards, economy.shocks.transition, economy.p.discount_factor)


def share_of_savings(economy: Planner, capital: np.ndarray, shock: np.ndarray, savings: np.ndarray) -> np.ndarray:
    """The share that leads to these savings; capital, shock: [n]; savings: [n, m] or [1, m]; outside (0, 1) if none."""
    state = economy.tensors(economy.State(capital=capital, shock=shock))
    quarter, half, most = (
        economy.policy_from_share(tf.fill([len(capital)], tf.constant(s, economy.dtype)), state).savings.numpy()
        for s in (0.25, 0.5, 0.75)
    )
    if not np.allclose(half, 0.5 * (quarter + most), rtol=1e-5):
        raise UserError(f"{type(economy).__name__}: savings are not affine in the share, expected a + b share")
    slope = 2 * (most - quarter)
    return 0.5 + (savings - half[:, None]) / slope[:, None]


def refined(objective: np.ndarray, choice: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Where the parabola through the best point and its neighbours is highest: [S, N] on an even grid.

    objective: [S, N, M], what each choice is worth. choice: [S, N].
    """
    step = grid[1] - grid[0]
    inner = np.clip(choice, 1, len(grid) - 2)
    left, middle, right = (np.take_along_axis(objective, (inner + d)[..., None], 2)[..., 0] for d in (-1, 0, 1))
    usable = np.isfinite(left) & np.isfinite(right) & (choice == inner) & (left + right < 2 * middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.where(usable, 0.5 * (left - right) / (left - 2 * middle + right), 0.0)
    return grid[choice] + step * shift
