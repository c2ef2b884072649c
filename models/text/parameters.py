"""What an experiment with made sentences can vary."""

from typing import Annotated, Literal

from pydantic import Field

from deqn.project.schema import Section, setting


class SentimentParameters(Section):
    """Parameters of the sentences, which praise or blame or have one's own labels, and of the network that tells."""

    file: str = setting(
        "", source="CSV or Parquet of one's own, with columns `text` and `label`; empty for made sentences"
    )
    praise: str = setting(
        "", source="the label that the network's answer is the probability of; empty for the last one"
    )
    sentences: int = setting(200, unit="different sentences, made", ge=20)
    test_share: float = setting(0.2, unit="share to test on; as much to validate", gt=0, lt=0.5)
    size: int = setting(200, unit="tokens of the vocabulary", ge=3)
    length: int = setting(12, unit="tokens to which sentences are cut or padded", ge=1)
    stopwords: str = setting("", source="file of words to drop, one a line; empty for none")
    glove: str = setting("", source="file of embeddings in GloVe's format, with as many numbers as `embedding`")
    embedding: int = setting(8, unit="numbers for each token", ge=1)
    cell: Literal["rnn", "lstm", "gru"] = setting("gru")
    units: list[Annotated[int, Field(ge=1)]] = setting([8], unit="units by layer", min_length=1)
    bidirectional: bool = setting(False, source="whether sentences are read backwards, too")
    batch: int = setting(20, unit="sentences an update", ge=1)
