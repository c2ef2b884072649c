"""What a parameter file may say about several ranks."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from deqn.project.schema import Section, setting


class WorkerSettings(Section):
    """What changes when several ranks train together, and the threads of each; else nothing where one process trains.

    threads: that share an operation in `deqn train`. With small networks a second one saves little time and costs much
    of a core that another rank or run could use. TF_NUM_INTRAOP_THREADS in the environment goes before it.
    scaling: weak, every rank has the whole of what the file says (tracks), so that an update sees more states with more
    ranks; strong, the ranks share it, so that an update sees the same number.
    learning_rate: what the file's rates are multiplied by on n ranks: 1, sqrt(n) or n.
    local_updates: of each rank between two exchanges. After 1 ranks average gradients; after more, their weights.
    compression: fp16 halves what is sent, and rounds gradients to three digits.
    """

    threads: int | None = setting(None, unit="threads of a rank; null: one for each core", ge=1)
    scaling: Literal["weak", "strong"] = setting("weak")
    learning_rate: Literal["constant", "sqrt", "linear"] = setting(
        "constant", source="linear: Goyal et al. (2017), for SGD; Muon and Adam set the size of a step themselves"
    )
    local_updates: int = setting(1, unit="updates", source="local SGD: Stich (2019)", ge=1)
    compression: Literal["none", "fp16"] = setting("none")
    stall_seconds: float = setting(120.0, unit="seconds that a rank waits for another before the job ends", ge=2)

    @model_validator(mode="after")
    def _weights_are_sent_whole(self) -> WorkerSettings:
        if self.local_updates > 1 and self.compression == "fp16":
            raise ValueError(
                "compression: fp16 would round the weights that local_updates averages to three digits; leave one out"
            )
        return self

    def rate(self, ranks: int) -> float:
        """What learning rates are multiplied by."""
        return {"constant": 1.0, "sqrt": ranks**0.5, "linear": float(ranks)}[self.learning_rate]
