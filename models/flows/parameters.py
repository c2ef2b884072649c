"""What forecasts of flows between cells can vary."""

from __future__ import annotations

from deqn.project.schema import Section, setting


class Parameters(Section):
    """Parameters of made flows between cells of a city, or of a file, and of the network.

    Made flows are Poisson with rates of a gravity model, which the hour and a state of each region move. A file has
    columns time, from, to and count, cells are numbered from 0 along the rows of a square; what is not listed is zero.
    """

    file: str = setting("", source="CSV or Parquet of one's own: time (a count of hours), from, to, count")
    side: int = setting(10, unit="cells along each side of the city", ge=2)
    block: int = setting(2, unit="cells along each side of a region: the coarse cells", ge=1)
    days: int = setting(14, unit="made days of 24 hours to train on", ge=2)
    validation_days: int = setting(3, unit="days that validate", ge=1)
    test_days: int = setting(7, unit="days to test on", ge=1)
    mean: float = setting(0.13, unit="trips of a pair of cells in an hour, on average", gt=0)
    persistence: float = setting(0.9, unit="of a region's state, an hour", ge=0, lt=1)
    sd: float = setting(0.5, unit="standard deviation of a region's state, in logs", ge=0)
    history: int = setting(3, unit="hours that a forecast sees", ge=1)
    units: int = setting(32, unit="of the encoder", ge=1)
    width: int = setting(8, unit="numbers that describe a cell as origin, and as destination", ge=1)
    coarse: bool = setting(True, source="whether flows are seen between regions; otherwise between cells")
    batch: int = setting(24, unit="hours an update", ge=1)
