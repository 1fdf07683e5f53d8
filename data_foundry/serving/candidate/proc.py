"""What the kernel tells of a process: the memory that it holds, and whether it could run. Linux; elsewhere nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HELD = ("RssAnon:", "RssShmem:", "VmSwap:")
"""Pages of a file, such as a checkpoint, are left out: the kernel takes them back when it needs room."""


def held_mib(pid: int) -> float | None:
    """Return the MiB of memory that a process alone holds, swapped out or not; None where nobody tells."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    kib = [int(line.split()[1]) for line in lines if line.startswith(HELD)]
    return sum(kib) / 1024 if kib else None


def data_bytes() -> int | None:
    """Return how much this process has of what RLIMIT_DATA limits, in bytes; None where nobody tells."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), None)


@dataclass(frozen=True)
class Schedule:
    """A thread's seconds on a processor and in the line for one; `runnable`: it runs or stands in that line."""

    ran: float
    waited: float
    runnable: bool


def schedule(pid: int) -> Schedule | None:
    """Return how the main thread of a process was scheduled so far; None where nobody tells."""
    try:
        ran, waited, *_ = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (OSError, ValueError):
        return None
    # The name, in brackets, may hold spaces and brackets itself.
    return Schedule(int(ran) / 1e9, int(waited) / 1e9, stat.rpartition(")")[2].split()[0] == "R")


def used(before: Schedule | None, after: Schedule | None, elapsed: float) -> float:
    """Return how many of the seconds elapsed between two looks a process had: running, or waiting for its own reasons.

    Time in which it could have run and others had the processors is not its own.
    """
    if before is None or after is None:
        return elapsed
    # The line that it stands in now is counted by the kernel only once it has left it.
    own = after.ran - before.ran if after.runnable else elapsed - (after.waited - before.waited)
    return min(max(own, 0.0), elapsed)


class OwnWaiting:
    """The seconds that the calling thread has stood in line for a processor; constant where nobody tells."""

    def __init__(self) -> None:
        try:
            self._file: int | None = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self._file = None

    def seconds(self) -> float:
        """Return the sum since the thread began."""
        if self._file is None:
            return 0.0
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9
