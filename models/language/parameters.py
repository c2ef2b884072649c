"""What a language experiment can vary."""

from typing import Annotated, Literal

from pydantic import Field

from deqn.project.schema import Section, setting


class LanguageParameters(Section):
    """Parameters of the text, made or of a file, and of the network that continues it letter by letter."""

    file: str = setting("", source="a text file of one's own; empty for the made source")
    letters: int = setting(5, unit="letters of the made source", ge=2, le=26)
    concentration: float = setting(0.5, unit="Dirichlet parameter of the source: small, certain", gt=0)
    train: int = setting(200_000, unit="letters to train on, of the made source", ge=100)
    test: int = setting(50_000, unit="letters to validate on, and to test on, of the made source", ge=100)
    test_share: float = setting(
        0.1, unit="share of a file, its end, to test on; as much before it to validate", gt=0, lt=1
    )
    cell: Literal["rnn", "lstm", "gru"] = setting("lstm")
    embedding: int = setting(8, unit="numbers for each letter", ge=1)
    units: list[Annotated[int, Field(ge=1)]] = setting([32], unit="units by layer", min_length=1)
    streams: int = setting(32, unit="pieces of the text that are read in parallel", ge=1)
    chunk: int = setting(20, unit="letters through which an update differentiates", ge=1)
    samples: int = setting(2000, unit="texts drawn from the network", ge=1)
    burn_in: int = setting(30, unit="letters of each before the pair that is counted", ge=1)
