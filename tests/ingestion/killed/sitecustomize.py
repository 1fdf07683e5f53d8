"""Kills the Python process that finds this on its path, at the disk change that KILL_AT counts to, wherever that is.

With KILL_AT=0 nothing is killed, and the number of changes is written to the file that CHANGES names.
"""

import atexit
import os
import pathlib
import signal
from collections.abc import Callable
from typing import Any

AT = int(os.environ["KILL_AT"])
done = 0


def counted(change: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        global done
        done += 1
        if done == AT:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*arguments, **named)

    return wrapped


for module in (os, pathlib.Path):
    for name in ("link", "fsync", "replace", "rename", "unlink", "rmdir"):
        if hasattr(module, name):
            setattr(module, name, counted(getattr(module, name)))
if not AT:
    atexit.register(lambda: pathlib.Path(os.environ["CHANGES"]).write_text(str(done)))
