r"""The planner's problem of an economy as a dynamic program on a grid of its one endogenous state, such as capital.

Choices are grid points; what is reported lies between them, where a parabola through the best one and its neighbours
is highest.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import MarkovChain
from deqn.project.errors import UserError
from deqn.rl.parameters import GridSettings
from deqn.rl.planner import Planner, planner_of
from deqn.rl.rules import PlannersProblem, ShareRule, share_on_grid
from deqn.rl.value_iteration import Program, ValueIteration
from deqn.training.problem import Results
from deqn.training.settings import TrainingSettings


class GridOfEconomy(PlannersProblem, ValueIteration):
    """Value function iteration on an even grid of an economy's endogenous state. Final subclasses name the economy."""

    def __init__(self, parameters: GridSettings, settings: TrainingSettings, rank: int = 0, ranks: int = 1) -> None:
        self.p = parameters
        self.economy = self.make_economy("float64")
        self.grid = np.linspace(*parameters.grid, parameters.points)
        self.set_program(economy_on_grid(self.economy, self.grid), settings.precision)
        self.states_per_update = self.program.rewards.shape[0] * len(self.grid)
        self.name = endogenous_state(self.economy)

    def next_states(self) -> np.ndarray:
        """Returns the endogenous state chosen for next period in each shock at each grid point, [S, N]."""
        value = tf.convert_to_tensor(self.table.value)
        return refined((self._rewards + self.continuation(value)).numpy(), self.choices(), self.grid)

    def rule(self) -> ShareRule:
        """Returns the rule that leads to these states; its share is linear between grid points."""
        shocks = len(self.program.transition)
        now, shock = np.tile(self.grid, shocks), np.repeat(np.arange(shocks), len(self.grid))
        share = share_that_leads_to(self.economy, now, shock, self.next_states().reshape(-1, 1))
        return ShareRule(self.economy, share_on_grid(self.name, self.grid, share.reshape(shocks, -1)))

    def results(self) -> Results:
        """Reports the errors of the rule on its own path, and the contraction of the first iterations from zero."""
        step = float(self.grid[1] - self.grid[0])
        row = {"grid step": step, "contraction": self.contraction(), **self.errors_of(self.rule())}
        name, value = next((name, value) for name, value in row.items() if name.endswith("error, mean"))
        return Results(
            headline=f"{name} {value:.2g}, largest ratio of contraction {row['contraction']:.6f}",
            tables={"iteration": [row]},
            arrays={"grid": self.grid, "value": np.asarray(self.table.value), "next": self.next_states()},
        )

    def contraction(self, iterations: int = 100) -> float:
        """Returns the largest ratio of one change's size to that of the change before it, beginning from V = 0."""
        step = tf.function(self.bellman, jit_compile=True, autograph=False)
        before = tf.zeros_like(self.table.value)
        value, ratios = step(before), []
        for _ in range(iterations):
            following = step(value)
            ratios.append(np.abs(following - value).max() / np.abs(value - before).max())
            before, value = value, following
        return float(max(ratios))


def economy_on_grid(economy: Economy, grid: np.ndarray) -> Program:
    """Returns the planner's program of an economy with a Markov shock and one other state, a number.

    grid: [N], ascending, of that state. Its next value has to be known today and affine in the share that
    `policy_from_share` takes. Raises UserError for other economies.
    """
    name = endogenous_state(economy)
    economy = planner_of(economy)
    assert isinstance(economy.shocks, MarkovChain)  # its State has a shock
    shocks, points = len(economy.shocks.transition), len(grid)
    now, shock = np.tile(grid, shocks), np.repeat(np.arange(shocks), points)  # [S * N]
    share = share_that_leads_to(economy, now, shock, grid[None, :])  # [S * N, N]
    possible = (share > 0) & (share < 1)
    state = economy.tensors(economy.State(**{name: np.repeat(now, points), "shock": np.repeat(shock, points)}))
    policy = economy.policy_from_share(tf.constant(np.where(possible, share, 0.5).ravel(), economy.dtype), state)
    utility = economy.period_utility(state, policy).numpy().reshape(shocks, points, points)
    rewards = np.where(possible.reshape(utility.shape), utility, -np.inf)
    return Program(rewards, economy.shocks.transition, economy.p.discount_factor)


def endogenous_state(economy: Economy) -> str:
    """Returns the name of the state beside the shock. Raises UserError if there is none, or more than one."""
    names = [name for name in economy.State._fields if name != "shock"]
    if len(names) != 1 or "shock" not in economy.State._fields:
        raise UserError(
            f"{type(economy).__name__}: a grid needs a State of a shock and one number, got "
            f"{', '.join(economy.State._fields)}"
        )
    return names[0]


def share_that_leads_to(economy: Planner, now: np.ndarray, shock: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Returns the share that leads from states to next states, [n, m]; it is outside (0, 1) where none does.

    now, shock: [n]. following: [n, m] or [1, m]. Raises UserError if the next state is not affine in the share.
    """
    name = endogenous_state(economy)
    state = economy.tensors(economy.State(**{name: now, "shock": shock}))

    def after(share: float) -> np.ndarray:
        policy = economy.policy_from_share(tf.fill([len(now)], tf.constant(share, economy.dtype)), state)
        return getattr(economy.transition(state, policy, state.shock), name).numpy()

    quarter, half, most = after(0.25), after(0.5), after(0.75)
    if not np.allclose(half, 0.5 * (quarter + most), rtol=1e-5):
        raise UserError(f"{type(economy).__name__}: next {name} is not affine in the share, expected a + b share")
    slope = 2 * (most - quarter)
    return 0.5 + (following - half[:, None]) / slope[:, None]


def refined(objective: np.ndarray, choice: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Returns where the parabola through the best point and its neighbours is highest: [S, N] on an even grid.

    objective: [S, N, M], what each choice is worth. choice: [S, N].
    """
    step = grid[1] - grid[0]
    inner = np.clip(choice, 1, len(grid) - 2)
    left, middle, right = (np.take_along_axis(objective, (inner + d)[..., None], 2)[..., 0] for d in (-1, 0, 1))
    usable = np.isfinite(left) & np.isfinite(right) & (choice == inner) & (left + right < 2 * middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.where(usable, 0.5 * (left - right) / (left - 2 * middle + right), 0.0)
    return grid[choice] + step * shift
