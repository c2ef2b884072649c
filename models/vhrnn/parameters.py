"""Schemas of the experiments with variational recurrent networks: on synthetic sequences, and on those of a file."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from deqn.project.schema import Section, setting

Radius = Annotated[float, pydantic.Field(gt=0, le=2)]
Count = Annotated[int, pydantic.Field(ge=1)]
Three = tuple[Count, Count, Count]


class NetworkParameters(Section):
    """Parameters of network and bound of "Variational Hyper RNN for Sequence Modeling"."""

    network: Literal["vrnn", "vhrnn"] = setting(source="section 3")
    cell: Literal["lstm", "gru"] = setting("lstm", source="the paper has an LSTM")
    latent: int = setting(unit="size of z", ge=1)
    hidden: int = setting(unit="size of h", ge=1)
    layers: int = setting(2, unit="hidden layers of each perceptron", ge=1)
    omega_width: int = setting(12, unit="hidden units of omega, of vhrnn", ge=1)
    hyper_inputs: Literal["both", "latent", "hidden"] = setting("both", source="Table 3; of vhrnn")
    bound: Literal["fivo", "iwae", "elbo"] = setting("fivo")
    particles: int = setting(4, unit="in an update", ge=1, source="appendix C")
    test_particles: int = setting(128, unit="in a test", ge=1, source="appendix C, on music")


class Parameters(NetworkParameters):
    """Parameters of the synthetic sequences of Table 1."""

    periods: int = setting(40, unit="steps of a sequence; not stated in the paper", ge=3)
    radius: tuple[Radius, Radius] = setting(
        (0.55, 1.1), unit="interval of the matrices' spectral radii; not stated in the paper"
    )
    sequences: int = setting(800, unit="sequences to train on", ge=1, source="section 4")
    held_out: int = setting(100, unit="sequences to validate on, and of each setting to test on", ge=1)
    batch: int = setting(32, unit="sequences in an update", ge=1)

    @pydantic.field_validator("radius")
    @classmethod
    def _ascends(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"got {list(value)}, expected [lowest, highest], the lowest first")
        return value


class OnFileParameters(NetworkParameters):
    """Parameters of sequences read from a file of one's own; appendix B of the paper."""

    data: Literal["music", "stocks", "sensors"] = setting(source="of which form the file is; see the README")
    file: str = setting("", source="path of the file")
    longest: int = setting(200, unit="steps of a sequence; longer pieces of music are cut, each part begins anew", ge=2)
    companies: Three = setting((345, 50, 50), unit="stocks to train, validate and test on")
    days: int = setting(125, unit="days of stocks in a sequence", ge=2)
    windows: Three = setting((532, 68, 74), unit="windows of sensors to train, validate and test on")
    batch: int = setting(4, unit="sequences in an update", ge=1, source="appendix C")
