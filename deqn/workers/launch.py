"""Which launcher started this process, read from the variables that launchers set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Launch(NamedTuple):
    """The launcher's name, how many ranks it started, which one this is, and which one on its host."""

    launcher: str
    size: int
    rank: int
    local_rank: int


_VARIABLES = {  # size, rank, rank on the host; srun last, because mpirun within a job sees SLURM's variables too
    "horovodrun": ("HOROVOD_SIZE", "HOROVOD_RANK", "HOROVOD_LOCAL_RANK"),
    "mpirun": ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "mpiexec": ("PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"),
    "srun": ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"),
}


def read_launch(environment: Mapping[str, str]) -> Launch | None:
    """How this process was launched; None if it was started alone."""
    for launcher, (size, rank, local_rank) in _VARIABLES.items():
        if environment.get(size, "").isdigit():
            numbers = (int(environment.get(name, "0")) for name in (rank, local_rank))
            return Launch(launcher, int(environment[size]), *numbers)
    return None
