"""How a command ends: its exit code, and the one line that says why.

0 done, or nothing to do; 1 a step failed, or the disk did; 2 the user's mistake, nothing was started; 130 interrupted,
143 terminated: the same command goes on where it was; 141 nobody reads the output any more.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from data_foundry.errors import FoundryError
from data_foundry.lake import LeaseLost, storage_error

INTERRUPTED, TERMINATED, UNREAD = 130, 143, 141

log = logging.getLogger("data_foundry")


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does: what runs is stopped, what was published stays, the lock is let go."""


def ended(name: str, command: Callable[[], int]) -> int:
    """Run a command and return its exit code, whatever ends it; the reason is printed without a traceback."""
    try:
        with terminable():
            speak_unicode()
            code = command()
            # Here, and not when the interpreter ends, where a closed pipe is a traceback that nobody can catch.
            sys.stdout.flush()
            return code
    except KeyboardInterrupt as error:
        word, code = ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)
        print(f"{name} {word}; the same command goes on where it was.", file=sys.stderr)
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except LeaseLost as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except FoundryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        log.debug("%s", name, exc_info=True)
        print(f"error: {name} stopped: {storage_error(error) or error}", file=sys.stderr)
        return 1


def speak_unicode() -> None:
    """Let every text be printed and every path be named, whatever the locale: Malayalam must not end a run.

    What the terminal's encoding lacks is printed as \\uXXXX. Under a locale that knows ASCII alone, where Python holds
    the bytes of paths as text that no JSON takes, the command starts itself again in Python's UTF-8 mode (PEP 540).
    """
    if sys.getfilesystemencoding() == "ascii":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONUTF8": "1"})
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` in the main thread, once; a second one does not disturb the clearing up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
