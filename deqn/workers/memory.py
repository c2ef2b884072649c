"""How much memory this machine, or what of it this process may use, has."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_GROUPS = (  # of cgroups: the folder of each version's memory, and the file with the limit in bytes
    (Path("/sys/fs/cgroup"), "memory.max"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
)


def memory_there_is() -> int:
    """Bytes of memory: the machine's, or less where a job or container is limited (cgroups)."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits()])


def _limits() -> list[int]:
    """The limits of the groups of this process and of those around them, as far as they can be read."""
    own = []
    with contextlib.suppress(OSError):
        own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    found = []
    for folder, name in _GROUPS:
        for _, kinds, path in own:
            if kinds in ("", "memory"):
                group = folder / path.lstrip("/")
                for each in (group, *group.parents):
                    with contextlib.suppress(OSError, ValueError):  # no such group here, or "max"
                        found.append(int((each / name).read_text()))
    return found


def shown(size: float) -> str:
    """A number of bytes in the unit that a reader expects: 15.6 GiB."""
    unit = next((unit for unit in ("KiB", "MiB", "GiB", "TiB", "PiB") if (size := size / 1024) < 1024), "EiB")
    return f"{size if unit != 'EiB' else size / 1024:,.1f} {unit}"
