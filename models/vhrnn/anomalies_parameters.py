"""What the search for anomalies with a variational recurrent network can vary."""

from __future__ import annotations

from deqn.project.schema import Section, setting


class AnomaliesParameters(Section):
    """Parameters of the sequences, clean to train on, and of the network; the made ones are those of `synthetic.py`."""

    file: str = setting("", source="CSV or Parquet of one's own; empty for made sequences")
    columns: list[str] = setting([], source="of the file; none means all but the date")
    date: str = setting("", source="column of the file; empty for its first one")
    date_format: str = setting("", source="of dates that are neither ISO nor 31.12.2009, as strptime takes it")
    latent: int = setting(8, unit="size of z", ge=1)
    hidden: int = setting(8, unit="size of h", ge=1)
    periods: int = setting(40, unit="steps of a sequence; those of a file are cut so", ge=3)
    radius: tuple[float, float] = setting((0.55, 1.1), unit="interval of the matrices' spectral radii")
    sequences: int = setting(800, unit="made sequences to train on", ge=1)
    held_out: int = setting(400, unit="made sequences to test on, and a quarter to validate on", ge=4)
    outliers: float = setting(0.02, unit="share of the steps that are replaced in the test", gt=0, lt=1)
    outlier_sd: float = setting(12.0, unit="standard deviation of what they are replaced by", gt=0)
    batch: int = setting(32, unit="sequences in an update", ge=1)
    particles: int = setting(4, unit="in an update", ge=1)
    test_particles: int = setting(64, unit="in a test", ge=2)
    past: int = setting(30, unit="steps after which futures are drawn", ge=1)
    horizon: int = setting(5, unit="steps that are drawn", ge=1)
    samples: int = setting(200, unit="futures drawn for each sequence", ge=20)
