"""What gateways tell of their adapters, as it is kept on the disk, and of the calls that candidates were to hear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

MIRRORED = ("chosen", "mirrored", "answered", "timed_out", "errors", "dropped", "waiting", "restarts")
"""What a gateway counts of the calls that a candidate was to hear."""


def shown(gateway_state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a gateway's state here, and so kept on the disk."""
    told = {}
    for name, state in (gateway_state.get("adapters") or {}).items():
        mirrors = [
            {
                **{key: mirror.get(key) for key in ("trial", "candidate", "stage", *MIRRORED)},
                "process": {key: (mirror.get("process") or {}).get(key) for key in ("state", "reason")},
            }
            for mirror in state.get("trials") or ()
        ]
        told[name] = {**{key: state.get(key) for key in ("in_flight", "waiting", "why", "error")}, "trials": mirrors}
    return {"adapters": told, "missing": list(gateway_state.get("missing") or ())}


def mirrors_of(states: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what became of the calls that candidates were to hear, all gateways together."""
    found: dict[str, dict[str, Any]] = {}
    for state in states:
        for mirror in state.get("trials") or ():
            into = found.setdefault(mirror["trial"], {name: mirror[name] for name in ("trial", "candidate", "stage")})
            process = mirror.get("process") or {}
            into |= {"process": process.get("state"), "why": process.get("reason")}
            for name in MIRRORED:
                value = mirror.get(name)
                if isinstance(value, Mapping):
                    into[name] = dict(Counter(into.get(name) or {}) + Counter(value))
                elif not isinstance(into.get(name), dict):
                    into[name] = into.get(name, 0) + (value or 0)
    return list(found.values())
