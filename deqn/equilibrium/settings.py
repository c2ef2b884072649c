"""What a parameter file may say about an equilibrium: network, sampling, next period, evaluation. No TensorFlow."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

from deqn.equilibrium.parameter_types import TransitionMatrix
from deqn.project.errors import UserError
from deqn.project.schema import Section, setting, validate

_COPIES = 6  # of the weights: trained, averaged, best, gradient and two of the optimiser


class NetworkSettings(Section):
    """The network from states to policies.

    kind: mlp, wide_and_deep, or FILE.CLASS for a class in FILE.py beside the economy (deqn.equilibrium.network).
    heads: "shock" gives one output for each value of a discrete shock, from features that do not depend on it.
    components, quadratics, output_scale, own, kinks: of a wide-and-deep network (deqn.mlp.networks.WideAndDeep).
    """

    kind: str = setting("wide_and_deep", source="Cheng et al. (2016)")
    hidden: list[Annotated[int, pydantic.Field(ge=1)]] = setting([128, 128], unit="neurons a layer")
    activation: str | list[str] = setting("silu", source="any Keras activation, or a list of one for each hidden layer")
    heads: Literal["none", "shock"] = setting("none")
    standardize: bool = setting(True, source="false: an mlp sees its inputs in their own units, as AGS19's does")
    components: int | None = setting(None, unit="principal components; by default one for each input", ge=1)
    quadratics: int = setting(0, unit="components whose products enter the wide part", ge=0)
    output_scale: float = setting(0.1, unit="what the sum of wide part and perceptron is multiplied by", gt=0)
    own: bool = setting(False, source="whether an output's own input multiplies a second output of the perceptron")
    kinks: int | None = setting(
        None, unit="neurons between perceptron and two kinks of each output in its own input; none by default", ge=1
    )

    @pydantic.field_validator("kind")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ("mlp", "wide_and_deep") and not re.fullmatch(r"\w+\.\w+", value):
            raise ValueError(f"got {value!r}, expected mlp, wide_and_deep, or FILE.CLASS for a network of your own")
        return value


class FurtherNetworkSettings(NetworkSettings):
    """A network of its own for some of the outputs; what it does not say is as in `network`."""

    outputs: list[str] = setting(unit="names in the economy's outputs", min_length=1)


class SamplingSettings(Section):
    """Which states are trained on: an episode is `tracks` x `periods` simulated states.

    chain: a transition matrix that draws the shocks of the simulation; the residuals always use the true one.
    every_shock: the loss has each simulated state under every shock, weighted by the shock's frequency to the power
    `shock_weight`.
    """

    tracks: int = setting(256, unit="parallel paths", ge=1)
    periods: int = setting(1, unit="periods an episode", ge=1)
    epochs: int = setting(1, unit="passes over an episode's states", ge=1)
    minibatch: int | None = setting(None, unit="states an update; by default all of the episode's", ge=1)
    chain: TransitionMatrix | None = setting(None, unit="probability a period, rows = from")
    every_shock: bool = setting(False)
    shock_weight: float = setting(0.5, unit="power of the stationary probability", ge=0)
    resets: float = setting(0.0, unit="probability a period that a track starts anew", ge=0, le=1)


class NextPeriodSettings(Section):
    """Which network decides inside the expectation, and whether gradients flow through it.

    full: the network that is trained, with gradients (the paper's). frozen: a slowly averaged copy, without: the
    update is then time iteration fitted by a network. held: the copy, with gradients through the state that today's
    decisions lead to: time iteration for decisions that only next period tells apart, such as portfolios.
    """

    gradient: Literal["full", "frozen", "held"] = setting("full")
    average: float = setting(0.0, unit="share of the copy that an update keeps", ge=0, lt=1)


class ValidationSettings(Section):
    """States whose errors choose the best weights and are shown during training.

    on: "fresh_paths" under the true process, which begin among the states where tracks are reset; or "new_episode":
    the tracks of training move on by an episode of `sampling`, as in Algorithm 1 of Azinovic, Gaegauf & Scheidegger.
    decided_by: the condition whose mean error chooses; by default the one with the largest.
    """

    on: Literal["fresh_paths", "new_episode"] = setting("fresh_paths", source="new_episode: AGS19, Algorithm 1")
    tracks: int = setting(64, unit="parallel paths", ge=1)
    periods: int = setting(60, unit="periods after the burn-in", ge=1)
    burn_in: int = setting(120, unit="periods dropped", ge=0)
    seed: int = setting(1_000_003, source="never used for a reported figure")
    decided_by: str | None = setting(None, source="a condition of the economy")


class EvaluationSettings(Section):
    """The paths on which the reported figures are measured, which begin at the economy's first initial states."""

    tracks: int = setting(1, unit="paths; more than one for an economy whose parameters are states", ge=1)
    periods: int = setting(12000, unit="periods simulated, of each path", ge=2)
    burn_in: int = setting(2000, unit="of these dropped", ge=0)
    seed: int = setting(1, ge=0, lt=2**31)


class VerifySettings(Section):
    """How much error `deqn verify` lets pass; of errors, implied errors and distances from other solutions alike."""

    mean: float = setting(1e-3, unit="share of a decision, on average over visited states", gt=0)
    tail: float = setting(1e-2, unit="share of a decision, at the 99.9th percentile", gt=0)
    welfare: float = setting(1e-5, unit="share of consumption that the errors cost", gt=0)
    p_value: float = setting(1e-3, unit="probability that a test rejects what is right", gt=0, lt=1)


class WarmStartSettings(Section):
    """A first solution by a wide-and-deep network's linear and quadratic part, before training.

    guess: "iterated" needs the economy's `correction`; "linear", the solution about the steady state, and "constant",
    the policy there, need normal shocks and use `settling` and `tracks` alone.
    stages: how many components, and how many components' products, take part, one stage after the other.
    """

    guess: Literal["iterated", "linear", "constant"] = setting("iterated")
    iterations: int = setting(30, unit="iterations a stage", ge=1)
    settling: int = setting(40, unit="periods that the tracks move under the first guess", ge=1)
    stages: list[tuple[int, int]] | None = setting(
        None, unit="[components, with products]; by default 4, 12, all components, all products", min_length=1
    )
    damping: float = setting(0.5, unit="share of the economy's correction that an iteration makes", gt=0, le=1)
    ridge: float = setting(1e-3, unit="variance of a feature", gt=0)
    tracks: int = setting(1000, unit="parallel paths", ge=100)


def in_phase(parameters: Any, changes: Mapping[str, Any]) -> Any:
    """The economy's parameters in a phase of training that changes some of them."""
    return type(parameters).model_validate({**parameters.model_dump(), **changes}) if changes else parameters


class EquilibriumSettings(Section):
    """The equilibrium's part of a parameter file.

    networks: further ones by name, each with `outputs`, the names of those it gives; the others are of `network`.
    memory: how many numbers the decision rule remembers from period to period (deqn.equilibrium.memory); 0 for a rule
    of the state alone. Gradients flow through what is remembered over the periods of an episode.
    weights: of the conditions in the loss, by name; 1 where not named.
    warm_start: {} for its defaults, of an economy with a `correction`; {guess: linear} for the linear solution; none:
    training starts from an untrained network.
    """

    network: NetworkSettings = setting(NetworkSettings())
    networks: dict[str, dict[str, Any]] = setting({})
    memory: int = setting(0, unit="numbers that the rule remembers", ge=0)
    sampling: SamplingSettings = setting(SamplingSettings())
    next_period: NextPeriodSettings = setting(NextPeriodSettings())
    weights: dict[str, Annotated[float, pydantic.Field(gt=0)]] = setting(
        {}, unit="relative weight of a condition's squared errors"
    )
    warm_start: WarmStartSettings | None = setting(None)
    validation: ValidationSettings = setting(ValidationSettings())
    evaluation: EvaluationSettings = setting(EvaluationSettings())
    verify: VerifySettings = setting(VerifySettings())
    compiler: Literal["xla", "graph"] = setting(
        "xla", source="graph for layers of many hundred neurons: XLA's matrix products use a part of the processor only"
    )
    updates_per_call: int = setting(50, unit="updates between two looks at the clock", ge=1)

    def further(self) -> dict[str, FurtherNetworkSettings]:
        """`networks` with what they leave out. Raises UserError for what is wrong with one."""
        found = {
            name: validate(FurtherNetworkSettings, {**self.network.model_dump(), **given}, f"networks.{name}")
            for name, given in self.networks.items()
        }
        for name, each in found.items():
            if each.heads != self.network.heads:
                raise UserError(
                    f"networks.{name}.heads: got {each.heads}, expected {self.network.heads} as network.heads; all "
                    "networks have the same"
                )
        return found

    def bytes_needed(self, inputs: int, outputs: int, shocks: int, number: int) -> dict[str, int]:
        """Memory that training cannot do without, by the setting that asks for it; what libraries add is not in it.

        inputs, outputs: of the network for a state, about as many numbers as the state and the policy have.
        shocks: of a chain, 1 without one. number: bytes of a number in training.
        """
        network, sampling = self.network, self.sampling
        layers = [inputs, *network.hidden, outputs * (shocks if network.heads == "shock" else 1)]
        weights = sum(rows * columns + columns for rows, columns in itertools.pairwise(layers))
        through = 2 * sum(layers)  # numbers of a state on its way through the network, and their gradients
        states = sampling.tracks * sampling.periods
        batch = (sampling.minibatch or states) * (shocks if sampling.every_shock else 1)
        needed = {
            "network.hidden": number * weights * _COPIES,
            "sampling.tracks": number * inputs * (sampling.tracks + states),
            "validation.tracks": number * self.validation.tracks * self.validation.periods * (inputs + outputs),
            "evaluation.periods": self.bytes_of_evaluation(inputs, outputs),
        }
        if self.warm_start is not None:
            needed["warm_start.tracks"] = number * self.warm_start.tracks * (inputs + outputs)
        needed["network.hidden" if max(layers) > batch else "sampling.tracks"] += number * through * batch
        return needed

    def bytes_of_evaluation(self, inputs: int, outputs: int) -> int:
        """Memory that the states and policies of the evaluation's paths take, in float64."""
        return 8 * self.evaluation.tracks * self.evaluation.periods * (inputs + outputs)
