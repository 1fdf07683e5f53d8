"""Versions for a candidate's process that do what a test says; loads in an instant and imports nothing heavy."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.records import Rejected
from data_foundry.serving.candidate.loading import Loaded, Loading, Progress

Row = Mapping[str, Any]


def said(output: Any, confidence: Any = 0.9, classes: Any = ()) -> Any:
    return SimpleNamespace(output=output, confidence=confidence, classes=dict(classes))


def good(row: Row) -> Any:
    return said(f"heard {row['text']}")


def hang(row: Row) -> Any:
    time.sleep(1000)


def spin(row: Row) -> Any:
    while True:
        pass


def compute(row: Row) -> Any:
    """Keeps a processor busy for a tenth of a second of its own."""
    until = time.thread_time() + 0.1
    while time.thread_time() < until:
        pass
    return good(row)


def slow(row: Row) -> Any:
    time.sleep(0.3)
    return good(row)


def leave(row: Row) -> Any:
    os._exit(3)


def fall(row: Row) -> Any:
    os.kill(os.getpid(), signal.SIGSEGV)


def give_up(row: Row) -> Any:
    sys.exit(f"gave up on {row['text']}")


def raise_error(row: Row) -> Any:
    raise RuntimeError(f"can't hear {row['text']}")


def eat(row: Row) -> Any:
    eaten = []
    while True:
        eaten.append(bytearray(8 * 2**20))
        time.sleep(0.002)


def swallow(row: Row) -> Any:
    return said(str(len(bytearray(2**40))))


def refuse(row: Row) -> Any:
    raise Rejected("too_many_tokens")


def hang_on_demand(row: Row) -> Any:
    return hang(row) if row["text"] == "hang" else good(row)


def die_on_demand(row: Row) -> Any:
    return leave(row) if row["text"] == "die" else good(row)


LEAKED: list[str] = []


def leak(row: Row) -> Any:
    """Keeps something of each call for good; what it keeps shows in others alone."""
    LEAKED.append(row["text"])
    return good(row)


def killed_where_leaked(row: Row) -> Any:
    """Takes more than the candidate does, so that the kernel kills the process at its calls alone."""
    if len(LEAKED) >= 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return good(row)


def refused_where_leaked(row: Row) -> Any:
    if len(LEAKED) >= 2:
        raise MemoryError
    return good(row)


TAKEN: list[mmap.mmap] = []


def take(row: Row) -> Any:
    """Takes 300 MiB of what the process may have, once, which nothing holds: none of it is written to."""
    if not TAKEN:
        TAKEN.append(mmap.mmap(-1, 300 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    return good(row)


def raise_value_error(row: Row) -> Any:
    raise ValueError("its own")


def refused_where_taken(row: Row) -> Any:
    """Meets the end of memory as libraries tell of it."""
    if TAKEN:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
    return good(row)


def leak_and_die(row: Row) -> Any:
    LEAKED.append(row["text"])
    os.kill(os.getpid(), signal.SIGKILL)


def who(row: Row) -> Any:
    """Tells of its process: number, niceness, scheduler, threads, when it was asked."""
    told = (os.getpid(), os.nice(0), os.sched_getscheduler(0), os.environ["OMP_NUM_THREADS"], time.monotonic())
    return said(" ".join(map(str, told)))


GARBAGE: dict[str, Callable[[Row], Any]] = {
    "nothing": lambda row: None,
    "no text": lambda row: said(None),
    "a number": lambda row: said(7),
    "bytes": lambda row: said(b"\x00\xff"),
    "half a surrogate pair": lambda row: said("\ud800"),
    "an endless text": lambda row: said("a" * 200_000),
    "NaN": lambda row: said("a", float("nan")),
    "infinitely sure": lambda row: said("a", float("inf")),
    "seventeen times sure": lambda row: said("a", 17.0),
    "truly sure": lambda row: said("a", True),
    "sure by a word": lambda row: said("a", "very"),
    "negative classes": lambda row: said("a", 0.5, {"a": -0.5}),
    "not in its own classes": lambda row: said("a", 0.5, {"b": 0.5}),
    "a class of NaN": lambda row: said("a", 0.5, {"a": float("nan")}),
}


def garbage(row: Row) -> Any:
    return GARBAGE[row["text"]](row)


ACTS: dict[str, Callable[[Row], Any]] = {
    **{act.__name__: act for act in (garbage, good, hang, spin, slow, leave, fall, give_up, raise_error, eat, swallow)},
    **{act.__name__: act for act in (compute, hang_on_demand, die_on_demand, who, refuse)},
    **{act.__name__: act for act in (take, refused_where_taken, raise_value_error)},
    **{act.__name__: act for act in (leak, leak_and_die, killed_where_leaked, refused_where_leaked)},
}


def load(acts: Mapping[str, str], task: Any, labels: tuple[str, ...], progress: Progress) -> Loaded:
    """Load versions by the names of their acts; one that is named "broken" can't be loaded, "fatal" ends all."""
    for version, act in acts.items():
        progress(version)
        if act == "broken":
            raise FoundryError(f"The files of {version} are not those registered.")
        if act == "fatal":
            os._exit(9)
        if act == "endless":
            time.sleep(1000)
        if act.startswith("broken until "):
            flag = Path(act.removeprefix("broken until "))
            if not flag.exists():
                raise OSError("the disk is away")
    return Loaded(task, {version: _act(act) for version, act in acts.items()}, dict.fromkeys(acts, labels))


def _act(name: str) -> Callable[[Row], Any]:
    """Return what a name means; "take away <file>" removes what a version "broken until <file>" can't live without."""
    if name.startswith("take away "):
        return lambda row: (Path(name.removeprefix("take away ")).unlink(missing_ok=True), good(row))[1]
    if name.startswith("broken until "):
        return lambda row: good(row) if Path(name.removeprefix("broken until ")).exists() else leave(row)
    return ACTS.get(name, good)


def loading(*, task: str = "speech-to-text", labels: tuple[str, ...] = (), **acts: str) -> Loading:
    """What loads versions with these acts: loading(new="hang", old="good")."""
    return Loading(f"{__name__}:load", (acts, task, labels))
