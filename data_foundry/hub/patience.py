"""How often and after how long a request to the Hub is tried again: exponential waits with full jitter.

The waits follow "Exponential Backoff and Jitter" (M. Brooker, AWS Architecture Blog, 2015): a random share of a bound
that doubles, so that workers that failed together do not come back together. A server's own wish goes first.
"""

from __future__ import annotations

import email.utils
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from data_foundry.hub.ledger import Ledger

log = logging.getLogger("data_foundry")
T = TypeVar("T")
FIRST_BOUND = 1.0
LARGEST_BOUND = 60.0
# A server that wants more is not waited for: the Hub's own windows are of five minutes.
LONGEST_WISH = 330.0
# A try that brought this much counts as a success: a large file may be cut often and still arrive.
PROGRESS_BYTES = 1024 * 1024


class Halted(Exception):
    """The work was called off while it waited or ran."""


@dataclass(frozen=True)
class Setback:
    """A failure that may pass: how often it may be tried again, and the seconds the server wants (None: no wish).

    `crowded`: the server turned the whole run away, so all of its workers wait.
    """

    cause: str
    limit: int | None = None
    wish: float | None = None
    crowded: bool = False


class GaveUp(Exception):
    """No more tries: `error` is the last failure, `reason` why there is no other try (empty: it would be hopeless)."""

    def __init__(self, error: Exception, tries: int, reason: str = "") -> None:
        super().__init__(reason)
        self.error, self.tries, self.reason = error, tries, reason


class Patience:
    """Tries again what may pass: each request at most `retries` times, a whole run at most `budget` times.

    `limit` says where `retries` comes from (default: the setting).
    """

    def __init__(self, retries: int, budget: int, ledger: Ledger | None = None, limit: str = "") -> None:
        self.retries = retries
        self.limit = limit or f"hub.retries = {retries} allows no more"
        self.budget = budget
        self.ledger = ledger or Ledger(None)

    def call(
        self,
        subject: str,
        request: Callable[[], T],
        judge: Callable[[Exception], Setback | None],
        progress: Callable[[], int] = lambda: 0,
        halt: threading.Event | None = None,
    ) -> T:
        """Return what a request gives, after as many tries as its failures deserve.

        `judge` says of a failure whether it may pass (None: hopeless). `progress` counts the bytes brought so far.
        Raises GaveUp, or Halted once `halt` is set.
        """
        tries = retried = 0
        reached = progress()
        while True:
            self._wait_for_turn(halt)
            tries += 1
            try:
                return request()
            except Halted:
                raise
            except Exception as error:
                setback = judge(error)
                if setback is None:
                    raise GaveUp(error, tries) from None
                if progress() - reached >= PROGRESS_BYTES:
                    retried = 0
                reached = max(reached, progress())
                reason = self._why_not_again(setback, retried)
                if reason:
                    raise GaveUp(error, tries, reason) from None
                retried += 1
                seconds = self._wait_seconds(setback, retried)
                log.warning("%s: %s; trying again in %.0f s", subject, setback.cause, seconds)
                if setback.crowded and setback.wish:
                    self.ledger.cool_down(now() + setback.wish)
                pause(seconds, halt)

    def _why_not_again(self, setback: Setback, retried: int) -> str:
        if setback.wish is not None and setback.wish > LONGEST_WISH:
            return f"it asks to wait {setback.wish:.0f} s, and a run waits {LONGEST_WISH:.0f} s at most"
        if retried >= self.retries:
            return self.limit
        if setback.limit is not None and retried >= setback.limit:
            return "more are no use where no connection is made"
        if not self.ledger.spend(self.budget):
            return f"the run has spent all its retries (hub.retry_budget = {self.budget})"
        return ""

    def _wait_seconds(self, setback: Setback, retried: int) -> float:
        bound = min(LARGEST_BOUND, FIRST_BOUND * 2 ** (retried - 1))
        own = random.uniform(0, bound)
        # On top of the server's wish a little jitter: all who were turned away would return at the same moment.
        return own if setback.wish is None else max(own, setback.wish + random.uniform(0, 1))

    def _wait_for_turn(self, halt: threading.Event | None) -> None:
        left = self.ledger.cool_until() - now()
        if left > 0:
            log.debug("the Hub asked for a pause; %.0f s are left", left)
            pause(min(left, LONGEST_WISH) + random.uniform(0, 1), halt)
        if halt is not None and halt.is_set():
            raise Halted


def server_wish(headers: Mapping[str, str], at: float) -> float | None:
    """Return the seconds that a server asks to wait (Retry-After in seconds or as a date, RateLimit), or None.

    `at` is now, in seconds since 1970. Of several wishes the longest counts. RateLimit: `"api";r=0;t=55`
    (draft-ietf-httpapi-ratelimit-headers), or its older form RateLimit-Reset: 55.
    """
    wishes = []
    after = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", after):
        wishes.append(float(after))
    elif after:
        try:
            date = email.utils.parsedate_to_datetime(after)
            wishes.append(max(0.0, date.timestamp() - at))
        except (ValueError, OverflowError):
            pass
    limit = headers.get("RateLimit", "")
    if (reset := re.search(r"\bt=(\d+)", limit)) and re.search(r"\br=0\b", limit):
        wishes.append(float(reset.group(1)))
    if headers.get("RateLimit-Reset", "").isdecimal() and headers.get("RateLimit-Remaining", "0") == "0":
        wishes.append(float(headers["RateLimit-Reset"]))
    return max(wishes, default=None)


def now() -> float:
    """Return the time in seconds since 1970."""
    return time.time()


def pause(seconds: float, halt: threading.Event | None = None) -> None:
    """Wait; a set `halt` ends it at once with Halted."""
    if halt is None:
        time.sleep(seconds)
    elif halt.wait(seconds):
        raise Halted
