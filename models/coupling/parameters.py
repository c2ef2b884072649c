"""What the classification of panels on a graph can vary."""

from __future__ import annotations

from typing import Literal

from deqn.project.schema import Section, setting


class Parameters(Section):
    """Parameters of two classes of panels that differ in how strongly some edges couple their nodes, and of ST-GCN.

    x_t = A x_{t-1} + e_t with A = `weak` on every edge; in the second class `different` edges have `strong`.
    """

    file: str = setting("", source="CSV or Parquet of one's own: panel, class, and a column for each node")
    edges_file: str = setting("", source="CSV of the file's edges: columns from, to and weight")
    nodes: int = setting(30, ge=5)
    edges: int = setting(60, unit="edges, each in both directions", ge=5)
    different: int = setting(6, unit="edges", ge=1)
    weak: float = setting(0.1, unit="coupling", ge=0)
    strong: float = setting(0.4, unit="coupling", ge=0)
    panels: int = setting(400, unit="panels to train on, half of each class", ge=10)
    validation: int = setting(100, unit="panels that validate, of a file too", ge=10)
    tests: int = setting(1000, unit="panels to test on, of a file too", ge=10)
    rows: int = setting(200, unit="rows of a panel", ge=20)
    window: int = setting(20, unit="rows of a sub-sequence that an update sees", ge=5)
    units: int = setting(16, ge=1)
    kernel: int = setting(2, unit="rows that the convolution over time sees", ge=1)
    penalty: float = setting(0.0, unit="weight of the mean importance of edges", ge=0)
    batch: int = setting(128, unit="sub-sequences an update", ge=1)


class RegionsParameters(Section):
    """Parameters of two classes of graphs whose regions belong to communities, and of the network that reads them.

    Two regions are joined with `inside` if they are of one community, else with `outside`. In the second class
    `different` regions belong to another community: always ("level"), or they move from theirs to the other where in
    the first class they move back ("order", in which both classes look alike on average). Of a
    file's panels two regions are joined where their correlation is above `threshold`.
    """

    file: str = setting("", source="CSV or Parquet of one's own: panel, class, and a column for each region")
    atlas: str = setting("", source="pooled: CSV of the part that each of the file's regions belongs to: region, part")
    threshold: float = setting(0.3, unit="absolute correlation within a window of the file", gt=0, lt=1)
    data: Literal["level", "order"] = setting("level")
    network: Literal["pooled", "dynamic"] = setting("pooled", source="BrainGNN; or a recurrent network over windows")
    regions: int = setting(40, ge=8)
    communities: int = setting(4, ge=2)
    different: int = setting(6, unit="regions", ge=1)
    keep: int = setting(10, unit="regions that pooling keeps", ge=1)
    inside: float = setting(0.45, unit="probability", gt=0, lt=1)
    outside: float = setting(0.2, unit="probability", gt=0, lt=1)
    windows: int = setting(
        6, unit="graphs of a panel; the pooled network reads the last, or of a file one in all", ge=1
    )
    panels: int = setting(600, unit="panels to train on", ge=10)
    validation: int = setting(200, unit="panels that validate, of a file too", ge=10)
    tests: int = setting(1000, unit="panels to test on, of a file too", ge=10)
    units: int = setting(16, ge=1)
    pooling: float = setting(0.1, unit="weight of the loss that parts kept regions from others", ge=0)
    sparsity: float = setting(0.1, unit="weight of the mean score in a phase in which every region is read", ge=0)
    consistency: float = setting(0.1, unit="weight of the loss that keeps the same regions within a class", ge=0)
    decay: float = setting(1e-3, unit="weight of the mean square of all weights", ge=0)
    batch: int = setting(64, unit="panels an update", ge=1)
