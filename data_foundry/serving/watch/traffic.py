"""Traffic as it is shown: success and error rates, and latency percentiles with their bounds, of tallies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from data_foundry.serving.watch.buckets import percentiles
from data_foundry.serving.watch.tallies import Tally, TallyReader

MINUTES = 60
"""How far back the minutes themselves are told."""

Tallies = Mapping[tuple[str, str, int], Tally]
REFUSED = ("rejected", "not_served")
"""The kinds of calls that no answer could be given to: of broken input, and for what nothing is served; any other that
has none is the gateway's."""


def figures(tally: Tally) -> dict[str, Any]:
    """Return a stretch's figures: rates are shares of all calls, None without any.

    "failed" are calls that should have been answered, also where too many came, or nothing answers yet. Broken input,
    and calls for what is not served, are counted apart, as "refused", and are in no rate.
    """
    refused = sum(count for kind, count in tally.failures.items() if kind.partition(":")[0] in REFUSED)
    failed = tally.failed - refused
    total = tally.calls + failed
    return {
        "calls": total,
        "answered": tally.calls,
        "failed": failed,
        "refused": refused,
        "fallbacks": tally.fallbacks,
        "success_rate": round(tally.calls / total, 6) if total else None,
        "error_rate": round(failed / total, 6) if total else None,
        "failures": dict(sorted(tally.failures.items())),
        "milliseconds": percentiles(tally.latencies),
    }


class Traffic:
    """Reads the tallies for one look; of the day, what is before the last hour is kept for a minute: it costs most."""

    def __init__(self, reader: TallyReader) -> None:
        self.reader = reader
        self._day: tuple[int, dict[str, Tally], dict[str, Tally]] | None = None

    @staticmethod
    def none(adapter: str) -> dict[str, Any]:
        """Return the traffic of an adapter that nothing is known of."""
        nothing = figures(Tally())
        return {"hour": nothing, "day": nothing, "replayed": None, "versions": {}, "minutes": []}

    def of(self, now: float) -> Callable[[str], dict[str, Any]]:
        """Return a function that tells an adapter's traffic: the last hour by minute and version, the last day."""
        minute = int(now // 60)
        hour = self.reader.by_minute(minute - MINUTES + 1)
        if self._day is None or self._day[0] != minute:
            whole = self.reader.by_minute(minute - 24 * 60 + 1)
            before = _summed({key: tally for key, tally in whole.items() if key[2] <= minute - MINUTES})
            self._day = (minute, before, _summed(self.reader.by_minute(minute - 24 * 60 + 1, "replay")))
        _, before, replayed = self._day

        def told(adapter: str) -> dict[str, Any]:
            own = {key[1:]: tally for key, tally in hour.items() if key[0] == adapter}
            versions: dict[str, Tally] = defaultdict(Tally)
            minutes: dict[int, Tally] = defaultdict(Tally)
            whole, day = Tally(), Tally()
            day.add(before.get(adapter, Tally()))
            for (version, at), tally in own.items():
                versions[version].add(tally)
                minutes[at].add(tally)
                whole.add(tally)
            day.add(whole)
            return {
                "hour": figures(whole),
                "day": figures(day),
                "replayed": figures(replayed[adapter]) if adapter in replayed else None,
                "versions": {version: figures(tally) for version, tally in sorted(versions.items())},
                "minutes": [
                    {"minute": at, **{name: figures(tally)[name] for name in ("calls", "failed", "refused")}}
                    for at, tally in sorted(minutes.items())
                ],
            }  # fmt: skip

        return told


def _summed(tallies: Tallies) -> dict[str, Tally]:
    found: dict[str, Tally] = defaultdict(Tally)
    for (adapter, _, _), tally in tallies.items():
        found[adapter].add(tally)
    return found
