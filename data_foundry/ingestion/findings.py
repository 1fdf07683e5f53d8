"""Findings: what is remarkable about a dataset, each with its count and a few examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]
MOST_EXAMPLES = 5
_ORDER = {"error": 0, "warning": 1, "info": 2}


class Findings:
    """Collects findings by kind. Examples name files and rows and never hold a row's text."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Any]] = {}

    def add(self, kind: str, severity: Severity, message: str, example: str = "", count: int = 1) -> None:
        """Count a finding; the first message of a kind stays, `example` is kept while there are few."""
        if count <= 0:
            return
        finding = self._found.setdefault(
            kind, {"kind": kind, "severity": severity, "message": message, "count": 0, "examples": []}
        )
        finding["count"] += count
        if example and len(finding["examples"]) < MOST_EXAMPLES:
            finding["examples"].append(example)

    def add_rows(self, kind: str, severity: Severity, message: str, path: str, rows: Sequence[int]) -> None:
        """Count a finding for each of a file's rows."""
        for row in rows[:MOST_EXAMPLES]:
            self.add(kind, severity, message, f"{path} row {row}")
        self.add(kind, severity, message, count=len(rows[MOST_EXAMPLES:]))

    def listed(self) -> list[dict[str, Any]]:
        """Return the findings, the gravest first, then by kind."""
        return sorted(self._found.values(), key=lambda finding: (_ORDER[finding["severity"]], finding["kind"]))
