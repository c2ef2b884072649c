"""What forecasts of a panel on a graph can vary."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from deqn.project.schema import Section, setting

Share = Annotated[float, pydantic.Field(gt=0, lt=1)]


class Parameters(Section):
    """Parameters of the panel and its edges, of the windows, and of the network.

    A made panel is one of: "filter", a Chebyshev filter of the last row; "context", lags that a hidden regime chooses,
    which only the mean over nodes tells; "diffusion", what spreads by the hour and what stays; "switching", edges by
    day and others by night; "banks", of many known exposures a few that carry losses.
    """

    data: Literal["filter", "context", "diffusion", "switching", "banks"] = setting(
        "filter", source="the made panel; of no effect with a file"
    )
    file: str = setting("", source="CSV or Parquet of one's own: a date, and a column for each node")
    edges: str = setting("", source="CSV of the file's edges: columns from, to and weight")
    directed: bool = setting(False, source="whether the file's edges go one way; others count both ways")
    columns: list[str] = setting([], source="nodes of the file; none means all columns but the date")
    date: str = setting("", source="column of the file; empty for its first one")
    date_format: str = setting("", source="of dates that are neither ISO nor 31.12.2009, as strptime takes it")
    test_share: Share = setting(0.2, unit="share of a file's rows to test on, the last ones")
    nodes: int = setting(30, unit="of a made panel", ge=5)
    rows: int = setting(400, unit="rows of a made panel to train on", ge=50)
    tests: int = setting(4000, unit="rows of a made panel to test on", ge=50)
    validation_share: Share = setting(
        0.2, unit="share of a file's rows before the tests that validate; of made rows, beside those to train on"
    )
    season: int = setting(24, unit="rows", ge=1)
    scale: Literal["panel", "node"] = setting("panel", source="whose mean and standard deviation inputs are in")
    history: int = setting(1, unit="rows that a forecast sees", ge=1)
    horizon: int = setting(1, unit="rows ahead of the one that is forecast", ge=1)
    network: Literal["filter", "gated", "decoupled", "edges"] = setting("filter")
    graphs: Literal["right", "wrong", "all"] = setting(
        "right", source="filter: the one that moves the made panel; another of as many edges; both and a third one"
    )
    order: int = setting(2, unit="edges that a Chebyshev filter sees away", ge=1)
    hidden: int = setting(0, unit="units of the filter's nonlinear part; 0 for none", ge=0)
    cell: Literal["rnn", "lstm", "gru"] = setting("gru", source="of the gated network")
    units: int = setting(16, unit="of recurrent and other layers", ge=1)
    gate: Literal["mean", "own", "none"] = setting("mean", source="gated: of whom the context is; ST-MGCN: mean")
    layers: int = setting(1, unit="decoupled blocks", ge=1)
    hops: int = setting(1, unit="edges that diffusion goes in a row", ge=1)
    lags: int = setting(2, unit="rows from which something spreads", ge=1)
    width: int = setting(4, unit="numbers that describe an hour, half of those that describe a node", ge=1)
    gated: bool = setting(True, source="decoupled: whether hour and node tell what share of x spreads")
    dynamic: bool = setting(False, source="decoupled: whether the graph follows the hour")
    penalty: float = setting(0.0, unit="weight of the sum of absolute importances of edges", ge=0)
    batch: int = setting(100, unit="windows an update", ge=1)
