"""Findings: what the report tells a person about a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def finding(
    kind: str, message: str, count: int, examples: Sequence[str] = (), severity: str = "info"
) -> dict[str, Any]:
    """Return a finding as the report holds it; `severity` is "info", "warning" or "error"."""
    return {"kind": kind, "severity": severity, "message": message, "count": count, "examples": list(examples)}
