"""A first solution without a network: time iteration on the wide (linear and quadratic) part alone.

Consumption is linear in the network's wide features F of capital, one set of coefficients for each shock. Repeatedly,
tracks move on by a period, the Euler equation says by which share e consumption should differ, and least squares moves
the coefficients that way:

    coefficients += damping * (F'F / M + ridge)^-1 F' d / M,    d = (1 + output) e

Features enter in stages: first a few principal components, then all, then products of the first three. So it converges
for every borrowing limit in [-1, 0] without a homotopy. Products of ten fit a little better at a limit of zero (.053 %
against .065 % on fresh paths), but on outlying tracks they carry the policy away: at -1 the iteration breaks down, and
at zero the network, from there, reached .0043 % in 3,000 updates instead of .0026 % (both with the wide part held).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from deqn.equilibrium.problem import EquilibriumProblem
from deqn.mlp.networks import WideAndDeep
from deqn.project.errors import UserError
from deqn.project.schema import Section, setting


class WarmStartSettings(Section):
    """quadratics: how many components' products take part in each stage."""

    iterations: int = setting(30, unit="iterations a stage", ge=1)
    settling: int = setting(40, unit="periods that the tracks move under the first guess", ge=1)
    stages: list[tuple[int, int]] = setting(
        [(4, 0), (12, 0), (59, 0), (59, 3)],
        unit="[components, components whose products take part]",
        min_length=1,
    )
    damping: float = setting(0.5, unit="share of the Euler error that an iteration removes", gt=0, le=1)
    ridge: float = setting(1e-3, unit="variance of a feature", gt=0)
    tracks: int = setting(1000, unit="parallel paths", ge=100)


def warm_start(problem: EquilibriumProblem, settings: WarmStartSettings, say: Callable[[str], None]) -> None:
    """Sets the wide weights and the statistics of the inputs, and makes the visited states the problem's pool.

    Raises UserError if the network has no wide part, or a smaller one than a stage asks for.
    """
    network, rule, economy = problem.network, problem.rule, problem.economy
    _check(problem, settings)

    @tf.function(jit_compile=True)
    def iterate(state, key):
        """Euler errors under every shock [S, M, N-1], and the states one period later."""
        everywhere, policy = rule.under_every_shock(state)
        errors = economy.residuals(everywhere, policy, rule.expectation(everywhere, policy))["euler"]
        following, _ = problem.advance(state, key)
        return tf.reshape(errors, [economy.shocks.discrete, -1, economy.outputs]), following

    generator = np.random.default_rng([problem.seed, 2])
    state = economy.tensors(economy.initial_states(settings.tracks, generator))
    count = 0
    with threadpool_limits(1, "blas"):  # small matrices: a second thread doubles the CPU time
        for stage, (components, quadratics) in enumerate(settings.stages):
            if not stage:
                # The first guess moves the economy far from the steady state: its statistics say little.
                for count in range(settings.settling):
                    _, state = iterate(state, tf.constant([problem.seed, count], tf.int32))
            _restandardize(problem, state)
            columns = _columns(network, components, quadratics)
            for _ in range(settings.iterations):
                errors, following = iterate(state, tf.constant([problem.seed, count], tf.int32))
                output = network(economy.features(state)).numpy()  # [M, S, N-1]
                # A track far out may ask for any change; it gets at most a tenth, or the others would pay for it.
                wanted = np.clip((1 + output) * np.transpose(errors.numpy(), [1, 0, 2]), -0.1, 0.1)
                _correct(network, _features(problem, state), columns, wanted, settings)
                state, count = following, count + 1
            say(
                f"warm start, {components} components, {quadratics} with products: "
                f"mean Euler error {100 * np.abs(errors.numpy()).mean():.3f} %"
            )
    _restandardize(problem, state)
    problem.take_pool(state)


def _check(problem: EquilibriumProblem, settings: WarmStartSettings) -> None:
    if not isinstance(problem.network, WideAndDeep):
        raise UserError("warm_start: needs network.kind: wide_and_deep, got mlp; change it or set warm_start to null")
    components = problem.network.whiten.components
    has = {"components": components, "quadratics": min(components, problem.settings.network.quadratics)}
    for number, stage in enumerate(settings.stages):
        for (name, most), asked in zip(has.items(), stage, strict=True):
            if not 0 <= asked <= most:
                raise UserError(
                    f"warm_start.stages.{number}: asks for {asked} {name}, expected 0 to {most}, as network.{name} "
                    "has; change one of them"
                )


def _features(problem: EquilibriumProblem, state) -> np.ndarray:
    """[M, 1 + components + pairs] float64: constant first."""
    network = problem.network
    wide = network.wide_features(network.components(problem.economy.features(state))).numpy().astype(np.float64)
    return np.concatenate([np.ones((len(wide), 1)), wide], axis=1)


def _columns(network, components: int, quadratics: int) -> np.ndarray:
    """Which of the features, counted without the constant, take part in a stage."""
    pairs = quadratics * (quadratics + 1) // 2
    return np.concatenate([np.arange(components), network.whiten.components + np.arange(pairs)])


def _correct(network, F: np.ndarray, columns: np.ndarray, wanted: np.ndarray, settings: WarmStartSettings) -> None:
    """Moves the coefficients of some columns by a damped ridge regression of `wanted` [M, S, N-1] on F [M, 1 + all]."""
    chosen = F[:, np.concatenate([[0], 1 + columns])]
    change = settings.damping / network.output_scale * _ridge(chosen, wanted.reshape(len(F), -1), settings.ridge)
    kernel, bias = network.wide.kernel.numpy(), network.wide.bias.numpy()
    kernel[columns] += change[1:]
    network.wide.kernel.assign(kernel)
    network.wide.bias.assign(bias + change[0])


def _restandardize(problem: EquilibriumProblem, state) -> None:
    """New statistics of the inputs from these states; the coefficients are fitted anew to the same policy."""
    network, inputs = problem.network, problem.economy.features(state)
    output = network(inputs).numpy().reshape(len(inputs), -1)
    network.adapt(inputs.numpy().astype(np.float64))
    F = _features(problem, state)
    coefficients = _ridge(F, output.astype(np.float64), 1e-9) / network.output_scale
    network.wide.bias.assign(coefficients[0])
    network.wide.kernel.assign(coefficients[1:])


def _ridge(F: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """Least squares with a penalty in units of a feature's variance: [columns, outputs]."""
    penalty = ridge * np.eye(F.shape[1])
    penalty[0, 0] = 0.0  # not on the constant
    return np.linalg.solve(F.T @ F / len(F) + penalty, F.T @ y / len(F))
