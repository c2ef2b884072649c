"""A first solution without a network, on the wide (linear and quadratic) part of a network alone.

With normal shocks it may be the linear solution about the steady state (`linear_solution.py`), or the steady state's
policy everywhere. Otherwise it is time iteration. The network's outputs are linear in its wide features F of the state,
one set of coefficients for each shock. Repeatedly, tracks move on by a period, the economy says by how much d its
outputs should change for the conditions to hold, and least squares moves the coefficients that way:

    coefficients += damping * (F'F / M + ridge)^-1 F' d / M

Features enter in stages: first a few principal components, then all, then the products of the first few. So the
60-cohort economy converges for every borrowing limit in [-1, 0] without a homotopy. Products of ten components fit it a
little better at a limit of zero (.053 % against .065 % on fresh paths, with three), but on outlying tracks they carry
the policy away: at -1 the iteration breaks down, and at zero the network, from there, reached .0043 % in 3,000 updates
instead of .0026 % (both with the wide part held).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.linear_solution import LinearSolution, constant_solution, linear_solution
from deqn.equilibrium.network import OverAgents
from deqn.equilibrium.settings import NetworkSettings, WarmStartSettings
from deqn.mlp.networks import WideAndDeep
from deqn.project.errors import UserError

if TYPE_CHECKING:
    from deqn.equilibrium.problem import Equilibrium

_LARGEST_CHANGE = 0.1  # a track far out may ask for any change; it gets at most this, or the others would pay for it
_TOLD = 1e-6  # slope of the linear solution that the network cannot have, from which on it is told
_FIRST_COMPONENTS = (4, 12)  # of the stages before all components take part


def fit_wide_part(problem: Equilibrium, settings: WarmStartSettings, say: Callable[[str], None]) -> None:
    """Sets the wide weights and the statistics of the inputs, and makes the visited states the problem's pool.

    Raises UserError if the economy has no such guess, or the network no wide part as large as it asks for.
    """
    if settings.guess != "iterated":
        _take_linear_solution(problem, settings, say)
    else:
        _check(problem.economy, problem.network, problem.settings.network, settings)
        generator = np.random.default_rng([problem.settings.seed, 2])
        _iterate(problem, settings, problem.economy.initial_states(settings.tracks, generator), say)


def follow_parameters(problem: Equilibrium, settings: WarmStartSettings, say: Callable[[str], None]) -> None:
    """The same iteration, from the rule and the states that the parameters before have led to.

    The wide part takes over what the network said there, and the perceptron begins anew: what it has learned of kinks
    belongs to other limits. The statistics of the inputs may be a hundred times too small: where
    nobody may borrow, the young own next to nothing.
    """
    _check(problem.economy, problem.network, problem.settings.network, settings)  # after --from nothing has yet
    network, state = problem.network, tf.nest.map_structure(lambda x: x[: settings.tracks], problem.pool)
    inputs = problem.economy.features(problem.economy.tensors(state))
    output = network(inputs).numpy()
    network.restart_perceptron()
    _fit(network, inputs, output, settings.ridge)
    _iterate(problem, settings, state, say)


def _take_linear_solution(problem: Equilibrium, settings: WarmStartSettings, say: Callable[[str], None]) -> None:
    """The network says what the linear or constant solution says, and knows the states that this visits."""
    network, economy = problem.network, problem.economy
    one = network.one if isinstance(network, OverAgents) else network
    _check_network(one, problem.settings.network, "none")
    linear = settings.guess == "linear"
    solution = (linear_solution if linear else constant_solution)(problem.economy_type, problem.parameters)
    _set_wide(one, solution)
    pool = economy.tensors(problem.pool)
    advance = tf.function(problem.sampler.advance, jit_compile=economy.xla, autograph=False)
    generator = np.random.default_rng([problem.settings.seed, 2])
    state = economy.tensors(economy.initial_states(settings.tracks, generator))
    for count in range(settings.settling):
        state, _ = advance(state, pool, tf.constant([problem.settings.seed, count], tf.int32))
    network.adapt(economy.features(state).numpy().astype(np.float64))
    _set_wide(one, solution)
    problem.set_pool(state)
    left = f"of a deviation from it {solution.modulus:.4f} is left a period later, at most" if linear else "no slopes"
    if solution.missed > _TOLD:
        left += f"; slopes are up to {solution.missed:.2g} off, as the network does not see what they depend on"
    say(f"{settings.guess} solution about the steady state: {left}")


def _set_wide(network: WideAndDeep, solution: LinearSolution) -> None:
    """The wide part becomes output + by_feature (inputs - features)."""
    rotation, slope = network.whiten.rotation.numpy(), solution.by_feature.T / network.output_scale
    kernel = np.zeros(network.wide.kernel.shape)
    kernel[: network.whiten.components] = np.linalg.pinv(rotation) @ slope
    network.wide.kernel.assign(kernel)
    at_mean = solution.output / network.output_scale + (network.whiten.mean.numpy() - solution.features) @ slope
    network.wide.bias.assign(at_mean)


def _iterate(problem: Equilibrium, settings: WarmStartSettings, begin: Any, say: Callable[[str], None]) -> None:
    """Time iteration on the wide part from the states `begin`, of as many tracks as the settings say."""
    network, rule, economy = problem.network, problem.policy_rule, problem.economy
    pool = economy.tensors(problem.pool)

    @tf.function(jit_compile=economy.xla, autograph=False)
    def iterate(state: Any, key: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Changes of the outputs under every shock [M, S, outputs], and the states one period later."""
        output = tf.concat(network.by_head(economy.features(state)), axis=0)  # [S * M, outputs]
        everywhere, policy = rule.under_every_shock(state)
        E = rule.expectation(everywhere, policy)
        said = economy.taken.grouped(output)
        policy = economy.complete(everywhere, policy, E)
        change = economy.taken.flat(economy.correction(said, everywhere, policy, E))
        following, _ = problem.sampler.advance(state, pool, key)
        return tf.transpose(tf.reshape(change, [-1, settings.tracks, economy.width]), [1, 0, 2]), following

    def changes(state: Any, count: int) -> tuple[np.ndarray, Any]:
        change, following = iterate(state, tf.constant([problem.settings.seed, count], tf.int32))
        return change.numpy(), following

    state, count = economy.tensors(begin), 0
    with threadpool_limits(1, "blas"):  # small matrices: a second thread doubles the CPU time
        # The first guess moves the economy far from the steady state: its statistics say little.
        for count in range(settings.settling):
            _, state = changes(state, count)
        for components, quadratics in stages_of(settings, network):
            _restandardize(network, economy, state)
            columns = _columns(network, components, quadratics)
            for _ in range(settings.iterations):
                change, following = changes(state, count)
                wanted = np.clip(change, -_LARGEST_CHANGE, _LARGEST_CHANGE)
                _correct(network, _features(network, economy.features(state)), columns, wanted, settings)
                state, count = following, count + 1
            say(
                f"warm start, {components} components, {quadratics} with products: "
                f"mean change of an output {np.abs(change).mean():.2g}"
            )
    _restandardize(network, economy, state)
    problem.set_pool(state)


def stages_of(settings: WarmStartSettings, network: WideAndDeep) -> list[tuple[int, int]]:
    """The file's stages, or by default 4, 12 and all components, then also the products that the network has."""
    if settings.stages is not None:
        return settings.stages
    most, products = network.whiten.components, _products(network)
    return [*((n, 0) for n in _FIRST_COMPONENTS if n < most), (most, 0), *([(most, products)] if products else [])]


def _check(economy: Economy, network: keras.Model, file: NetworkSettings, settings: WarmStartSettings) -> None:
    if type(economy).correction is Economy.correction:
        raise UserError(f"warm_start: {type(economy).__name__} has no method `correction`; set warm_start to null")
    _check_network(network, file, "shock")
    has = {"components": network.whiten.components, "quadratics": _products(network)}
    for number, stage in enumerate(settings.stages or ()):
        for (name, most), asked in zip(has.items(), stage, strict=True):
            if not 0 <= asked <= most:
                raise UserError(
                    f"warm_start.stages.{number}: asks for {asked} {name}, expected 0 to {most}, as network.{name} "
                    "has; change one of them"
                )


def _check_network(network: keras.Model, file: NetworkSettings, heads: str) -> None:
    if not isinstance(network, WideAndDeep):
        raise UserError(
            f"warm_start: needs network.kind: wide_and_deep, got {file.kind}; change it or set warm_start to null"
        )
    if file.heads != heads:
        raise UserError(
            f"warm_start: needs network.heads: {heads}, got {file.heads}; change it or set warm_start to null"
        )


def _products(network: WideAndDeep) -> int:
    """The number of components whose products the wide part has."""
    return int(network.pairs.max(initial=-1)) + 1


def _features(network: WideAndDeep, inputs: tf.Tensor) -> np.ndarray:
    """A constant and the wide features at these inputs, [M, 1 + components + pairs], float64."""
    wide = network.wide_features(network.components(inputs)).numpy().astype(np.float64)
    return np.concatenate([np.ones((len(wide), 1)), wide], axis=1)


def _columns(network: WideAndDeep, components: int, quadratics: int) -> np.ndarray:
    """Which of the features, counted without the constant, take part in a stage."""
    pairs = quadratics * (quadratics + 1) // 2
    return np.concatenate([np.arange(components), network.whiten.components + np.arange(pairs)])


def _correct(
    network: WideAndDeep, F: np.ndarray, columns: np.ndarray, wanted: np.ndarray, settings: WarmStartSettings
) -> None:
    """Moves the coefficients of some columns by a damped ridge regression of `wanted` [M, S, outputs] on F [M, all]."""
    chosen = F[:, np.concatenate([[0], 1 + columns])]
    change = settings.damping / network.output_scale * _ridge(chosen, wanted.reshape(len(F), -1), settings.ridge)
    kernel, bias = network.wide.kernel.numpy(), network.wide.bias.numpy()
    kernel[columns] += change[1:]
    network.wide.kernel.assign(kernel)
    network.wide.bias.assign(bias + change[0])


def _restandardize(network: WideAndDeep, economy: Economy, state: Any) -> None:
    """New statistics of the inputs from these states; the coefficients are fitted anew to the same outputs."""
    inputs = economy.features(state)
    output = network(inputs).numpy()
    network.adapt(inputs.numpy().astype(np.float64))
    _fit(network, inputs, output, 1e-9)


def _fit(network: WideAndDeep, inputs: tf.Tensor, output: np.ndarray, ridge: float) -> None:
    """The wide part becomes the least squares of outputs [M, heads, outputs] at these inputs."""
    F = _features(network, inputs)
    coefficients = _ridge(F, output.reshape(len(F), -1).astype(np.float64), ridge) / network.output_scale
    network.wide.bias.assign(coefficients[0])
    network.wide.kernel.assign(coefficients[1:])


def _ridge(F: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """Least squares with a penalty in units of a feature's variance: [columns, outputs]."""
    penalty = ridge * np.eye(F.shape[1])
    penalty[0, 0] = 0.0  # not on the constant
    return np.linalg.solve(F.T @ F / len(F) + penalty, F.T @ y / len(F))
