"""The network of a parameter file for an economy's inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.settings import FurtherNetworkSettings, NetworkSettings
from deqn.mlp.networks import MLP, WideAndDeep
from deqn.project.errors import UserError, nearest
from deqn.project.user_code import folder_of, load_module, mistakes_in_user_code


def build_network(
    economy: Economy, settings: NetworkSettings, seed: int, further: Mapping[str, FurtherNetworkSettings] | None = None
) -> keras.Model:
    """An untrained network for all outputs, [batch, heads, outputs]; `further` are parts with outputs of their own.

    Raises UserError for settings that do not fit each other or the economy.
    """
    parts = [
        _part(economy, each, seed + number, columns)
        for number, (each, columns) in enumerate(_shared_out(economy, settings, further or {}))
    ]
    whole = parts[0][0] if len(parts) == 1 else Several(parts, economy.dtype)
    return OverAgents(whole, economy.taken.agents, economy.dtype) if economy.taken.agents else whole


def _shared_out(
    economy: Economy, settings: NetworkSettings, further: Mapping[str, FurtherNetworkSettings]
) -> Iterator[tuple[NetworkSettings, np.ndarray]]:
    """Each network with the numbers of its outputs."""
    shapes, sizes = economy.taken.shapes, economy.taken.sizes
    ends = np.cumsum(sizes)
    columns = {name: np.arange(end - size, end) for name, size, end in zip(shapes, sizes, ends, strict=True)}
    for name, each in further.items():
        for output in each.outputs:
            if output not in columns:
                raise UserError(
                    f"networks.{name}.outputs: {output!r} is not an output of {type(economy).__name__}, or another "
                    f"network gives it;{nearest(output, [*filter(None, columns)] or ['none by name'])}"
                )
        yield each, np.concatenate([columns.pop(output) for output in each.outputs])
    if columns:
        yield settings, np.concatenate(list(columns.values()))


def _part(
    economy: Economy, settings: NetworkSettings, seed: int, columns: np.ndarray
) -> tuple[keras.Model, np.ndarray]:
    inputs, heads = inputs_of(economy), economy.shocks.discrete if settings.heads == "shock" else 1
    _check(economy, settings, inputs)
    common: dict[str, Any] = {
        "inputs": inputs,
        "outputs": len(columns),
        "heads": heads,
        "hidden": settings.hidden,
        "activation": settings.activation,
        "seed": seed,
        "dtype": economy.dtype,
    }
    if settings.kind == "mlp":
        return MLP(**common, standardized=settings.standardize), columns
    if settings.kind != "wide_and_deep":
        return _own_class(economy, settings.kind, common), columns
    own = [economy.own[column] for column in columns] if settings.own and economy.own is not None else None
    network = WideAndDeep(
        **common,
        components=settings.components or inputs,
        quadratics=settings.quadratics,
        output_scale=settings.output_scale,
        own=own,
        kinks=settings.kinks,
    )
    return network, columns


def _own_class(economy: Economy, kind: str, common: Mapping[str, Any]) -> keras.Model:
    """A network of a class beside the economy, which is built and called as MLP is."""
    folder, (file, name) = folder_of(type(economy)), kind.split(".")
    made = getattr(load_module(folder, file), name, None)
    if not (isinstance(made, type) and issubclass(made, keras.Model)):
        raise UserError(f"network.kind: {kind}: {folder / file}.py has no Keras model {name}")
    with mistakes_in_user_code(folder, name, f"{file}.py"):
        network = made(**common)
        shape = list(network(tf.zeros([2, common["inputs"]], common["dtype"])).shape)
    expected = [2, common["heads"], common["outputs"]]
    if shape != expected or not all(hasattr(network, each) for each in ("adapt", "by_head")):
        raise UserError(
            f"network.kind: {kind} gives shape {shape} for two states, expected {expected}, [states, heads, outputs], "
            "and methods adapt(sample) and by_head(inputs); a subclass of deqn.mlp.networks.MLP has all"
        )
    return network


class Several(keras.Model):
    """Networks side by side, each of which gives some of the outputs: [batch, inputs] -> [batch, heads, outputs]."""

    def __init__(self, parts: Sequence[tuple[keras.Model, np.ndarray]], dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.parts = [network for network, _ in parts]
        self.order = np.argsort(np.concatenate([columns for _, columns in parts]))
        self.built = True

    def adapt(self, sample: np.ndarray) -> None:
        """Each standardises from a sample [n, inputs]."""
        for part in self.parts:
            part.adapt(sample)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.stack(self.by_head(inputs), axis=1)

    def by_head(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Gives what each head says, a list of [batch, outputs]."""
        heads = zip(*(part.by_head(inputs) for part in self.parts), strict=True)
        return [tf.gather(tf.concat(each, axis=1), self.order, axis=1) for each in heads]


class OverAgents(keras.Model):
    """One network that decides for every agent: [batch, agents, inputs] -> [batch, heads, agents x outputs]."""

    def __init__(self, one: keras.Model, agents: Sequence[int], dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.one, self.agents = one, math.prod(agents)
        self.built = True

    def adapt(self, sample: np.ndarray) -> None:
        """Standardises from what is seen of all agents, [n, agents, inputs]."""
        self.one.adapt(sample.reshape(-1, sample.shape[-1]))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.stack(self.by_head(inputs), axis=1)

    def by_head(self, inputs: tf.Tensor) -> list[tf.Tensor]:
        """Gives what each head says, a list of [batch, agents x outputs]."""
        heads = self.one.by_head(tf.reshape(inputs, [-1, inputs.shape[-1]]))  # of each [batch x agents, outputs]
        return [tf.reshape(each, [-1, self.agents * each.shape[-1]]) for each in heads]


def inputs_of(economy: Economy) -> int:
    """How many numbers the network sees of a state."""
    state = economy.tensors(economy.initial_states(2, np.random.default_rng(0)))
    return int(economy.features(state).shape[-1])


def _check(economy: Economy, settings: NetworkSettings, inputs: int) -> None:
    if not settings.standardize and settings.kind != "mlp":
        raise UserError(f"network.standardize: false needs network.kind: mlp, got {settings.kind}")
    if settings.own and economy.own is None:
        raise UserError(f"network.own: {type(economy).__name__} names no own inputs; set it to false")
    if settings.kinks and not (settings.own and settings.kind == "wide_and_deep"):
        raise UserError(
            f"network.kinks: expected network.kind: wide_and_deep and network.own: true, got {settings.kind} and "
            f"{str(settings.own).lower()}; change these or leave kinks out"
        )
    names = [settings.activation] if isinstance(settings.activation, str) else settings.activation
    if not isinstance(settings.activation, str) and len(names) != len(settings.hidden):
        raise UserError(
            f"network.activation: got {len(names)} names, expected one, or one for each of the {len(settings.hidden)} "
            "hidden layers"
        )
    for name in names:
        try:
            keras.activations.get(name)
        except ValueError as error:
            known = [each for each in dir(keras.activations) if each.islower() and not each.startswith("_")]
            raise UserError(
                f"network.activation: {name!r}; expected a Keras activation;{nearest(name, known)}"
            ) from error
    if settings.kind == "wide_and_deep" and (settings.components or 0) > inputs:
        raise UserError(
            f"network.components: got {settings.components}, expected at most the {inputs} inputs there are"
        )
