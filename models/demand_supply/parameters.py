"""What forecasts of demand and then supply can vary."""

from __future__ import annotations

from deqn.project.schema import Section, setting


class Parameters(Section):
    """Parameters of demand and supply by region and hour, made or of a file, and of the networks that forecast them.

    A file has a row for each hour and region. Its last hours are the tests, those before them validate.
    """

    file: str = setting("", source="CSV or Parquet of one's own: time (a count of hours), region, demand, supply")
    known: list[str] = setting([], source="columns of the file that are known ahead, such as weather")
    nodes: int = setting(25, unit="regions", ge=2)
    rows: int = setting(1500, unit="made hours to train on; of a file all that are left", ge=100)
    validation: int = setting(300, unit="hours that validate", ge=50)
    tests: int = setting(700, unit="hours to test on", ge=50)
    weather: float = setting(1.0, unit="trips by a unit of weather, which is known ahead")
    persistence: float = setting(0.7, unit="of what moves demand, an hour", ge=0, lt=1)
    answer: float = setting(0.6, unit="supply by a unit of demand in the same hour")
    own: float = setting(0.4, unit="supply by a unit of supply an hour before", ge=0, lt=1)
    sd_demand: float = setting(1.5, gt=0)
    sd_supply: float = setting(0.7, gt=0)
    history: int = setting(8, unit="hours that a forecast sees", ge=1)
    horizon: int = setting(4, unit="hours ahead, all forecast at once", ge=1)
    units: int = setting(16, ge=1)
    features: int = setting(64, unit="random features of fast attention; 0 for the exact one", ge=0)
    batch: int = setting(32, unit="hours an update", ge=1)
