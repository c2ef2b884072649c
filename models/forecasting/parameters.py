"""What a forecasting experiment can vary."""

from typing import Annotated, Literal

from pydantic import Field

from deqn.project.schema import Section, setting


class ForecastParameters(Section):
    """Parameters of the made series or of a file, of the windows, and of the network that forecasts.

    The made series is y_t = level + amplitude sin(2 pi t / period) + u_t, u_t = phi_1 u_{t-1} + phi_2 u_{t-2} + e_t.
    """

    file: str = setting("", source="CSV or Parquet of one's own; empty for the made series")
    columns: list[str] = setting([], source="of the file; the first is forecast; none means all but the date")
    date: str = setting("", source="column of the file; empty for its first one")
    date_format: str = setting("", source="of dates that are neither ISO nor 31.12.2009 23:50:00, as strptime takes it")
    repair: bool = setting(False, source="whether to mend missing values and dates out of order")
    missing: Literal["refuse", "mask"] = setting("refuse", source="mask: the network sees what is missing as missing")
    rows: int = setting(20_000, unit="periods of the made series", ge=100)
    level: float = setting(10.0)
    amplitude: float = setting(5.0, ge=0)
    period: int = setting(24, unit="rows a season; of a file with rows ten minutes apart, 144", ge=2)
    phi: tuple[float, float] = setting((1.2, -0.4), source="autoregression of order two; must be stationary")
    sd: float = setting(1.0, unit="standard deviation of e", gt=0)
    history: int = setting(48, unit="rows", ge=1)
    horizon: int = setting(6, unit="rows", ge=1)
    step: int = setting(1, unit="rows between those of the history that are read", ge=1)
    stride: int = setting(1, unit="rows between the origins of windows to train on", ge=1)
    train_share: float = setting(0.7, unit="share of rows; half of the rest validates, half tests", gt=0, lt=1)
    cell: Literal["rnn", "lstm", "gru"] = setting("lstm")
    units: list[Annotated[int, Field(ge=1)]] = setting([16], unit="units by layer", min_length=1)
    batch: int = setting(256, unit="windows an update", ge=1)
