r"""The linear solution of an economy about its deterministic steady state: a first guess, and a check near it.

With s the state and o the numbers that `Economy.policy` takes, without shocks

    r(s, o, o') = 0  (the residuals, next period's outputs being o'),   s' = T(s, o).

The steady state solves r(s, o, o) = 0 and s = T(s, o). About it

    [ I    0   ] [ ds' ]   [ T_s   T_o ] [ ds ]
    [ 0  r_o'  ] [ do' ] = [ -r_s -r_o ] [ do ]

and do = G ds along the stable generalised eigenvectors of the pencil (Klein 2000, J. of Economic Dynamics and Control
24), by the ordered QZ decomposition. In what a network sees, f(s), the rule is o + H (f(s) - f), with H df/ds = G.
Of one network over agents, H is the same for all, and f is what one of them sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np
import tensorflow as tf
from scipy import linalg, optimize

from deqn.equilibrium.decision_rule import OutputRule
from deqn.equilibrium.economy import Economy
from deqn.equilibrium.exogenous import shock_of
from deqn.equilibrium.expectation import Expectation
from deqn.project.errors import UserError

_UNIT_ROOT = 1 + 1e-7  # a state that never changes, such as a parameter, has the eigenvalue one
_SOLVED = 1e-9  # of the steady state's conditions
_UNKNOWNS = 5000  # of a steady state, of which each has a copy of the economy in the derivatives


class LinearSolution(NamedTuple):
    """The steady state and the slope of the rule there.

    state: the economy's State, [1, ...]. output: [outputs]. features: [inputs]. Of one network over agents these are
    the outputs and inputs of an agent, at the mean of all.
    by_state: G, [outputs of all, n], by the n numbers of the state, field after field.
    by_feature: H, [outputs, inputs].
    modulus: the largest stable eigenvalue: what is left of a deviation one period later, where it dies out most slowly.
    missed: the largest slope of G that H does not give, because the network does not see what it would need.
    """

    state: Any
    output: np.ndarray
    features: np.ndarray
    by_state: np.ndarray
    by_feature: np.ndarray
    modulus: float
    missed: float


@final
class LinearRule(OutputRule):
    """The decision rule that is linear in what a network sees."""

    def __init__(self, economy: Economy, solution: LinearSolution) -> None:
        self.economy, self.solution = economy, solution

    def output(self, state: Any) -> tf.Tensor:
        dtype = self.economy.dtype
        away = self.economy.features(state) - self.solution.features.astype(dtype)
        output = self.solution.output.astype(dtype) + tf.matmul(away, self.solution.by_feature.T.astype(dtype))
        return tf.reshape(output, [-1, self.economy.width])


def linear_solution(economy_type: type[Economy], parameters: Any) -> LinearSolution:
    """The linear solution of an economy with normal shocks. The search begins at the first initial state, outputs zero.

    Raises UserError: a discrete shock; not as many conditions as outputs; no steady state found; no stable path to it,
    or many.
    """
    near = _with_normal_shocks(economy_type, parameters)
    s, o = near.steady_state()
    by_state, modulus = _stable(near.name, *near.jacobian(s, o))
    return _about(near, s, o, by_state, modulus)


def constant_solution(economy_type: type[Economy], parameters: Any) -> LinearSolution:
    """The steady state's policy everywhere, for an economy that no stable path leads to its steady state, or many.

    Raises UserError as `linear_solution`, but asks for no path.
    """
    near = _with_normal_shocks(economy_type, parameters)
    s, o = near.steady_state()
    return _about(near, s, o, np.zeros((len(o), len(s))), np.nan)


def _with_normal_shocks(economy_type: type[Economy], parameters: Any) -> WithoutShocks:
    near = WithoutShocks(economy_type, parameters)
    if near.held is not None:
        raise UserError(f"linear solution: {near.name} has a discrete shock, expected normal ones (Gaussian)")
    return near


def _about(near: WithoutShocks, s: np.ndarray, o: np.ndarray, by_state: np.ndarray, modulus: float) -> LinearSolution:
    state, each = near.state(s[None]), near.economy.taken.each
    ahead = _jvp(near.economy.features, near.state, s, np.eye(len(s)))  # [n, inputs], or [n, agents, inputs]
    inputs = ahead.shape[-1]
    slopes = ahead.reshape(len(s), -1, inputs).transpose(2, 1, 0).reshape(inputs, -1)  # [inputs, agents x n]
    wanted = by_state.reshape(-1, each, len(s)).transpose(1, 0, 2).reshape(each, -1)
    by_feature = wanted @ np.linalg.pinv(slopes)
    return LinearSolution(
        tf.nest.map_structure(lambda x: x.numpy(), state),
        o.reshape(-1, each).mean(axis=0),
        near.economy.features(state).numpy().reshape(-1, inputs).mean(axis=0),
        by_state,
        by_feature,
        modulus,
        float(np.abs(wanted - by_feature @ slopes).max()),
    )


class WithoutShocks:
    """r and T of an economy in double precision without shocks, and their derivatives.

    held: the value of a discrete shock that lasts for ever; normal shocks are zero.
    """

    def __init__(self, economy_type: type[Economy], parameters: Any, held: int = 0) -> None:
        self.economy, self.name = economy_type(parameters, "float64"), economy_type.__name__
        shocks = self.economy.shocks
        self.held = held if shocks.discrete else None
        self.first = self.economy.initial_states(1, np.random.default_rng(0))
        self.outputs = self.economy.width  # which asks for initial states, for which the shocks are needed
        self.economy.shocks = _Certain(shocks, self.economy.tensors(self.first), held)
        self.economy.perceived = None
        self.real = [np.issubdtype(x.dtype, np.floating) for x in self.first]
        self.sizes = [int(np.prod(np.shape(x)[1:])) for x, real in zip(self.first, self.real, strict=True) if real]

    def state(self, flat: Any) -> Any:
        """The State of real numbers [batch, n], field after field; whole ones are the held shock, or as at first."""
        flat = tf.convert_to_tensor(flat)
        parts = iter(tf.split(flat, self.sizes, axis=1))
        rows = flat.shape[0]

        def field(name: str, x: np.ndarray, real: bool) -> tf.Tensor:
            if real:
                return tf.reshape(next(parts), (-1, *np.shape(x)[1:]))
            if name == "shock" and self.held is not None:
                return tf.fill([rows, *np.shape(x)[1:]], tf.constant(self.held, tf.int32))
            return tf.repeat(tf.constant(x, tf.int32), rows, axis=0)

        fields = zip(self.first._fields, self.first, self.real, strict=True)
        return type(self.first)(*(field(*each) for each in fields))

    def flat(self, state: Any) -> np.ndarray:
        """The real numbers of the first of these states, [n]."""
        return np.concatenate([np.ravel(x[:1]) for x, real in zip(state, self.real, strict=True) if real]).astype(float)

    def both(self, s: tf.Tensor, o: tf.Tensor, later: tf.Tensor) -> tf.Tensor:
        """T(s, o) and r(s, o, o'), [batch, n + conditions]."""
        economy, state = self.economy, self.state(s)
        policy = economy.decide(o, state)

        def decide(states: Sequence[Any]) -> list[Any]:
            return [economy.decide(later, each) for each in states]

        E = Expectation(economy, state, policy, decide)
        residuals = economy.residuals(state, economy.complete(state, policy, E), E)
        shocks, _ = economy.shocks.successors(state)
        following = economy.transition(state, policy, shock_of(shocks, 0, len(s)))
        moving = [x for x, real in zip(following, self.real, strict=True) if real]
        return tf.concat([tf.reshape(x, [len(s), -1]) for x in (*moving, *residuals.values())], axis=1)

    def jacobian(self, s: np.ndarray, o: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The derivatives of `both` by s, by o and by o', each [n + conditions, ...]."""
        widths = [len(s), len(o), len(o)]
        columns = _jvp(lambda x: self.both(*tf.split(x, widths, axis=1)), tf.identity, np.concatenate([s, o, o]),
                       np.eye(sum(widths)))  # fmt: skip
        return tuple(np.split(columns.T, np.cumsum(widths)[:-1], axis=1))  # type: ignore[return-value]

    def steady_state(self, near: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """s [n] and o [outputs]. near: where the search begins; by default the first initial state, outputs zero."""
        outputs = self.outputs
        first, begin = (self.flat(self.first), np.zeros(outputs)) if near is None else near
        n = len(first)

        def missed(x: np.ndarray) -> np.ndarray:
            s, o = x[None, :n], x[None, n:]
            away = self.both(*map(tf.constant, (s, o, o))).numpy()[0]
            return np.concatenate([away[:n] - x[:n], away[n:]])

        def slope(x: np.ndarray) -> np.ndarray:
            by_s, by_o, by_later = self.jacobian(x[:n], x[n:])
            by_s[:n] -= np.eye(n)
            return np.hstack([by_s, by_o + by_later])

        start = np.concatenate([first, begin])
        if len(start) > _UNKNOWNS:
            raise UserError(
                f"linear solution: a steady state of {self.name} has {len(start):,} unknowns, more than {_UNKNOWNS:,}, "
                "whose derivatives would not fit into memory; set warm_start to null"
            )
        conditions = len(missed(start)) - n
        if conditions != outputs:
            raise UserError(
                f"linear solution: {self.name} has {conditions} conditions and {outputs} outputs, expected as many"
            )
        found = optimize.root(missed, start, jac=slope, method="hybr", tol=1e-12)
        if not np.abs(found.fun).max() < _SOLVED:
            raise UserError(
                f"linear solution: no steady state of {self.name} found from the first initial state; the conditions "
                f"are off by {np.abs(found.fun).max():.2g} at best; begin nearer to it"
            )
        return found.x[:n], found.x[n:]


class _Certain:
    """One successor of every state: of a process whose discrete part keeps a value and whose normal part is zero."""

    discrete: int | None = None  # there is one successor, not one for each value

    def __init__(self, shocks: Any, state: Any, held: int) -> None:
        def certain(x: tf.Tensor) -> tf.Tensor:  # [1, ...] of one state
            return tf.fill(x.shape, tf.constant(held, x.dtype)) if x.dtype.is_integer else tf.zeros_like(x)

        self.shock = tf.nest.map_structure(certain, shocks.draw(state, tf.zeros([2], tf.int32)))

    def successors(self, state: Any) -> tuple[Any, tf.Tensor]:
        """The values [1, 1, ...] and the weight one."""
        return tf.nest.map_structure(lambda x: x[None], self.shock), tf.ones([1, 1], tf.float64)

    def draw(self, state: Any, key: tf.Tensor) -> Any:
        """What is certain."""
        return tf.nest.map_structure(lambda x: tf.repeat(x, tf.shape(state[0])[0], axis=0), self.shock)


def _jvp(f: Any, prepare: Any, at: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The derivatives of f(prepare(x)), [directions, ...], along each direction, all in one batch of copies of `at`."""
    x = tf.constant(np.tile(at, (len(directions), 1)))
    with tf.autodiff.ForwardAccumulator(x, tf.constant(directions)) as forward:
        values = f(prepare(x))
    return forward.jvp(values, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy()


def _stable(name: str, by_s: np.ndarray, by_o: np.ndarray, by_later: np.ndarray) -> tuple[np.ndarray, float]:
    """G [outputs, n] of the stable solution, and the largest of its eigenvalues."""
    n = by_s.shape[1]
    ahead = linalg.block_diag(np.eye(n), by_later[n:])
    now = np.block([[by_s[:n], by_o[:n]], [-by_s[n:], -by_o[n:]]])
    *_, alpha, beta, _, Z = linalg.ordqz(now, ahead, sort=lambda a, b: np.abs(a) < _UNIT_ROOT * np.abs(b))
    stable = np.abs(alpha) < _UNIT_ROOT * np.abs(beta)
    if stable.sum() != n or np.linalg.cond(Z[:n, :n]) > 1e12:
        raise UserError(
            f"linear solution: {name} has {stable.sum()} stable eigenvalues at its steady state and {n} numbers in its "
            f"state, so that {'no path leads there' if stable.sum() < n else 'many paths lead there'}"
        )
    return np.linalg.solve(Z[:n, :n].T, Z[n:, :n].T).T, float(np.abs(alpha[stable] / beta[stable]).max())
