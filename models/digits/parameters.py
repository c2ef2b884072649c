"""What a parameter file may say about reading handwritten digits."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from deqn.project.schema import Section, setting


class DigitsParameters(Section):
    """Parameters of the data, of the trained network, and of how the hand-written one learns.

    folder: with MNIST's four idx files, as published, gzipped or not; without it scikit-learn's 1,797 digits.
    """

    folder: str | None = setting(None, unit="path of MNIST's idx files; by default scikit-learn's digits")
    test_share: float = setting(0.25, unit="share of the data; MNIST comes with test data", gt=0, lt=1)
    validation_share: float = setting(0.2, unit="share of what is not test data", gt=0, lt=1)
    hidden: list[Annotated[int, pydantic.Field(ge=1)]] = setting([64, 64], unit="neurons a layer")
    activation: str = setting("swish", source="any Keras activation")
    initialization: Literal["glorot", "he", "normal"] = setting("glorot")
    dropout: float = setting(0.2, unit="share of hidden neurons an update leaves out", ge=0, lt=1)
    batch_normalization: bool = setting(False, source="Ioffe & Szegedy (2015); one rank only")
    minibatch: int = setting(64, unit="images an update", ge=2)
    by_hand_hidden: int = setting(30, unit="neurons", ge=1)
    by_hand_passes: int = setting(600, unit="passes over the data; 0 leaves the hand-written network out", ge=0)
    learning_rate: float = setting(0.1, unit="per update, of the hand-written network", gt=0)
    momentum: float = setting(0.9, unit="share of the last change, of the hand-written network", ge=0, lt=1)
