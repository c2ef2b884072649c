"""The network of a parameter file for an economy's inputs and outputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from deqn.equilibrium.economy import Economy
from deqn.equilibrium.settings import NetworkSettings
from deqn.mlp.networks import MLP, WideAndDeep
from deqn.project.errors import UserError, nearest


def build_network(economy: Economy, settings: NetworkSettings, seed: int) -> keras.Model:
    """An untrained network. Raises UserError for settings that do not fit each other or the economy."""
    inputs, heads = inputs_of(economy), economy.shocks.discrete if settings.heads == "shock" else 1
    _check(economy, settings, inputs)
    common: dict[str, Any] = {
        "inputs": inputs,
        "outputs": economy.width,
        "heads": heads,
        "hidden": settings.hidden,
        "activation": settings.activation,
        "seed": seed,
        "dtype": economy.dtype,
    }
    if settings.kind == "mlp":
        return MLP(**common, standardized=settings.standardize)
    return WideAndDeep(
        **common,
        components=settings.components or inputs,
        quadratics=settings.quadratics,
        output_scale=settings.output_scale,
        own=economy.own if settings.own else None,
    )


def inputs_of(economy: Economy) -> int:
    """How many numbers the network sees of a state."""
    state = economy.tensors(economy.initial_states(2, np.random.default_rng(0)))
    return int(economy.features(state).shape[-1])


def _check(economy: Economy, settings: NetworkSettings, inputs: int) -> None:
    if not settings.standardize and settings.kind != "mlp":
        raise UserError(f"network.standardize: false needs network.kind: mlp, got {settings.kind}")
    if settings.own and economy.own is None:
        raise UserError(f"network.own: {type(economy).__name__} names no own inputs; set it to false")
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
